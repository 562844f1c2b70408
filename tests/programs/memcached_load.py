"""Load for a memcached under test: 50 clients at once speak the text protocol, small and large values, one counter for all.

Usage: memcached_load.py PORT
"""
import socket
import sys
import threading

CLIENTS, ROUNDS, LARGE = 50, 40, 600_000


class Client:
    def __init__(self, port):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.reader = self.connection.makefile("rb")

    def ask(self, question):
        self.connection.sendall(question)
        return self.reader.readline()

    def store(self, key, value):
        return self.ask(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value)) == b"STORED\r\n"

    def fetch(self, key):
        size = int(self.ask(b"get %b\r\n" % key).split()[3])
        value = self.reader.read(size)
        return value if self.reader.read(7) == b"\r\nEND\r\n" else None


def work(port, number, everybody, done):
    client = Client(port)
    everybody.wait()
    for turn in range(ROUNDS):
        key, value = b"key%d" % number, b"%d:%d" % (number, turn) * (1 + turn * 20)
        done["stored"].append(client.store(key, value))
        done["fetched"].append(client.fetch(key) == value)
        done["counted"].append(int(client.ask(b"incr counter 1\r\n")))
    if number % 5 == 0:
        value = b"%02d" % number * (LARGE // 2)
        done["large"].append(client.store(b"large%d" % number, value) and client.fetch(b"large%d" % number) == value)
    done["missed"].append(client.ask(b"get nothing\r\n") == b"END\r\n")
    done["refused"].append(client.ask(b"nonsense\r\n") == b"ERROR\r\n")


def main():
    port, everybody = int(sys.argv[1]), threading.Barrier(CLIENTS)
    done = {what: [] for what in ("stored", "fetched", "counted", "large", "missed", "refused")}
    assert Client(port).store(b"counter", b"0")
    threads = [threading.Thread(target=work, args=(port, number, everybody, done)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = sorted(done.pop("counted"))
    print("counted", counted == list(range(1, CLIENTS * ROUNDS + 1)), {what: sum(answers) for what, answers in done.items()})
    client = Client(port)
    client.connection.sendall(b"stats settings\r\n")
    settings = dict(line.split()[1:3] for line in iter(client.reader.readline, b"END\r\n"))
    print("threads", settings[b"num_threads"].decode())


main()
