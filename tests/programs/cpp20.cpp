// What C++20 programs wait with, unmodified: latch, barrier, semaphore, atomic wait, jthread and stop_token, call_once (throwing
// too), thread_local with destructors, exceptions, condition_variable(_any), shared_mutex, timed and recursive mutexes, futures.
//
// Each show_ function prints one line that does not depend on the order in which threads ran.
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <future>
#include <list>
#include <iostream>
#include <latch>
#include <mutex>
#include <numeric>
#include <queue>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    std::cerr << "not so: " << what << std::endl;
    std::_Exit(1);
}

static void together(int count, const std::function<void(int)> &work)
{
    std::vector<std::jthread> threads;
    for (int number = 0; number < count; number++)
        threads.emplace_back(work, number);
}

static void show_latch()
{
    std::latch ready(40), go(1);
    std::atomic<int> past = 0;
    std::thread starter([&] {
        ready.wait();
        expect(past == 0, "nobody passes a closed latch");
        go.count_down();
    });
    together(40, [&](int) {
        ready.count_down();
        go.wait();
        past++;
    });
    starter.join();
    std::cout << "latch: " << past << " past\n";
}

static void show_barrier()
{
    int phases = 0;
    std::vector<int> steps(20);
    std::barrier everybody(20, [&]() noexcept { phases += std::accumulate(steps.begin(), steps.end(), 0) == 20 * (phases + 1); });
    together(20, [&](int number) {
        for (int phase = 0; phase < 30; phase++) {
            steps[number]++;
            everybody.arrive_and_wait();
        }
    });
    std::cout << "barrier: " << phases << " phases\n";
}

static void show_semaphore()
{
    std::counting_semaphore<3> seats(3);
    std::binary_semaphore never(0);
    std::atomic<int> seated = 0, most = 0, sat = 0;
    together(30, [&](int) {
        seats.acquire();
        int now = ++seated;
        for (int before = most; now > before && !most.compare_exchange_weak(before, now);) {
        }
        std::this_thread::sleep_for(1ms);
        seated--;
        sat++;
        seats.release();
    });
    bool late = !never.try_acquire_for(30ms);
    std::cout << "semaphore: " << sat << " sat, " << (most <= 3 ? "at most 3 at once" : "too many") << (late ? ", timed out" : "") << "\n";
}

static void show_atomic_wait()
{
    std::atomic<int> turn = 0;
    std::atomic_flag done;
    std::string order;
    std::jthread reader([&] {
        done.wait(false);
        expect(order.size() == 26 * 4, "all turns were taken");
    });
    together(26, [&](int number) {
        for (int round = 0; round < 4; round++) {
            int mine = round * 26 + number;
            for (int now = turn; now != mine; now = turn)
                turn.wait(now);
            order += char('a' + number);
            turn = mine + 1;
            turn.notify_all();
        }
    });
    done.test_and_set();
    done.notify_one();
    std::cout << "atomic wait: " << order.substr(26, 26) << "\n";
}

static void show_stop_token()
{
    std::mutex lock;
    std::condition_variable_any never;
    std::atomic<int> called = 0, stopped = 0;
    std::latch waiting(10);
    // They outlive the threads: one that its own thread takes back may not have been called yet.
    std::list<std::stop_callback<std::function<void()>>> callbacks;
    {
        std::vector<std::jthread> threads;
        for (int number = 0; number < 10; number++) {
            threads.emplace_back([&](std::stop_token token) {
                std::unique_lock guard(lock);
                waiting.count_down();
                stopped += !never.wait(guard, token, [] { return false; });
            });
            callbacks.emplace_back(threads.back().get_stop_token(), [&] { called++; });
        }
        waiting.wait();
    }
    std::cout << "stop token: " << stopped << " stopped, " << called << " callbacks\n";
}

static void show_call_once()
{
    std::once_flag once;
    std::atomic<int> attempts = 0, caught = 0, after = 0;
    together(20, [&](int) {
        try {
            std::call_once(once, [&] {
                int attempt = ++attempts;
                std::this_thread::sleep_for(2ms);
                if (attempt < 4)
                    throw std::runtime_error("not yet");
            });
            after += attempts == 4;
        } catch (const std::runtime_error &) {
            caught++;
        }
    });
    std::cout << "call_once: " << attempts << " attempts, " << caught << " thrown, " << after << " after\n";
}

struct Counted {
    static inline std::atomic<int> made = 0, destroyed = 0, faithful = 0;
    std::thread::id owner = std::this_thread::get_id();
    std::string text = "own";
    Counted() { made++; }
    ~Counted()
    {
        destroyed++;
        faithful += owner == std::this_thread::get_id() && text == "own and longer than a small string holds";
    }
};

static thread_local Counted counted;
static thread_local int plain = 5;

