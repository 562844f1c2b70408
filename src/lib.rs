//! greenpatch: an LD_PRELOAD library that makes the blocking libc calls of an unmodified program park a green thread.
//!
//! The front door: what happens when the library is loaded and when the process ends. Everything else is behind it: `hooks` know C
//! and errno, `runtime` knows green threads, `glibc` and `sys` know what is below. See ARCHITECTURE.md.
//!
//! The front door decides once, at load, between four outcomes:
//!
//! ```text
//!   closed    the hooks pass every call on to libc         a set-user-id program, a second copy, wrong options, an unknown glibc
//!   refused   the first pthread_create starts nothing      valgrind, a library in front of `config::PASSED_BY`
//!   recorded  the hooks pass every call on by the recorder   the option `audit`; the runtime refuses to start
//!   open      the first pthread_create starts the runtime  otherwise; with `audit` and `green` the recorder stands in front of the hooks
//! ```
#![warn(clippy::undocumented_unsafe_blocks)]

use crate::glibc::{objects, symbols};

mod arch;
mod audit;
mod base;
mod bridge;
mod config;
// The command uses parts of it that the library does not.
#[allow(dead_code)]
mod dump;
mod dumper;
mod environment;
mod figures;
mod glibc;
mod hooks;
mod report;
mod rows;
mod runtime;
mod statistics;
mod sys;
mod ticker;
mod ticks;
mod why;

/// Prepares the library, and opens the hooks. Called by the loader before every other constructor (`-z initfirst`), so that no hook
/// is entered before it is ready; by a dlopen later, on any thread.
/// Where anything is missing the hooks stay closed, and the program runs natively: a set-user-id program, a glibc of another form, a
/// bad option. A second copy of the library stays closed, too: both would take the same entries and signals. Under valgrind, and
/// with libraries that wrap what is hooked, the runtime refuses to start.
#[ctor::ctor(unsafe)]
fn load() {
    // First of all: a fork handler that is registered later (an allocator's, in its first malloc) closes before this library's and opens
    // after it.
    hooks::process::fork::prepare();
    // SAFETY: called by the loader, single-threaded, on the initial stack's process image.
    let Some(mut environment) = (unsafe { environment::Environment::of_process() }) else { return };
    if environment.is_secure() || objects::is_second_copy() {
        return;
    }
    let misfit = misfit();
    let Some(options) = report::options(&mut environment) else { return };
    runtime::start::configure(
        options.workers.unwrap_or_else(sys::processors).min(config::MOST_WORKERS),
        environment.can_switch_fast(),
    );
    let stays_native = if objects::are_valgrinds() {
        Some(report::VALGRIND)
    } else {
        symbols::are_wrapped(&config::PASSED_BY).then_some(report::PASSED_BY)
    };
    if let Some(why) = stays_native {
        runtime::machine::started::refuse(why);
        report::warn(why);
    }
    if let Some(path) = options.audit.filter(|_| misfit.is_none() && !options.green) {
        record(path, &options, &mut environment);
        return tick(&options);
    }
    if options.entries && stays_native.is_none() {
        hooks::inside::entries::allow(hooks::door::each_row);
    }
    match options.inline.filter(|_| stays_native.is_none()) {
        Some(true) if !runtime::trap::inline::want(hooks::number::syscall::INLINE) => report::refuse_inline(),
        None => runtime::trap::inline::want_if_needed(hooks::number::syscall::INLINE),
        _ => {}
    }
    hooks::thread::attributes::set_default_stack(options.stack_size);
    misfit.into_iter().for_each(runtime::machine::started::refuse);
    statistics::prepare(&mut environment, &options);
    options.dump.inspect(dumper::prepare);
    if !options.follow {
        environment.unpreload();
    }
    if misfit.is_some() {
        // `set_ready` would open the hooks.
        return;
    }
    if let Some(path) = options.audit.filter(|_| stays_native.is_none()) {
        record_green(path, &options);
    }
    glibc::set_ready();
    if environment::libc_runs() {
        hooks::inside::entries::take();
    }
    tick(&options);
}

/// Makes the ticker's thread, where it is asked for. Called by `load` as its last step: a thread made there starts the runtime.
fn tick(options: &config::Options<'static>) {
    const DEFAULT_RATE: u64 = 10;
    if let Some(Err(why)) = options.ticker.map(|path| ticker::begin(path, options.ticks.unwrap_or(DEFAULT_RATE))) {
        report::refuse_ticker(why);
    }
}

/// Begins to record the calls that wait, in a process that stays native: the hooks stay closed, and pass every call on by the recorder.
/// Called once, by `load`, with the option `audit` alone. Where the file cannot be made one line on stderr says so, and nothing is
/// recorded.
///
/// The order: the clock first, for the recording notes when it began. The entries of libc next, or what they put in the real functions'
/// place would take the recorder's away. The recorder last: from `install` on, calls are timed; `shorten` comes behind, for hooks jump to
/// what it installs.
fn record(path: &'static str, options: &config::Options<'static>, environment: &mut environment::Environment) {
    runtime::machine::started::refuse("it is audited, and stays native");
    if !begin_recording(path, options) {
        return;
    }
    if options.entries {
        hooks::inside::entries::allow(hooks::door::each_row);
        hooks::inside::entries::take();
    }
    hooks::audited::install();
    hooks::audited::shorten(hooks::door::each_row);
    audit::recorder::prepare();
    if !options.follow {
        environment.unpreload();
    }
}

/// Begins to record what keeps a worker, in a process that runs green. Called once, by `load`, with the options `audit` and `green`, before
/// the hooks open. Where that cannot be one line on stderr says so, and nothing is recorded: the program runs green.
fn record_green(path: &'static str, options: &config::Options<'static>) {
    if begin_recording(path, options) {
        match hooks::audited::install_in_front(hooks::door::each_row) {
            Some(unreached) => audit::green::begin_all(unreached),
            None => report::refuse_green_audit(),
        }
    }
}

/// Starts the recorder's clock, for the recording notes when it began, and makes the file. False: it cannot be made, and one line on stderr
/// has said so.
fn begin_recording(path: &'static str, options: &config::Options<'static>) -> bool {
    const DEFAULT_MS: u64 = 20;
    audit::clock::start();
    let threshold_ns = options.threshold.unwrap_or(DEFAULT_MS) * 1_000_000;
    let begun = audit::recording::begin(path, threshold_ns, [options.green, options.idle]);
    begun.inspect_err(|why| report::refuse_audit(*why, options.green)).is_ok()
}

/// Finds what the library needs of glibc: its symbols, the real functions, the layout of its locks. Returns `None`, or what does not fit,
/// for the message. Called once, by `load`. It runs before the options are read, so the reason is noted (`refuse`) for the statistics even
/// though the hooks stay closed.
fn misfit() -> Option<&'static str> {
    if let Err(name) = glibc::find() {
        let why = format!("this glibc has no {} that the library knows", name.to_string_lossy());
        return Some(why.leak());
    }
    hooks::real::resolve();
    (!hooks::sync::object::learn() || !hooks::sync::once::learn_generation())
        .then_some("this glibc lays out its locks in a way that the library does not know")
}

/// Writes the statistics at the end of the process: atexit handlers have run, and stdio's streams are flushed. Called by the loader,
/// from `.fini_array`; not for `_exit`, whose hook writes them itself.
extern "C" fn unload() {
    statistics::write();
    audit::green::end_all();
    audit::recording::end(None);
}

/// `unload`'s place among the library's destructors.
#[used]
#[link_section = ".fini_array"]
static UNLOAD: extern "C" fn() = unload;
