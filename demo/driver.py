#!/usr/bin/python3
"""driver: a driver written in C under gevent, for `greenpatch audit`.

A ticker prints a dot ten times a second. After a second psycopg2 connects to a server that accepts and says nothing, and gives up after two
more: gevent cannot see that wait, so the dots stop. `greenpatch audit -- python3 demo/driver.py` says where. Needs python3-gevent and
python3-psycopg2 (scripts/demo installs them), and no PostgreSQL.
"""

from gevent import monkey

monkey.patch_all()

import socket  # noqa: E402

import gevent  # noqa: E402
import psycopg2  # noqa: E402


def ticker():
    while True:
        print(".", end="", flush=True)
        gevent.sleep(0.1)


def client(port):
    try:
        psycopg2.connect(host="127.0.0.1", port=port, user="nobody", connect_timeout=2)
    except psycopg2.OperationalError:
        print("\nno answer", flush=True)


server = socket.create_server(("127.0.0.1", 0))
gevent.spawn(ticker)
gevent.sleep(1)
gevent.spawn(client, server.getsockname()[1]).join()
gevent.sleep(0.5)
print()
