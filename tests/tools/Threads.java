// Pools, monitors, queues, sockets, parallel streams, children and a full collection: what Java does with threads.
import java.io.*;
import java.net.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.function.*;
import java.util.stream.*;

public class Threads {
    private static int monitored;

    private static synchronized void count() {
        monitored++;
    }

    private static void inAPool() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(16);
        AtomicLong sum = new AtomicLong();
        CountDownLatch latch = new CountDownLatch(200);
        for (int i = 0; i < 200; i++) {
            long number = i;
            pool.submit(() -> { sum.addAndGet(number); count(); latch.countDown(); });
        }
        latch.await();
        pool.shutdown();
        System.out.println("pool: " + sum + " " + monitored + " " + pool.awaitTermination(10, TimeUnit.SECONDS));
    }

    private static void inAQueue() throws Exception {
        BlockingQueue<Integer> queue = new ArrayBlockingQueue<>(4);
        Thread producer = new Thread(() -> {
            try { for (int i = 0; i < 500; i++) queue.put(i); } catch (InterruptedException e) { throw new RuntimeException(e); }
        });
        producer.start();
        long sum = 0;
        for (int i = 0; i < 500; i++) sum += queue.take();
        producer.join();
        System.out.println("queue: " + sum);
    }

    private static void inSockets() throws Exception {
        try (ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            Thread accepter = new Thread(() -> {
                try {
                    for (int i = 0; i < 5; i++) {
                        Socket client = server.accept();
                        new Thread(() -> {
                            try (client) {
                                BufferedReader in = new BufferedReader(new InputStreamReader(client.getInputStream()));
                                client.getOutputStream().write((in.readLine().toUpperCase() + "\n").getBytes());
                            } catch (IOException e) { throw new UncheckedIOException(e); }
                        }).start();
                    }
                } catch (IOException e) { throw new UncheckedIOException(e); }
            });
            accepter.start();
            List<String> answers = new ArrayList<>();
            for (int i = 0; i < 5; i++) {
                try (Socket socket = new Socket(server.getInetAddress(), server.getLocalPort())) {
                    socket.getOutputStream().write(("client " + i + "\n").getBytes());
                    answers.add(new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine());
                }
            }
            accepter.join();
            System.out.println("sockets: " + answers);
        }
    }

    private static void inPieces() {
        IntPredicate prime = n -> IntStream.rangeClosed(2, (int) Math.sqrt(n)).allMatch(d -> n % d != 0);
        long primes = IntStream.range(2, 20000).parallel().filter(prime).count();
        Map<Integer, Integer> map = new ConcurrentHashMap<>();
        IntStream.range(0, 10000).parallel().forEach(i -> map.merge(i % 7, 1, Integer::sum));
        System.gc();
        System.out.println("in pieces: " + primes + " " + new TreeMap<>(map));
    }

    private static void interrupted() throws Exception {
        Thread sleeper = new Thread(() -> {
            try { Thread.sleep(60000); } catch (InterruptedException e) { System.out.println("interrupted"); }
        });
        sleeper.start();
        sleeper.interrupt();
        sleeper.join();
    }

    private static void inAChild() throws Exception {
        Process child = new ProcessBuilder("sh", "-c", "cat; exit 3").start();
        child.getOutputStream().write("said".getBytes());
        child.getOutputStream().close();
        System.out.println("a child: " + new String(child.getInputStream().readAllBytes()) + " " + child.waitFor());
    }

    public static void main(String[] arguments) throws Exception {
        inAPool();
        inAQueue();
        inSockets();
        inPieces();
        interrupted();
        inAChild();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("bye")));
        System.exit(arguments.length + 4);
    }
}
