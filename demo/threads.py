"""An ordinary threaded Python program: `threads.py PORT THREADS`. It does in Python what client.c does in C.

Each threading.Thread connects to the slow server, sends a line and blocks in recv() until the line comes back, while a
ticker thread prints a dot ten times a second. At the end it prints what it saw, one `name=value` a line.
"""
import resource
import signal
import socket
import sys
import threading
import time

port, threads = int(sys.argv[1]), int(sys.argv[2])
finished = threading.Event()
lock = threading.Lock()
answers = ticks = kernel_threads = private_kib = 0
largest_gap = 0.0


def look_at_myself():
    """Asks the kernel how many threads this process has, and how much memory that no other process shares."""
    global kernel_threads, private_kib
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    kernel_threads = max(kernel_threads, int(fields["Threads"]))
    private_kib = max(private_kib, int(fields["RssAnon"].split()[0]))


def tick():
    global ticks, largest_gap
    last = time.monotonic()
    while not finished.is_set():
        time.sleep(0.1)
        now = time.monotonic()
        largest_gap = max(largest_gap, now - last)
        last = now
        ticks += 1
        sys.stdout.write(".")
        sys.stdout.flush()
        look_at_myself()


def ask(number):
    global answers
    request = b"request %d\n" % number
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < len(request):
            received = connection.recv(64)
            if not received:
                return
            answer += received
    if answer == request:
        with lock:
            answers += 1


signal.alarm(60)  # a demonstration that hangs should end all the same
start = time.monotonic()
ticker = threading.Thread(target=tick)
ticker.start()
askers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
for asker in askers:
    asker.start()
for asker in askers:
    asker.join()
elapsed = time.monotonic() - start
finished.set()
ticker.join()

used = resource.getrusage(resource.RUSAGE_SELF)
print(f"\nanswers={answers}\nticks={ticks}\nlargest_gap_ms={largest_gap * 1e3:.0f}\nelapsed_ms={elapsed * 1e3:.0f}")
print(f"kernel_threads={kernel_threads}\nprivate_kib={private_kib}\ncpu_ms={(used.ru_utime + used.ru_stime) * 1e3:.0f}")
