"""What a bridge gets wrong first, beside cancellation: locks, forks, threads, exceptions, the loop's own calls."""

import json
import os
import subprocess
import sys

import conftest
import pytest
from conftest import CONNECT, PROLOGUE


def test_two_greenlets_share_a_connection(tell, postgres, psycopg2):
    """The driver's own mutex is held by a greenlet that is left: the other one is left as well, and has its turn."""
    told = tell(CONNECT + """
def program(loop):
    connection = connect()
    def ask(number):
        cursor = connection.cursor()
        cursor.execute("select pg_sleep(0.2), %s", [number])
        return cursor.fetchone()[1]
    return loops.Together(loop).run([lambda number=number: ask(number) for number in range(5)])
""", postgres)
    assert told == [0, 1, 2, 3, 4]


def test_a_lock_of_pythons_is_held_by_a_greenlet_that_is_left(tell):
    """`threading.Lock`, which nothing has patched under asyncio: who waits for it is left as well. So is a condition's waiter."""
    told = tell("""
import queue
def program(loop):
    lock, things = threading.Lock(), queue.Queue(2)
    def hold(number):
        with lock:
            libc.usleep(20_000)
        return number
    def put():
        for number in range(10):
            libc.usleep(1000)
            things.put(number)
    def take():
        return [things.get() for _ in range(10)]
    results = loops.Together(loop).run([lambda number=number: hold(number) for number in range(5)])
    return results, loops.Together(loop).run([take, put])
""")
    assert told == [[0, 1, 2, 3, 4], [list(range(10)), None]]


def test_exceptions_are_the_functions(tell):
    told = tell("""
def program(loop):
    def fail(number):
        libc.usleep(1000)
        raise KeyError(number)
    greenlets = [loop.spawn(lambda number=number: fail(number)) for number in range(3)]
    raised = []
    for greenlet in greenlets:
        try:
            loop.result(greenlet)
        except KeyError as error:
            raised.append(error.args[0])
    # One is handled while others are left.
    def handle():
        try:
            raise ValueError("a")
        except ValueError:
            libc.usleep(2000)
            return sys.exc_info()[0].__name__
    raised += loops.Together(loop).run([handle] * 3)
    raised.append(str(sys.exc_info()[0]))
    return raised
""")
    assert told == [0, 1, 2, "ValueError", "ValueError", "ValueError", "None"]


def test_errno_is_each_greenlets(tell):
    told = tell("""
libc = ctypes.CDLL(None, use_errno=True)
def program(loop):
    def fail(number):
        ctypes.set_errno(number)
        libc.usleep(1000 * number)
        return ctypes.get_errno() in (0, number), libc.close(-1), ctypes.get_errno()
    return loops.Together(loop).run([lambda number=number: fail(number) for number in range(1, 6)])
""")
    assert told == [[True, -1, 9]] * 5


def test_threads_that_compute_beside_the_loop(tell):
    """The interpreter's lock is fought for: no greenlet is left for it, and none waits for itself."""
    told = tell("""
def program(loop):
    import _thread
    try:
        from gevent.monkey import get_original
        begin = get_original("_thread", "start_new_thread")
    except ImportError:
        begin = None
    if loop.__class__.__name__ == "Eventlet":
        import eventlet.patcher
        begin = eventlet.patcher.original("_thread").start_new_thread
    begin = begin or _thread.start_new_thread
    ends = []
    def compute():
        while not ends:
            sum(range(100))
    sys.setswitchinterval(0.0001)
    for _ in range(2):
        begin(compute, ())
    results = loops.Together(loop).run([lambda: [libc.usleep(1000) for _ in range(10)]] * 20)
    ends.append(1)
    return sum(map(sum, results)), greenpatch.statistics()["lent"] >= 200
""")
    assert told == [0, True]


def test_pinned_calls_block(tell):
    told = tell("""
def program(loop):
    clock = loops.Clock(loop, 0.02)
    def wait():
        with greenpatch.pin():
            libc.usleep(300_000)
    clock.during(wait)
    pinned, lent = clock.ticks, greenpatch.statistics()["lent"]
    clock = loops.Clock(loop, 0.02)
    clock.during(lambda: libc.usleep(300_000))
    return pinned, lent, clock.ticks
""")
    assert told[0] <= 2 and told[1] == 0 and told[2] >= 3


