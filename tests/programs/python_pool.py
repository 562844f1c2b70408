"""CPython's ThreadPoolExecutor: 32 threads sleep, talk over socket pairs, run commands, raise, and are waited for in every way."""
import concurrent.futures as futures
import socket
import subprocess
import threading
import time


def nap(number):
    time.sleep(0.01)
    return number * number


def converse(number):
    here, there = socket.socketpair()
    with here, there:
        speaker = threading.Thread(target=lambda: there.sendall(b"%d " % number * 20000))
        speaker.start()
        heard = bytearray()
        while len(heard) < len(b"%d " % number * 20000):
            heard += here.recv(65536)
        speaker.join()
        return len(heard)


def command(number):
    done = subprocess.run(["sh", "-c", f"sleep 0.05; echo out {number}; exit {number}"], capture_output=True, text=True)
    return done.stdout.strip(), done.returncode


def fail(number):
    raise ValueError(f"no {number}")


with futures.ThreadPoolExecutor(32) as pool:
    print("nap", sum(pool.map(nap, range(300))))
    print("converse", sum(pool.map(converse, range(64))))
    print("command", list(pool.map(command, range(8))))
    print("fail", [str(future.exception()) for future in [pool.submit(fail, number) for number in range(3)]])
    gate = threading.Event()
    held = [pool.submit(gate.wait) for _ in range(32)]
    late = pool.submit(nap, 3)
    print("wait", futures.wait([late], timeout=0.05).done, "cancelled", late.cancel())
    gate.set()
    print("held", sum(future.result(timeout=60) for future in futures.as_completed(held)))
