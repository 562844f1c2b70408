"""Drivers that wait in libc, in greenlets: the loop goes on meanwhile, and waits overlap.

What is asserted are counts that a busy machine does not change; the largest gap between two ticks is printed (pytest -rP shows it).
"""

import textwrap

import pytest

# `wait(seconds)`: one call of the driver's that waits so long. {0}: the server's port.
WAITS = {
    "usleep": """
        import ctypes
        usleep = ctypes.CDLL(None).usleep
        def wait(seconds):
            assert usleep(int(seconds * 1e6)) == 0
    """,
    "usleep with the GIL": """
        import ctypes
        usleep = ctypes.PyDLL(None).usleep
        def wait(seconds):
            assert usleep(int(seconds * 1e6)) == 0
    """,
    "psycopg2": """
        import psycopg2
        def wait(seconds):
            connection = psycopg2.connect(host="127.0.0.1", port={0}, user="postgres", dbname="postgres")
            cursor = connection.cursor()
            cursor.execute("select pg_sleep(%s), 7", [seconds])
            assert cursor.fetchone()[1] == 7
            connection.close()
    """,
    "MySQLdb": """
        import MySQLdb
        def wait(seconds):
            connection = MySQLdb.connect(host="127.0.0.1", port={0}, user="root")
            cursor = connection.cursor()
            cursor.execute("select sleep(%s), 7", [seconds])
            assert cursor.fetchone() == (0, 7)
            connection.close()
    """,
    "zmq": """
        import zmq
        context = zmq.Context()
        def wait(seconds):
            asks = context.socket(zmq.PULL)
            asks.bind("inproc://" + str(id(asks)))
            assert asks.poll(int(seconds * 1000)) == 0
            asks.close()
    """,
    "pycurl": """
        import io
        import pycurl
        def wait(seconds):
            curl, body = pycurl.Curl(), io.BytesIO()
            curl.setopt(curl.URL, "http://127.0.0.1:{0}/%g" % seconds)
            curl.setopt(curl.WRITEDATA, body)
            curl.perform()
            curl.close()
            assert body.getvalue() == b"late"
    """,
}
SERVERS = {"psycopg2": "postgres", "MySQLdb": "mariadb", "pycurl": "slow_web"}


@pytest.fixture
def slow_web():
    """A web server that answers GET /SECONDS after so many seconds."""
    import http.server
    import threading
    import time

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(float(self.path[1:]))
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"late")

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(params=WAITS)
def wait(request):
    """The text that defines `wait`."""
    if request.param.isidentifier() and request.param != "usleep":
        pytest.importorskip(request.param)
    port = request.getfixturevalue(SERVERS[request.param]) if request.param in SERVERS else 0
    return textwrap.dedent(WAITS[request.param]).replace("{0}", str(port))


PROGRAM = """
import sys
import loops
import greenpatch

def program(loop):
    clock, together = loops.Clock(loop), loops.Together(loop)
    clock.during(lambda: wait(2))
    together.run([lambda: wait(1)] * 10)
    return dict(ticks=clock.ticks, gap=clock.gap, most=together.most, **greenpatch.statistics())

loops.main(sys.argv[1], program)
"""
NATIVE = """
import loops

loop = loops.start("gevent", patch=False)
clock = loops.Clock(loop)
clock.during(lambda: wait(1))
print(clock.ticks)
"""


def test_the_loop_goes_on_and_waits_overlap(run, loop, wait):
    told = run(wait + PROGRAM, loop).told
    print(f"largest gap: {told['gap']:.3f} s, {told['ticks']} ticks in a wait of 2 s, {told['most']} of 10 waits at once")
    # Blocked, there is one tick at the most; 19 is what there should be.
    assert told["ticks"] >= 5
    assert told["most"] == 10
    assert told["lent"] >= 11


def test_natively_the_same_program_blocks(run, wait):
    """Without the library there is no tick: what the test above asserts is not so by itself."""
    assert run(wait + NATIVE, words=[]).told <= 1
