//! Knowledge of libc's functions: which of them wait, make threads or lock, and how greenpatch reaches each.
//!
//! Tables say it, and each is asked only where the one before is silent. So a function that gets a hook is told rightly from that day on.
//!
//! ```text
//!    1  the library's table of hooks       `Hooked`
//!    2  its lines `// left out: …`         `NeedsNone`: a reason stands beside each
//!    3  UNHOOKED, below                    `Entries`, if all functions in which it waits have their entries taken; else `HandedOver`
//!    4  BEYOND, below                      `Beyond`
//!       silence                            nothing is known: it does not wait
//! ```
//!
//! docs/reach.md says the same in prose. System calls by number, for instructions of a program's own, stand at the end, and so do
//! libraries that are known to do the same as this one.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::shared::{HOOKS, NO_ENTRY, TABLE, WAITS};

/// How a call of a function is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// A hook serves the call.
    Hooked,
    /// The function waits inside libc, in functions whose entries lead to hooks.
    Entries,
    /// The function waits in the kernel: the monitor hands the slot over.
    HandedOver,
    /// The function never waits for another thread, or is right as libc has it.
    NeedsNone,
    /// The function makes kernel threads, of which greenpatch knows nothing.
    Beyond,
}

impl Reach {
    /// Returns the name in JSON, which scripts read: it never changes.
    pub fn name(self) -> &'static str {
        match self {
            Reach::Hooked => "hooked",
            Reach::Entries => "entries",
            Reach::HandedOver => "handed_over",
            Reach::NeedsNone => "needs_none",
            Reach::Beyond => "out_of_reach",
        }
    }
}

/// An entry of the tables: how a function of libc is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The heading that it stands under: the room of its hook, or a word of `UNHOOKED`.
    pub family: &'static str,
    /// How it is served.
    pub reach: Reach,
    /// What it waits for, of those that `greenpatch audit` times: the column WAITS of the table of hooks. None: audit does not time it.
    pub waits_for: Option<&'static str>,
}

/// Functions that wait and have no hook, a row a family: its name, the functions of libc in which they wait, and their symbols. A row that
/// names no function waits in the kernel, or for locks of libc's own.
const UNHOOKED: &[(&str, &[&str], &str)] = &[
    (
        "stdio",
        &["read", "write"],
        "fread fread_unlocked __fread_chk __fread_unlocked_chk fgets fgets_unlocked __fgets_chk __fgets_unlocked_chk gets __gets_chk \
         fgetc getc _IO_getc getc_unlocked fgetc_unlocked getchar getchar_unlocked getw getline getdelim __getdelim __uflow __underflow \
         scanf fscanf vscanf vfscanf __isoc99_scanf __isoc99_fscanf __isoc99_vscanf __isoc99_vfscanf __isoc23_scanf __isoc23_fscanf \
         fwrite fwrite_unlocked fputs fputs_unlocked fputc putc _IO_putc putc_unlocked fputc_unlocked putchar putchar_unlocked puts putw \
         printf vprintf fprintf vfprintf dprintf vdprintf __printf_chk __vprintf_chk __fprintf_chk __vfprintf_chk __dprintf_chk \
         __vdprintf_chk __overflow fflush fflush_unlocked perror psignal psiginfo fgetwc getwc fgetws fputwc putwc fputws getwchar \
         putwchar wprintf fwprintf vwprintf vfwprintf __wprintf_chk __fwprintf_chk warn warnx vwarn vwarnx err errx verr verrx error \
         error_at_line getpass fseek fseeko fseeko64 rewind flockfile",
    ),
    (
        "names",
        &["poll", "connect", "sendto", "recvfrom"],
        "gethostent gethostent_r getaddrinfo_a gai_suspend __res_query __res_nquery __res_search __res_nsearch __res_send __res_nsend \
         res_querydomain __res_querydomain res_nquerydomain __res_nquerydomain getservbyname getservbyname_r getservbyport getservbyport_r",
    ),
    (
        "accounts",
        &["poll", "connect", "read"],
        "getpwnam getpwnam_r getpwuid getpwuid_r getpwent getgrnam getgrnam_r getgrgid getgrgid_r getgrent getgrouplist getspnam \
         getspnam_r getlogin getlogin_r innetgr setnetgrent pututxline pututline updwtmp updwtmpx getutxent",
    ),
    ("log", &["connect", "send"], "syslog vsyslog __syslog_chk __vsyslog_chk"),
    ("children", &["wait4"], "wordexp"),
    ("children", &[], "forkpty"),
    ("terminal", &["ioctl"], "tcsetattr tcsendbreak tcflow"),
    ("files", &["open", "read"], "fopen fopen64"),
    (
        "files",
        &[],
        "opendir fdopendir fallocate fallocate64 posix_fallocate \
         posix_fallocate64 readahead truncate truncate64 ftruncate ftruncate64 rename renameat renameat2 unlink unlinkat remove mount \
         umount umount2 open_by_handle_at readdir readdir64 readdir_r scandir scandir64 nftw nftw64 fts_read glob glob64",
    ),
    ("queues", &[], "__mq_timedsend __mq_timedreceive"),
    ("aio", &[], "aio_cancel aio_cancel64"),
    ("loader", &[], "dlopen dlmopen dlclose"),
];

/// Functions that make kernel threads, of which greenpatch knows nothing: what these threads call is passed through.
const BEYOND: &[(&str, &str)] = &[("kernel threads", "clone __clone")];

