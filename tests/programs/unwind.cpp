/* Unwinding through blocked calls, as C++ sees it: a cancellation and a pthread_exit run the destructors on their way and pass through
 * `catch (...)` that rethrows; an initialiser of call_once or of a local static that throws, or is cancelled, is tried again by the next
 * who waits for it; a thread_local object's destructor may wait.
 */
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cxxabi.h>
#include <mutex>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

static std::mutex printing;

static void say(const std::string &line)
{
	std::lock_guard<std::mutex> guard(printing);
	std::printf("%s\n", line.c_str());
	std::fflush(stdout);
}

static void check(bool right, const char *what)
{
	if (!right) {
		std::printf("FAIL: %s\n", what);
		std::exit(1);
	}
}

static std::atomic<int> destroyed, rethrown;

struct Counted {
	~Counted() { destroyed++; }
};

/* Ends only by unwinding. */
static void blocks(int fd)
{
	Counted counted;
	try {
		Counted inner;
		char byte;
		recv(fd, &byte, 1, 0);
		check(false, "the call ends by unwinding");
	} catch (abi::__forced_unwind &) {
		rethrown++;
		throw;
	}
}

static void cancelled()
{
	int ends[2];
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
	std::vector<pthread_t> threads(20);
	for (auto &thread : threads)
		pthread_create(&thread, nullptr, [](void *fd) -> void * {
			Counted counted;
			blocks(*static_cast<int *>(fd));
			return nullptr;
		}, &ends[0]);
	usleep(3000);
	for (auto thread : threads)
		pthread_cancel(thread);
	for (auto thread : threads) {
		void *result;
		pthread_join(thread, &result);
		check(result == PTHREAD_CANCELED, "cancelled");
	}
	say("cancelled: " + std::to_string(destroyed) + " destroyed, " + std::to_string(rethrown) + " rethrown");
	destroyed = rethrown = 0;
	for (auto &thread : threads)
		pthread_create(&thread, nullptr, [](void *) -> void * {
			Counted counted;
			try {
				usleep(1000);
				pthread_exit(nullptr);
			} catch (...) {
				rethrown++;
				throw;
			}
		}, nullptr);
	for (auto thread : threads)
		pthread_join(thread, nullptr);
	say("pthread_exit: " + std::to_string(destroyed) + " destroyed, " + std::to_string(rethrown) + " rethrown");
	close(ends[0]), close(ends[1]);
}

static std::once_flag once;
static std::atomic<int> tries, thrown;

static void initialise()
{
	usleep(2000);
	if (++tries < 4)
		throw std::runtime_error("not yet");
}

static int make_value()
{
	usleep(2000);
	if (++tries < 4)
		throw std::runtime_error("not yet");
	return 42;
}

static void twenty(void (*work)())
{
	std::vector<std::thread> threads;
	tries = thrown = 0;
	for (int i = 0; i < 20; i++)
		threads.emplace_back([work] {
			try {
				work();
			} catch (std::runtime_error &) {
				thrown++;
			}
		});
	for (auto &thread : threads)
		thread.join();
	say("tries " + std::to_string(tries) + ", thrown " + std::to_string(thrown));
}

static std::once_flag cancelled_once;
static std::atomic<int> entered;

/* The first to come never gets ready. */
static void *once_slowly(void *)
{
	std::call_once(cancelled_once, [] {
		if (entered++ == 0)
			for (;;)
				usleep(1000);
	});
	return nullptr;
}

static void cancelled_initialiser()
{
	std::vector<pthread_t> threads(6);
	pthread_create(&threads[0], nullptr, once_slowly, nullptr);
	while (entered == 0)
		usleep(1000);
	for (int i = 1; i < 6; i++)
		pthread_create(&threads[i], nullptr, once_slowly, nullptr);
	usleep(2000);
	pthread_cancel(threads[0]);
	for (auto thread : threads)
		pthread_join(thread, nullptr);
	say("a cancelled initialiser: entered " + std::to_string(entered));
}

static std::atomic<int> farewells;

struct Farewell {
	int ends[2];
	Farewell() { check(pipe(ends) == 0, "pipe"); }
	~Farewell()
	{
		std::thread other([this] { usleep(1000); check(write(ends[1], "x", 1) == 1, "write"); });
		char byte;
		check(read(ends[0], &byte, 1) == 1, "read");
		other.join();
		close(ends[0]), close(ends[1]);
		farewells++;
	}
	void touch() {}
};

static thread_local Farewell farewell;

int main()
{
	cancelled();
	twenty([] { std::call_once(once, initialise); });
	twenty([] {
		static int value = make_value();
		check(value == 42, "value");
	});
	cancelled_initialiser();
	std::vector<std::thread> threads;
	for (int i = 0; i < 20; i++)
		threads.emplace_back([] { farewell.touch(); });
	for (auto &thread : threads)
		thread.join();
	say("thread_local destructors that waited: " + std::to_string(farewells));
	std::thread([] {
		try {
			throw std::runtime_error("thrown across a wait");
		} catch (std::exception &error) {
			usleep(1000);
			std::string first = error.what();
			std::thread([] { try { throw 1; } catch (int) { usleep(100); } }).join();
			say(first + ", " + (std::current_exception() ? "still current" : "lost"));
		}
		say(std::uncaught_exceptions() ? "uncaught" : "none uncaught");
	}).join();
}
