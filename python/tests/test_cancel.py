"""Timeouts, kills and cancellations reach into native calls, and are raised in place of what the driver makes of that."""

from conftest import CONNECT, PROLOGUE


def test_a_timeout_ends_a_query_and_its_connection(tell, postgres, psycopg2):
    told = tell(CONNECT + """
def program(loop):
    connection = connect()
    cursor = connection.cursor()
    try:
        loop.within(0.3, lambda: cursor.execute("select pg_sleep(60), 'old'"))
    except loop.Timeout as error:
        raised = "Timeout"
    except Exception as error:
        raised = repr(error)
    # No answer of the old question's is taken for one to the next.
    try:
        connection.cursor().execute("select 'new'")
        after = "an answer"
    except (psycopg2.InterfaceError, psycopg2.OperationalError):
        after = "closed"
    fresh = connect().cursor()
    fresh.execute("select 'fresh'")
    return dict(raised=raised, after=after, fresh=fresh.fetchone()[0])
""", postgres)
    assert told == {"raised": "Timeout", "after": "closed", "fresh": "fresh"}


def test_a_timeout_takes_the_place_of_the_drivers_error(run, postgres, psycopg2):
    """Also where the Timeout is a silent one, and where the driver's error would be caught. The driver's is its context."""
    told = run(PROLOGUE + CONNECT + """
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import greenpatch.gevent
greenpatch.gevent.patch()

def silent():
    with gevent.Timeout(0.2, False):
        connect().cursor().execute("select pg_sleep(60)")
        return "went on"
    return "silent"

def caught():
    cursor = connect().cursor()
    try:
        with gevent.Timeout(0.2):
            cursor.execute("select pg_sleep(60)")
    except psycopg2.Error:
        return "the driver's"
    except gevent.Timeout as timeout:
        return type(timeout.__context__).__name__

def in_a_comprehension():
    cursor = connect().cursor()
    try:
        with gevent.Timeout(0.2):
            [cursor.execute("select pg_sleep(%s)", [seconds]) for seconds in (0, 60)]
    except gevent.Timeout:
        return "Timeout"

def returned():
    cursor = connect().cursor()
    def ask():
        return cursor.execute("select pg_sleep(60)")
    try:
        with gevent.Timeout(0.2):
            return ask()
    except gevent.Timeout:
        return "Timeout"

import json
print(json.dumps([gevent.spawn(each).get() for each in (silent, caught, in_a_comprehension, returned)]))
""", "gevent", postgres).told
    assert told == ["silent", "OperationalError", "Timeout", "Timeout"]


def test_a_timeout_is_raised_where_the_call_succeeds(tell):
    """usleep answers EINTR, which ctypes takes for a result: the timeout is raised all the same, before the next instruction."""
    told = tell("""
def program(loop):
    reached = []
    def wait():
        try:
            libc.usleep(60_000_000); reached.append(1)
        except BaseException as error:
            reached.append(isinstance(error, (loop.Timeout, loop.Killed)))
            raise
    try:
        loop.within(0.2, wait)
    except loop.Timeout:
        reached.append("Timeout")
    return reached
""")
    assert told == [True, "Timeout"]


def test_a_kill_reaches_a_native_call(tell, postgres, psycopg2):
    told = tell(CONNECT + """
def program(loop):
    how = []
    def ask():
        cursor = connect().cursor()
        try:
            cursor.execute("select pg_sleep(60)")
        except loop.Killed:
            how.append("killed")
            raise
        except BaseException as error:
            how.append(repr(error))
    greenlet = loop.spawn(ask)
    loop.sleep(0.3)
    loop.kill(greenlet)
    try:
        loop.result(greenlet)
    except loop.Killed:
        pass
    return how
""", postgres)
    assert told == ["killed"]


def test_a_second_exception_comes_while_the_first_waits(run):
    """Where the native call waits on in spite of the first (cancel="ignore"), the last is raised, once, with the first as its context."""
    told = run(PROLOGUE + """
import json
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import greenpatch.gevent
greenpatch.gevent.patch(cancel="ignore")

class First(Exception): pass
class Second(Exception): pass

def wait():
    try:
        libc.usleep(500_000)
    except Exception as error:
        caught = [type(error).__name__, type(error.__context__).__name__]
    libc.usleep(1000)
    return caught

greenlet = gevent.spawn(wait)
other = gevent.spawn(libc.usleep, 700_000)
gevent.sleep(0.1)
greenlet.kill(First, block=False)
gevent.sleep(0.1)
greenlet.kill(Second, block=False)
told = greenlet.get()
other.get()
print(json.dumps([told, sys.gettrace() is None]))
""").told
    assert told == [["Second", "First"], True]


def test_a_debuggers_trace_function_stays(run):
    told = run(PROLOGUE + """
import json
import gevent.monkey
gevent.monkey.patch_all()
import gevent
import greenpatch.gevent
greenpatch.gevent.patch()
lines = []

def tracer(frame, event, argument):
    if frame.f_code is not wait.__code__:
        return None
    lines.append((event, frame.f_lineno - wait.__code__.co_firstlineno))
    return tracer

def wait():
    try:
        with gevent.Timeout(0.1):
            libc.usleep(60_000_000)
    except gevent.Timeout:
        caught = 1
    return caught

def within():
    sys.settrace(tracer)
    wait()
    stays = sys.gettrace() is tracer
    sys.settrace(None)
    return stays

print(json.dumps([gevent.spawn(within).get(), [number for event, number in lines if event == "line"]]))
""").told
    assert told[0] is True
    assert 3 in told[1] and told[1][-2:] == [5, 6]
