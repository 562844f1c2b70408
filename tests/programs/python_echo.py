"""CPython's threads and sockets: an echo server with a thread for each of 500 clients, all connected at once.

Clients with an odd number set a timeout, so that CPython makes their sockets non-blocking and polls; the others block.
"""
import resource
import socket
import threading

CLIENTS, ROUNDS = 500, 10


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError(f"{len(data)} of {size} bytes")
        data += part
    return data


def answer(connection):
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)


def serve(listener):
    servants = []
    for _ in range(CLIENTS):
        connection, _ = listener.accept()
        servants.append(threading.Thread(target=answer, args=(connection,)))
        servants[-1].start()
    for servant in servants:
        servant.join()


def ask(number, port, everybody, echoed):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        if number % 2:
            connection.settimeout(60)
        everybody.wait()
        for turn in range(ROUNDS):
            question = b"%d:%d;" % (number, turn) * (1 + turn * 50)
            connection.sendall(question)
            assert receive(connection, len(question)) == question
            echoed[number] += len(question)


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS)
    port = listener.getsockname()[1]
    everybody, echoed = threading.Barrier(CLIENTS), [0] * CLIENTS
    threads = [threading.Thread(target=serve, args=(listener,))]
    threads += [threading.Thread(target=ask, args=(number, port, everybody, echoed)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{sum(map(bool, echoed))} clients, {sum(echoed)} bytes echoed, {threading.active_count()} thread left")


main()
