"""CPython's queue and its locks: 40 producers and 20 consumers share a short queue, a PriorityQueue sorts what came out;
then an Event, a Barrier, a Condition, a Semaphore, a Timer and thread-local data, each with threads that wait in it.
"""
import queue
import threading
import time

PRODUCERS, CONSUMERS, ITEMS = 40, 20, 100


def together(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def show_queue():
    narrow, taken = queue.Queue(maxsize=5), queue.PriorityQueue()

    def produce(producer):
        for item in range(ITEMS):
            narrow.put((producer, item))

    def consume():
        while (thing := narrow.get()) is not None:
            taken.put(thing)
            narrow.task_done()
        narrow.task_done()

    def finish():
        together(*(lambda number=number: produce(number) for number in range(PRODUCERS)))
        for _ in range(CONSUMERS):
            narrow.put(None)

    together(finish, *[consume] * CONSUMERS)
    narrow.join()
    order = [taken.get() for _ in range(taken.qsize())]
    print("queue:", len(order), "things,", "each once" if order == sorted(set(order)) else "some lost or doubled")
    try:
        narrow.get(timeout=0.05)
    except queue.Empty:
        print("queue: empty after a timeout")


def show_locks():
    event, condition, seats = threading.Event(), threading.Condition(), threading.Semaphore(3)
    seated, most, turn, own = [], [], [0], threading.local()

    all_here = threading.Barrier(50, action=threading.Timer(0.1, event.set).start)

    def sit(number):
        own.number = number
        all_here.wait()
        event.wait()
        with seats:
            seated.append(number)
            most.append(len(seated))
            time.sleep(0.001)
            seated.remove(number)
        with condition:
            condition.wait_for(lambda: turn[0] == number, timeout=60)
            turn[0] += 1
            condition.notify_all()
        assert own.number == number

    before = time.monotonic()
    together(*(lambda number=number: sit(number) for number in range(50)))
    print("event: waited" if time.monotonic() - before >= 0.1 else "event: too early")
    print("semaphore:", "never more than 3" if max(most) <= 3 else f"{max(most)} at once")
    print("condition: turn", turn[0])
    print("event: times out", threading.Event().wait(0.05))


show_queue()
show_locks()
