//! What Rust's standard library waits with, unmodified: threads, scoped threads, park, channels, locks, thread_local with
//! destructors, panics, TCP, UDP and Unix sockets with timeouts, a child process. Each function prints one line.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{channel, sync_channel, RecvTimeoutError};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    threads();
    park();
    channels();
    locks();
    thread_locals();
    panics();
    tcp_echo();
    timeouts();
    child_process();
}

fn threads() {
    let joined: usize = (0..200).map(|number| thread::spawn(move || number)).map(|thread| thread.join().unwrap()).sum();
    let mut squares = [0; 50];
    thread::scope(|scope| {
        for (number, square) in squares.iter_mut().enumerate() {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(1));
                *square = number * number;
            });
        }
    });
    let named = thread::Builder::new().name("a name".into()).stack_size(128 << 10);
    let name = named.spawn(|| thread::current().name().map(str::to_owned)).unwrap().join().unwrap();
    println!("threads: {joined}, scoped {}, called {name:?}", squares.iter().sum::<usize>());
}

fn park() {
    const TURNS: usize = 1000;
    fn take_turns(turn: &AtomicUsize, parity: usize, partner: &thread::Thread) {
        for _ in 0..TURNS / 2 {
            while turn.load(Ordering::Acquire) % 2 != parity {
                thread::park();
            }
            turn.fetch_add(1, Ordering::Release);
            partner.unpark();
        }
    }
    let (turn, main) = (Arc::new(AtomicUsize::new(0)), thread::current());
    let their_turn = turn.clone();
    let partner = thread::spawn(move || take_turns(&their_turn, 1, &main));
    take_turns(&turn, 0, partner.thread());
    partner.join().unwrap();
    thread::park_timeout(Duration::ZERO);
    let before = Instant::now();
    thread::park_timeout(Duration::from_millis(20));
    println!("park: {} turns, {}", turn.load(Ordering::Relaxed), waited(before, 20));
}

/// Lower bounds only: a busy machine is late, but nobody may be early.
fn waited(before: Instant, least_ms: u64) -> &'static str {
    match before.elapsed() >= Duration::from_millis(least_ms) {
        true => "timed out",
        false => "too early",
    }
}

fn channels() {
    let (sender, receiver) = channel();
    for number in 0..40 {
        let sender = sender.clone();
        thread::spawn(move || (0..100).for_each(|item| sender.send(number * item).unwrap()));
    }
    drop(sender);
    let unbounded: usize = receiver.iter().sum();
    let (sender, receiver) = sync_channel(0);
    let giver = thread::spawn(move || (0..500).for_each(|item| sender.send(item).unwrap()));
    let handed: usize = receiver.iter().sum();
    giver.join().unwrap();
    let (silent, receiver) = channel::<()>();
    let before = Instant::now();
    assert_eq!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
    let late = waited(before, 20);
    drop(silent);
    println!("channels: {unbounded}, handed over {handed}, {late}, then {:?}", receiver.recv());
}

