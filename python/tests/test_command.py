"""``greenpatch run --bridge LOOP -- CMD``: programs that have no line about greenpatch."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request

import conftest
import pytest

GEVENT = """
import gevent.monkey
gevent.monkey.patch_all()
import ctypes
import json
import sys
import threading
import gevent
libc = ctypes.CDLL(None)
now = most = 0

def wait():
    global now, most
    now += 1
    most = max(most, now)
    libc.usleep(200_000)
    now -= 1

gevent.joinall([gevent.spawn(wait) for _ in range(10)], raise_error=True)
print(json.dumps(most))
"""
EVENTLET = """
import eventlet
eventlet.monkey_patch()
import ctypes
import json
libc = ctypes.CDLL(None)
now = most = 0

def wait():
    global now, most
    now += 1
    most = max(most, now)
    libc.usleep(200_000)
    now -= 1

pool = eventlet.GreenPool()
for _ in range(10):
    pool.spawn(wait)
pool.waitall()
print(json.dumps(most))
"""
ASYNCIO = """
import asyncio
import contextvars
import ctypes
import json
import sys
libc = ctypes.CDLL(None)
now = most = 0
number = contextvars.ContextVar("number")
wrong = []

async def wait(it):
    global now, most
    number.set(it)
    await asyncio.sleep(0.01)
    now += 1
    most = max(most, now)
    libc.usleep(200_000)
    now -= 1
    await asyncio.sleep(0)
    task = asyncio.current_task()
    if number.get() != it or task.get_name() != str(it):
        wrong.append(it)
    return it

async def cancelled():
    try:
        await asyncio.wait_for(asyncio.create_task(wait_long()), 0.2)
    except asyncio.TimeoutError:
        return "timeout"

async def wait_long():
    libc.usleep(60_000_000)

async def failing():
    libc.usleep(1000)
    raise KeyError("a")

async def main():
    tasks = [asyncio.create_task(wait(it), name=str(it)) for it in range(10)]
    results = await asyncio.gather(*tasks)
    try:
        await asyncio.create_task(failing())
    except KeyError as error:
        results.append(error.args[0])
    async def generate():
        for it in range(3):
            libc.usleep(1000)
            yield it
    results += [it async for it in generate()]
    return most, results, wrong, await cancelled()

if "uvloop" in sys.argv:
    import uvloop
    print(json.dumps(uvloop.run(main())))
else:
    print(json.dumps(asyncio.run(main())))
"""


def bridge(loop):
    return conftest.command("run", "--bridge", loop, "--")


def test_gevent(run):
    assert run(GEVENT, words=bridge("gevent")).told == 10


def test_eventlet(run):
    pytest.importorskip("eventlet")
    assert run(EVENTLET, words=bridge("eventlet")).told == 10


@pytest.mark.parametrize("which", ["asyncio", "uvloop"])
def test_asyncio(run, which):
    pytest.importorskip(which)
    told = run(ASYNCIO, which, words=bridge("asyncio")).told
    assert told == [10, [*range(10), "a", 0, 1, 2], [], "timeout"]


@pytest.mark.parametrize("which", ["asyncio", "uvloop"])
def test_a_patched_loop(run, which):
    """`greenpatch.asyncio.patch()`; within its tasks also `run`, and a task that is closed while it is in a native call."""
    pytest.importorskip(which)
    told = run("""
import asyncio
import ctypes
import json
import sys
import greenpatch
import greenpatch.asyncio
usleep = ctypes.CDLL(None).usleep

def waits(number):
    usleep(50_000)
    greenpatch.asyncio.wait_for(asyncio.sleep(0.01))
    usleep(50_000)
    return number

async def both(number):
    usleep(50_000)
    return await greenpatch.asyncio.run(waits, number) + greenpatch.offload(int, "1")

async def main():
    greenpatch.asyncio.patch()
    lent = greenpatch.statistics()["lent"]
    results = await asyncio.gather(*[both(number) for number in range(5)])
    left = asyncio.create_task(both(7))
    await asyncio.sleep(0.01)
    left.get_coro().close()
    try:
        results.append(str(await left))
    except RuntimeError:
        # What a task says of any coroutine that was closed behind its back.
        results.append("closed")
    return results, greenpatch.statistics()["lent"] - lent >= 15

