//! What keeps a worker, in a green program: the calls that could not park, and stretches without a hook.
//!
//! A call that parks keeps no kernel thread: it is counted at its site, and no finding. The audited functions stand in front of the hooks
//! here (hooks/audited.rs), and say what the thread's worker had run before a call, and after it:
//!
//! ```text
//!   between the two                                      the call
//!   the same worker, and no switch                       kept its kernel thread: a finding from the threshold on
//!   a switch                                             parked, or let others run
//!   the thread lost its slot in a call of the kernel's   kept its kernel thread, and others went on elsewhere: always a finding
//! ```
//!
//! A call inside another one (getaddrinfo polls) is not noted by itself: the time that it was parked is taken from that of the outer one.
//! The thread's words lie in its vessel, and so go with it from worker to worker; a vessel's next thread begins anew.

use crate::audit::away::{self, Away, Stretch};
use crate::audit::format::{gil, keeps, Recording, COMPUTED, SHORTEST_NS, UNHOOKED, UNKNOWN_TIMEOUT};
use crate::audit::lists;
use crate::audit::recorder::{self, Call, Noted};
use crate::audit::series::Slice;
use crate::audit::stack;
use crate::audit::text::{self, Writer};
use crate::audit::thread::{self, Thread, Whose};
use crate::audit::{caller, clock, python, recording};
use crate::base::kept::Kept;
use crate::glibc;
use crate::sys;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// A green program is audited. Set at load.
static IS_ON: Kept<AtomicBool> = Kept::new(AtomicBool::new(false));

/// Begins. Called once, at load, after the recording has begun; `unreached` rows are not recorded.
pub fn begin_all(unreached: u32) {
    recorder::prepare();
    recording::of_process().inspect(|recording| recording.header.unreached.store(unreached, Relaxed));
    IS_ON.store(true, Relaxed);
}

/// Is a green program audited, and its recording not stopped? Asked on slow paths only, and by the audited functions.
#[inline(always)]
pub fn is_on() -> bool {
    IS_ON.load(Relaxed) && !recording::is_stopped()
}

/// Who runs, and what its worker has run.
#[derive(Clone, Copy, PartialEq)]
pub struct Running {
    /// The green thread; 0: none.
    pub tid: i32,
    /// Its worker.
    pub worker: usize,
    /// How many threads that worker has resumed.
    pub switches: u64,
    /// The kernel thread is the green thread's alone, and no worker of others.
    pub is_alone: bool,
}

impl Running {
    /// A thread that is not green.
    pub const NATIVE: Running = Running { tid: 0, worker: 0, switches: 0, is_alone: true };
}

/// A call that goes on.
pub struct Begun {
    /// When it began, in ticks; 0: it is not recorded.
    ticks: u64,
    is_inner: bool,
    parked: u64,
    handed: u32,
    running: Running,
}

/// Begins a call, as `recorder::begin`. Called by an audited function, right before the hook.
#[inline(always)]
pub fn begin(place: usize, running: Running) -> Begun {
    let here = thread::here();
    if running.tid != 0 && here.tid.get() != running.tid {
        here.begin_anew(running.tid);
    }
    let begun =
        |ticks, is_inner| Begun { ticks, is_inner, parked: here.parked.get(), handed: here.handed.get(), running };
    if here.outer.get() > place {
        return begun(clock::ticks(), true);
    }
    here.outer.set(place);
    let ticks = clock::ticks();
    here.began.set(ticks);
    begun(ticks, false)
}

/// Ends a call, as `recorder::end`. `name` is the green thread's.
#[inline(always)]
pub fn end(begun: &Begun, place: usize, call: &Call, running: Running, name: impl FnOnce() -> Option<[u8; 16]>) {
    if begun.ticks == 0 || recording::is_stopped() {
        return;
    }
    let now = clock::ticks();
    let here = thread::here();
    let ticks = now.wrapping_sub(begun.ticks);
    let hand_overs = here.handed.get().wrapping_sub(begun.handed);
    let has_left = begun.running.tid == running.tid && begun.running != running;
    let mut parked = here.parked.get().wrapping_sub(begun.parked).min(ticks);
    if has_left && parked == 0 && hand_overs == 0 {
        parked = ticks;
        here.parked.set(here.parked.get().wrapping_add(ticks));
    }
    if begun.is_inner {
        return;
    }
    here.calls.set(here.calls.get() + 1);
    if has_left || hand_overs > 0 || ticks >= clock::ticks_of_us(SHORTEST_NS / 1_000) {
        let over = Over { now, ticks, parked, hand_overs, running, name: name() };
        note(here, place, call, &over);
    }
    here.outer.set(0);
}

