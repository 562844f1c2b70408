//! Processes: fork, the calls about the whole process, and the ends that bypass `exit`.
//!
//! ```text
//!     libc's fork                       this file                         the child's copy
//!     atfork prepare handlers
//!     _Fork ──────────────────────────► before: signals blocked, loader, runtime, dispositions closed
//!                                       the fork
//!                                       in_parent: all opened again       in_child: the runtime forgotten, then the same
//!     atfork parent or child handlers ◄─
//! ```
//!
//! A fork runs the real one on the kernel thread at hand. The child has this one thread, so the runtime there is forgotten before any
//! other code runs, and is made anew when the child makes a thread. The program's atfork handlers are such code: they unlock locks
//! for which copies of parked threads wait.
//!
//! Nothing of the library's is held while those handlers run, for they may wait for locks (an allocator's) and park. So all is done
//! right around `_Fork`, which libc's fork calls between the handlers, also inside libc (daemon, forkpty). Where its entry is not
//! taken, handlers of the library's own do it, registered before all others: they are the last to run before the fork.
//!
//! The state between `before` and its end, on both sides of the fork:
//!
//! | word | set by | taken back by | means |
//! |---|---|---|---|
//! | `arch::forking_word` | `fork` | `fork` | this thread's fork comes by the hook of `_Fork`: `prepare`'s handlers do nothing |
//! | HOLDS_LOADER | `before` | `in_parent`, in the child too | loader, runtime and dispositions are closed |
//! | MASK | `before` | (read by `in_parent`) | the forking thread's signal mask from before |

use crate::base::kept::Kept;
use crate::base::signal_set;
use crate::hooks::answer::{answer, Answer, Miss};
use crate::hooks::inside::entries;
use crate::hooks::io::{descriptor, fd};
use crate::hooks::process::{command, task};
use crate::hooks::signal::action;
use crate::hooks::sync::once;
use crate::hooks::thread::{name, written_names};
use crate::hooks::{memory, real};
use crate::runtime::{self, current};
use crate::{arch, glibc, statistics, sys};
use libc::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Registers the library's atfork handlers. Called at load, before any other library can register one: of prepare handlers the first
/// registered runs last, of parent and child handlers first (pthread_atfork(3)). So these run right before the fork, and right after
/// it.
pub fn prepare() {
    // SAFETY: the handlers take nothing and may run in any process.
    unsafe { pthread_atfork(Some(prepared), Some(done_in_parent), Some(done_in_child)) };
}

/// Is the fork one that only the handlers of `prepare` see? Asked by them, on the forking thread. No where `fork` below has set
/// `arch::forking_word`: then `_Fork`'s hook does all.
fn is_by_handlers() -> bool {
    arch::forking_word() == 0
}

/// The prepare handler of `prepare`. The last to run before the fork: does `before`, unless `_Fork`'s hook does it.
extern "C" fn prepared() {
    if is_by_handlers() {
        before();
    }
}

/// The parent handler of `prepare`, the first to run after the fork: opens what `prepared` has closed.
extern "C" fn done_in_parent() {
    if is_by_handlers() {
        in_parent();
    }
}

/// The child handler of `prepare`, the first to run in the child: makes the runtime forget the parent's threads before another library's
/// handler runs.
extern "C" fn done_in_child() {
    if is_by_handlers() {
        in_child();
    }
}

/// True between `before` and `in_parent`, on both sides of the fork: the loader's gate and the rest are closed. Written by the
/// forking thread only, while the loader is its own. Set after the start only: before it nothing keeps out a signal handler, which
/// may fork as well.
static HOLDS_LOADER: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// The forking kernel thread's signal mask, for `in_parent` to put back. All signals are blocked from `before` until then, so a
/// signal that comes meanwhile stays pending in the kernel: it is for the parent or for the child, is not lost with what the child
/// forgets, and is not handled by a runtime that is not its process's own.
static MASK: Kept<AtomicU64> = Kept::new(AtomicU64::new(0));

