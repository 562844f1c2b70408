"""soak.py SECONDS CONTEXTS PORT SEED: many greenlets of gevent in native calls for a long time: queries, sleeps and reads, that end, time
out, are killed, or lose their server. Run by scripts/soak under ``greenpatch run``; not by pytest.

Status 1, with what is wrong, where an answer is another's, an exception is swallowed, a call hangs, or descriptors, threads or memory grow.
"""

import gevent.monkey

gevent.monkey.patch_all()

import collections  # noqa: E402
import ctypes  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
import gevent.lock  # noqa: E402
import gevent.server  # noqa: E402
import psycopg2  # noqa: E402

import greenpatch  # noqa: E402
import greenpatch.gevent  # noqa: E402

SECONDS, CONTEXTS, PORT, SEED = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
# The server takes a hundred connections.
CONNECTIONS = 60
# No call waits longer by itself than a second. But ten thousand greenlets may be before it each time it is to go on, on a slow machine:
# so a call hangs that has taken longer than this, and than `TURNS` times what others waited for their turn lately.
HANGS_S, TURNS = 120, 100
libc = ctypes.CDLL(None, use_errno=True)
random = random.Random(SEED)
counts = collections.Counter()
# What is under way: a number -> (since when, what).
under_way = {}
wrong = []


class Wrong(Exception):
    """Something is not as it must be."""


def check(is_so, what):
    if not is_so:
        raise Wrong(what)


class Ended(Exception):
    """The pool's connection is of no use any more."""


class Pool:
    """Connections, at most `CONNECTIONS` of them; one that has seen an error is closed."""

    def __init__(self):
        self.free, self.room = [], gevent.lock.BoundedSemaphore(CONNECTIONS)

    def use(self, function):
        with self.room:
            connection = self.free.pop() if self.free else self.connect()
            try:
                result = function(connection)
            except BaseException:
                connection.close()
                raise
            self.free.append(connection)
            return result

    @staticmethod
    def connect():
        connection = psycopg2.connect(host="127.0.0.1", port=PORT, user="postgres", dbname="postgres")
        connection.autocommit = True
        return connection

    def close(self):
        while self.free:
            self.free.pop().close()


pool = Pool()


def query(seconds):
    """Asks for a number, and looks whether it is that one. Where all connections are taken, sleeps: nobody queues for one."""
    if pool.room.locked():
        return sleep(seconds)
    number = random.randrange(1 << 30)

    def ask(connection):
        cursor = connection.cursor()
        cursor.execute("select pg_sleep(%s), %s", (seconds, number))
        check(cursor.fetchone()[1] == number, "the answer to another question")

    pool.use(ask)


def sleep(seconds):
    began = time.monotonic()
    check(libc.usleep(int(seconds * 1e6)) == 0, f"usleep failed: {os.strerror(ctypes.get_errno())}")
    check(time.monotonic() - began >= seconds - 0.001, "usleep ended early")


def asks():
    query(random.random() * 0.05)


def sleeps():
    sleep(random.random() * 0.5)


def times_out():
    """Either the call has ended in time, or the Timeout is raised: nothing else."""
    limit, seconds = random.random() * 0.05, random.random() * 0.1
    timeout = gevent.Timeout(limit)
    timeout.start()
    try:
        random.choice([query, sleep])(seconds)
        counts["in time"] += 1
    except gevent.Timeout as raised:
        check(raised is timeout, "another's Timeout")
        counts["timed out"] += 1
    finally:
        timeout.close()


def kills():
    """What is killed in a native call ends, and by the kill."""
    ended = []

    def victim():
        try:
            random.choice([query, sleep])(0.3)
            ended.append("by itself")
        except gevent.GreenletExit:
            ended.append("killed")
            raise

    greenlet = gevent.spawn(victim)
    gevent.sleep(random.random() * 0.02)
    greenlet.kill()
    check(greenlet.dead and (ended in ([], ["killed"], ["by itself"])), f"a kill: {ended}")
    check(greenlet.exception is None, f"a kill raised {greenlet.exception!r}")
    counts["killed"] += ended == ["killed"]


def loses_its_server():
    """A native read sees the end, or the reset, of a connection."""
    with socket.create_connection(("127.0.0.1", closing.server_port)) as connection:
        fd = connection.fileno()
        os.set_blocking(fd, True)
        room = ctypes.create_string_buffer(64)
        got = libc.recv(fd, room, 64, 0)
        if got > 0:
            check(room.raw[:got] == b"closing"[:got], "bytes that nobody has sent")
            got = libc.recv(fd, room, 64, 0)
        check(got == 0 or ctypes.get_errno() in (104, 32), f"recv: {got}, {os.strerror(ctypes.get_errno())}")


