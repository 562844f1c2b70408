"""What docs/bench.md is set with: values in their units, tables, the machine, and where its sections begin."""

import datetime
import os
import pathlib
import re

# The sections in docs/bench.md of benches/audit.py and benches/bridge.py.
AUDIT_BEGIN, AUDIT_END = "<!-- audit -->", "<!-- end of audit -->"
BRIDGE_BEGIN, BRIDGE_END = "<!-- bridge -->", "<!-- end of bridge -->"


def us(value):
    return f"{value / 1000:,.2f} µs"


def seconds(value):
    return f"{value:.2f} s"


def table(lines):
    """The first line is the heading."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]

    def written(cells):
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

    head, *body = lines
    return "\n".join([written(head), written(["-" * width for width in widths]), *map(written, body)])


def write_section(text, begin, end):
    """Puts a section between its two marks in docs/bench.md: at its end, where there is none yet."""
    written = pathlib.Path(__file__).resolve().parent.parent / "docs/bench.md"
    before = written.read_text()
    section = f"{begin}\n{text}\n{end}\n"
    if begin in before:
        before = re.sub(f"{begin}.*?{end}\n", lambda _: section, before, flags=re.S)
    else:
        before = f"{before.rstrip()}\n\n{section}"
    written.write_text(before)


def cpuinfo(key):
    """The value of the first line of /proc/cpuinfo that begins so; None: there is none."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith(key)), None)


def machine(facts):
    """A line on the machine, now; `facts` are told of it as well."""
    cpu = cpuinfo("model name") or os.uname().machine
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    return f"{datetime.date.today()}, Linux {os.uname().release}, {facts}, {cpu}, {cores} cores, load {load:.2f} at the start"
