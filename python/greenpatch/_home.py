"""The loop that a thread lends: what gevent's, eventlet's and asyncio's have in common."""

import atexit
import collections
import errno
import os
import shlex
import sys

from greenpatch import _bridge, _told

_KEY = "greenpatch"
_NATIVE = "This process, or thread, stays native: `greenpatch doctor` and the statistics (`--stats`) say why."


class NotPreloaded(RuntimeError):
    """The library is not preloaded, or the process stays native. The message has the command that starts the program as it should be."""


class Home:
    """A loop that its thread lends. A subclass says how its loop watches a descriptor, and by ``arguments`` how greenlets are left."""

    # Is the loop, in a fork child, one of the child's own? Where it shares its epoll with the parent's, it is not to be touched.
    lives_in_child = False

    def __init__(self, cancel):
        self.cancel = cancel
        self.taken = collections.deque()
        self.lend()

    def lend(self):
        """Lends the loop: at first, and in a fork child anew."""
        self.loan = _bridge.Loan(*self.arguments(), self.hold, _told.tell, self.cancel)
        self.watch()

    def arguments(self):
        """Returns what gives the running greenlet, says whether it may be left, and switches to the loop."""
        raise NotImplementedError

    def watch(self):
        """Has the loop call ``drain`` whenever the loan's eventfd is readable."""
        raise NotImplementedError

    def unwatch(self):
        """Ends that."""
        raise NotImplementedError

    def hold(self, is_held):
        """Called with True when the first greenlet is left, with False when none is any more: in between the loop must not end. Returns
        whether the loop lives; where it does not, no greenlet is left from now on."""
        return True

    def offload(self, function, arguments, keywords):
        """Calls the function in the loop's pool of threads. Called in a greenlet."""
        raise NotImplementedError

    def is_context(self):
        """May the running greenlet be left?"""
        current, is_context = self.arguments()[:2]
        return is_context(current())

    def drain(self, *_):
        """Switches to each greenlet whose wait is over. Called by the loop.

        One that has no parent but the loop's greenlet raises here what it does not catch. Where the loop ends by that, it comes back for
        the others when it runs again.
        """
        self.taken.extend(self.loan.take())
        try:
            while self.taken:
                greenlet = self.taken.popleft()[0]
                if greenlet is None:
                    continue
                try:
                    self.go_on(greenlet)
                except BaseException:
                    self.failed(greenlet)
        finally:
            if self.taken:
                self.loan.ring()

    def go_on(self, greenlet):
        """Has a greenlet go on. Called by ``drain``."""
        greenlet.switch()

    def failed(self, greenlet):
        """Does what the loop does when a greenlet raises something into it. Called while that is handled."""
        raise

    def close(self):
        """Takes the loop back. False: greenlets are left, and it stays lent."""
        if self.loan.waiting:
            return False
        # Its `__del__` does the rest.
        del _bridge.of_thread()[_KEY]
        return True


def of_thread():
    """Returns the calling thread's home, or None."""
    entry = _bridge.of_thread().get(_KEY)
    return entry.home if entry is not None else None


class _Entry:
    """What the thread's dictionary has of its home: at the thread's end it takes the loop back."""

    def __init__(self, home):
        self.home = home

    def __del__(self):
        # In a fork child the other threads' dictionaries are cleared by the one that has forked.
        if self.home.loan.is_own() and not sys.is_finalizing() and not self.home.loan.waiting:
            self.home.unwatch()
            self.home.loan.close()


def begin(home, *arguments):
    """Returns a new home of this class, the calling thread's. None: audit records this process, which stays native. Raises NotPreloaded."""
    need_library()
    earlier = of_thread()
    if earlier is not None and not earlier.close():
        raise RuntimeError("this thread lends another loop, and greenlets wait for it")
    try:
        home = home(*arguments)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        if _bridge.mode() == "audit":
            return None
        raise NotPreloaded(_NATIVE) from error
    _bridge.of_thread()[_KEY] = _Entry(home)
    return home


def need_library():
    """Raises NotPreloaded where no loop can be lent."""
    mode = _bridge.mode()
    if mode == "absent":
        raise NotPreloaded(f"libgreenpatch.so is not preloaded. Start the program by:\n    {command()}")
    if mode == "native":
        raise NotPreloaded(_NATIVE)


def command():
    """Returns the shell's command that starts this program with the library."""
    words = getattr(sys, "orig_argv", None) or [sys.executable, *sys.argv]
    return "greenpatch run -- " + shlex.join(words)


def _after_fork():
    """Sees to the forking thread's loop, in the child: the library has forgotten it, and the eventfd is the parent's, too."""
    home = of_thread()
    if home is None:
        return
    if home.lives_in_child:
        home.unwatch()
        home.loan.forget()
        home.taken.clear()
        home.lend()
    else:
        home.loan.forget()
        del _bridge.of_thread()[_KEY]


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_bridge.end)
