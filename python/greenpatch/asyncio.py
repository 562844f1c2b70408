"""asyncio: a function that blocks in a native library runs in a greenlet, which yields to the loop where it would block.

The greenlet's parent is the one that the loop runs in. Where the greenlet is left, its parent, the coroutine of ``run``, awaits a future,
which the loop's reader of the loan's eventfd sets. So the greenlet always goes on within a step of the task that has called it.
"""

import asyncio
import functools

from greenlet import getcurrent, greenlet

from greenpatch import _bridge, _home

__all__ = ["run", "wait_for"]


class _Call(greenlet):
    """The greenlet of one function that ``run`` was called with."""


def _leave():
    """Leaves the running call: its coroutine goes on, and awaits a future of its own."""
    return getcurrent().parent.switch(None)


class _Loop(_home.Home):
    """A thread's running loop, lent."""

    def __init__(self, loop):
        self.loop = loop
        super().__init__("shutdown")

    def arguments(self):
        return getcurrent, _Call.__instancecheck__, _leave

    def watch(self):
        self.loop.add_reader(self.loan.eventfd, self.drain)

    def unwatch(self):
        if not self.loop.is_closed():
            self.loop.remove_reader(self.loan.eventfd)

    def move(self, loop):
        """Lends another loop of the same thread, as after a second ``asyncio.run``."""
        self.unwatch()
        self.loop = loop
        self.watch()

    def go_on(self, greenlet):
        if not greenlet.future.done():
            greenlet.future.set_result(None)

    def offload(self, function, arguments, keywords):
        return wait_for(asyncio.to_thread(function, *arguments, **keywords))

    async def drive(self, call):
        """Runs a call to its end, and returns its result: awaits what it asks for, and a future of its own whenever it is left."""
        asked = call.switch()
        while not call.dead:
            if asked is None:
                asked = call.future = self.loop.create_future()
            try:
                answer = await asked
            except GeneratorExit:
                # The coroutine is closed, and may not await: the native call blocks to its end.
                _bridge.pause()
                try:
                    call.throw(GeneratorExit)
                finally:
                    _bridge.resume()
                raise
            except BaseException as error:
                asked = call.throw(error)
            else:
                asked = call.switch(answer)
        return asked


async def run(function, /, *arguments, **keywords):
    """Calls ``function`` in a greenlet; where it would block in a native library, the running loop goes on. Returns its result.

    Exceptions are the function's. A cancellation of the awaiting task, as by ``asyncio.wait_for``, shuts down the connection that the
    native call waits for, and is raised in the function as soon as that is back in Python, in place of the driver's own error. Raises
    ``greenpatch.NotPreloaded`` where the library is not there.
    """
    loop = asyncio.get_running_loop()
    home = _home.of_thread()
    if not isinstance(home, _Loop):
        home = _home.begin(_Loop, loop)
    elif home.loop is not loop:
        home.move(loop)
    call = _Call(functools.partial(function, *arguments, **keywords))
    call.gr_context = getcurrent().gr_context
    return await home.drive(call)


def wait_for(awaitable):
    """Waits for an awaitable from within a function that ``run`` has called. Returns its result, or raises its exception."""
    call = getcurrent()
    if not isinstance(call, _Call):
        raise RuntimeError("greenpatch.asyncio.wait_for is called in a function that greenpatch.asyncio.run runs")
    return call.parent.switch(awaitable)
