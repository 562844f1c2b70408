#!/usr/bin/env python3
"""audit.py: what `audit` costs: programs run natively and audited, and the figures that the project has set itself a bound for.

Each figure is measured in pairs, natively and audited, one after the other and in turning order; the median over the pairs counts. Where a
program times its calls in batches, the quickest batch counts. The servers and their clients are Debian's; both are audited. A program that
is not installed is left out, and said so. A failed run, or an audited one without a recording, fails this script; a slow one never does.

scripts/bench audit builds the programs and the library, and calls this.
"""

import argparse
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from page import AUDIT_BEGIN, AUDIT_END, cpuinfo, machine, seconds, table, us, write_section

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORES = sorted(os.sched_getaffinity(0))
HEADINGS = ["figure", "native", "audited", "more", "bound", "met"]


def ns(value):
    return f"{value:,.1f} ns"


def mib(value):
    return f"{value / 2**20:.2f} MiB"


class World:
    """One run's environment: native, or audited with recordings of its own."""

    def __init__(self, library, options=""):
        self.library, self.options = library, options
        self.folder = None

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="greenpatch-bench-")
        self.folder = pathlib.Path(self.scratch.name)
        self.folder.chmod(0o1777)
        return self

    def __exit__(self, *why):
        recordings = len(list(self.folder.iterdir()))
        self.scratch.cleanup()
        if self.library and not recordings and not any(why):
            sys.exit("audit: an audited run has left no recording")

    def environment(self):
        audited = {"LD_PRELOAD": str(self.library), "GREENPATCH_OPTIONS": f"audit={self.folder}/%p{self.options}"}
        return {**os.environ, **(audited if self.library else {})}

    def run(self, command, cores=CORES):
        """Runs a program to its end: what it printed."""
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment(),
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            sys.exit(f"audit: {command[0]}: status {done.returncode}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def figures(self, command, cores=CORES):
        """Runs one of our programs: the figures that it printed."""
        return {key: float(value) for key, value in (line.split() for line in self.run(command, cores).splitlines())}

    @contextlib.contextmanager
    def server(self, command, user=None):
        drop = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        server = subprocess.Popen(
            [str(word) for word in command], env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **drop
        )
        try:
            yield server
        finally:
            server.terminate()
            server.wait(60)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(ready):
    end = time.monotonic() + 60
    while not ready():
        if time.monotonic() > end:
            sys.exit("audit: a server does not start")
        time.sleep(0.05)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


# What is measured: each answers {figure: value} of one run in a world.


def calls(world, programs, scale):
    return world.figures([programs / "call_overhead", 1000 // scale], CORES[:1])


def recorded(world, programs, scale):
    return world.figures([programs / "recorded_call", "read", 500 // scale, 16], CORES[:1])


def slept(world, programs, scale):
    return world.figures([programs / "recorded_call", "sleep", 500 // scale, 16], CORES[:1])


def memory(world, programs, _scale):
    one = world.figures([programs / "recorded_call", "memory", 1])["resident_bytes"]
    many = world.figures([programs / "recorded_call", "memory", 100])["resident_bytes"]
    return {"one": one, "many": many}


def echo(world, _programs, scale):
    return world.figures(["/usr/bin/python3", ROOT / "benches/cpython_echo.py", 100, 400 // scale])


def redis(world, _programs, scale):
    port = free_port()
    with world.server(["redis-server", "--port", port, "--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]):
        until(lambda: listens(port))
        printed = world.run(["redis-benchmark", "-p", port, "-c", 50, "-n", 400_000 // scale, "-t", "get", "--csv"])
    rate = float(re.search(r'"GET","([\d.]+)"', printed)[1])
    return {"request_ns": 1e9 / rate}


def pgbench(world, _programs, scale):
    """One cluster for all runs: a server of its own each time."""
    global cluster
    binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    user = "postgres" if os.geteuid() == 0 else None
    native = World(None)
    port = free_port()
    settings = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
    command = [binaries / "postgres", "-D", cluster / "data", "-p", port, "-k", cluster, *settings]
    address = ["-h", "127.0.0.1", "-p", port, "-U", "bench", "postgres"]
    if not (cluster / "data").exists():
        if user:
            shutil.chown(cluster, user)
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
        native.run([*drop, binaries / "initdb", "-D", cluster / "data", "-A", "trust", "-U", "bench", "--no-sync"])
        with native.server(command, user):
            until(lambda: listens(port))
            native.run(["pgbench", "-q", "-i", "-s", 5, *address])
    with world.server(command, user):
        until(lambda: listens(port))
        printed = world.run(["pgbench", "-n", "-S", "-c", 8, "-j", 2, "-T", max(1, 6 // scale), *address])
    return {"transaction_ns": 1e9 / float(re.search(r"tps = ([\d.]+)", printed)[1])}


def added(bound, text):
    """A bound for what is more, absolutely."""
    signed = lambda value: f"{'+' if value >= 0 else '−'}{text(abs(value))}"
    return lambda native, audited: audited - native, signed, bound, f"≤ {text(bound)}"


def slower(percent):
    """A bound for what is more, in percent."""
    return lambda native, audited: (audited / native - 1) * 100, lambda value: f"{value:+.1f} %", percent, f"≤ {percent} %"


CALL = added(40, ns)
PROGRAM = slower(2)
# Whole programs differ from run to run by more than their bound: of them there are so many times the pairs.
PROGRAM_TIMES = 3
# What runs, its options, what must be installed, and its figures: title, key, text of a value, calls that a value is a part of, bound.
BENCHES = [
    ("calls", calls, "", [], [
        ("read of /dev/zero", "read", ns, 1, CALL),
        ("write to /dev/null", "write", ns, 1, CALL),
        ("writev to /dev/null", "writev", ns, 1, CALL),
        ("pipe: write and read, each", "write_read_pipe", ns, 1, CALL),
        ("socketpair: send and recv, each", "send_recv", ns, 1, CALL),
        ("poll of what is ready", "poll", ns, 1, CALL),
        ("poll(0) of what is not", "poll_nothing", ns, 1, CALL),
        ("open and close, each", "open_close", ns, 1, CALL),
        ("fcntl(F_GETFL)", "fcntl_getfl", ns, 1, CALL),
        ("mutex: lock and unlock, both", "mutex_lock_unlock", ns, 2, CALL),
        ("rwlock: rdlock and unlock, both", "rwlock_rdlock_unlock", ns, 2, CALL),
        ("semaphore: post and wait, each", "sem_post_wait", ns, 1, CALL),
        ("pthread_once, done", "once", ns, 1, CALL),
    ]),
    ("recorded", recorded, ":threshold=0", [], [
        ("a recorded read, 16 frames, processor time", "call_ns", us, 1, added(3000, us)),
    ]),
    ("slept", slept, ":threshold=1", [], [
        ("the same behind a sleep of 2 ms", "call_ns", us, 1, added(3000, us)),
    ]),
    ("memory", memory, ":threshold=1", [], [
        ("resident, 1 thread", "one", mib, 1, added(8 << 20, mib)),
        ("resident, 100 threads", "many", mib, 1, added(8 << 20, mib)),
    ]),
    ("echo", echo, "", [], [("CPython echo, 100 clients", "seconds", seconds, 1, PROGRAM)]),
    ("redis", redis, "", ["redis-server", "redis-benchmark"], [("redis-benchmark, a GET", "request_ns", us, 1, PROGRAM)]),
    ("pgbench", pgbench, "", ["pgbench", "setpriv"], [("pgbench -S, a transaction", "transaction_ns", us, 1, PROGRAM)]),
]


def measure(bench, programs, library, pairs, scale):
    """The table's lines of one bench."""
    _, run, options, _, rows = bench
    values = []
    for turn in range(pairs):
        order = [None, library] if turn % 2 == 0 else [library, None]
        pair = {}
        for loaded in order:
            with World(loaded, options) as world:
                pair["audited" if loaded else "native"] = run(world, programs, scale)
        values.append((pair["native"], pair["audited"]))
    for title, key, text, count, (more, more_text, bound, bound_text) in rows:
        both = [(native[key] * count, audited[key] * count) for native, audited in values]
        median = statistics.median(more(*pair) for pair in both)
        shown = [text(statistics.median(pair[which] for pair in both)) for which in (0, 1)]
        yield [title, *shown, more_text(median), bound_text, "yes" if median <= bound else "**no**"]


def clock():
    return "the processor's counter" if "nonstop_tsc" in (cpuinfo("flags") or "") else "the kernel's clock"


def main():
    global cluster
    parser = argparse.ArgumentParser(prog="scripts/bench audit", description="What audit costs, native beside audited.")
    parser.add_argument("--quick", action="store_true", help="three pairs and a fifth of the counts")
    parser.add_argument("--rounds", type=int, help="pairs of runs (default 9; 3 with --quick)")
    parser.add_argument("--only", action="append", help=", ".join(bench[0] for bench in BENCHES))
    parser.add_argument("--write", action="store_true", help="write the section of docs/bench.md as well")
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--library", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    pairs, setting = arguments.rounds or (3 if arguments.quick else 9), machine(clock())
    lines, left_out = [HEADINGS], []
    with tempfile.TemporaryDirectory(prefix="greenpatch-bench-") as folder:
        cluster = pathlib.Path(folder)
        for bench in BENCHES:
            name, _, _, needs, rows = bench
            if arguments.only and name not in arguments.only:
                continue
            if missing := [program for program in needs if not shutil.which(program)]:
                left_out.append(f"{rows[0][0]}: {', '.join(missing)} not installed")
                continue
            print(f"{name} …", file=sys.stderr)
            times = PROGRAM_TIMES if rows[0][4] is PROGRAM else 1
            lines += measure(bench, arguments.programs, arguments.library, pairs * times, 5 if arguments.quick else 1)
    text = f"""## Audited

{setting}

Written by `scripts/bench audit --write`. Medians of {pairs} pairs of a native and an audited run, in turning order, of whole programs of
{pairs * PROGRAM_TIMES}; "more" is the median of the pairs' differences. What a call costs is the quickest of many batches. Servers and
their clients are audited, both.

{table(lines)}
"""
    print("\n".join([text, *(f"left out: {line}" for line in left_out)]))
    if arguments.write:
        write_section(text, AUDIT_BEGIN, AUDIT_END)


if __name__ == "__main__":
    main()