def test_an_offloaded_call_runs_in_another_thread(tell):
    told = tell("""
def program(loop):
    clock = loops.Clock(loop, 0.05)
    def wait(number, *, more):
        libc.usleep(500_000)
        return threading.get_native_id(), number + more
    # The pool's threads begin with the first call.
    greenpatch.offload(int)
    lent = greenpatch.statistics()["lent"]
    native, total = clock.during(lambda: greenpatch.offload(wait, 3, more=4))
    try:
        greenpatch.offload(lambda: 1 // 0)
    except ZeroDivisionError:
        return total, clock.ticks >= 3, native != threading.get_native_id(), greenpatch.statistics()["lent"] - lent
""")
    assert told == [7, True, True, 0]


def test_a_child_lends_its_loop_anew(tell):
    """A fork in a greenlet, while others are left: the child's own waits are lent, the parent's go on."""
    told = tell("""
def program(loop):
    if sys.argv[1] in ("asyncio", "uvloop"):
        # Their loops do not live in a child: it makes its own.
        def child():
            import asyncio
            asyncio.events._set_running_loop(None)
            loop = asyncio.new_event_loop()
            async def both():
                return await asyncio.gather(*[greenpatch.asyncio.run(libc.usleep, 100_000) for _ in range(5)])
            return sum(loop.run_until_complete(both())) == 0
    else:
        def child():
            if sys.argv[1] == "eventlet":
                greenpatch.eventlet.patch()
            together = loops.Together(loop)
            return together.run([lambda: libc.usleep(100_000)] * 5) == [0] * 5 and together.most == 5
    def forks():
        libc.usleep(1000)
        pid = os.fork()
        if pid == 0:
            try:
                is_right = child() and greenpatch.statistics()["lent"] >= 5
                os._exit(0 if is_right else 2)
            except BaseException:
                import traceback
                traceback.print_exc()
            os._exit(1)
        while True:
            libc.usleep(10_000)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
    others = [loop.spawn(lambda: libc.usleep(300_000)) for _ in range(5)]
    status = loop.result(loop.spawn(forks))
    return status, [loop.result(other) for other in others]
""")
    assert told == [0, [0] * 5]


def test_the_loops_own_calls_block(run):
    """A callback of the hub's waits itself: nobody is left, and nothing hangs."""
    told = run("""
import ctypes
import json
import gevent
import greenpatch.gevent
greenpatch.gevent.patch()
import greenpatch
done = []
gevent.get_hub().loop.run_callback(lambda: done.append(ctypes.CDLL(None).usleep(200_000)))
gevent.sleep(0.05)
print(json.dumps([done, greenpatch.statistics()["lent"], greenpatch.statistics()["blocked"] >= 1]))
""").told
    assert told == [[0], 0, True]


def test_a_loop_in_each_thread(run):
    """gevent in the main thread and in one of its own, asyncio in two others: each lends its own."""
    told = run("""
import asyncio
import ctypes
import json
import threading
import time
import gevent
import greenpatch
import greenpatch.asyncio
import greenpatch.gevent
libc = ctypes.CDLL(None)
lent, errors = [], []

def in_gevent():
    greenpatch.gevent.patch()
    gevent.joinall([gevent.spawn(libc.usleep, 200_000) for _ in range(10)], raise_error=True)
    lent.append(greenpatch.statistics()["lent"])

def in_asyncio():
    async def main():
        await asyncio.gather(*[greenpatch.asyncio.run(libc.usleep, 200_000) for _ in range(10)])
        lent.append(greenpatch.statistics()["lent"])
    asyncio.run(main())

def guarded(function):
    try:
        function()
    except BaseException as error:
        errors.append(repr(error))

threads = [threading.Thread(target=guarded, args=[each]) for each in (in_gevent, in_asyncio, in_asyncio)]
for thread in threads:
    thread.start()
in_gevent()
for thread in threads:
    thread.join()
print(json.dumps([lent, errors, greenpatch.is_active()]))
""").told
    assert told == [[10, 10, 10, 10], [], True]


