"""gevent: a greenlet whose driver would block in libc yields to its thread's hub."""

import contextlib
import functools
import operator
import sys

import gevent
import gevent.hub

from greenpatch import _home

_READ = 1


class _Hub(_home.Home):
    """A thread's hub, lent."""

    # libev makes a new epoll when it finds itself in a child.
    lives_in_child = True

    def __init__(self, hub, cancel):
        self.hub = hub
        super().__init__(cancel)

    def arguments(self):
        return gevent.getcurrent, functools.partial(operator.is_not, self.hub), self.hub.switch

    def watch(self):
        self.loop, self.is_default = self.hub.loop, self.hub.loop.default
        self.watcher = self.hub.loop.io(self.loan.eventfd, _READ, ref=False)
        self.watcher.start(self.drain)
        # libuv's is one of several for a descriptor, which share the one that counts for the loop.
        self.counted = getattr(self.watcher, "_watcher_ref", self.watcher)
        self.counted.ref = False

    def unwatch(self):
        # A loop that was destroyed has no watchers any more. The default one may be destroyed by another object of gevent's.
        with contextlib.suppress(ValueError):
            if self.loop.default == self.is_default:
                self.watcher.stop()
                self.watcher.close()

    def hold(self, is_held):
        try:
            self.counted.ref = is_held
        except ValueError:
            # The loop was destroyed.
            return False
        return True

    def failed(self, greenlet):
        self.hub.handle_error(greenlet, *sys.exc_info())

    def offload(self, function, arguments, keywords):
        return self.hub.threadpool.apply(function, arguments, keywords)


def _end_loan(destroy):
    """Returns gevent's function that destroys a hub, which takes the hub back before."""

    @functools.wraps(destroy)
    def destroy_lent(hub, *arguments, **keywords):
        home = _home.of_thread()
        if isinstance(home, _Hub) and home.hub is hub:
            home.close()
        return destroy(hub, *arguments, **keywords)

    return destroy_lent


gevent.hub.Hub.destroy = _end_loan(gevent.hub.Hub.destroy)


def patch(cancel="shutdown"):
    """Lends the calling thread's hub: from now on, a greenlet of this thread that would block in a native library yields to it.

    Call it in each thread that has a hub, before or after ``gevent.monkey.patch_all()``. Again, it does nothing. Raises
    ``greenpatch.NotPreloaded`` where the library is not there. Under ``greenpatch audit``, which leaves the process native, it does
    nothing.

    ``cancel`` says what becomes of a native wait when a Timeout or a kill is thrown into its greenlet. "shutdown": the connection that it
    waits for is shut down, so that the driver unwinds by an error of its own, and no late answer is taken for that to the next question.
    "error": the call fails (ETIMEDOUT, EINTR). "ignore": it waits on. In each case what was thrown is raised once the greenlet is back in
    Python, in place of the driver's own error.
    """
    lend(gevent.get_hub(), cancel)


def lend(hub, cancel="shutdown"):
    """Lends a hub of the calling thread's. Called by ``patch``, and as the hub is made under ``greenpatch run --bridge gevent``."""
    home = _home.of_thread()
    if not (isinstance(home, _Hub) and home.hub is hub):
        _home.begin(_Hub, hub, cancel)
