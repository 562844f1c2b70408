"""The drivers that `greenpatch ticker --driver` knows: how each connects and asks. They are data, and easy to extend.

A driver is a function that connects to a tarpit, asks, and returns or raises once it is told that nothing comes. Its parameter has `host`,
`port`, `way` (threads, gevent, eventlet, asyncio) and `seconds` (how long the tarpit stays). The decorator tells what to install, what to
import, and at which tarpit; one that prepares something first is `prepares=True` there, and calls `at.begins()` where its wait begins.
`async def` is for the loop of asyncio; a driver may have a function of each kind, under the same name.

`--table FILE` adds a file of the user's own, written in the same way.
"""

import of_nets  # noqa: F401: each fills the table
import of_queues  # noqa: F401
import of_sql  # noqa: F401
import of_stores  # noqa: F401

try:
    import of_user  # noqa: F401: the file of --table
except ModuleNotFoundError as failure:
    if failure.name != "of_user":
        raise