static void show_thread_local()
{
    std::atomic<int> fresh = 0;
    for (int wave = 0; wave < 4; wave++)
        together(25, [&](int number) {
            fresh += plain == 5;
            plain = number;
            counted.text += " and longer than a small string holds";
            std::this_thread::sleep_for(1ms);
            expect(plain == number, "thread_local survives a sleep");
        });
    std::cout << "thread_local: " << Counted::made << " made, " << Counted::destroyed << " destroyed, " << Counted::faithful
              << " by their owner, " << fresh << " fresh\n";
}

struct Witness {
    std::atomic<int> &unwound;
    ~Witness() { unwound++; }
};

static int dive(int depth, std::atomic<int> &unwound)
{
    Witness witness{ unwound };
    if (depth == 0) {
        std::this_thread::sleep_for(1ms);
        throw std::out_of_range("the bottom");
    }
    return dive(depth - 1, unwound) + 1;
}

static void show_exceptions()
{
    std::atomic<int> unwound = 0, caught = 0, nested = 0;
    together(20, [&](int) {
        try {
            dive(30, unwound);
        } catch (const std::out_of_range &) {
            std::this_thread::sleep_for(1ms);
            caught++;
            try {
                throw;
            } catch (const std::exception &again) {
                nested += again.what() == std::string("the bottom") && std::uncaught_exceptions() == 0;
            }
        }
    });
    std::cout << "exceptions: " << caught << " caught, " << nested << " again, " << unwound << " frames unwound\n";
}

static void show_condition_variable()
{
    std::mutex lock;
    std::condition_variable filled, emptied;
    std::queue<int> narrow;
    long sum = 0;
    int left = 10 * 200;
    auto consumer = [&](int) {
        for (;;) {
            std::unique_lock guard(lock);
            filled.wait(guard, [&] { return !narrow.empty() || left == 0; });
            if (narrow.empty())
                return;
            sum += narrow.front();
            narrow.pop();
            if (--left == 0)
                filled.notify_all();
            emptied.notify_one();
        }
    };
    std::jthread consumers([&] { together(10, consumer); });
    together(10, [&](int) {
        for (int item = 0; item < 200; item++) {
            std::unique_lock guard(lock);
            emptied.wait(guard, [&] { return narrow.size() < 4; });
            narrow.push(item);
            filled.notify_one();
        }
    });
    consumers.join();
    std::unique_lock guard(lock);
    bool late = emptied.wait_for(guard, 20ms, [] { return false; });
    std::cout << "condition_variable: sum " << sum << (late ? "" : ", timed out") << "\n";
}

static void show_mutexes()
{
    std::shared_mutex shared;
    std::shared_timed_mutex held;
    std::timed_mutex timed;
    std::recursive_mutex recursive;
    std::latch reading(8);
    int value = 0, late = 0;
    std::unique_lock writer(held);
    std::unique_lock owner(timed);
    together(8, [&](int) {
        {
            std::shared_lock guard(shared);
            reading.arrive_and_wait();
        }
        for (int round = 0; round < 100; round++) {
            std::unique_lock guard(shared);
            int seen = value;
            if (round % 25 == 0)
                std::this_thread::sleep_for(100us);
            value = seen + 1;
        }
        bool neither = !held.try_lock_shared_for(10ms) && !timed.try_lock_for(10ms);
        std::scoped_lock both(recursive, shared);
        std::lock_guard twice(recursive);
        late += neither;
    });
    std::cout << "mutexes: " << value << " writes, " << late << " timed out\n";
}

static void show_futures()
{
    std::vector<std::future<int>> answers;
    for (int number = 0; number < 50; number++)
        answers.push_back(std::async(std::launch::async, [number] {
            std::this_thread::sleep_for(1ms);
            return number < 45 ? number : throw std::domain_error("too many");
        }));
    int sum = 0, thrown = 0;
    for (auto &answer : answers)
        try {
            sum += answer.get();
        } catch (const std::domain_error &) {
            thrown++;
        }
    std::promise<std::string> promise;
    std::shared_future<std::string> news = promise.get_future().share();
    std::atomic<int> heard = 0;
    bool late = news.wait_for(10ms) == std::future_status::timeout;
    {
        std::jthread listeners([&] { together(10, [&](int) { heard += news.get() == "news"; }); });
        std::packaged_task<void()> task([&] { promise.set_value_at_thread_exit("news"); });
        std::jthread(std::move(task)).join();
    }
    std::cout << "futures: sum " << sum << ", " << thrown << " thrown, " << heard << " heard" << (late ? ", timed out" : "") << "\n";
}

int main()
{
    show_latch();
    show_barrier();
    show_semaphore();
    show_atomic_wait();
    show_stop_token();
    show_call_once();
    show_thread_local();
    show_exceptions();
    show_condition_variable();
    show_mutexes();
    show_futures();
}