/// How a call went.
struct Over {
    /// When it ended, how long it took, and how long it was parked, in ticks.
    now: u64,
    ticks: u64,
    parked: u64,
    hand_overs: u32,
    running: Running,
    name: Option<[u8; 16]>,
}

/// Notes a call: at its site, and, where it kept something, whole.
#[cold]
#[inline(never)]
fn note(here: &Thread, place: usize, call: &Call, over: &Over) {
    here.outer.set(place);
    let errno = glibc::errno();
    if let Some(recording) = recording::of_process() {
        here.belong_to(recording.header.process.load(Relaxed));
        if over.running.tid != 0 {
            here.tid.set(over.running.tid);
        }
        note_in(recording, here, place, call, over, errno);
    }
    glibc::set_errno(errno);
}

/// Notes a call in a recording.
fn note_in(recording: &Recording, here: &Thread, place: usize, call: &Call, over: &Over, errno: i32) {
    let from = stack::registers();
    let mut caller = caller::caller_of(recording, call.frame, place, from);
    if stack::is_libcs(caller) {
        caller = caller::beyond_libc(recording, from).unwrap_or(caller);
    }
    let (whole_ns, parked_ns) = (clock::about_ns(over.ticks), clock::about_ns(over.parked));
    if let Some(site) = lists::site(recording, here, call.frame.row() as u32, caller) {
        lists::add(site, here, whole_ns);
        if over.parked > 0 {
            site.parks.fetch_add(1, Relaxed);
            site.parked_ns.fetch_add(parked_ns, Relaxed);
            site.parked_worst_ns.fetch_max(parked_ns, Relaxed);
        }
    }
    let threshold = recording.header.threshold_ns.load(Relaxed);
    if parked_ns >= threshold {
        // No stack is walked of a call that parks, and the report is to know whose it was.
        stack::note_object(recording, caller);
    }
    if over.hand_overs == 0 && whole_ns + whole_ns / 64 < threshold {
        return;
    }
    let ended_ns = sys::now_ns();
    let ns = |ticks| clock::ns_of(ticks, over.now, ended_ns);
    let kept_ns = ns(over.ticks - over.parked);
    let told = if over.hand_overs > 0 || kept_ns >= threshold {
        Some((if over.running.is_alone { keeps::OWN } else { keeps::WORKER }, kept_ns))
    } else if ns(over.ticks) >= threshold
        && python::find(recorder::finish, sys::now_ns())
        && python::lock_state() == gil::HELD
    {
        Some((keeps::NONE, ns(over.ticks)))
    } else {
        None
    };
    if let Some((keeps, duration_ns)) = told {
        let whose = Whose { name: over.name, keeps, hand_overs: over.hand_overs };
        let began = over.now.wrapping_sub(over.ticks);
        let (row, caller) = (call.frame.row() as u32, caller as usize);
        let slice = Slice { row, caller, place, began, ended: over.now, duration_ns, lacked_ns: 0 };
        let noted = Noted { began: slice.began, from, call, caller: caller as u64, errno, threshold, whose };
        recorder::keep_alone(recording, here, &noted, &slice);
    }
}

/// Counts a hand-over, of whatever kind. Called where a slot is taken, on any thread of the library's.
#[cold]
pub fn handed_over() {
    if is_on() {
        recording::of_process().inspect(|recording| _ = recording.header.hand_overs.fetch_add(1, Relaxed));
    }
}

/// Notes that the running thread has lost its slot in a call of the kernel's. Called on the thread, behind that call, where its slot was
/// taken; `kernel_tid` is its kernel thread's.
#[cold]
pub fn lost_slot(kernel_tid: i32) {
    if is_on() {
        let here = thread::here();
        here.handed.set(here.handed.get().wrapping_add(1));
        came_back(kernel_tid);
    }
}

