//! Tarpits: servers on loopback that accept and do not answer. Each is a stub, which knows no more of a protocol than its first words
//! (`protocols`).
//!
//! ```text
//!   Tarpit ── a thread ──► accepts ──► Talk of each connection: what came ──► the protocol's words ──► what goes out
//!                          datagrams: counted as a connection, and dropped
//! ```

use std::fmt::{self, Display, Formatter};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::protocols::{self, Answer, Talk};

/// What a tarpit does with those who connect.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub enum Kind {
    /// Accepts, reads, and never answers; for datagrams, too
    Silent,
    /// Never accepts, and has no room: who connects waits
    NeverAccept,
    /// Sends a byte every 250 ms
    Drip,
    /// Sends --bytes bytes, is silent, and resets the connection at the end
    Reset,
    /// Answers PostgreSQL's start, and is silent from the first query on
    Postgresql,
    /// Greets and lets in as MySQL does, and is silent from the first query on
    Mysql,
    /// Lets in as SQL Server does, and is silent from the first query on
    Tds,
    /// Says hello and PONG as Redis does, and is silent for any other command
    Redis,
    /// Lets in as a directory does, and is silent from the first search on
    Ldap,
    /// Answers an HTTP request with a head, and is silent then
    Http,
    /// Tells a version as memcached does, and is silent then
    Memcached,
    /// Opens connections and channels of AMQP 0-9-1, and is silent then
    Amqp,
    /// Lets in as an MQTT broker does, and is silent then
    Mqtt,
    /// Greets as NATS does, and is silent then
    Nats,
    /// Lets in as a STOMP broker does, and is silent then
    Stomp,
    /// Greets as a mail server does, and is silent from the first mail on
    Smtp,
    /// Tells a version as an SSH server does, and is silent then
    Ssh,
}

impl Kind {
    /// Returns the protocol's words; `None`: the kind has no protocol.
    fn words(self) -> Option<Answer> {
        Some(match self {
            Kind::Silent | Kind::NeverAccept | Kind::Drip | Kind::Reset => return None,
            Kind::Postgresql => protocols::postgresql,
            Kind::Mysql => protocols::mysql,
            Kind::Tds => protocols::tds,
            Kind::Redis => protocols::redis,
            Kind::Ldap => protocols::ldap,
            Kind::Http => protocols::http,
            Kind::Memcached => protocols::memcached,
            Kind::Amqp => protocols::amqp,
            Kind::Mqtt => protocols::mqtt,
            Kind::Nats => protocols::nats,
            Kind::Stomp => protocols::stomp,
            Kind::Smtp => protocols::smtp,
            Kind::Ssh => protocols::ssh,
        })
    }
}

