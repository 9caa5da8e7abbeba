import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.nio.channels.Selector;
import java.util.concurrent.Exchanger;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

// A server in the midst of 3,000 threads. What goes wrong it writes on stderr,
// as "error: …".
public class Server {
    static final AtomicLong sum = new AtomicLong();

    interface Work {
        void once() throws Exception;
    }

    static void wrong(String what) {
        System.err.println("error: " + what);
    }

    static void threads(int n, String name, Work work) {
        for (int i = 0; i < n; i++) {
            Thread t = new Thread(() -> {
                try {
                    for (;;) {
                        work.once();
                    }
                } catch (Throwable e) {
                    wrong(name + ": " + e);
                }
            }, name);
            t.setDaemon(true);
            t.start();
        }
    }

    // Waits that may not end before their time; each looks at the clock.
    interface Wait {
        void until(long ms) throws Exception;
    }

    static Work punctual(String name, Wait wait) {
        return () -> {
            long ms = ThreadLocalRandom.current().nextLong(500, 2000);
            long begin = System.nanoTime();
            wait.until(ms);
            long took = System.nanoTime() - begin;
            if (took < (ms - 2) * 1_000_000) {
                wrong(name + " for " + ms + " ms took " + took + " ns");
            }
        };
    }

    public static void main(String[] args) throws Exception {
        threads(800, "sleep", punctual("sleep", Thread::sleep));
        threads(400, "wait", () -> {
            Object lock = new Object();
            punctual("wait", ms -> {
                synchronized (lock) {
                    lock.wait(ms);
                }
            }).once();
        });
        for (int i = 0; i < 300; i++) {
            Selector selector = Selector.open();
            threads(1, "select", punctual("select", ms -> {
                if (selector.select(ms) != 0) {
                    wrong("select found somebody");
                }
            }));
        }
        // Pairs that hand over one number by turns.
        for (int i = 0; i < 240; i++) {
            Exchanger<Long> exchanger = new Exchanger<>();
            threads(2, "exchange", () -> {
                long mine = Thread.currentThread().getId();
                if (exchanger.exchange(mine, 5, TimeUnit.MINUTES) == mine) {
                    wrong("exchange with itself");
                }
                Thread.sleep(200);
            });
        }
        threads(1, "births", () -> {
            long before = sum.get();
            Thread t = new Thread(sum::incrementAndGet);
            t.start();
            t.join();
            if (sum.get() <= before) {
                wrong("a thread did not run");
            }
            Thread.sleep(5);
        });
        // Something that is alive, for the collector to walk.
        byte[][] heap = new byte[2000][];
        threads(2, "garbage", () -> {
            for (int i = 0; i < 20; i++) {
                heap[ThreadLocalRandom.current().nextInt(heap.length)] = new byte[10_000];
            }
            Thread.sleep(1);
        });

        ThreadPoolExecutor pool = new ThreadPoolExecutor(1000, 1000, 1, TimeUnit.HOURS, new LinkedBlockingQueue<>());
        pool.prestartAllCoreThreads();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 128);
        server.setExecutor(pool);
        byte[] page = "the JVM says this\n".getBytes();
        server.createContext("/", exchange -> {
            try (exchange) {
                byte[] garbage = new byte[20_000];
                garbage[10] = 1;
                exchange.sendResponseHeaders(200, page.length);
                exchange.getResponseBody().write(page);
            } catch (IOException e) {
                // wrk leaves in the midst of requests; of what matters it tells
            }
        });
        // How often garbage was collected.
        server.createContext("/collections", exchange -> {
            long n = 0;
            for (GarbageCollectorMXBean c : ManagementFactory.getGarbageCollectorMXBeans()) {
                n += c.getCollectionCount();
            }
            byte[] text = Long.toString(n).getBytes();
            try (exchange) {
                exchange.sendResponseHeaders(200, text.length);
                exchange.getResponseBody().write(text);
            }
        });
        server.start();
    }
}
