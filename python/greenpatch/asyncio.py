"""asyncio: a function that blocks in a native library runs in a greenlet, which yields to the loop where it would block.

The greenlet's parent is the one that the loop runs in. Where the greenlet is left, its parent, the coroutine of ``run``, awaits a future,
which the loop's reader of the loan's eventfd sets. So the greenlet always goes on within a step of the task that has called it.
"""

import asyncio
import collections.abc
import functools

from greenlet import getcurrent, greenlet

from greenpatch import _bridge, _home

__all__ = ["patch", "run", "task", "wait_for"]


class _Call(greenlet):
    """The greenlet of one function that ``run`` was called with, or of one step of a task."""

    def go_on(self, function, *arguments):
        """Switches to it, or throws into it: returns what it asks for, or its result. Whoever calls this is its parent from now on: where
        tasks run in greenlets, each step of the awaiting one is another."""
        self.parent = getcurrent()
        return function(*arguments)


def _leave():
    """Leaves the running call: its coroutine goes on, and awaits a future of its own."""
    return getcurrent().parent.switch(None)


class _Loop(_home.Home):
    """A thread's running loop, lent."""

    def __init__(self, loop):
        self.loop = loop
        # A class for each, so that a fork child's loop, which may run in a call of the parent's, does not leave that.
        self.call = type("_Call", (_Call,), {})
        super().__init__("shutdown")

    def arguments(self):
        return getcurrent, self.call.__instancecheck__, _leave

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

    def begin(self, function):
        """Returns a call of a function, in the running context, which it does not leave."""
        call = self.call(function)
        call.gr_context = getcurrent().gr_context
        return call

    async def drive(self, call):
        """Runs a call to its end, and returns its result: awaits what it asks for, and a future of its own whenever it is left."""
        asked = call.go_on(call.switch)
        while not call.dead:
            if asked is None:
                asked = call.future = self.loop.create_future()
            try:
                answer = await asked
            except GeneratorExit:
                # The coroutine is closed, and may not await: the native call blocks to its end.
                _bridge.pause()
                try:
                    call.go_on(call.throw, GeneratorExit)
                finally:
                    _bridge.resume()
                raise
            except BaseException as error:
                asked = call.go_on(call.throw, error)
            else:
                asked = call.go_on(call.switch, answer)
        return asked


async def run(function, /, *arguments, **keywords):
    """Calls ``function`` in a greenlet; where it would block in a native library, the running loop goes on. Returns its result.

    Exceptions are the function's. A cancellation of the awaiting task, as by ``asyncio.wait_for``, shuts down the connection that the
    native call waits for, and is raised in the function as soon as that is back in Python, in place of the driver's own error. Raises
    ``greenpatch.NotPreloaded`` where the library is not there.
    """
    home = _lent(asyncio.get_running_loop())
    if home is None:
        return function(*arguments, **keywords)
    return await home.drive(home.begin(functools.partial(function, *arguments, **keywords)))


def _lent(loop):
    """Returns the calling thread's home, which lends this loop, its running one. None: audit records this process, which stays native."""
    home = _home.of_thread()
    if not isinstance(home, _Loop):
        home = _home.begin(_Loop, loop)
    elif home.loop is not loop:
        home.move(loop)
    return home


def wait_for(awaitable):
    """Waits for an awaitable from within a function that ``run`` has called. Returns its result, or raises its exception."""
    call = getcurrent()
    if not isinstance(call, _Call):
        raise RuntimeError("greenpatch.asyncio.wait_for is called in a function that greenpatch.asyncio.run runs")
    return call.parent.switch(awaitable)


class _Steps(collections.abc.Coroutine):
    """A coroutine, each step of which runs in a greenlet: where that is left, the task awaits, and the step goes on later."""

    def __init__(self, coroutine):
        self.coroutine = coroutine
        # The step that is under way, and what it has asked for, while it is left.
        self.call = self.asked = None

    def send(self, value):
        return self.step(self.coroutine.send, value)

    def throw(self, *error):
        return self.step(self.coroutine.throw, *error)

    def step(self, function, *arguments):
        """Begins a step, or goes on with the one that is under way. Returns the future that the task is to wait for."""
        home = _lent(asyncio.get_running_loop())
        if self.call is None:
            self.call = home.begin(function)
            asked = self.call.go_on(self.call.switch, *arguments)
        elif function == self.coroutine.throw:
            asked = self.call.go_on(self.call.throw, *arguments)
        elif self.asked.cancelled():
            asked = self.call.go_on(self.call.throw, asyncio.CancelledError())
        elif self.asked.exception() is not None:
            asked = self.call.go_on(self.call.throw, self.asked.exception())
        else:
            asked = self.call.go_on(self.call.switch, self.asked.result())
        if self.call.dead:
            self.call = self.asked = None
            return asked
        if asked is None:
            self.asked = self.call.future = home.loop.create_future()
        else:
            self.asked = asyncio.ensure_future(asked)
        self.asked._asyncio_future_blocking = True
        return self.asked

    def close(self):
        if self.call is not None:
            # As in `drive`. The step ends by what is thrown, or by its own result.
            _bridge.pause()
            try:
                self.call.go_on(self.call.throw, GeneratorExit)
            except (GeneratorExit, StopIteration):
                pass
            finally:
                _bridge.resume()
                self.call = None
                self.asked.cancel()
        self.coroutine.close()

    def __await__(self):
        return self

    def __next__(self):
        return self.send(None)

    def __getattr__(self, name):
        return getattr(self.coroutine, name)


def task(loop, coroutine, **keywords):
    """A task factory: a task each step of which runs in a greenlet, so that the loop goes on where a coroutine calls what blocks."""
    return asyncio.Task(_Steps(coroutine), loop=loop, **keywords)


def patch():
    """From now on, tasks of the running loop may call what blocks in a native library: the loop goes on meanwhile.

    While a task is in such a call other tasks run, as they do while it awaits: code that relies on nothing happening between two awaits
    must not block there. ``greenpatch run --bridge asyncio`` does this to each loop. Raises ``greenpatch.NotPreloaded`` where the library
    is not there.
    """
    loop = asyncio.get_running_loop()
    if _lent(loop) is not None:
        loop.set_task_factory(task)
