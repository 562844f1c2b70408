"""cpython_echo.py CLIENTS ROUNDS: an ordinary threaded Python program, a thread at each end of every TCP connection over loopback.

All clients stand connected before the first of them sends. Nothing here knows of green threads.

seconds: from the first thread's creation until the last is joined; connect_seconds: until all stand connected, as part of that.
"""

import socket
import sys
import threading
import time

MESSAGE = b"x" * 64


def receive_whole(connection):
    """A whole message, or nothing when the other end has closed."""
    message = connection.recv(len(MESSAGE))
    while message and len(message) < len(MESSAGE):
        message += connection.recv(len(MESSAGE) - len(message))
    return message


def serve(connection):
    with connection:
        while message := receive_whole(connection):
            connection.sendall(message)


def accept_all(listener, count):
    threads = []
    for _ in range(count):
        connection, _ = listener.accept()
        threads.append(threading.Thread(target=serve, args=(connection,)))
        threads[-1].start()
    for thread in threads:
        thread.join()


def converse(address, connected, go, rounds, done):
    with socket.create_connection(address) as connection:
        connected.release()
        go.wait()
        for _ in range(rounds):
            connection.sendall(MESSAGE)
            if receive_whole(connection) != MESSAGE:
                return
        done.append(rounds)


def main(clients, rounds):
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    connected, go, done = threading.Semaphore(0), threading.Event(), []
    start = time.monotonic()
    acceptor = threading.Thread(target=accept_all, args=(listener, clients))
    acceptor.start()
    conversation = (listener.getsockname(), connected, go, rounds, done)
    threads = [threading.Thread(target=converse, args=conversation) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for _ in threads:
        connected.acquire()
    connect_seconds = time.monotonic() - start
    go.set()
    for thread in threads:
        thread.join()
    acceptor.join()
    seconds = time.monotonic() - start
    if sum(done) != clients * rounds:
        sys.exit(f"{sum(done)} round trips instead of {clients * rounds}")
    print(f"seconds {seconds:.4f}\nconnect_seconds {connect_seconds:.4f}")


main(int(sys.argv[1]), int(sys.argv[2]))