if "uvloop" in sys.argv:
    import uvloop
    print(json.dumps(uvloop.run(main())))
else:
    print(json.dumps(asyncio.run(main())))
""", which).told
    assert told == [[1, 2, 3, 4, 5, "closed"], True]


def test_a_program_without_the_loop_is_as_it_was(run):
    ended = run("import sys; print(1, 'gevent' in sys.modules, 'greenpatch._start' in sys.modules)", words=bridge("gevent"))
    assert (ended.status, ended.output, ended.errors) == (0, "1 False True\n", "")


def test_without_the_library_it_says_what_is_missing(run):
    ended = run("print(1)", words=[], GREENPATCH_BRIDGE="gevent")
    assert ended.status == 0 and ended.output == "1\n"
    assert "greenpatch: --bridge gevent: libgreenpatch.so is not preloaded" in ended.errors


def test_an_interpreter_without_the_package_is_told(tmp_path):
    python = tmp_path / "bin/python3"
    (tmp_path / "lib/python3.11/site-packages").mkdir(parents=True)
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    environment = {**os.environ, "HOME": str(tmp_path)}
    line = [*conftest.command("run", "--bridge", "gevent", "--"), str(python), "-S", "-c", "print(1)"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout == "1\n" and done.returncode == 0
    assert "site-packages has no package greenpatch: install its wheel there" in done.stderr


def test_another_word_is_refused():
    line = conftest.command("run", "--bridge", "twisted", "--", "true")
    done = subprocess.run(line, capture_output=True, text=True, cwd="/")
    assert done.returncode == 125 and "gevent, eventlet, asyncio" in done.stderr


APPLICATION = """
import ctypes
import psycopg2

def application(environ, start):
    connection = psycopg2.connect(host="127.0.0.1", port={port}, user="postgres", dbname="postgres")
    cursor = connection.cursor()
    cursor.execute("select pg_sleep(1), count(*) from pg_stat_activity where query like 'select pg_sleep%'")
    answer = str(cursor.fetchone()[1]).encode()
    connection.close()
    start("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""


def test_gunicorn_with_its_gevent_worker(tmp_path, postgres):
    """One worker serves twenty requests at once, each of which asks psycopg2 for a second."""
    pytest.importorskip("gunicorn")
    pytest.importorskip("psycopg2")
    (tmp_path / "application.py").write_text(APPLICATION.replace("{port}", str(postgres)))
    port = conftest.servers.free_port()
    line = [*bridge("gevent"), sys.executable, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", "application"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        answers = []

        def ask(patience=60):
            end = time.monotonic() + patience
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                        return answers.append(int(answer.read()))
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.05)

        ask()
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        server.terminate()
        status = server.wait(60)
    log = (tmp_path / "log").read_text()
    # Each query counts those that run: one by one, each would find itself alone.
    assert len(answers) == 21 and max(answers) >= 10, (answers, log)
    assert status == 0, log


@pytest.mark.parametrize("way, driver", [("gevent", "psycopg2"), ("asyncio", "smtplib")])
@pytest.mark.parametrize("words, verdict", [([], "BLOCKS_LOOP"), (["--bridge"], "YIELDS")])
def test_ticker_shows_what_the_bridge_does(tmp_path, way, driver, words, verdict):
    """A machine that lets nothing tick shows nothing, and says so: UNCLEAR."""
    pytest.importorskip(driver)
    line = conftest.command("ticker", "--python", sys.executable, "--driver", driver, "--under", way, "--json", *words)
    done = subprocess.run(line, capture_output=True, text=True, timeout=conftest.LIMIT_S, stdin=subprocess.DEVNULL, cwd=tmp_path)
    cell = json.loads(done.stdout)["drivers"][0]["cells"][way]
    assert cell["verdict"] in (verdict, "UNCLEAR"), (cell, done.stderr)
