#!/usr/bin/env python3
"""run.py: runs the programs under benches/ natively and under the library, and prints their figures side by side.

A *bench* is a program with its counts and the place it runs in: one core or all. It runs in *rounds*: natively, green and, where it
has a floor, as the floor, one after the other and in turning order, so that a machine that grows busy meanwhile slows all of them.
A *row* is one figure of a bench: medians over the rounds, and the median of what each round says of green beside native.
Each green run must prove by its `stats` that it was green. An unproven or failed run fails this script; a slow one never does.

scripts/bench builds the programs and the library, and calls this.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Callable, Optional

from page import AUDIT_BEGIN, machine, seconds, table, us

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
CORES = sorted(os.sched_getaffinity(0))
ONE_CORE, ALL_CORES = CORES[:1], CORES
HUNG_AFTER_S = 300  # far beyond any run here; only a program that hangs is ended


# What is shown of a figure: text of a value, in the unit that its programs print.


def plain(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ns(value):
    return f"{value:,.0f} ns" if value >= 100 else f"{value:.1f} ns"


def kib(value):
    return f"{value / 1024:.2f} KiB"


def number(value):
    return f"{value:,.0f}"


# What a figure is judged by: one number from one round's native, green and floor values; how it is written; what it must do with a
# limit. A goal is met when the median over the rounds is on the right side.


@dataclass(frozen=True)
class Judge:
    of: Callable
    text: Callable
    at_least: bool

    def limit_text(self, limit):
        return f"{'≥' if self.at_least else '≤'} {self.text(limit)}"

    def meets(self, value, limit):
        return value >= limit if self.at_least else value <= limit


def times(value):
    return f"{plain(value)}×"


def times_floor(value):
    return f"{plain(value)} × floor"


def added_ns(value):
    return f"{value:+.1f} ns"


def own(run, text, at_least=False):
    return Judge(lambda values: values[run], text, at_least)


FASTER = Judge(lambda values: values["native"] / values["green"], times, True)
OF_FLOOR = Judge(lambda values: values["green"] / values["floor"], times_floor, False)
ADDED = Judge(lambda values: values["green"] - values["native"], added_ns, False)


@dataclass(frozen=True)
class Row:
    title: str
    key: str  # of the program's output
    text: Callable  # of its values
    judge: Optional[Judge] = None
    first_step: Optional[float] = None
    goal: Optional[float] = None


@dataclass(frozen=True)
class Bench:
    name: str
    native: list  # the command, programs without their directory
    green: list  # the same with counts of its own: what takes nanoseconds needs more of them
    rows: list
    cores: list = field(default_factory=lambda: ALL_CORES)
    floor: Optional[list] = None
    options: str = ""  # for GREENPATCH_OPTIONS
    green_threads: int = 0  # that a green run must have had; none: it must have passed through


# The benches.


def native_thread_room():
    """Threads that a native program may make here, leaving some to the rest of the machine."""

    def limit(path):
        return int(pathlib.Path("/proc/sys", path).read_text())

    tasks = sum(1 for _ in pathlib.Path("/proc").glob("[0-9]*/task/[0-9]*"))
    by_ids = min(limit("kernel/pid_max"), limit("kernel/threads-max")) - tasks
    by_mappings = limit("vm/max_map_count") // 2  # glibc's stacks take two each
    return min(by_ids, by_mappings) - 1000


def cond_round_trip(scale, cores, first_step=None, goal=None):
    rounds, green = 100_000 // scale, 1_000_000 // scale
    rows = [Row("condition variable round trip", "wall_ns", us, FASTER, first_step, goal)]
    return Bench("cond_round_trip", ["cond_round_trip", rounds], ["cond_round_trip", green], rows, cores, green_threads=2)


def mutex(scale, cores, title, mutexes, rounds, *yield_every):
    command = ["mutex", 8, mutexes, rounds // scale, *yield_every]
    return Bench("mutex", command, command, [Row(title, "wall_ns", ns)], cores, green_threads=8)


def create_join(scale, cores, first_step=None, goal=None):
    threads, green = 20_000 // scale, 200_000 // scale
    rows = [Row("create+join, one after another", "wall_ns", us, FASTER, first_step, goal)]
    return Bench("create_join", ["create_join", "warm", threads], ["create_join", "warm", green], rows, cores, green_threads=green)


def create_join_cold(scale, cores):
    threads = 5_000 // scale
    command = ["create_join", "cold", threads]
    rows = [Row(f"create+join, first {number(threads)}, all alive at once", "wall_ns", us)]
    return Bench("create_join", command, command, rows, cores, green_threads=threads)


def echo(scale, cores, kind, pairs, first_step=None, goal=None, floor_first_step=None, floor_goal=None):
    counts = [kind, pairs, 200_000 // scale // pairs]
    title = f"{'TCP' if kind == 'tcp' else 'unix'} echo, {number(pairs)} pairs"
    rows = [
        Row(f"{title}, wall", "wall_ns", us, FASTER, first_step, goal),
        Row(f"{title}, CPU", "cpu_ns", us, OF_FLOOR, floor_first_step, floor_goal),
    ]
    command = ["echo", *counts]
    return Bench(f"echo {kind} {pairs}", command, command, rows, cores, ["floor", *counts], green_threads=2 * pairs)


def cpython_echo(scale, cores, options, first_step=None):
    clients = 1000 // scale
    command = [PYTHON, ROOT / "benches/cpython_echo.py", clients, 10]
    title = f"CPython echo, {number(clients)} clients{', ' + options if options else ''}"
    rows = [Row(title, "seconds", seconds, FASTER, first_step)]
    return Bench("cpython_echo", command, command, rows, cores, options=options, green_threads=2 * clients)


def idle(_scale, how, threads, limited):
    """`limited`: the issue's limits are meant for this many."""
    kernel_threads = len(CORES) + 3 if limited else None
    title = f"{number(threads)} idle in {'recv' if how == 'recv' else 'a condition wait'}"
    rows = [
        Row(f"{title}: alive at once", "created", number, own("green", number, True), threads),
        Row(f"{title}: resident, each", "resident_bytes", kib, own("green", kib), 12 * 1024 if limited else None),
        Row(f"{title}: page tables, each", "table_bytes", kib),
        Row(f"{title}: mappings", "mappings", number),
        Row(f"{title}: kernel threads then", "kernel_threads", number, own("green", number), kernel_threads),
        Row(f"{title}: kernel threads, peak", "kernel_threads_peak", number, own("green", number), kernel_threads),
        Row(f"{title}: creating, each", "create_ns", us),
        Row(f"{title}: ending and joining, each", "join_ns", us),
    ]
    native = ["idle", how, min(threads, native_thread_room())]
    return Bench(f"idle {how} {threads}", native, ["idle", how, threads], rows, green_threads=threads)


