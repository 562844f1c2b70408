"""loops: gevent, eventlet, asyncio and uvloop by the same few verbs, for the programs of the tests. Imported by those, not by pytest.

`start(NAME)` returns a loop that is lent (or plain, with `patch=False`). Its verbs are called in the program's main function, which
`main(function)` runs.
"""

import json
import sys
import time
import traceback


class Gevent:
    """Everything is patched, and the hub is lent."""

    def __init__(self, patch):
        import gevent.monkey
        gevent.monkey.patch_all()
        import gevent
        self.gevent, self.Timeout, self.Killed = gevent, gevent.Timeout, gevent.GreenletExit
        if patch:
            import greenpatch.gevent
            greenpatch.gevent.patch()

    def main(self, function):
        return function()

    def sleep(self, seconds):
        self.gevent.sleep(seconds)

    def spawn(self, function):
        return self.gevent.spawn(function)

    def result(self, of):
        return of.get()

    def kill(self, greenlet):
        greenlet.kill(block=False)

    def within(self, seconds, function):
        with self.gevent.Timeout(seconds):
            return function()


class Eventlet:
    """The same, but for psycopg2."""

    def __init__(self, patch):
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import eventlet
        # Without eventlet's own way for psycopg2.
        eventlet.monkey_patch(psycopg=False)
        import greenlet
        self.eventlet, self.Timeout, self.Killed = eventlet, eventlet.Timeout, greenlet.GreenletExit
        if patch:
            import greenpatch.eventlet
            greenpatch.eventlet.patch()

    def main(self, function):
        return function()

    def sleep(self, seconds):
        self.eventlet.sleep(seconds)

    def spawn(self, function):
        return self.eventlet.spawn(function)

    def result(self, of):
        return of.wait()

    def kill(self, greenlet):
        greenlet.kill()

    def within(self, seconds, function):
        with self.eventlet.Timeout(seconds):
            return function()


class Asyncio:
    """Each function that is spawned runs in a task of its own, in `greenpatch.asyncio.run`; so does the program's main function."""

    def __init__(self, patch):
        import asyncio

        import greenpatch.asyncio
        self.asyncio, self.bridge = asyncio, greenpatch.asyncio
        self.Timeout, self.Killed = asyncio.TimeoutError, asyncio.CancelledError

    def run(self, coroutine):
        return self.asyncio.run(coroutine)

    def main(self, function):
        return self.run(self.bridge.run(function))

    def sleep(self, seconds):
        self.bridge.wait_for(self.asyncio.sleep(seconds))

    def spawn(self, function):
        return self.asyncio.get_running_loop().create_task(self.bridge.run(function))

    def result(self, of):
        return self.bridge.wait_for(of)

    def kill(self, task):
        task.cancel()

    def within(self, seconds, function):
        return self.bridge.wait_for(self.asyncio.wait_for(self.bridge.run(function), seconds))


class Uvloop(Asyncio):
    """asyncio's tasks in uvloop's loop."""

    def run(self, coroutine):
        import uvloop
        return uvloop.run(coroutine)


LOOPS = {"gevent": Gevent, "eventlet": Eventlet, "asyncio": Asyncio, "uvloop": Uvloop}


class Clock:
    """Counts ticks, one each `period` seconds, while something runs; `gap` is the longest time without one."""

    def __init__(self, loop, period=0.1):
        self.loop, self.period = loop, period
        self.ticks, self.gap = 0, 0.0
        self.ends = False

    def run(self):
        last = time.monotonic()
        while not self.ends:
            self.loop.sleep(self.period)
            now = time.monotonic()
            self.ticks, self.gap, last = self.ticks + 1, max(self.gap, now - last), now

    def during(self, function):
        """Calls the function, and returns its result."""
        greenlet = self.loop.spawn(self.run)
        self.loop.sleep(0)
        ticks = self.ticks
        try:
            return function()
        finally:
            self.ticks -= ticks
            self.ends = True
            self.loop.result(greenlet)


class Together:
    """Counts how many calls are under way at once: `most` is the greatest number."""

    def __init__(self, loop):
        self.loop, self.now, self.most = loop, 0, 0

    def one(self, function):
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return function()
        finally:
            self.now -= 1

    def run(self, functions):
        """Runs all at once, and returns their results."""
        greenlets = [self.loop.spawn(lambda function=function: self.one(function)) for function in functions]
        return [self.loop.result(greenlet) for greenlet in greenlets]


def start(name, patch=True):
    return LOOPS[name](patch)


def main(name, function):
    """Runs a program: `function(loop)` returns what it tells, printed as JSON. Status 1 where it raises."""
    loop = start(name)
    try:
        told = loop.main(lambda: function(loop))
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    print(json.dumps(told), flush=True)