def is_ended():
    """A connection that the server ends raises the driver's own error, in the greenlet that waits there."""

    def ask(connection):
        backend = connection.info.backend_pid
        ender = gevent.spawn_later(random.random() * 0.02, end, backend)
        try:
            connection.cursor().execute("select pg_sleep(60)")
            raise Wrong("a connection that is ended has answered")
        except psycopg2.OperationalError:
            pass
        finally:
            ender.join()
        check(ender.exception is None, f"ending: {ender.exception!r}")
        raise Ended

    def end(backend):
        connection = Pool.connect()
        connection.cursor().execute("select pg_terminate_backend(%s)", (backend,))
        connection.close()

    if ending.locked() or pool.room.locked():
        return sleeps()
    with ending:
        try:
            pool.use(ask)
        except Ended:
            pass


ending = gevent.lock.BoundedSemaphore(10)
ACTIONS = [(asks, 30), (sleeps, 50), (times_out, 10), (kills, 5), (loses_its_server, 4), (is_ended, 1)]


def context(number):
    while time.monotonic() < end:
        action = random.choices([action for action, _ in ACTIONS], [weight for _, weight in ACTIONS])[0]
        under_way[number] = (time.monotonic(), action.__name__)
        try:
            action()
        except BaseException as error:
            wrong.append(f"{action.__name__}: {type(error).__name__}: {error}")
            return
        counts[action.__name__] += 1
    under_way.pop(number, None)


def serve(connection, _):
    """Closes a connection after some bytes, or resets it."""
    gevent.sleep(random.random() * 0.05)
    try:
        if random.random() < 0.5:
            connection.sendall(b"closing")
        if random.random() < 0.3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    except OSError:
        pass
    connection.close()


def figures():
    gc.collect()
    status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    return int(status["VmRSS"].split()[0]), len(os.listdir("/proc/self/fd")), int(status["Threads"])


def watch(samples):
    """Tells every ten seconds how things are, and ends the program where a call hangs."""
    last, longest, turn = time.monotonic(), 0.0, 0.0
    due = last + 10
    while True:
        gevent.sleep(0.1)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        # How long a native call of a millisecond takes by now; half of what was is forgotten in some seven turns.
        libc.usleep(1000)
        last = time.monotonic()
        turn = max(last - now, turn * 0.9)
        limit = HANGS_S + TURNS * turn
        hung = [(now - since, what) for since, what in under_way.values() if now - since > limit]
        if hung or wrong:
            print("hangs:" if hung else "wrong:", *(hung or wrong)[:5], file=sys.stderr, flush=True)
            os._exit(1)
        if now >= due:
            due = now + 10
            samples.append(figures())
            print(f"{SECONDS - (end - now):.0f} s: {sum(counts.values())} ended, KiB, descriptors, threads {samples[-1]}, "
                  f"longest gap {longest:.2f} s, a turn {turn:.2f} s", flush=True)
            longest = 0.0


greenpatch.gevent.patch()
closing = gevent.server.StreamServer(("127.0.0.1", 0), serve, backlog=4096)
closing.start()
before = figures()
end = time.monotonic() + SECONDS
samples = []
watcher = gevent.spawn(watch, samples)
greenlets = [gevent.spawn(context, number) for number in range(CONTEXTS)]
gevent.joinall(greenlets)
watcher.kill()
pool.close()
if wrong:
    sys.exit("\n".join(["wrong:", *wrong[:5]]))
closing.stop()
gevent.sleep(0.5)
del greenlets
after = figures()
print("ended:", dict(sorted(counts.items())))
print("lent, blocked, taken:", greenpatch.statistics())
print(f"KiB, descriptors, threads: before {before}, after {after}")
if after[1] > before[1] + 1:
    sys.exit(f"descriptors were left open: {before[1]} before, {after[1]} after")
half = samples[len(samples) // 2 :]
if len(half) >= 4 and half[-1][0] > half[0][0] * 1.05:
    sys.exit(f"memory grows: {half[0][0]} KiB at the half, {half[-1][0]} KiB at the end")
if min(counts[action.__name__] for action, _ in ACTIONS) == 0 or not counts["timed out"] or not counts["killed"]:
    sys.exit(f"something was never tried: {counts}")
print("all ended, and all was right")