/// Closes what a fork must find whole, right before it, on the forking thread. Does nothing before the start. The order:
///
/// 1. The kernel thread's signals are blocked: no handler runs between here and `in_parent`.
/// 2. The gate of the loader is closed (`glibc::before_fork`): no walk of the library's through the loaded modules is under way.
/// 3. MASK is written, by one thread at a time from step 2 on, and the process that forks is noted (`start::before_fork`).
/// 4. The dispositions are locked: no change is under way, and the child's table is whole.
fn before() {
    if runtime::started() {
        let mask = sys::set_signal_mask(signal_set::CLOSED);
        glibc::before_fork();
        MASK.store(mask, Relaxed);
        runtime::start::before_fork();
        runtime::machine::disposition::before_fork();
        HOLDS_LOADER.store(true, Relaxed);
    }
}

/// Opens what `before` has closed, in the opposite order, and puts the mask back, which delivers what came meanwhile. Called right
/// after a fork, in the parent, and as the last step in the child. Then all open files are noted as shared: other threads may have
/// opened files during the fork that the child has as well.
fn in_parent() {
    if HOLDS_LOADER.swap(false, Relaxed) {
        let mask = MASK.load(Relaxed);
        runtime::machine::disposition::forked();
        runtime::start::forked();
        glibc::forked();
        sys::set_signal_mask(mask);
    }
    // Files that other threads have opened during the fork may be the child's, too.
    descriptor::forked();
}

/// Forgets the parent's threads, in a fork's child, which runs natively from here on. Called right after the fork, with one thread
/// and all signals blocked. Calls the `after_fork` of each part that has state of its own, the runtime's before those of the hooks,
/// and `in_parent` last, for it opens the signals. What the loader's lock has kept out (a signal of the parent's) is forgotten before
/// the lock is given back.
fn in_child() {
    statistics::after_fork();
    runtime::kernel::alone::after_fork();
    if !runtime::started() {
        return in_parent();
    }
    runtime::start::after_fork();
    action::after_fork();
    command::after_fork();
    written_names::after_fork();
    once::after_fork();
    in_parent();
}

/// `fork`: libc's own, with its errors (EAGAIN, ENOMEM). Where libc's entry to `_Fork` is taken all is done there, else by the
/// handlers of `prepare`. The child has one thread, and runs natively. Called by any thread. No cancellation point.
pub unsafe fn fork() -> Answer<pid_t> {
    descriptor::forked();
    if !runtime::started() || !entries::takes_fork() {
        return Err(Miss::Libc);
    }
    // A signal handler may fork while its thread does: the word goes back to what it was.
    let outer = arch::forking_word();
    arch::set_forking_word(1);
    let pid = real::fork();
    arch::set_forking_word(outer);
    Ok(pid)
}

/// `_Fork`: runs no atfork handlers. Called by the program, or by libc's own fork through the entry. Then libc's locks are taken
/// already, and the gate of births is left alone: its holder may wait for one of those locks. Returns libc's result, with its errno.
pub unsafe fn raw_fork() -> Answer<pid_t> {
    let fork = || real::_Fork() as isize;
    Ok(if arch::forking_word() != 0 { around(fork) } else { fork_by(fork) } as pid_t)
}

/// Makes a fork that libc knows nothing of, by `fork`, which returns the kernel's result. In the child the tid is written where libc
/// keeps it, as libc's own fork does: recursive mutexes compare it. Called by the calls by number, for green threads and all others.
/// Returns what `fork` did.
pub unsafe fn fork_inline(fork: impl FnOnce() -> isize) -> isize {
    fork_by(|| {
        let pid = fork();
        if pid == 0 {
            *glibc::tid_field(arch::tcb()) = sys::kernel_thread_id();
        }
        pid
    })
}

/// Makes a process by `fork`, with the gate of births closed: no kernel thread is made or ends meanwhile, so the child's copy of
/// their lists is true. Returns what `fork` did.
fn fork_by(fork: impl FnOnce() -> isize) -> isize {
    descriptor::forked();
    if runtime::started() {
        runtime::kernel::gate::GATE.while_closed(|| around(fork))
    } else {
        around(fork)
    }
}

/// Makes a process by `fork`: `before`, then `in_child` or `in_parent`. Returns what `fork` did.
fn around(fork: impl FnOnce() -> isize) -> isize {
    before();
    let pid = fork();
    if pid == 0 {
        in_child();
    } else {
        in_parent();
    }
    pid
}

