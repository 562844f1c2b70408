"""Exceptions that were thrown into a greenlet while it was in a native call: a timeout, a kill, a cancellation.

They end the native wait. Then the driver unwinds by its own rules, and may raise an error of its own, or succeed all the same. What was
thrown must be raised once the greenlet is back in Python, in place of either; nothing in Python's C interface does that. So the innermost
Python frame of the greenlet is traced: its next event, be it an exception, the next instruction or its return, raises what was thrown.
It is traced only while its greenlet runs, so that no other one pays, or raises.
"""

import sys

# Frame -> what is to be raised there.
_errors = {}
# Frame -> the thread's trace function before.
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
    if frame not in _before:
        _before[frame] = sys.gettrace()
    frame.f_trace = _raise
    frame.f_trace_opcodes = True
    sys.settrace(_ignore)


def _untrace(frame):
    if frame in _before:
        frame.f_trace_opcodes = False
        frame.f_trace = None
        sys.settrace(_before.pop(frame))


def _ignore(frame, event, argument):
    """The thread's trace function meanwhile: new frames are not traced."""
    return None


def _raise(frame, event, argument):
    """The frame's trace function."""
    error = _errors.pop(frame, None)
    _untrace(frame)
    if error is None:
        return None
    if event == "exception" and argument[1] is not error and error.__context__ is None:
        error.__context__ = argument[1]
    raise error
