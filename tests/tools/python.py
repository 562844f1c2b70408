"""Threads, pools of threads and processes, subprocesses, a database and a loop: what Python's own library does with them."""
import asyncio
import concurrent.futures
import multiprocessing
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading


def square(number):
    return number * number


def in_threads():
    tasks, results = queue.Queue(), queue.Queue()

    def work():
        while (number := tasks.get()) is not None:
            results.put(square(number))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in [*range(200), *[None] * 8]:
        tasks.put(number)
    for thread in threads:
        thread.join()
    print("threads:", sum(results.get() for _ in range(200)))


def in_subprocesses():
    def run(number):
        code = f"import sys; print(sys.stdin.read() * {number}); sys.exit({number})"
        done = subprocess.run([sys.executable, "-S", "-c", code], input="x", capture_output=True, text=True, check=False)
        return done.stdout.strip(), done.returncode

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("subprocesses:", list(pool.map(run, range(1, 7))))
    with subprocess.Popen(["sleep", "30"]) as sleeper:
        try:
            sleeper.wait(0.05)
        except subprocess.TimeoutExpired:
            sleeper.send_signal(signal.SIGINT)
        print("a child, interrupted:", sleeper.wait())


def in_processes():
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print("processes:", sum(pool.map(square, range(50))))
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        print("spawned:", list(pool.map(square, range(5))))


def in_a_database():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "base")
        sqlite3.connect(path).execute("create table lines (number integer)").connection.close()

        def write(number):
            connection = sqlite3.connect(path, timeout=20)
            with connection:
                connection.execute("insert into lines values (?)", [number])
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(write, range(30)))
        print("database:", sqlite3.connect(path).execute("select count(*), sum(number) from lines").fetchone())


async def in_a_loop():
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()

    async def ask(port, number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"client {number}\n".encode())
        answer = await reader.readline()
        writer.close()
        return answer.decode().strip()

    server = await asyncio.start_server(echo, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    print("loop:", await asyncio.gather(*[ask(port, number) for number in range(5)]))
    print("to threads:", await asyncio.gather(*[asyncio.to_thread(square, number) for number in range(5)]))
    child = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print("a child:", (await child.communicate(b"said"))[0], child.returncode)


if __name__ == "__main__":
    in_threads()
    in_subprocesses()
    in_processes()
    in_a_database()
    asyncio.run(in_a_loop())