/// The flags of a child that runs in its parent's place, on its memory, until it executes or ends: CLONE_VFORK stops the parent,
/// CLONE_VM shares the memory.
const IN_PLACE: c_int = CLONE_VM | CLONE_VFORK;

/// The beginning of `clone`'s child, which does not return to where its parent called. Lies on the parent's stack, of which the child has
/// a copy.
struct Beginning {
    /// The program's function, and what it is called with.
    function: unsafe extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
    /// True: the parent has closed the gate for this fork, and the child's copy of it is to be opened.
    gate_is_ours: bool,
}

/// The first function of a child on a stack of its own: does what `fork_by` does after a fork that returns, and goes on with the
/// program's function. Returns that function's result, with which libc ends the child.
extern "C" fn begin_in_child(beginning: *mut c_void) -> c_int {
    // SAFETY: `clone`'s, in this process's copy of the memory.
    unsafe {
        let Beginning { function, argument, gate_is_ours } = *(beginning as *const Beginning);
        *glibc::tid_field(arch::tcb()) = sys::kernel_thread_id();
        in_child();
        if gate_is_ours {
            runtime::kernel::gate::GATE.leave();
        }
        function(argument)
    }
}

/// libc's `clone`, with a stack for the child (clone(2)). Returns the child's pid, or -1 and errno by libc. By the child's flags:
///
/// | flags | the child | made as |
/// |---|---|---|
/// | neither CLONE_VM nor CLONE_VFORK, or CLONE_VFORK alone | has memory of its own | a fork: `fork_by`, then `begin_in_child` |
/// | CLONE_VM and CLONE_VFORK | runs on this memory while its parent waits | a vfork: `spawned` |
/// | CLONE_VM alone | is a kernel thread that the program makes for itself | libc's call |
///
/// libc's call also before the start, and without a function or a stack (EINVAL).
pub unsafe fn clone(
    function: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    stack: *mut c_void,
    flags: c_int,
    argument: *mut c_void,
    parent_tid: *mut c_int,
    tls: *mut c_void,
    child_tid: *mut c_int,
) -> Answer<c_int> {
    let Some(begun) = function.filter(|_| runtime::started() && !stack.is_null()) else { return Err(Miss::Libc) };
    match flags & IN_PLACE {
        0 | CLONE_VFORK => {
            let gate_is_ours = !runtime::kernel::gate::GATE.is_mine();
            let mut beginning = Beginning { function: begun, argument, gate_is_ours };
            let beginning = &raw mut beginning as *mut c_void;
            let clone =
                || real::clone(Some(begin_in_child), stack, flags, beginning, parent_tid, tls, child_tid) as isize;
            Ok(fork_by(clone) as c_int)
        }
        IN_PLACE => spawned(|| real::clone(function, stack, flags, argument, parent_tid, tls, child_tid)),
        _ => Err(Miss::Libc),
    }
}