def test_a_hub_that_is_destroyed(run):
    """As threads destroy theirs at their end: the next one is lent like the first."""
    ended = run("""
import ctypes
import json
import threading
import gevent
import greenpatch
import greenpatch.gevent
libc = ctypes.CDLL(None)
lent = []

def work():
    greenpatch.gevent.patch()
    gevent.joinall([gevent.spawn(libc.usleep, 10_000) for _ in range(3)], raise_error=True)
    lent.append(greenpatch.statistics()["lent"])
    gevent.get_hub().destroy(destroy_loop=True)

def twice():
    work()
    work()

for each in (twice, work):
    thread = threading.Thread(target=each)
    thread.start()
    thread.join()
print(json.dumps(lent))
""")
    assert ended.told == [3, 3, 3] and ended.errors == ""


def test_threads_leave_nothing_behind(run):
    """At a thread's end its loop is taken back, and the descriptor is closed."""
    told = run("""
import asyncio
import ctypes
import json
import os
import threading
import greenpatch.asyncio
libc = ctypes.CDLL(None)

def thread():
    asyncio.run(greenpatch.asyncio.run(libc.usleep, 1000))

def descriptors():
    def name(number):
        try:
            return os.readlink("/proc/self/fd/" + number)
        except OSError:
            return ""
    return sum("eventfd" in name(number) for number in os.listdir("/proc/self/fd"))

def round():
    it = threading.Thread(target=thread)
    it.start()
    it.join()

round()
before = descriptors()
for _ in range(20):
    round()
print(json.dumps(descriptors() - before))
""").told
    assert told <= 2


def test_not_preloaded(run):
    ended = run("""
import greenpatch
import greenpatch.gevent
assert not greenpatch.is_active() and greenpatch.mode() == "absent"
with greenpatch.pin():
    assert greenpatch.offload(max, 3, 4) == 4
try:
    greenpatch.gevent.patch()
except greenpatch.NotPreloaded as error:
    print(error)
""", "an argument", words=[])
    assert ended.status == 0, ended.errors
    last = ended.output.splitlines()[-1]
    assert last.strip().startswith("greenpatch run -- ") and last.endswith("program.py 'an argument'")
    # The command does what it says.
    assert sys.executable in last


AUDITED = """
import asyncio
import ctypes
import json
import gevent
import greenpatch
import greenpatch.asyncio
import greenpatch.gevent
usleep = ctypes.CDLL(None).usleep
greenpatch.gevent.patch()
is_lent = greenpatch.is_active()
gevent.joinall([gevent.spawn(usleep, 50_000) for _ in range(3)], raise_error=True)
lent = is_lent and greenpatch.statistics()["lent"]
if is_lent:
    from greenpatch import _home
    _home.of_thread().close()
print(json.dumps([greenpatch.mode(), lent, asyncio.run(greenpatch.asyncio.run(usleep, 1000))]))
"""


def test_under_audit_the_program_runs_natively(run, tmp_path):
    ended = run(AUDITED, words=conftest.command("audit", "-o", str(tmp_path / "report.json"), "--"))
    assert ended.told == ["audit", False, 0]


def test_a_green_audit_lends(run, tmp_path):
    ended = run(AUDITED, words=conftest.command("run", f"--audit={tmp_path}/report.json", "--"))
    assert ended.status == 0, ended.errors
    assert json.loads(next(line for line in ended.output.splitlines() if line.startswith("["))) == ["audit", 3, 0]


def test_a_subinterpreter_is_refused(run):
    ended = run("""
import sys
import greenpatch
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
    print(interpreters.run_string(interpreters.create(), "import greenpatch").msg)
else:
    import _xxsubinterpreters as interpreters
    try:
        interpreters.run_string(interpreters.create(), "import greenpatch")
    except interpreters.RunFailedError as error:
        print(error)
""")
    assert ended.status == 0, ended.errors
    # CPython's own words from 3.12 on.
    assert "cannot be imported in a subinterpreter" in ended.output or "subinterpreters" in ended.output


