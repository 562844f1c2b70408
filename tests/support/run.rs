//! Running a program to its end, with a time limit that its children cannot escape.
//!
//! The program is the leader of a process group of its own and writes into files of a scratch folder, so that neither a
//! child that outlives it nor a full pipe can hold the run up. The group is killed while the leader is still a zombie: its
//! number cannot have been given to anybody else.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    Signalled(i32),
    TimedOut,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Ending::Exited(status) => write!(f, "exit {status}"),
            Ending::Signalled(signal) => write!(f, "signal {signal}"),
            Ending::TimedOut => write!(f, "killed after {} s", LIMIT.as_secs()),
        }
    }
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Ending {
        match status.code() {
            Some(code) => Ending::Exited(code),
            None => Ending::Signalled(status.signal().unwrap_or(0)),
        }
    }
}

pub struct Outcome {
    pub ending: Ending,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// What its kernel threads were doing after `SUSPICIOUS`, if it still ran then.
    pub stuck: Option<String>,
}

/// After this a program is killed.
pub const LIMIT: Duration = Duration::from_secs(30);
/// After this a look is taken at what the program's kernel threads do (c-tests end themselves by an alarm at 20 s).
const SUSPICIOUS: Duration = Duration::from_secs(15);

/// A folder of its own for one run, gone when dropped. It is the program's TMPDIR.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("greenpatch-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        Scratch(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A program that is being killed may still write; what then stays lies in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Every signal has its default action in the child: a shell makes its background jobs ignore some.
pub fn defaults() -> io::Result<()> {
    for number in 1..32 {
        // SAFETY: no handler is set.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    Ok(())
}

/// Runs the command to its end, or to `LIMIT`, with no input; whatever it leaves running is killed.
pub fn run(command: &mut Command, scratch: &Scratch) -> io::Result<Outcome> {
    let (stdout, stderr) = (scratch.path("stdout"), scratch.path("stderr"));
    // SAFETY: between fork and exec only system calls are made.
    unsafe { command.pre_exec(defaults) };
    let mut child = command
        .env("TMPDIR", &scratch.0)
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?)
        .process_group(0)
        .spawn()?;
    let (ended, stuck) = watch(&child)?;
    // SAFETY: kill touches no memory; the group is the child's own, and the child is not reaped yet.
    unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
    let status = child.wait()?;
    Ok(Outcome {
        ending: if ended { status.into() } else { Ending::TimedOut },
        stdout: fs::read(stdout)?,
        stderr: fs::read(stderr)?,
        stuck,
    })
}

/// Makes the command run on the first `count` processors that this process may use, and on no other.
pub fn on_processors(command: &mut Command, count: usize) {
    let some = first_processors(count);
    // SAFETY: between fork and exec only one system call is made, which reads `some`.
    unsafe {
        command.pre_exec(move || match libc::sched_setaffinity(0, size_of_val(&some), &some) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    };
}

fn first_processors(count: usize) -> libc::cpu_set_t {
    // SAFETY: a cpu_set_t is an array of bits, for which zero is a value; the calls stay inside the two sets.
    unsafe {
        let (mut all, mut some) = std::mem::zeroed::<(libc::cpu_set_t, libc::cpu_set_t)>();
        libc::sched_getaffinity(0, size_of_val(&all), &mut all);
        let usable = (0..libc::CPU_SETSIZE as usize).filter(|&processor| libc::CPU_ISSET(processor, &all));
        usable.take(count).for_each(|processor| libc::CPU_SET(processor, &mut some));
        some
    }
}

/// Whether this kernel dispatches system calls from a range of addresses (Linux 6.17), as the option `inline` needs it.
pub fn catches_system_calls() -> bool {
    const FROM_A_RANGE: usize = 2;
    const PAGE: usize = 4096;
    can_dispatch(FROM_A_RANGE, PAGE, PAGE)
}

/// Whether it dispatches those from outside a range (Linux 5.11), as births need it.
pub fn dispatches_system_calls() -> bool {
    const NOT_FROM_A_RANGE: usize = 1;
    can_dispatch(NOT_FROM_A_RANGE, 0, usize::MAX)
}

fn can_dispatch(mode: usize, start: usize, bytes: usize) -> bool {
    const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;
    // SAFETY: no dispatched address is executed, and there is no selector; the second call takes the first back.
    unsafe {
        let can = libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, mode, start, bytes, 0usize) == 0;
        libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, 0usize, 0usize, 0usize, 0usize);
        can
    }
}

/// No program that this process starts leaves a core file.
pub fn without_core_files() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: setrlimit reads the structure.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

/// Waits until the child has ended or `LIMIT` is over: whether it ended, and what was seen of it at `SUSPICIOUS`.
fn watch(child: &Child) -> io::Result<(bool, Option<String>)> {
    let begin = Instant::now();
    let process = pidfd(child)?;
    if readable(&process, SUSPICIOUS)? {
        return Ok((true, None));
    }
    let stuck = kernel_threads(child.id());
    Ok((readable(&process, LIMIT.saturating_sub(begin.elapsed()))?, Some(stuck)))
}

/// A descriptor that becomes readable when the child ends.
fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and answers a new descriptor or -1.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the descriptor was just made and is owned by nobody else.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}

fn readable(fd: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let mut wanted = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd is given, and it lives on this stack for the length of the call.
    match unsafe { libc::poll(&mut wanted, 1, limit.as_millis() as i32) } {
        -1 => Err(io::Error::last_os_error()),
        ready => Ok(ready == 1),
    }
}

/// A line for each kernel thread of the process: its name, what it sleeps on, its system call.
fn kernel_threads(pid: u32) -> String {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let line =
        |task: &Path| ["comm", "wchan", "syscall"].map(|file| fs::read_to_string(task.join(file)).unwrap_or_default());
    let lines: Vec<_> = tasks.map(|task| line(&task.path()).map(|text| text.trim().to_owned()).join("  ")).collect();
    format!("kernel threads after {} s (name, wait channel, system call):\n{}", SUSPICIOUS.as_secs(), lines.join("\n"))
}