def call_overhead(scale):
    calls = ["read", "write", "writev", "write_read_pipe", "send_recv", "poll", "open_close", "fcntl_getfl", "clock_gettime"]
    calls += ["sched_yield", "mutex_lock_unlock", "rwlock_rdlock_unlock", "cond_signal", "sem_post_wait", "once"]
    rows = [Row(f"one thread only, a call: {call.replace('_', ' ')}", call, ns, ADDED, 20) for call in calls]
    command = ["call_overhead", 10_000 // scale]
    return Bench("call_overhead", command, command, rows, ONE_CORE)


def file_calls(scale):
    calls = ["pread", "read_lseek", "pwrite", "flock", "fcntl_setlkw", "open_close"]
    rows = [Row(f"by a thread, not blocking, a call: {call.replace('_', ' ')}", call, ns, ADDED, 100) for call in calls]
    command = ["file_calls", 10_000 // scale]
    return Bench("file_calls", command, command, rows, ONE_CORE, green_threads=1)


def benches(scale):
    yield cond_round_trip(scale, ONE_CORE, 20, 50)
    yield cond_round_trip(scale, ALL_CORES)
    yield create_join(scale, ONE_CORE, 20, 80)
    yield create_join(scale, ALL_CORES)
    yield create_join_cold(scale, ONE_CORE)
    yield create_join_cold(scale, ALL_CORES)
    for cores in ONE_CORE, ALL_CORES:
        yield mutex(scale, cores, "mutex, 8 threads on one", 1, 1_000_000)
        yield mutex(scale, cores, "mutex, 8 threads on 64", 64, 1_000_000)
        yield mutex(scale, cores, "mutex, 8 threads on one, each 10th time yielding inside", 1, 20_000, 10)
    for kind in "unix", "tcp":
        for pairs in 10, 1000, 4000:
            judged = kind == "tcp" and pairs == 1000
            yield echo(scale, ONE_CORE, kind, pairs, *((1.15, 1.35, 1.3, 1.1) if judged else ()))
            yield echo(scale, ALL_CORES, kind, pairs, *((1.3, 2) if judged else ()))
    yield cpython_echo(scale, ALL_CORES, "workers=1", 2.5)
    yield cpython_echo(scale, ALL_CORES, "", 1.5)
    yield cpython_echo(scale, ONE_CORE, "")
    yield idle(scale, "cond", 10_000, False)
    yield idle(scale, "recv", 9_000, False)
    yield idle(scale, "cond", 100_000, True)
    yield call_overhead(scale)
    yield file_calls(scale)


# Running.


class Failed(Exception):
    """A run that did not end well, or a green one that was not green."""


def execute(command, programs, cores, environment):
    """Runs a command of a bench on `cores`; answers the figures it printed."""
    program, *counts = command
    arguments = [str(programs / program)] + [str(count) for count in counts]  # an absolute program stays as it is
    try:
        done = subprocess.run(
            arguments,
            env={**os.environ, **environment},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
            capture_output=True,
            text=True,
            timeout=HUNG_AFTER_S,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"did not end within {HUNG_AFTER_S} s") from None
    if done.returncode != 0:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        raise Failed(f"{how}: {done.stderr.strip()[-400:]}")
    return {key: float(value) for key, value in (line.split() for line in done.stdout.splitlines())}


def check_green(stats, green_threads):
    if green_threads == 0:
        if stats["started"]:
            raise Failed("stats: a program without threads did not pass through")
    elif not stats["started"] or stats["green_threads"] < green_threads or stats["parks"] == 0:
        shown = {key: stats[key] for key in ("started", "green_threads", "parks")}
        raise Failed(f"stats: not green: {shown}, expected {green_threads} green threads")


def execute_green(bench, programs, library):
    with tempfile.TemporaryDirectory() as directory:
        stats_file = pathlib.Path(directory, "stats.json")
        options = ":".join(filter(None, [bench.options, f"stats={stats_file}"]))
        environment = {"LD_PRELOAD": str(library), "GREENPATCH_OPTIONS": options}
        figures = execute(bench.green, programs, bench.cores, environment)
        if not stats_file.exists():
            raise Failed("no stats: the library was not loaded, or gave up")
        stats = json.loads(stats_file.read_text())
    check_green(stats, bench.green_threads)
    return {**figures, "kernel_threads_peak": stats["kernel_threads_peak"]}


def execute_native(command, bench, programs):
    figures = execute(command, programs, bench.cores, {})
    # A kernel thread each: natively the peak is what idle.c sees.
    return {**figures, "kernel_threads_peak": figures.get("kernel_threads", 1)}


def run_round(bench, programs, library, reverse):
    """One round of a bench: {run: figures}."""
    runs = {
        "native": lambda: execute_native(bench.native, bench, programs),
        "green": lambda: execute_green(bench, programs, library),
    }
    if bench.floor:
        runs["floor"] = lambda: execute_native(bench.floor, bench, programs)
    return {run: runs[run]() for run in (reversed(list(runs)) if reverse else runs)}


# Showing.

HEADINGS = ["figure", "cores", "native", "green", "native ÷ green", "floor", "green ÷ floor", "first step", "goal", "met"]


def verdict(row, median):
    if row.first_step is None:
        return ""
    value = median(row.judge.of)
    for limit, name in (row.goal, "goal"), (row.first_step, "first step"):
        if limit is not None and row.judge.meets(value, limit):
            return name if row.goal is not None else "yes"
    return "**no**"


def row_cells(bench, row, rounds):
    """The table's cells of one row; `rounds`: a list of {run: figures}."""
    values = [{run: figures[row.key] for run, figures in one.items()} for one in rounds]

    def median(of):
        return statistics.median(of(value) for value in values)

    def ratio(over, under):
        if any(value.get(over) is None or not value.get(under) for value in values):
            return ""
        return plain(median(lambda value: value[over] / value[under]))

    def shown(run):
        return row.text(median(lambda value: value[run])) if run in values[0] else ""

    return [
        row.title,
        "one" if bench.cores == ONE_CORE else "all",
        shown("native"),
        shown("green"),
        added_ns(median(ADDED.of)) if row.judge is ADDED else ratio("native", "green"),
        shown("floor"),
        ratio("green", "floor"),
        row.judge.limit_text(row.first_step) if row.first_step is not None else "",
        row.judge.limit_text(row.goal) if row.goal is not None else "",
        verdict(row, median),
    ]


def notes(rounds, native_room):
    return f"""\
Written by `scripts/bench --write`. Medians of {rounds} rounds of native, green and floor in turning order; ratios are medians of the
rounds' ratios. "One" core: the whole program pinned to one; "all": as many workers as cores, unless it says otherwise. Floor: the
same calls in one thread, in an order in which nothing waits. "First step" and "goal" are what the project set itself. A native program
is given at most {number(native_room)} threads here, so it idles with that many where more are asked for."""


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Figures of programs run natively and green, side by side.")
    parser.add_argument("--quick", action="store_true", help="three rounds and a fifth of the counts")
    parser.add_argument("--rounds", type=int, help="native-green pairs of runs (default 5; 3 with --quick)")
    parser.add_argument("--only", action="append", metavar="NAME", help="benches whose name begins with these words, such as 'echo tcp'")
    parser.add_argument("--list", action="store_true", help="the benches' names, and nothing else")
    parser.add_argument("--write", action="store_true", help="write docs/bench.md as well")
    parser.add_argument("--programs", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--library", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write needs all benches: leave --only out")
    return arguments


def main():
    arguments = parse_arguments()
    wanted = tuple(f"{name} " for name in arguments.only or [])
    chosen = [bench for bench in benches(5 if arguments.quick else 1) if not wanted or f"{bench.name} ".startswith(wanted)]
    if not chosen:
        sys.exit(f"no bench is called {' or '.join(arguments.only)}; --list names them")
    if arguments.list:
        print("\n".join(dict.fromkeys(bench.name for bench in chosen)))
        return
    count = arguments.rounds or (3 if arguments.quick else 5)
    setting, native_room = machine(os.confstr("CS_GNU_LIBC_VERSION")), native_thread_room()
    lines, failures = [HEADINGS], []
    for bench in chosen:
        print(f"{bench.name} on {'one core' if bench.cores == ONE_CORE else 'all cores'} …", file=sys.stderr)
        try:
            rounds = [run_round(bench, arguments.programs, arguments.library, turn % 2 == 1) for turn in range(count)]
        except Failed as failure:
            failures.append(f"{bench.name}, {' '.join(map(str, bench.green))}: {failure}")
            continue
        lines += [row_cells(bench, row, rounds) for row in bench.rows]
    page = f"# Benchmarks\n\n{setting}\n\n{notes(count, native_room)}\n\n{table(lines)}\n"
    print(page)
    if failures:
        sys.exit("failed:\n" + "\n".join(failures))
    if arguments.write:
        (ROOT / "docs").mkdir(exist_ok=True)
        written = ROOT / "docs/bench.md"
        # benches/audit.py's section stays.
        _, mark, audited = written.read_text().partition(AUDIT_BEGIN) if written.exists() else ("", "", "")
        written.write_text(page + (f"\n{mark}{audited}" if mark else ""))


if __name__ == "__main__":
    main()
