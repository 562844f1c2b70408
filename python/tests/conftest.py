"""What the tests of the bridges share: programs that run under the installed command, servers, and a last line that scripts/test reads."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest

HERE = pathlib.Path(__file__).resolve().parent
# A shell's background jobs ignore it, and so would all that the tests start: Python makes an exception of it only where it is not ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(HERE.parent.parent / "tests/clients"))
sys.dont_write_bytecode = True
import servers  # noqa: E402

LOOPS = ["gevent", "eventlet", "asyncio", "uvloop"]
# A program that has not ended by then hangs: the longest takes a few seconds.
LIMIT_S = 120


@pytest.fixture(params=LOOPS)
def loop(request):
    """The name of a loop."""
    module = request.param
    pytest.importorskip(module)
    return module


class Ended:
    """How a program has ended."""

    def __init__(self, done):
        self.status, self.output, self.errors = done.returncode, done.stdout, done.stderr

    @property
    def told(self):
        """What it has told: its last line, as JSON. It has ended well."""
        assert self.status == 0, f"status {self.status}\n{self.output}{self.errors}"
        return json.loads(self.output.splitlines()[-1])


def command(*words):
    """The command line that runs Python by the installed command: `words` follow `greenpatch`."""
    return [sys.executable, "-m", "greenpatch", *words]


@pytest.fixture
def run(tmp_path):
    """Runs a program's text under ``greenpatch run``: returns how it ended. `words` stand before Python, instead of that."""

    def run(program, *arguments, words=None, **variables):
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(program))
        environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", **variables}
        words = command("run", "--") if words is None else words
        line = [*words, sys.executable, "-X", "faulthandler", str(path), *map(str, arguments)]
        # Not in the folder of the sources, which have a `greenpatch` without its native part.
        done = subprocess.run(line, capture_output=True, text=True, timeout=LIMIT_S, env=environment, stdin=subprocess.DEVNULL,
                              cwd=tmp_path)
        return Ended(done)

    return run

PROLOGUE = """
import ctypes
import os
import sys
import threading
import time
import greenpatch
import loops
libc = ctypes.CDLL(None)
"""
EPILOGUE = """
loops.main(sys.argv[1], program)
"""
CONNECT = """
import psycopg2
def connect():
    return psycopg2.connect(host="127.0.0.1", port=sys.argv[2], user="postgres", dbname="postgres")
"""


@pytest.fixture
def tell(run, loop):
    """Runs a program's text, which defines `program(loop)`, in one loop: returns what it tells."""
    return lambda text, *arguments: run(PROLOGUE + text + EPILOGUE, loop, *arguments).told


@pytest.fixture
def psycopg2():
    return pytest.importorskip("psycopg2")


def server(name, tools):
    """A fixture: a server of Debian's, for all tests that ask for it."""

    @pytest.fixture(scope="session", name=name)
    def start():
        for tool in tools:
            if not shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") and not list(pathlib.Path("/usr/lib").glob(tool)):
                pytest.skip(f"{tool.rsplit('/', 1)[-1]} is not installed")
        with tempfile.TemporaryDirectory(prefix="bridges-") as folder:
            os.chmod(folder, 0o755)
            server = servers.SHARED[name](folder)
            yield server.port
            server.close()

    return start


postgres = server("postgres", ["postgresql/*/bin/initdb"])
mariadb = server("mariadb", ["mariadbd", "mariadb-install-db"])


def pytest_terminal_summary(terminalreporter):
    """Says what scripts/test counts."""
    reports = terminalreporter.stats
    for report in reports.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"skipped: {report.nodeid.rsplit('::', 1)[-1]}: {re.sub('^Skipped: ', '', reason)}")
    passed, failed = len(reports.get("passed", [])), len(reports.get("failed", [])) + len(reports.get("error", []))
    terminalreporter.write_line(f"{passed} passed, {failed} failed")