/// Notes a stretch that begins: the monitor is about to take the slot of a thread that is in no recorded call. Called by the monitor.
/// `tcb` is the green thread's, which may end meanwhile: its words are only looked at.
#[cold]
pub fn stretch(kernel_tid: i32, tid: i32, tcb: usize, name: [u8; 16], since_ns: u64) -> Option<&'static Away> {
    if !is_on() || thread::is_in_call(tcb) {
        return None;
    }
    let (number, place) = away::ask(kernel_tid);
    let no_cpu_ns = sys::task::run_delay_ns_of(kernel_tid);
    away::claim(&Stretch { kernel_tid, tid, name, since_ns, number, place, no_cpu_ns })
}

/// Tells the stretch that ends here, if there was one. Called on the thread as it comes back to the scheduler and finds its slot gone, with
/// no lock held.
#[cold]
pub fn came_back(kernel_tid: i32) {
    if !is_on() {
        return;
    }
    if let Some(mut stretch) = away::take(Some(kernel_tid)) {
        stretch.no_cpu_ns = sys::own_run_delay_ns().saturating_sub(stretch.no_cpu_ns);
        let here = thread::here();
        // The call in which that was found out, if any, tells of itself.
        let in_call = if here.outer.get() == 0 { 0 } else { clock::ticks().wrapping_sub(here.began.get()) };
        tell(&stretch, sys::now_ns().saturating_sub(clock::about_ns(in_call)));
    }
}

/// Tells the stretches that go on as the process ends. Called by the thread that ends it.
pub fn end_all() {
    while let Some(mut stretch) = is_on().then(|| away::take(None)).flatten() {
        let no_cpu_ns = sys::task::run_delay_ns_of(stretch.kernel_tid);
        stretch.no_cpu_ns = no_cpu_ns.saturating_sub(stretch.no_cpu_ns);
        tell(&stretch, sys::now_ns());
    }
}

/// Tells a stretch whole: what the kernel said of it, and how long it was. It has no stack: where the thread is by now tells nothing of it.
fn tell(stretch: &Stretch, ended_ns: u64) {
    let Some(recording) = recording::of_process() else { return };
    let Some((_, long)) = lists::next_of_ring(recording) else { return };
    let (call, keeps) = match stretch.number {
        0.. => (UNHOOKED | stretch.number as u32, keeps::UNHOOKED),
        _ => (COMPUTED, keeps::COMPUTED),
    };
    long.call.store(call, Relaxed);
    long.thread.store(stretch.tid, Relaxed);
    long.ended_ns.store(ended_ns, Relaxed);
    long.duration_ns.store(ended_ns.saturating_sub(stretch.since_ns), Relaxed);
    long.no_cpu_ns.store(stretch.no_cpu_ns, Relaxed);
    long.reacquire_ns.store(0, Relaxed);
    long.timeout_ns.store(UNKNOWN_TIMEOUT, Relaxed);
    long.result.store(0, Relaxed);
    long.errno.store(0, Relaxed);
    long.fd.store(-1, Relaxed);
    long.fd_kind.store(0, Relaxed);
    long.gil.store(gil::NONE, Relaxed);
    long.keeps.store(keeps, Relaxed);
    long.hand_overs.store(1, Relaxed);
    long.slices.store(1, Relaxed);
    for field in [&long.local[..], &long.peer[..], &long.path[..], &long.python[..]] {
        text::write(field, b"");
    }
    let mut writer = Writer::new(&long.name);
    if keeps == keeps::UNHOOKED {
        writer.put(b"system call ");
        writer.number(stretch.number as u64);
    } else {
        writer.put(if stretch.number == away::COMPUTING { b"computing" } else { b"unknown" });
    }
    writer.end();
    text::write(&long.thread_name, text::until_zero(&stretch.name));
    let has_place = stretch.place != 0;
    if has_place {
        stack::note_object(recording, stretch.place);
        long.frames[0].store(stretch.place, Relaxed);
    }
    long.depth.store(u32::from(has_place), Relaxed);
    recorder::sum_up_alone(recording, long, stretch.place, 0);
    recording.header.last_ns.store(ended_ns, Relaxed);
}
