"""Exceptions that were thrown into a greenlet while it was in a native call: a timeout, a kill, a cancellation.

They end the native wait. Then the driver unwinds by its own rules, and may raise an error of its own, or succeed all the same. What was
thrown must be raised once the greenlet is back in Python, in place of either; nothing in Python's C interface does that. So the innermost
Python frame of the greenlet is traced: at its next event, be it an exception, the next instruction or its return, what was thrown is
raised. It is traced only while its greenlet runs, so that no other one pays, or raises. A trace function that the thread has is set again
then.
"""

import functools
import sys

from greenpatch import _bridge

# Frame -> what is to be raised there.
_errors = {}
# Frame that is traced -> the thread's trace function before, and its own.
_before = {}


def tell(error):
    """Called by the native part in the greenlet that is left, or goes on: an exception, that is to be raised; None: the greenlet goes on,
    where something may be yet to be raised; False: it is left, and is not traced meanwhile. Returns whether anything is yet to be raised.
    """
    try:
        frame = sys._getframe(1)
    except ValueError:
        # The greenlet has no Python frame: it ends as its native function does.
        return bool(_errors)
    if error is False:
        _untrace(frame)
    elif error is None:
        if frame in _errors:
            _trace(frame)
    else:
        earlier = _errors.get(frame)
        if earlier is not None and earlier is not error and error.__context__ is None:
            error.__context__ = earlier
        _errors[frame] = error
        _trace(frame)
    return bool(_errors)


def _trace(frame):
    if frame in _before:
        return
    _before[frame] = sys.gettrace(), frame.f_trace
    # Without a function of the frame's own CPython tells of no opcodes.
    frame.f_trace = _nothing
    frame.f_trace_opcodes = True
    _bridge.trace(frame, functools.partial(_due, frame))


def _untrace(frame):
    if frame in _before:
        of_thread, of_frame = _before.pop(frame)
        frame.f_trace_opcodes = False
        frame.f_trace = of_frame
        sys.settrace(of_thread)


def _nothing(frame, event, argument):
    """The frame's trace function meanwhile, which nobody calls."""


def _due(frame, exception):
    """Called by the native part at the frame's next event; `exception`: what is raised there. Returns what is to be raised instead."""
    error = _errors.pop(frame, None)
    _untrace(frame)
    if error is not None and exception is not None and exception is not error and error.__context__ is None:
        error.__context__ = exception
    return error
