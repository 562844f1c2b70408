"""Load for a tunnel to a web server: 30 clients at once fetch 5 small files each, every third one the large file as well.

Usage: tunnel_load.py PORT
"""
import hashlib
import http.client
import sys
import threading

CLIENTS, FILES = 30, 5


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def work(port, number, everybody, small, large):
    everybody.wait()
    for file in range(FILES):
        small.append(fetch(port, f"/small{file}") == (200, b"small %d\n" % file))
    if number % 3 == 0:
        status, body = fetch(port, "/large")
        large.append((status, len(body), hashlib.sha256(body).hexdigest()))


def main():
    everybody, small, large = threading.Barrier(CLIENTS), [], []
    threads = [
        threading.Thread(target=work, args=(int(sys.argv[1]), number, everybody, small, large)) for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(small), "small files,", len(large), "large ones:", *set(large))


main()