/// All tables by symbol; the first that names a symbol counts.
static CALLS: LazyLock<HashMap<&'static str, Call>> = LazyLock::new(|| {
    let mut calls: HashMap<&str, Call> = HashMap::new();
    // Rows that never wait, and those behind which the program does not go on, are not timed (src/hooks/audited.rs).
    let is_timed = |(_, waits): &&(&str, &str)| !["never", "end"].contains(waits);
    let waits: HashMap<&str, &str> = WAITS.iter().filter(is_timed).copied().collect();
    let mut note = |symbol: &'static str, family: &'static str, reach| {
        calls.entry(symbol).or_insert(Call { family, reach, waits_for: waits.get(symbol).copied() });
    };
    // The order is that of the header: what is noted first stays.
    HOOKS.iter().for_each(|(room, symbol)| note(symbol, room, Reach::Hooked));
    left_out().for_each(|symbol| note(symbol, "none needed", Reach::NeedsNone));
    for (family, waits_in, symbols) in UNHOOKED {
        let is_hook = |symbol: &&str| HOOKS.iter().any(|(_, hook)| hook == symbol);
        let keeps_entry = |symbol: &&str| NO_ENTRY.iter().any(|(hook, _)| hook == symbol);
        let has_entry = |symbol: &&str| is_hook(symbol) && !keeps_entry(symbol);
        let reach =
            if !waits_in.is_empty() && waits_in.iter().all(has_entry) { Reach::Entries } else { Reach::HandedOver };
        symbols.split_whitespace().for_each(|symbol| note(symbol, family, reach));
    }
    for (family, symbols) in BEYOND {
        symbols.split_whitespace().for_each(|symbol| note(symbol, family, Reach::Beyond));
    }
    calls
});

/// Looks a function of libc up, by its symbol without a version. None: nothing is known of it, it does not wait.
pub fn call(symbol: &str) -> Option<Call> {
    CALLS.get(symbol).copied()
}

/// Tells whether a function is lost to the hooks where a program defines it itself. `gettid` is not: libc had none for long, so programs
/// bring theirs, which calls `syscall`.
pub fn is_hooked(symbol: &str) -> bool {
    symbol != "gettid" && call(symbol).is_some_and(|call| call.reach == Reach::Hooked)
}

/// Reads the symbols in the table's lines `// left out: SYMBOL…: why`. A test (tests/tidy.rs) sees to it that each has a reason.
fn left_out() -> impl Iterator<Item = &'static str> {
    let rows = TABLE.lines().filter_map(|line| line.trim_start().strip_prefix("// left out: ")?.split_once(": "));
    rows.flat_map(|(symbols, _)| symbols.split_whitespace())
}

macro_rules! numbers {
    ($($number:ident)*) => { &[$((libc::$number, stringify!($number)),)*] };
}

/// System calls that wait, or make threads or processes: made by an instruction of the program's own they pass the hooks by. Calls that
/// only ever take a moment are not among them, however often they are made; a file's disk counts as a wait.
const WAITING: &[(i64, &str)] = numbers! {
    SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_preadv SYS_pwritev SYS_preadv2 SYS_pwritev2 SYS_open
    SYS_openat SYS_poll SYS_ppoll SYS_select SYS_pselect6 SYS_epoll_wait SYS_epoll_pwait SYS_epoll_pwait2 SYS_connect SYS_accept
    SYS_accept4 SYS_recvfrom SYS_recvmsg SYS_recvmmsg SYS_sendto SYS_sendmsg SYS_sendmmsg SYS_sendfile SYS_splice SYS_tee
    SYS_vmsplice SYS_copy_file_range SYS_futex SYS_futex_waitv SYS_nanosleep SYS_clock_nanosleep SYS_pause SYS_sched_yield
    SYS_wait4 SYS_waitid SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_flock SYS_fsync SYS_fdatasync SYS_msync SYS_sync SYS_syncfs
    SYS_sync_file_range SYS_fcntl SYS_ioctl SYS_mq_timedsend SYS_mq_timedreceive SYS_msgsnd SYS_msgrcv SYS_semop SYS_semtimedop
    SYS_io_getevents SYS_io_uring_enter SYS_clone SYS_clone3 SYS_fork SYS_vfork
};

/// Names a system call that waits, or makes threads or processes, as the kernel calls it: `futex`. None: this number does neither.
pub fn waiting(number: u64) -> Option<&'static str> {
    let (_, name) = WAITING.iter().find(|(waiting, _)| *waiting as u64 == number)?;
    Some(&name["SYS_".len()..])
}

/// System calls that set, or ask for, what the kernel keeps of a thread: those of src/arch/scan.rs.
const OF_A_THREAD: &[(i64, &str)] = numbers! {
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_sigaltstack SYS_arch_prctl SYS_gettid SYS_tkill SYS_tgkill
};

/// Names a system call that sets, or asks for, a thread's state. None: this number does neither.
pub fn of_a_thread(number: u64) -> Option<&'static str> {
    let (_, name) = OF_A_THREAD.iter().find(|(of_a_thread, _)| *of_a_thread as u64 == number)?;
    Some(&name["SYS_".len()..])
}

/// Libraries that put themselves in front of the same functions, by how their file names begin. Ok where both go together, else what the
/// conflict is, as a clause for the user. Others are judged by their exports (`doctor/preloads`).
pub const NEIGHBOURS: &[(&str, Result<(), &str>)] = &[
    ("libjemalloc", Ok(())),
    ("libtcmalloc", Ok(())),
    ("libmimalloc", Ok(())),
    ("libasan", Err("AddressSanitizer ends the program unless it is the first library: name it first in LD_PRELOAD")),
    ("libtsan", Err("ThreadSanitizer knows kernel threads only")),
    ("liblsan", Ok(())),
    ("libhwasan", Err("HWAddressSanitizer knows kernel threads only")),
    ("libclang_rt.", Err("a sanitizer's runtime knows kernel threads only")),
];
