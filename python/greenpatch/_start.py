"""What ``greenpatch run --bridge LOOP`` does in each Python process: imported by greenpatch_bridge.pth as the interpreter starts.

Nothing is imported ahead of the program. When it imports its loop's module, each loop that is made from then on, in whichever thread, is
lent as it is made.
"""

import functools
import importlib.abc
import importlib.util
import os
import sys

from greenpatch import _home


def gevent(module):
    """`module`: gevent.hub. Lends each hub."""
    begin = module.Hub.__init__

    @functools.wraps(begin)
    def begin_lent(hub, *arguments, **keywords):
        begin(hub, *arguments, **keywords)
        import greenpatch.gevent
        greenpatch.gevent.lend(hub)

    module.Hub.__init__ = begin_lent


def eventlet(module):
    """`module`: eventlet.hubs. Lends each hub."""
    use = module.use_hub

    @functools.wraps(use)
    def use_lent(*arguments, **keywords):
        use(*arguments, **keywords)
        kind = module._threadlocal.Hub

        @functools.wraps(kind, updated=())
        def make(*arguments, **keywords):
            import greenpatch.eventlet
            hub = kind(*arguments, **keywords)
            greenpatch.eventlet.lend(hub)
            return hub

        module._threadlocal.Hub = make

    module.use_hub = use_lent


def asyncio(module):
    """`module`: asyncio.base_events, or uvloop. Has each loop run its tasks in greenlets."""
    kind = module.BaseEventLoop if hasattr(module, "BaseEventLoop") else module.Loop
    begin = kind.__init__

    @functools.wraps(begin)
    def begin_patched(loop, *arguments, **keywords):
        begin(loop, *arguments, **keywords)
        loop.set_task_factory(task)

    def task(loop, coroutine, **keywords):
        import greenpatch.asyncio
        return greenpatch.asyncio.task(loop, coroutine, **keywords)

    kind.__init__ = begin_patched


# Loop -> which modules make it, and what is done to them.
LOOPS = {
    "gevent": {"gevent.hub": gevent},
    "eventlet": {"eventlet.hubs": eventlet},
    "asyncio": {"asyncio.base_events": asyncio, "uvloop": asyncio},
}


class Finder(importlib.abc.MetaPathFinder):
    """Has something done to modules when they have been imported."""

    def __init__(self, changes):
        self.changes = changes

    def find_spec(self, name, path, target=None):
        change = self.changes.pop(name, None)
        if change is None:
            return None
        # Asks the others: this one knows the name no more.
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_change(module):
            execute(module)
            change(module)

        spec.loader.exec_module = execute_and_change
        return spec


def start(name):
    """Begins. Where it cannot, says so on stderr: the program runs as without."""
    if name not in LOOPS:
        print(f"greenpatch: GREENPATCH_BRIDGE is {name!r}, not one of {', '.join(LOOPS)}", file=sys.stderr)
        return
    try:
        _home.need_library()
    except _home.NotPreloaded as error:
        print(f"greenpatch: --bridge {name}: {error}", file=sys.stderr)
        return
    sys.meta_path.insert(0, Finder(dict(LOOPS[name])))


start(os.environ["GREENPATCH_BRIDGE"])
