"""greenpatch: native drivers yield under gevent, eventlet and asyncio.

The package needs the library preloaded: start the program by ``greenpatch run -- python app.py``. Then, in each thread that has a loop:

- ``greenpatch.gevent.patch()`` or ``greenpatch.eventlet.patch()``, once: a greenlet whose driver would block in libc yields to the hub;
- ``await greenpatch.asyncio.run(function, *arguments)``: the function runs in a greenlet, and the loop goes on where it would block.

Plain threads need none of this: under ``greenpatch run`` they are green as they are.
"""

import contextlib

from greenpatch import _bridge, _home
from greenpatch._home import NotPreloaded

__version__ = _bridge.__version__
__all__ = ["NotPreloaded", "is_active", "mode", "offload", "pin", "statistics"]


def mode():
    """How the process runs: "absent" (not preloaded), "native", "green", "audit" (native, and calls that wait are recorded)."""
    return _bridge.mode()


def is_active():
    """Does the calling thread lend its loop?"""
    return _home.of_thread() is not None


@contextlib.contextmanager
def pin():
    """Inside, no greenlet of the calling thread is left: its native calls block the thread, as they do without the library.

    Do not switch greenlets inside: those switched to would block as well.
    """
    _bridge.pause()
    try:
        yield
    finally:
        _bridge.resume()


def offload(function, /, *arguments, **keywords):
    """Calls ``function`` in the loop's own pool of threads, while the calling greenlet waits; returns its result, or raises its exception.

    For calls that cannot be left, because their library keeps threads that write to the caller's stack. Where the calling thread lends
    no loop, or its loop itself runs, the function is called here.
    """
    home = _home.of_thread()
    if home is None or not home.is_context():
        return function(*arguments, **keywords)
    return home.offload(function, arguments, keywords)


def statistics():
    """What was counted since the calling thread lent its loop, as a dict:

    - ``lent``: waits in which a greenlet was left;
    - ``blocked``: waits in which the thread itself waited: the loop's own, or pinned ones;
    - ``taken``: greenlets whose waits were over.

    Raises RuntimeError where the thread lends none.
    """
    home = _home.of_thread()
    if home is None:
        raise RuntimeError("this thread lends no loop")
    return dict(zip(("lent", "blocked", "taken"), home.loan.statistics()))