/// The system calls fork, vfork, clone and clone3, for any thread after the start. Returns the child's pid, 0 in the child, or the
/// kernel's error. Their child goes on behind the call, so it needs the stack that the call was made on:
///
/// - without a stack of its own a child is a fork (`fork_inline`), also a vfork, which becomes a fork that the parent waits for;
/// - a vfork with a stack of its own runs on this memory, and is no green thread;
/// - a fork onto another stack does not return through this function (`fork_begins`).
///
/// CLONE_VM without CLONE_VFORK (a raw thread), and a clone3 whose structure cannot be read or is shorter than the first version's,
/// are the kernel's.
pub unsafe fn fork_by_number(number: c_long, arguments: [usize; 6]) -> Answer<c_long> {
    let (flags, stack) = match number {
        libc::SYS_fork => (0, 0),
        libc::SYS_vfork => (IN_PLACE, 0),
        libc::SYS_clone3 if !memory::can_read(arguments[0], CLONE_ARGS_LEAST) || arguments[1] < CLONE_ARGS_LEAST => {
            return Err(Miss::Libc);
        }
        libc::SYS_clone3 => {
            ((*(arguments[0] as *const clone_args)).flags as c_int, (*(arguments[0] as *const clone_args)).stack)
        }
        _ => (arguments[0] as c_int, arguments[1] as u64),
    };
    let call = |number: c_long, [a, b, c, d, e, f]: [usize; 6]| sys::call(number, a, b, c, d, e, f);
    let pid = match (flags & IN_PLACE, stack) {
        (0 | CLONE_VFORK, 0) => fork_inline(|| call(number, arguments)),
        // The function `syscall` would return twice by one frame, which the child's return would destroy: so the child gets a copy.
        (IN_PLACE, 0) => fork_inline(|| match number {
            libc::SYS_vfork => call(libc::SYS_clone, [(CLONE_VFORK | SIGCHLD) as usize, 0, 0, 0, 0, 0]),
            libc::SYS_clone => {
                call(number, [arguments[0] & !(CLONE_VM as usize), 0, arguments[2], arguments[3], arguments[4], 0])
            }
            _ => {
                let mut changed = (arguments[0] as *const clone_args).read();
                changed.flags &= !(CLONE_VM as u64);
                call(number, [&raw mut changed as usize, arguments[1].min(size_of::<clone_args>()), 0, 0, 0, 0])
            }
        }),
        (IN_PLACE, _) => {
            descriptor::forked();
            arch::vfork::while_not_green(|| {
                real::syscall(
                    number,
                    arguments[0],
                    arguments[1],
                    arguments[2],
                    arguments[3],
                    arguments[4],
                    arguments[5],
                ) as isize
            })
        }
        (0 | CLONE_VFORK, _) => fork_by(|| arch::vfork::fork_onto(number, &arguments, fork_begins)),
        _ => return Err(Miss::Libc),
    };
    if flags & IN_PLACE == IN_PLACE && stack != 0 {
        return Ok(pid as c_long);
    }
    answer(pid)
}

/// The bytes of clone3's least structure (source: linux/sched.h, CLONE_ARGS_SIZE_VER0). The kernel says EINVAL below that.
const CLONE_ARGS_LEAST: usize = 64;

/// Puts right in the child what `fork_by` would have. Called by the assembly in a child on a stack of its own, which does not return
/// through `fork_by`.
extern "C" fn fork_begins() {
    // SAFETY: this thread's own descriptor.
    unsafe { *glibc::tid_field(arch::tcb()) = sys::kernel_thread_id() };
    in_child();
    runtime::kernel::gate::GATE.leave();
}

/// `posix_spawn`: libc's own, with its error number as the result. The child runs on this thread's memory and thread pointer until it
/// executes, and calls sigaction, dup2 and more by libc's entries: all of that passes through, as in a vfork child. The thread's settings
/// are applied by the hook of execve (`execute.rs`). No cancellation point.
pub unsafe fn posix_spawn(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *mut c_char,
    environment: *const *mut c_char,
) -> Answer<c_int> {
    spawned(|| real::posix_spawn(pid, path, actions, attributes, arguments, environment))
}

/// `posix_spawnp`: as `posix_spawn`, the file searched for in PATH.
pub unsafe fn posix_spawnp(
    pid: *mut pid_t,
    file: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *mut c_char,
    environment: *const *mut c_char,
) -> Answer<c_int> {
    spawned(|| real::posix_spawnp(pid, file, actions, attributes, arguments, environment))
}

/// Makes a child that runs on this thread's memory by `spawn`: its calls belong to no green thread (`arch::vfork::while_not_green`).
/// Returns what `spawn` did. Open files are noted as shared before and after, for other threads go on meanwhile and may open files
/// that are the child's, too.
fn spawned(spawn: impl FnOnce() -> c_int) -> Answer<c_int> {
    descriptor::forked();
    let done = arch::vfork::while_not_green(spawn);
    // Files that other threads have opened meanwhile may be the child's, too.
    descriptor::forked();
    Ok(done)
}

/// `pclose`: libc's own, with its result and errno (ECHILD). The wait for the child is inside libc, so the thread stays on its kernel
/// thread, with the slot offered. The stream's number loses its file as by `close`: parked waits move first.
pub unsafe fn pclose(file: *mut FILE) -> Answer<c_int> {
    let fd = fd::vacate_stream(file);
    let status = runtime::in_libc(|| real::pclose(file));
    runtime::waiting::readiness::closed(fd);
    Ok(status)
}

