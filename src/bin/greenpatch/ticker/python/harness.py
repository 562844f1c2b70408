"""What `greenpatch ticker --driver` runs: one driver at a tarpit, while a greenlet, a task or a thread beside it ticks.

    harness.py list                                            the table as JSON, and what of it is installed
    harness.py DRIVER WAY HOST PORT SECONDS HZ FILE            one driver, one way

The file gets a line as each thing happens, with the time of CLOCK_MONOTONIC in nanoseconds: `thread NS TID`, `tick NS`, `began NS`,
`ended NS WORDS`, `cannot NS WORDS`. Each is one write, so that what was written is there whatever becomes of the process.
"""

import json
import os
import sys
import time
from _thread import get_native_id  # before anything is patched: a greenlet's number is no thread's

TURNS = 8


class At:
    """What a driver is told: where the tarpit is, how it is asked, and how long the tarpit stays."""

    def __init__(self, way, host, port, seconds, begins):
        self.way, self.host, self.port, self.seconds, self.begins = way, host, int(port), float(seconds), begins


def list_drivers():
    import importlib.metadata
    import platform

    import drivers  # noqa: F401: fills the table
    from table import TABLE

    def version(name):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    rows = [
        {
            "name": name,
            "install": row.install,
            "packages": row.packages,
            "tarpit": row.tarpit,
            "ways": row.ways,
            "api": {way: "async" if row.ask(way) is row.asks.get("async") else "sync" for way in row.ways},
            "missing": row.missing(),
            "versions": row.versions(),
        }
        for name, row in TABLE.items()
    ]
    facts = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "gevent": version("gevent"),
        "eventlet": version("eventlet"),
        "greenpatch": version("greenpatch"),
        "drivers": rows,
    }
    print(json.dumps(facts))


def one_line(failure):
    words = " ".join(str(failure).split())
    return f"{type(failure).__name__}: {words[:300]}" if words else type(failure).__name__


def main(name, way, host, port, seconds, hz, path):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    write, now = os.write, time.monotonic_ns
    period = 1 / float(hz)

    def say(what, words=""):
        write(file, f"{what} {now()} {words}\n".encode())

    try:
        # What is patched is patched before anything else is imported.
        if way == "gevent":
            from gevent import monkey

            monkey.patch_all()
        elif way == "eventlet":
            import eventlet

            eventlet.monkey_patch()
        import importlib
        import threading

        import drivers  # noqa: F401: fills the table
        from table import TABLE

        row = TABLE[name]
        for module in row.imports:
            importlib.import_module(module)
        ask = row.ask(way)
    except BaseException as failure:
        say("cannot", one_line(failure))
        os._exit(3)
    is_coroutine = ask is row.asks.get("async")
    at = At(way, host, port, seconds, lambda: say("began"))

    def begin():
        say("thread", str(get_native_id()))
        if not row.prepares:
            say("began")

    def asked():
        """Asks, and tells how it ended; as a coroutine, in a loop of its own."""
        begin()
        try:
            if is_coroutine:
                import asyncio

                asyncio.run(ask(at))
            else:
                ask(at)
            say("ended", "returned")
        except BaseException as failure:
            say("ended", one_line(failure))

    def turns():
        """Lets the loop turn some times before it is asked: so is it known for one."""
        for _ in range(TURNS):
            time.sleep(0.01)

    def ticks():
        while True:
            time.sleep(period)
            say("tick")

    def in_threads():
        threading.Thread(target=ticks, daemon=True).start()
        thread = threading.Thread(target=asked)
        thread.start()
        thread.join()

    def in_gevent():
        import gevent

        gevent.spawn(ticks)
        turns()
        gevent.spawn(asked).join()

    def in_eventlet():
        import eventlet

        eventlet.spawn(ticks)
        turns()
        eventlet.spawn(asked).wait()

    def in_asyncio():
        import asyncio

        async def tasks():
            while True:
                await asyncio.sleep(period)
                say("tick")

        async def both():
            ticker = asyncio.ensure_future(tasks())
            for _ in range(TURNS):
                await asyncio.sleep(0.01)
            begin()
            try:
                if is_coroutine:
                    await ask(at)
                else:
                    ask(at)
                say("ended", "returned")
            except BaseException as failure:
                say("ended", one_line(failure))
            ticker.cancel()

        asyncio.run(both())

    {"threads": in_threads, "gevent": in_gevent, "eventlet": in_eventlet, "asyncio": in_asyncio}[way]()
    # What a driver does at the interpreter's end is not of interest.
    os._exit(0)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[1:] == ["list"]:
        list_drivers()
    else:
        main(*sys.argv[1:])