fn locks() {
    static ONCE: Once = Once::new();
    static INITIALISED: AtomicUsize = AtomicUsize::new(0);
    let counter = Mutex::new(0);
    let table = RwLock::new(Vec::new());
    let (turn, changed) = (Mutex::new(0), Condvar::new());
    let everybody = Barrier::new(50);
    thread::scope(|scope| {
        for number in 0..50 {
            let (counter, table, turn, changed, everybody) = (&counter, &table, &turn, &changed, &everybody);
            scope.spawn(move || {
                ONCE.call_once(|| {
                    thread::sleep(Duration::from_millis(5));
                    INITIALISED.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(INITIALISED.load(Ordering::Relaxed), 1);
                everybody.wait();
                for _ in 0..200 {
                    *counter.lock().unwrap() += 1;
                }
                table.write().unwrap().push(number);
                everybody.wait();
                assert_eq!(table.read().unwrap().len(), 50);
                let mut now = changed.wait_while(turn.lock().unwrap(), |now| *now != number).unwrap();
                *now += 1;
                changed.notify_all();
            });
        }
    });
    let (guard, late) = changed.wait_timeout(turn.lock().unwrap(), Duration::from_millis(20)).unwrap();
    println!("locks: {} counted, turn {}, timed out {}", counter.lock().unwrap(), *guard, late.timed_out());
}

struct Counted(thread::ThreadId);

static DESTROYED_BY_OWNER: AtomicUsize = AtomicUsize::new(0);

impl Drop for Counted {
    fn drop(&mut self) {
        DESTROYED_BY_OWNER.fetch_add((self.0 == thread::current().id()) as usize, Ordering::Relaxed);
    }
}

fn thread_locals() {
    thread_local! {
        static OWN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
        static COUNTED: Counted = Counted(thread::current().id());
    }
    let faithful = Arc::new(AtomicUsize::new(0));
    for _wave in 0..4 {
        let wave: Vec<_> = (0..25)
            .map(|number| {
                let faithful = faithful.clone();
                thread::spawn(move || {
                    COUNTED.with(|_| OWN.with_borrow_mut(|own| own.push(number)));
                    thread::sleep(Duration::from_millis(1));
                    OWN.with_borrow(|own| faithful.fetch_add((own[..] == [number]) as usize, Ordering::Relaxed));
                })
            })
            .collect();
        wave.into_iter().for_each(|thread| thread.join().unwrap());
    }
    println!(
        "thread_local: {} faithful, {} destroyed by their owner",
        faithful.load(Ordering::Relaxed),
        DESTROYED_BY_OWNER.load(Ordering::Relaxed)
    );
}

fn panics() {
    std::panic::set_hook(Box::new(|_| ()));
    let lock = Arc::new(Mutex::new(0));
    let threads = (0..20).map(|number| {
        let lock = lock.clone();
        thread::spawn(move || {
            let _guard = lock.lock();
            thread::sleep(Duration::from_millis(1));
            assert!(number % 2 == 0, "odd");
        })
    });
    let caught = threads.collect::<Vec<_>>().into_iter().filter_map(|thread| thread.join().err()).count();
    let _ = std::panic::take_hook();
    println!("panics: {caught} caught, poisoned {}", lock.is_poisoned());
}

fn tcp_echo() {
    const CLIENTS: usize = 100;
    const BYTES: usize = 400_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let lines = AtomicUsize::new(0);
    let bytes = AtomicUsize::new(0);
    let everybody = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming().take(CLIENTS) {
                let mut stream = stream.unwrap();
                scope.spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap());
            }
        });
        for number in 0..CLIENTS {
            let (everybody, lines, bytes) = (&everybody, &lines, &bytes);
            scope.spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let mut answers = BufReader::new(stream.try_clone().unwrap());
                everybody.wait();
                for round in 0..10 {
                    let (question, mut answer) = (format!("{number} asks {round}\n"), String::new());
                    stream.write_all(question.as_bytes()).unwrap();
                    answers.read_line(&mut answer).unwrap();
                    lines.fetch_add((answer == question) as usize, Ordering::Relaxed);
                }
                if number % 10 == 0 {
                    // More than the buffers of both ends: writers wait for room while the same connection's readers read.
                    scope.spawn(move || {
                        stream.write_all(&[number as u8; BYTES]).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                    });
                    let mut rest = Vec::new();
                    answers.read_to_end(&mut rest).unwrap();
                    assert!(rest.iter().all(|byte| *byte == number as u8));
                    bytes.fetch_add(rest.len(), Ordering::Relaxed);
                }
            });
        }
    });
    println!("tcp: {} lines, {} bytes in bulk", lines.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed));
}

fn timeouts() {
    let (mut here, _there) = UnixStream::pair().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    here.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let ticking = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            while ticking.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let (unix_start, unix_error) = (Instant::now(), here.read(&mut [0; 10]).unwrap_err().kind());
        let unix = waited(unix_start, 20);
        let (udp_start, udp_error) = (Instant::now(), udp.recv_from(&mut [0; 10]).unwrap_err().kind());
        println!("timeouts: unix {} {unix}, udp {} {}", again(unix_error), again(udp_error), waited(udp_start, 20));
        ticking.store(false, Ordering::Relaxed);
    });
}

fn again(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::WouldBlock => "would block",
        _ => "failed otherwise",
    }
}

fn child_process() {
    let outputs: Vec<_> = thread::scope(|scope| {
        let children: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn(move || {
                    let script = format!("read line; echo $line; exit {number}");
                    let mut child = Command::new("sh")
                        .args(["-c", &script])
                        .stdin(Stdio::piped())
                        .stdout(Stdio::piped())
                        .spawn()
                        .unwrap();
                    thread::sleep(Duration::from_millis(20));
                    child.stdin.take().unwrap().write_all(b"said\n").unwrap();
                    let output = child.wait_with_output().unwrap();
                    (output.status.code(), output.stdout == b"said\n")
                })
            })
            .collect();
        children.into_iter().map(|child| child.join().unwrap()).collect()
    });
    println!("children: {outputs:?}");
}
