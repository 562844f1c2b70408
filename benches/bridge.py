#!/usr/bin/env python3
"""bridge.py: queries a second, and processor time a query, of clients with many connections to one PostgreSQL, by each way of waiting.

All ways run in one round, one after another, in turning order; the median over the rounds counts. The server is Debian's, and runs natively
for all. A way whose package is not installed is left out, and said so. A failed run fails this script; a slow one never does.

scripts/bench bridge builds the wheel, installs what is compared, and calls this.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/clients"))
sys.dont_write_bytecode = True
import servers  # noqa: E402
from page import BRIDGE_BEGIN, BRIDGE_END, machine, table, us, write_section  # noqa: E402

# What is compared: title, the client's way, whether the library is loaded, packages beside psycopg2.
WAYS = [
    ("psycopg2, gevent, the bridge", "gevent-bridge", True, ["gevent"]),
    ("psycopg2, eventlet, the bridge", "eventlet-bridge", True, ["eventlet"]),
    ("psycopg2, asyncio, the bridge", "asyncio-bridge", True, ["greenlet"]),
    ("psycopg2, plain threads, green", "threads", True, []),
    ("psycopg2, plain threads, natively", "threads", False, []),
    ("psycopg2, gevent, psycogreen", "psycogreen", False, ["psycogreen"]),
    ("psycopg2, gevent's pool of threads", "gevent-threadpool", False, ["gevent"]),
    ("psycopg 3, gevent", "gevent-psycopg3", False, ["psycopg", "gevent"]),
    ("psycopg 3, asyncio", "asyncio-psycopg3", False, ["psycopg"]),
    ("asyncpg, asyncio", "asyncpg", False, ["asyncpg"]),
    ("asyncpg, uvloop", "uvloop-asyncpg", False, ["asyncpg", "uvloop"]),
]
# A bound is for the first way, beside psycogreen: its rate, and its processor time.
MEASURED, BESIDE, MOST_CPU = "gevent-bridge", "psycogreen", 1.2


def run(python, way, is_loaded, connections, seconds, port):
    client = [python, str(ROOT / "benches/bridge_client.py"), way, str(connections), str(seconds), str(port)]
    command = [python, "-m", "greenpatch", "run", "--", *client] if is_loaded else client
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 10 * seconds, stdin=subprocess.DEVNULL, cwd=folder)
    if done.returncode:
        sys.exit(f"bridge: {way} with {connections} connections: status {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.splitlines()[-1])


def installed(python):
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True).stdout
    names = {package["name"].lower(): package["version"] for package in json.loads(listed)}
    return {name.removesuffix("-binary"): version for name, version in names.items()}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench bridge", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of a second each")
    parser.add_argument("--rounds", type=int, help="rounds (default 5; 1 with --quick)")
    parser.add_argument("--connections", type=int, action="append", help="default 50, 500 and 1000")
    parser.add_argument("--only", action="append", help=", ".join(sorted({way[1] for way in WAYS})))
    parser.add_argument("--write", action="store_true", help="write the section of docs/bench.md as well")
    parser.add_argument("--python", required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds or (1 if arguments.quick else 5), 1 if arguments.quick else 3
    counts = arguments.connections or [50, 500, 1000]
    # Each connection is a descriptor of the client's.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * max(counts) + 100)), hard))
    has, setting = installed(arguments.python), machine("the server beside the clients")
    ways = [way for way in WAYS if not arguments.only or way[1] in arguments.only]
    left_out = [f"{title}: {', '.join(lacks)} not installed" for title, *_, needs in ways if (lacks := [n for n in needs if n not in has])]
    ways = [way for way in ways if all(need in has for need in way[3])]
    values = {}
    with tempfile.TemporaryDirectory(prefix="greenpatch-bench-") as folder:
        os.chmod(folder, 0o755)
        server = servers.postgres(folder, max(counts) + 20)
        try:
            for turn in range(rounds):
                for count in counts:
                    for title, way, is_loaded, _ in ways[turn % len(ways):] + ways[: turn % len(ways)]:
                        print(f"round {turn + 1}, {count} connections: {title} …", file=sys.stderr)
                        told = run(arguments.python, way, is_loaded, count, seconds, server.port)
                        values.setdefault((title, count), []).append((told["rate"], told["cpu_ns"]))
        finally:
            server.close()
    median = {key: [statistics.median(each[at] for each in of) for at in (0, 1)] for key, of in values.items()}
    lines = [["", *(f"{count}: {what}" for count in counts for what in ("queries/s", "CPU"))]]
    for title, *_ in ways:
        cells = [median[title, count] for count in counts]
        lines.append([title, *(text for rate, cpu in cells for text in (f"{rate:,.0f}", us(cpu)))])
    titles = {way: title for title, way, *_ in ways}
    bounds = []
    for count in counts if MEASURED in titles and BESIDE in titles else []:
        (rate, cpu), (rate_beside, cpu_beside) = median[titles[MEASURED], count], median[titles[BESIDE], count]
        met = "met" if rate >= rate_beside and cpu <= MOST_CPU * cpu_beside else "**not met**"
        bounds.append(f"{count} connections: {rate / rate_beside:.2f} × its rate, {cpu / cpu_beside:.2f} × its processor time: {met}.")
    packages = sorted(set(sum((way[3] for way in ways), ["psycopg2", "greenlet"])) & set(has))
    versions = ", ".join(f"{name} {has[name]}" for name in packages)
    text = f"""## Bridge

{setting}

Written by `scripts/bench bridge --write`: each connection asks PostgreSQL for `select pg_sleep(0), 7` again and again, for {seconds} s;
medians of {rounds} rounds. Beside the rate stands the client's processor time for a query.
{versions}.

{table(lines)}

gevent with the bridge beside psycogreen (bounds: its rate, {MOST_CPU} × its processor time):
{chr(10).join('- ' + bound for bound in bounds)}
"""
    print("\n".join([text, *(f"left out: {line}" for line in left_out)]))
    if arguments.write:
        write_section(text, BRIDGE_BEGIN, BRIDGE_END)


if __name__ == "__main__":
    main()
