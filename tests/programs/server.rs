//! Servers that live as long as a test: each on a free port of loopback, with its data in the case's folder.
//!
//! A server is the leader of a process group, which is killed when the server is dropped, also by a test that fails. Native
//! ones ask the kernel besides to be killed when the test's thread ends in any other way. Waiting is always for something: for
//! a port that accepts, for a process that ends.

use crate::case::{command, prepare, Case, INSTALL};
use crate::support::run::Ending;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    process: Child,
    ending: Option<Ending>,
    log: String,
    pub port: u16,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    /// Starts a server that listens on `port`; returns when it accepts there and `ready` says so as well.
    pub fn start(case: &Case, command: &mut Command, port: u16, ready: impl Fn() -> bool) -> Server {
        let log = case.path(&format!("log-{port}"));
        let file = File::create(&log).expect("a server's log");
        let errors = file.try_clone().expect("a second descriptor");
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let process = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}; {INSTALL}"));
        let server = Server { process, ending: None, log, port };
        let over = || is_over(server.process.id() as i32);
        let accepts = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        let up = within(PATIENCE, || over() || accepts() && ready());
        assert!(up && !over(), "{command:?} did not come up:\n{}", server.read_log());
        server
    }

    /// PostgreSQL with a superuser without a password. The server refuses to be root's.
    pub fn postgres(case: &Case) -> Server {
        let tools = command("pg_config --bindir").output().expect("pg_config of libpq-dev").stdout;
        let tools = String::from_utf8(tools).expect("a path in UTF-8").trim_end().to_owned();
        let (folder, port) = (case.path("postgres"), free_port());
        let initdb = format!("{tools}/initdb -D {folder} --username=postgres --auth=trust --no-sync");
        prepare(&mut helper("postgres", &initdb));
        let server = format!(
            "{tools}/postgres -D {folder} --port={port} --listen_addresses=127.0.0.1 --unix_socket_directories= \
             --max_connections=250 --fsync=off"
        );
        let question = format!("{tools}/pg_isready --quiet --host=127.0.0.1 --port={port}");
        let ready = || command(&question).status().is_ok_and(|status| status.success());
        Server::start(case, &mut helper("postgres", &server), port, ready)
    }

    /// MariaDB with a root without a password.
    pub fn mariadb(case: &Case) -> Server {
        let (port, user) = (free_port(), if is_root() { "--user=root" } else { "" });
        let place = format!("--datadir={} {user}", case.path("mariadb"));
        let install = "mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db";
        prepare(&mut command(&format!("{install} {place}")));
        let server = format!(
            "mariadbd --no-defaults {place} --socket=socket --bind-address=127.0.0.1 --port={port} --max-connections=300 \
             --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=32M --skip-log-bin"
        );
        Server::start(case, &mut helper("", &server), port, || true)
    }

    pub fn redis(case: &Case) -> Server {
        let port = free_port();
        let server = format!("redis-server --bind 127.0.0.1 --port {port} --dir {}", case.path(""));
        Server::start(case, &mut helper("", &server), port, || true)
    }

    /// A web server with five small files and a large one.
    pub fn web(case: &Case) -> Server {
        let (folder, configuration, port) = (case.path("web"), case.path("lighttpd.conf"), free_port());
        fs::create_dir(&folder).expect("a folder for the web server");
        for number in 0..5 {
            fs::write(format!("{folder}/small{number}"), format!("small {number}\n")).expect("a small file");
        }
        let lines = (0..40000).map(|number| format!("line {number} of a large file\n"));
        fs::write(format!("{folder}/large"), lines.collect::<String>()).expect("a large file");
        let settings =
            format!("server.document-root = \"{folder}\"\nserver.bind = \"127.0.0.1\"\nserver.port = {port}\n");
        fs::write(&configuration, settings).expect("a configuration for lighttpd");
        Server::start(case, &mut helper("", &format!("lighttpd -D -f {configuration}")), port, || true)
    }

    /// Tells the server to end: how it ended, and what it had to say.
    pub fn end(mut self) -> (Ending, Vec<u8>) {
        (self.stop(PATIENCE), self.read_log().into_bytes())
    }

    /// The group is killed while the server is still a zombie: nobody else can have its number yet.
    fn stop(&mut self, patience: Duration) -> Ending {
        if let Some(ending) = self.ending {
            return ending;
        }
        let process = self.process.id() as i32;
        signal(process, libc::SIGTERM);
        let ended = within(patience, || is_over(process));
        signal(-process, libc::SIGKILL);
        let status = self.process.wait().expect("how the server ended");
        *self.ending.insert(if ended { status.into() } else { Ending::TimedOut })
    }

    fn read_log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(3));
    }
}

/// A port that no other process is given for a minute. A connection that this end closed first lingers on it, which keeps
/// the kernel from choosing it, but not a server from asking for it (with SO_REUSEADDR, as all servers here do).
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("its number");
    let other_end = TcpStream::connect(address).expect("a connection to this process");
    drop(listener.accept().expect("its other end"));
    drop(other_end);
    address.port()
}

/// A command that the kernel kills when the thread ends that started it; as another user, where root names one
/// (who may have no right to this process's folder).
fn helper(user: &str, line: &str) -> Command {
    let identity = match user {
        "" => String::new(),
        _ if !is_root() => String::new(),
        user => format!("--reuid={user} --regid={user} --init-groups"),
    };
    let mut helper = command(&format!("setpriv --pdeathsig=KILL {identity} -- {line}"));
    helper.current_dir("/");
    helper
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Whether it came true in time.
fn within(patience: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    loop {
        if is_true() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether this child has ended; it stays a zombie.
fn is_over(process: i32) -> bool {
    // SAFETY: siginfo_t is plain data, for which zero is a value, and waitid writes nothing else.
    unsafe {
        let mut what: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, process as u32, &mut what, options) == 0 && what.si_pid() == process
    }
}

/// Sends a signal to a process, or to a group where the number is negative.
fn signal(process: i32, number: i32) {
    // SAFETY: kill touches no memory; the process is a child that was not waited for yet.
    unsafe { libc::kill(process, number) };
}