def test_a_greenlet_that_runs_a_subinterpreter_blocks(run):
    """Waits in which it holds its lock are not lent, for `leave` could not take that; those before and after are."""
    if sys.version_info >= (3, 12):
        pytest.skip("ctypes cannot be imported in its subinterpreters")
    told = run("""
import ctypes
import json
import _xxsubinterpreters as interpreters
import gevent
import greenpatch
import greenpatch.gevent
greenpatch.gevent.patch()
libc = ctypes.CDLL(None)

def within():
    libc.usleep(1000)
    interpreters.run_string(interpreters.create(), "import ctypes; ctypes.PyDLL(None).usleep(100_000)")
    return libc.usleep(1000)

print(json.dumps([gevent.spawn(within).get(), greenpatch.statistics()["lent"]]))
""").told
    assert told == [0, 2]


def test_is_active(tell):
    assert tell("""
def program(loop):
    def elsewhere():
        return greenpatch.is_active()
    return greenpatch.is_active(), greenpatch.mode(), greenpatch.offload(elsewhere)
""") == [True, "green", False]


@pytest.mark.parametrize("which", ["libev-cext", "libuv-cffi"])
def test_the_loop_ends_when_nothing_waits(run, which):
    """The eventfd's watcher does not keep gevent's loop alive, but greenlets that are left do."""
    if which == "libuv-cffi":
        pytest.importorskip("gevent.libuv.loop", exc_type=ImportError)
    told = run("""
import ctypes
import json
import gevent
import greenpatch.gevent
greenpatch.gevent.patch()
libc = ctypes.CDLL(None)
done = []
gevent.spawn(lambda: done.append(libc.usleep(100_000)))
gevent.wait()
try:
    gevent.get_hub().switch()
except gevent.exceptions.LoopExit:
    done.append("LoopExit")
print(json.dumps(done))
""", GEVENT_LOOP=which).told
    assert told == [0, "LoopExit"]


def test_a_library_that_keeps_state_for_each_thread_is_never_lent(run):
    """gRPC, loaded after the loop was lent: two greenlets in it at once would abort the process. It blocks, as without the bridge."""
    pytest.importorskip("grpc")
    told = run("""
import gevent.monkey
gevent.monkey.patch_all()
import json
import socket
import gevent
import greenpatch
import greenpatch.gevent
greenpatch.gevent.patch()
import grpc
listener = socket.create_server(("127.0.0.1", 0))

def ask():
    channel = grpc.insecure_channel("127.0.0.1:%d" % listener.getsockname()[1])
    try:
        channel.unary_unary("/a/b")(b"", timeout=0.3)
    except grpc.RpcError as error:
        return error.code().name
    finally:
        channel.close()

greenlets = [gevent.spawn(ask) for _ in range(3)]
gevent.joinall(greenlets)
print(json.dumps([[greenlet.value for greenlet in greenlets], greenpatch.statistics()["lent"]]))
""").told
    assert told == [["DEADLINE_EXCEEDED"] * 3, 0]


def test_a_signal_comes_while_greenlets_are_left(tell):
    told = tell("""
import signal
def program(loop):
    came = []
    signal.signal(signal.SIGALRM, lambda *_: came.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    results = loops.Together(loop).run([lambda: libc.usleep(400_000)] * 3)
    return results, came
""")
    assert told == [[0, 0, 0], [1]]


@pytest.mark.parametrize("how", ["exit", "interrupt"])
def test_the_program_ends_while_greenlets_are_left(run, loop, how):
    """By sys.exit, and by a Ctrl-C while the main function is in a native call, too."""
    ended = run(PROLOGUE + """
import signal
loop = loops.start(sys.argv[1])

def program():
    for _ in range(3):
        loop.spawn(lambda: libc.usleep(300_000_000))
    loop.sleep(0.1)
    if sys.argv[2] == "exit":
        sys.exit(3)
    if os.fork() == 0:
        with greenpatch.pin():
            libc.usleep(300_000)
        os.kill(os.getppid(), signal.SIGINT)
        os._exit(0)
    libc.usleep(300_000_000)

loop.main(program)
""", loop, how)
    assert ended.status == (3 if how == "exit" else -2), ended.errors


def test_the_commands_of_the_wheel():
    done = subprocess.run([sys.executable, "-m", "greenpatch", "--version"], capture_output=True, text=True, check=True, cwd="/")
    import importlib.metadata
    assert done.stdout.split()[-1] == importlib.metadata.version("greenpatch")
    script = os.path.join(os.path.dirname(sys.executable), "greenpatch")
    assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == done.stdout
    done = subprocess.run([script, "check", "--json", "/bin/sleep"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)