impl Display for Kind {
    /// Names the kind as its option does.
    fn fmt(&self, text: &mut Formatter) -> fmt::Result {
        use clap::ValueEnum;
        text.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// Returns CLOCK_MONOTONIC in nanoseconds, as the library's ticks have it.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How often a tarpit looks for what came.
const LOOK: Duration = Duration::from_millis(10);
/// The time between two bytes of `Drip`.
const DRIP: Duration = Duration::from_millis(250);
/// How many bytes `Reset` sends, where nothing else is asked for.
pub const BEFORE_RESET: usize = 64;

/// A running tarpit. It ends, and its connections with it, by `end`.
pub struct Tarpit {
    /// The port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What a tarpit's thread and its owner both know.
#[derive(Default)]
struct Shared {
    ends: AtomicBool,
    /// When the first connection was there, CLOCK_MONOTONIC; 0: none came yet.
    connected_ns: AtomicU64,
}

impl Tarpit {
    /// Begins one on a port of 127.0.0.1, a free one for 0. `bytes`: how many `Reset` sends.
    pub fn new(kind: Kind, port: u16, bytes: usize) -> io::Result<Tarpit> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let mut own = Vec::new();
        if kind == Kind::NeverAccept {
            // SAFETY: makes the queue of a listening socket as short as it goes.
            unsafe { libc::listen(listener.as_raw_fd(), 0) };
            // The queue's one place is taken, so that the next who connects gets no answer.
            own.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
        }
        // The same number for datagrams may be taken: then there are none.
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok().filter(|_| kind == Kind::Silent);
        datagrams.as_ref().map_or(Ok(()), |socket| socket.set_nonblocking(true))?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = thread::Builder::new().spawn(move || {
            serve(kind, bytes, &listener, datagrams.as_ref(), &theirs);
            drop(own);
        })?;
        Ok(Tarpit { port, shared, thread })
    }

    /// Returns when the first connection was accepted, CLOCK_MONOTONIC in nanoseconds. `None`: none came yet.
    pub fn connected_ns(&self) -> Option<u64> {
        Some(self.shared.connected_ns.load(Acquire)).filter(|ns| *ns != 0)
    }

    /// Ends the tarpit: a program that waits for it is told so by the kernel.
    pub fn end(self) {
        self.shared.ends.store(true, Release);
        let _ = self.thread.join();
    }

    /// Serves until the process ends.
    pub fn serve(self) {
        let _ = self.thread.join();
    }
}

/// A connection, and how far its words have come.
struct Connection {
    stream: TcpStream,
    talk: Talk,
    dripped: Instant,
}

/// Serves until the end.
fn serve(kind: Kind, bytes: usize, listener: &TcpListener, datagrams: Option<&UdpSocket>, shared: &Shared) {
    let connected = || _ = shared.connected_ns.compare_exchange(0, now_ns(), AcqRel, Relaxed);
    let mut connections: Vec<Connection> = Vec::new();
    while !shared.ends.load(Acquire) {
        while kind != Kind::NeverAccept && !shared.ends.load(Acquire) {
            let Ok((stream, _)) = listener.accept() else { break };
            let mut connection = Connection { stream, talk: Talk::default(), dripped: Instant::now() };
            if connection.stream.set_nonblocking(true).is_ok() && greet(kind, bytes, &mut connection).is_ok() {
                connections.push(connection);
                connected();
            }
        }
        while datagrams.is_some_and(|socket| socket.recv(&mut [0; 16]).is_ok()) {
            connected();
        }
        connections.retain_mut(|connection| answer(kind, connection).is_ok());
        thread::sleep(LOOK);
    }
    if kind == Kind::Reset {
        connections.iter().for_each(|connection| reset(&connection.stream));
    }
}

/// Has the close of a connection reset it.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = size_of::<libc::linger>() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_LINGER);
    // SAFETY: the kernel reads the structure.
    unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, (&raw const linger).cast(), size) };
}

/// Sends what a kind says before a word has come.
fn greet(kind: Kind, bytes: usize, connection: &mut Connection) -> io::Result<()> {
    let words = match kind.words() {
        Some(words) => words(&mut connection.talk)?,
        None if kind == Kind::Reset => vec![b'.'; bytes],
        None => vec![],
    };
    connection.stream.write_all(&words)
}

/// Reads what has come, and gives the answer of a kind. Fails where the other end is gone, or speaks another protocol.
fn answer(kind: Kind, connection: &mut Connection) -> io::Result<()> {
    let Connection { stream, talk, dripped } = connection;
    let (mut room, mut came) = ([0; 4096], false);
    loop {
        match stream.read(&mut room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => talk.read.extend(&room[..count]),
            Err(why) if why.kind() == ErrorKind::WouldBlock => break,
            Err(why) => return Err(why),
        }
        came = true;
    }
    match kind.words() {
        Some(words) if came && !talk.is_silent => stream.write_all(&words(talk)?)?,
        Some(_) if !talk.is_silent => {}
        _ => talk.read.clear(),
    }
    if kind == Kind::Drip && dripped.elapsed() >= DRIP {
        *dripped = Instant::now();
        stream.write_all(b".")?;
    }
    Ok(())
}