/// `daemon`: libc's own, which forks by `_Fork`; every open file is shared from then on.
pub unsafe fn daemon(_nochdir: c_int, _noclose: c_int) -> Answer<c_int> {
    descriptor::forked();
    Err(Miss::Libc)
}

/// `_exit`, `_Exit` and the system call exit_group: the statistics are written, for no destructor will run. Then libc ends the
/// process. Called by any thread, also in signal handlers.
pub unsafe fn exit_now(_: c_int) -> Answer<()> {
    statistics::write();
    Err(Miss::Libc)
}

/// `quick_exit`: the statistics are written before libc runs the handlers of at_quick_exit and ends the process without destructors.
pub unsafe fn quick_exit(_: c_int) -> Answer<()> {
    statistics::write();
    Err(Miss::Libc)
}

/// `gettid`: the green thread's own tid, which the kernel does not know; it stays the same on every kernel thread. A foreign thread's
/// is the kernel's.
pub unsafe fn gettid() -> Answer<pid_t> {
    current().map(|me| me.tid()).ok_or(Miss::Libc)
}

/// `prctl`, and the system call: dispatches an option. A thread's name is `thread/name.rs`'s, a thread's settings are `task.rs`'s, and
/// all else is libc's. A foreign thread, and the only thread before the start, get libc's own; a seccomp filter that is set before the
/// start is tried first (`outside`).
pub unsafe fn prctl(option: c_int, a: usize, b: usize, c: usize, d: usize) -> Answer<c_int> {
    match option {
        _ if current().is_none() => outside(option == PR_SET_SECCOMP, || real::prctl(option, a, b, c, d)),
        PR_SET_NAME => name::set_own_name(a),
        PR_GET_NAME => name::own_name(a),
        _ => task::prctl(option, a, b, c, d),
    }
}

/// Makes a call of a thread that is not green. Before the start a call that sets a seccomp filter is tried in a child process first
/// (`filters::try_own`): a filter that kills for what the runtime needs has the program stay native. `Err(Miss::Libc)`, and nothing
/// was called: the call sets no filter, or the runtime runs already. `T` is a result that is -1 for an error.
///
/// Where the runtime could not live under the filter the statistics are written before it is in force, for it may kill for a file. If
/// the call fails the refusal of the start (`started::OWN`) is taken back.
pub fn outside<T: PartialEq + From<i8>>(sets_filter: bool, call: impl Fn() -> T) -> Answer<T> {
    if !sets_filter || runtime::started() {
        return Err(Miss::Libc);
    }
    let before = runtime::machine::started::OWN.load(Relaxed);
    let may_start = runtime::kernel::filters::try_own(|| {
        call();
    });
    if may_start {
        return Ok(call());
    }
    // The filter may kill for a file.
    statistics::write();
    let result = call();
    if result == T::from(-1) {
        runtime::machine::started::OWN.store(before, Relaxed);
    } else {
        statistics::end();
    }
    Ok(result)
}

/// `pkey_alloc`: the kernel's own, with its errors (ENOSPC, EINVAL). Once the program has a protection key a switch takes each
/// thread's rights along (`begin_keys`): the register of rights belongs to the processor's thread.
pub unsafe fn pkey_alloc(flags: c_uint, rights: c_uint) -> Answer<c_int> {
    let key = answer(sys::call(SYS_pkey_alloc, flags as usize, rights as usize, 0, 0, 0, 0))?;
    runtime::machine::kernel_state::begin_keys();
    Ok(key)
}

/// `mlockall`: libc's own, with its errors (EPERM, ENOMEM, EAGAIN). Stacks that no thread has are unmapped before, for they would be
/// locked, too; whether MCL_FUTURE is set is noted for the stacks that come.
pub unsafe fn mlockall(flags: c_int) -> Answer<c_int> {
    runtime::births::yard::before_lock(flags & MCL_FUTURE != 0);
    Err(Miss::Libc)
}
