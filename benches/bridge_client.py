"""bridge_client.py WAY CONNECTIONS SECONDS PORT: how many queries a second many connections make, by one way of waiting; one line of JSON.

Each connection, all of one process, asks PostgreSQL again and again for `select pg_sleep(0), 7`, and looks at the answer. All stand
connected before the first asks. `rate`: queries a second; `cpu_ns`: processor time of this process for a query.
"""

import json
import resource
import sys
import time

WAY, CONNECTIONS, SECONDS, PORT = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
QUERY = "select pg_sleep(0), 7"
ADDRESS = {"host": "127.0.0.1", "port": PORT, "user": "postgres"}


def processor_ns():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e9


class Measured:
    """The time that is measured: from the moment when all are connected."""

    def __init__(self):
        self.connected = self.queries = 0

    def begin(self):
        self.began, self.used = time.monotonic(), processor_ns()
        self.end = self.began + SECONDS

    def goes_on(self):
        return time.monotonic() < self.end

    def tell(self):
        seconds, used = time.monotonic() - self.began, processor_ns() - self.used
        print(json.dumps({"rate": self.queries / seconds, "cpu_ns": used / self.queries}))


measured = Measured()


def right(row):
    if row[1] != 7:
        sys.exit(f"bridge_client: a wrong answer: {row!r}")


def ask(cursor):
    """Asks in a loop, by a cursor that blocks its caller."""
    count = 0
    while measured.goes_on():
        cursor.execute(QUERY)
        right(cursor.fetchone())
        count += 1
    return count


def by_psycopg2():
    import psycopg2
    return lambda: psycopg2.connect(dbname="postgres", **ADDRESS)


def by_psycopg3():
    import psycopg
    return lambda: psycopg.connect(dbname="postgres", autocommit=True, **ADDRESS)


def cooperative(connect, spawn, wait, sleep):
    """Greenlets, each with a connection of its own. `spawn(function)`, `wait(list)`, and `sleep(seconds)` are the loop's."""

    def one():
        connection = connect()
        connection.autocommit = True
        measured.connected += 1
        while measured.connected < CONNECTIONS or not hasattr(measured, "end"):
            sleep(0.02)
        # Others count while this one asks: the sum is read behind that.
        count = ask(connection.cursor())
        measured.queries += count
        connection.close()

    greenlets = [spawn(one) for _ in range(CONNECTIONS)]
    while measured.connected < CONNECTIONS:
        sleep(0.02)
    measured.begin()
    wait(greenlets)
    measured.tell()


def gevent(connect=by_psycopg2, bridge=False, psycogreen=False):
    import gevent.monkey
    gevent.monkey.patch_all()
    import gevent
    if bridge:
        import greenpatch.gevent
        greenpatch.gevent.patch()
    if psycogreen:
        from psycogreen.gevent import patch_psycopg
        patch_psycopg()
    cooperative(connect(), gevent.spawn, gevent.joinall, gevent.sleep)


def eventlet():
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    import eventlet
    eventlet.monkey_patch(psycopg=False)
    import greenpatch.eventlet
    greenpatch.eventlet.patch()
    cooperative(by_psycopg2(), eventlet.spawn, lambda all: [one.wait() for one in all], eventlet.sleep)


def threadpool():
    """gevent's pool of threads: each query is handed to a thread that blocks."""
    import gevent
    import gevent.hub
    pool = gevent.get_hub().threadpool
    pool.maxsize = CONNECTIONS
    connect = by_psycopg2()

    class Cursor:
        def __init__(self, cursor):
            self.cursor = cursor

        def execute(self, query):
            pool.apply(self.cursor.execute, (query,))

        def fetchone(self):
            return self.cursor.fetchone()

    class Connection:
        def __init__(self):
            self.connection = pool.apply(connect)

        def __setattr__(self, name, value):
            if name == "autocommit":
                self.connection.autocommit = value
            else:
                object.__setattr__(self, name, value)

        def cursor(self):
            return Cursor(self.connection.cursor())

        def close(self):
            self.connection.close()

    cooperative(Connection, gevent.spawn, gevent.joinall, gevent.sleep)


def threads():
    import threading
    connect, lock = by_psycopg2(), threading.Lock()
    connected, go = threading.Semaphore(0), threading.Event()

    def one():
        connection = connect()
        connection.autocommit = True
        connected.release()
        go.wait()
        count = ask(connection.cursor())
        with lock:
            measured.queries += count
        connection.close()

    all = [threading.Thread(target=one) for _ in range(CONNECTIONS)]
    for thread in all:
        thread.start()
    for _ in all:
        connected.acquire()
    measured.begin()
    go.set()
    for thread in all:
        thread.join()
    measured.tell()


async def gathered(connect, ask_one):
    """Tasks, each with a connection of its own. `ask_one(connection)` asks once, and returns the row."""
    import asyncio
    connections = await asyncio.gather(*(connect() for _ in range(CONNECTIONS)))
    measured.begin()

    async def one(connection):
        while measured.goes_on():
            right(await ask_one(connection))
            measured.queries += 1
        await connection.close()

    await asyncio.gather(*map(one, connections))
    measured.tell()


async def bridged():
    """Each task runs its whole loop of queries in a greenlet."""
    import asyncio

    import greenpatch.asyncio
    connect = by_psycopg2()
    connections = await asyncio.gather(*(greenpatch.asyncio.run(connect) for _ in range(CONNECTIONS)))
    for connection in connections:
        connection.autocommit = True
    measured.begin()
    measured.queries = sum(await asyncio.gather(*(greenpatch.asyncio.run(ask, each.cursor()) for each in connections)))
    measured.tell()


async def asyncpg():
    import asyncpg

    async def connect():
        return await asyncpg.connect(database="postgres", **ADDRESS)

    await gathered(connect, lambda connection: connection.fetchrow(QUERY))


async def psycopg3():
    import psycopg

    async def connect():
        return await psycopg.AsyncConnection.connect(dbname="postgres", autocommit=True, **ADDRESS)

    async def ask_one(connection):
        return await (await connection.execute(QUERY)).fetchone()

    await gathered(connect, ask_one)


def asyncio(main):
    import asyncio
    asyncio.run(main())


def uvloop(main):
    import uvloop
    uvloop.run(main())


{
    "threads": threads,
    "gevent-bridge": lambda: gevent(bridge=True),
    "eventlet-bridge": eventlet,
    "asyncio-bridge": lambda: asyncio(bridged),
    "psycogreen": lambda: gevent(psycogreen=True),
    "gevent-psycopg3": lambda: gevent(by_psycopg3),
    "gevent-threadpool": threadpool,
    "asyncio-psycopg3": lambda: asyncio(psycopg3),
    "asyncpg": lambda: asyncio(asyncpg),
    "uvloop-asyncpg": lambda: uvloop(asyncpg),
}[WAY]()
