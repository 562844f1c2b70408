"""eventlet: a greenlet whose driver would block in libc yields to its thread's hub."""

import functools
import operator
import os
import sys
import weakref

import eventlet
import eventlet.hubs
import eventlet.tpool

from greenpatch import _home

# Hub -> the process that lent it first.
_processes = weakref.WeakKeyDictionary()


class _Hub(_home.Home):
    """A thread's hub, lent."""

    def __init__(self, hub, cancel):
        self.hub = hub
        super().__init__(cancel)

    def arguments(self):
        return eventlet.getcurrent, functools.partial(operator.is_not, self.hub.greenlet), self.hub.switch

    def watch(self):
        self.listener = self.hub.add(self.hub.READ, self.loan.eventfd, self.drain, None, None)

    def unwatch(self):
        self.hub.remove(self.listener)

    def failed(self, greenlet):
        error = sys.exc_info()
        if isinstance(error[1], self.hub.SYSTEM_EXCEPTIONS):
            raise
        self.hub.squelch_timer_exception(None, error)

    def offload(self, function, arguments, keywords):
        return eventlet.tpool.execute(function, *arguments, **keywords)


def patch(cancel="shutdown"):
    """Lends the calling thread's hub: from now on, a greenlet of this thread that would block in a native library yields to it.

    Call it in each thread that has a hub, before or after ``eventlet.monkey_patch()``. Again, it does nothing, but in a
    fork child, which has no hub of its own: there it makes one, and lends that. Raises
    ``greenpatch.NotPreloaded`` where the library is not there. Under ``greenpatch audit``, which leaves the process native, it does
    nothing.

    ``cancel`` says what becomes of a native wait when a Timeout or a kill is thrown into its greenlet. "shutdown": the connection that it
    waits for is shut down, so that the driver unwinds by an error of its own, and no late answer is taken for that to the next question.
    "error": the call fails (ETIMEDOUT, EINTR). "ignore": it waits on. In each case what was thrown is raised once the greenlet is back in
    Python, in place of the driver's own error.
    """
    hub = eventlet.hubs.get_hub()
    if _processes.get(hub, os.getpid()) != os.getpid():
        # A fork child's, which shares its epoll with the parent.
        eventlet.hubs.use_hub()
        hub = eventlet.hubs.get_hub()
    lend(hub, cancel)


def lend(hub, cancel="shutdown"):
    """Lends a hub of the calling thread's. Called by ``patch``, and as the hub is made under ``greenpatch run --bridge eventlet``."""
    _processes[hub] = os.getpid()
    home = _home.of_thread()
    if not (isinstance(home, _Hub) and home.hub is hub):
        _home.begin(_Hub, hub, cancel)
