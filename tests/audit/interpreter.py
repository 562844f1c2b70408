"""An exception that another thread raises in one that sleeps (PyThreadState_SetAsyncExc), beside what runs Python code where the
interpreter looks at frames or makes them: a hook of audit events (`hook`), or garbage with a finalizer (`garbage`). Prints whether the
exception came, and how many such events."""

import ctypes
import gc
import sys
import threading
import time

raises = ctypes.pythonapi.PyThreadState_SetAsyncExc
raises.argtypes = (ctypes.c_ulong, ctypes.py_object)
events = []
sleeping, seen = threading.Event(), threading.Event()


class Wanted(Exception):
    pass


class Garbage:
    def __init__(self):
        self.itself = self

    def __del__(self):
        pass


def hook(name, _arguments):
    if name == "object.__getattr__":
        events.append(name)


def sleeps():
    try:
        while True:
            sleeping.set()
            time.sleep(0.2)
    except Wanted:
        seen.set()


gc.set_threshold(1)
gc.disable()
if sys.argv[1] == "hook":
    sys.addaudithook(hook)
thread = threading.Thread(target=sleeps, daemon=True)
thread.start()
sleeping.wait()
time.sleep(0.05)
raises(thread.ident, Wanted)
if sys.argv[1] == "garbage":
    Garbage()
    # Nothing more is made here: the sleeping thread makes the next object.
    gc.enable()
time.sleep(1)
print("seen" if seen.is_set() else "lost", len(events))
