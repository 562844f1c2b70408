//! The options: one row each, read by the library (GREENPATCH_OPTIONS) and by the command (its flags and help).
//!
//! GREENPATCH_OPTIONS=key=value:key=value. A wrong key or value is one line on stderr, and the program runs natively.
//!
//! A value ends at the next colon, with two exceptions: `%3A` is a colon in a path (`escape`), and the path behind a signal of `dump`
//! belongs to that value (`length`).
//!
//! `report` reads the variable at load and tells what is wrong; `greenpatch run` makes a flag of each row and checks the values by the same
//! parsers. So this file names nothing else of the library. No parser allocates: what it returns borrows from the text, which in the
//! library is the environment on the initial stack.

/// Parses a number of bytes: digits, then nothing, K, M or G (powers of 1024). `None`: the text is written otherwise, or the number is too
/// large for a usize.
pub fn parse_bytes(text: &str) -> Option<usize> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: usize = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

/// The most workers that can be asked for. The library also keeps to it where `workers` is not set and the affinity mask has more
/// processors.
pub const MOST_WORKERS: usize = 256;

/// Parses a number of workers, 1 to `MOST_WORKERS`: how many green threads run at once. `None`: no number, or one out of that range.
fn parse_workers(text: &str) -> Option<usize> {
    text.parse().ok().filter(|n| (1..=MOST_WORKERS).contains(n))
}

/// Parses the bytes of a stack: at least PTHREAD_STACK_MIN (16 KiB), at most 1 TiB. `None`: no size, or one out of that range. The value
/// holds for threads whose attributes set no size (`hooks::thread::attributes`).
fn parse_stack(text: &str) -> Option<usize> {
    parse_bytes(text).filter(|bytes| (16 << 10..=1 << 40).contains(bytes))
}

/// Parses `0` or `1`. `None`: any other text, `true` and `yes` among it.
fn parse_switch(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Parses `auto`, `0` or `1`. The inner `None` is `auto`: the library decides. The outer `None`: the text is none of the three.
fn parse_choice(text: &str) -> Option<Option<bool>> {
    if text == "auto" {
        Some(None)
    } else {
        parse_switch(text).map(Some)
    }
}

/// Parses a path, still escaped: any text but the empty one. The bytes come out of it where the file is opened (`unescape`), for `%p` means
/// another number in a fork child.
fn parse_path(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A signal on which the green threads are listed, and the file that the list goes to. Parsed here, acted on by `dumper` and
/// `runtime::dump`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dump<'a> {
    /// The signal's number.
    pub signal: i32,
    /// The file that each list is added to, written as a value of `stats`; `None`: stderr.
    pub path: Option<&'a str>,
}

/// The signals that the option `dump` takes, by name, beside the real-time ones. Left out are signals that cannot be handled (KILL, STOP),
/// that faults send (SEGV, BUS, ILL, FPE, TRAP, SYS), ABRT, and libc's own.
const SIGNALS: [(&str, i32); 22] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
];
/// The real-time signals that glibc leaves to programs: 32 and 33 are its own (cancellation, setuid).
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Parses a signal's name, with or without SIG, or its number; RTMIN+n and RTMAX-n. `None`: no such signal, or none that `dump` takes.
/// RTMIN and RTMAX are glibc's, 34 and 64: the kernel counts from 32.
pub fn parse_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        let is_known = SIGNALS.iter().any(|(_, known)| *known == number) || REAL_TIME.contains(&number);
        return Some(number).filter(|_| is_known);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let distance = |rest: &str| if rest.is_empty() { Some(0) } else { rest.parse::<u8>().ok().map(i32::from) };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => REAL_TIME.start() + distance(rest.strip_prefix('+').unwrap_or(rest))?,
        (_, Some(rest)) => REAL_TIME.end() - distance(rest.strip_prefix('-').unwrap_or(rest))?,
        _ => return SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number),
    };
    REAL_TIME.contains(&number).then_some(number)
}

/// Parses `SIGNAL` or `SIGNAL:PATH`; the colon may be written `%3A`. `None`: the signal is none that can be taken, or the path behind the
/// colon is empty.
///
/// ```text
///   USR1              signal 10, stderr
///   SIGRTMIN+3:/tmp/x signal 37, the file /tmp/x
/// ```
fn parse_dump(text: &str) -> Option<Dump<'_>> {
    let (signal, path) = match text.split_once(':').or_else(|| text.split_once("%3A")) {
        Some((signal, path)) => (signal, Some(parse_path(path)?)),
        None => (text, None),
    };
    Some(Dump { signal: parse_signal(signal)?, path })
}

/// The key that the library adds behind `stats`, for the programs that this one executes (`statistics::prepare`). No user sets it: it has
/// no row below, and no help.
pub const FAMILY: &str = "stats_family";

/// Writes a file's name as a value of `stats`: `%3A` is a colon, which would end the value, `%25` is a percent sign, and `%80` to `%FF` are
/// bytes of names that are no UTF-8 text. (In a value `%p` is the process id; any other percent sign stands for itself.) `unescape` gives
/// the same bytes back. Called at load, for the working directory; allocates.
pub fn escape(name: &[u8]) -> String {
    let mut value = String::new();
    for part in name.utf8_chunks() {
        for letter in part.valid().chars() {
            match letter {
                ':' => value += "%3A",
                '%' => value += "%25",
                _ => value.push(letter),
            }
        }
        part.invalid().iter().for_each(|byte| value += &format!("%{byte:02X}"));
    }
    value
}

/// Passes the bytes of the name that a value of `stats` or `dump` stands for to `give`, one after the other, with `pid` in decimal for each
/// `%p`. Never fails: a percent sign that begins no escape is passed as it is. Called in signal handlers, too: allocates nothing and takes
/// no lock.
#[allow(dead_code)]
pub fn unescape(value: &str, pid: u32, mut give: impl FnMut(u8)) {
    let bytes = value.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escaped =
            bytes.get(at..at + 3).filter(|three| three[0] == b'%').and_then(|three| escaped(three[1], three[2]));
        if let Some(byte) = escaped {
            give(byte);
            at += 3;
        } else if bytes[at..].starts_with(b"%p") {
            let mut unit = 1;
            while pid / unit >= 10 {
                unit *= 10;
            }
            while unit > 0 {
                give(b'0' + (pid / unit % 10) as u8);
                unit /= 10;
            }
            at += 2;
        } else {
            give(bytes[at]);
            at += 1;
        }
    }
}

/// Returns the byte that two hexadecimal digits stand for, if it is one that `escape` writes so. `None`: the digits are none, or stand for
/// another byte: the text is no escape then.
fn escaped(first: u8, second: u8) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    let byte = digit(first)? << 4 | digit(second)?;
    (byte >= 0x80 || byte == b':' || byte == b'%').then_some(byte)
}

/// Makes of the table below the struct `Options`, its defaults, `Options::set`, and `HELP`. A row:
///
/// ```text
///   name: Type = default, parser, "PLACEHOLDER", "what the parser expects, for a complaint",
///       "meaning, for help texts and the field's documentation";
/// ```
///
/// A parser takes the value's text and returns `None` for what it does not take. An option of type `Option` is `None` until it is set.
macro_rules! options {
    ($($name:ident: $t:ty = $default:expr, $parse:path, $placeholder:literal, $expects:literal, $meaning:literal;)*) => {
        /// Every option's value: as the environment sets it, or the default. Text is borrowed from the environment, as it is written there.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Options<'a> {
            $(#[doc = $meaning] pub $name: $t,)*
            /// Whose statistics `stats` names: written by the library, for the programs that this one executes (`FAMILY`).
            pub family: Option<&'a str>,
            phantom: std::marker::PhantomData<&'a ()>,
        }

        impl<'a> Options<'a> {
            /// The values without GREENPATCH_OPTIONS.
            pub const DEFAULT: Options<'a> = Options { $($name: $default,)* family: None, phantom: std::marker::PhantomData };

        /// Every option's value: as the environment sets it, or the default. Text is borrowed from the environment, as it is written
        /// there.
            fn set(&mut self, key: &str, value: &'a str) -> Result<(), Wrong<'a>> {
                match key {
                    $(stringify!($name) => match $parse(value) {
                        Some(parsed) => self.$name = parsed.into(),
                        None => return Err(Wrong::Value { key: stringify!($name), value, expects: $expects }),
                    },)*
                    _ => return Err(Wrong::Key),
                }
                Ok(())
            }
        }

        /// (name, placeholder, meaning) of every option, for help texts.
        #[allow(dead_code)]
        pub const HELP: &[(&str, &str, &str)] = &[$((stringify!($name), $placeholder, $meaning),)*];
    };
}

/// Parses a number of milliseconds, from 0 to a day. `None`: no number, or one out of that range.
fn parse_ms(text: &str) -> Option<u64> {
    text.parse().ok().filter(|ms| *ms <= 86_400_000)
}

/// Parses a number from 1 to 1000: how many times a second something is done. `None`: no number, or one out of that range.
fn parse_rate(text: &str) -> Option<u64> {
    text.parse().ok().filter(|rate| (1..=1000).contains(rate))
}

options! {
    workers: Option<usize> = None, parse_workers, "N", "a number from 1 to 256",
        "how many green threads run at once (default: the processors in the affinity mask)";
    stack_size: Option<usize> = None, parse_stack, "BYTES", "a size from 16K to 1024G, such as 65536, 256K or 8M",
        "stack of a thread created without a size of its own (default: as natively, ulimit -s)";
    audit: Option<&'a str> = None, parse_path, "PATH", "a path",
        "record the calls that wait into this file, and leave the program native (greenpatch report reads it)";
    green: bool = false, parse_switch, "0|1", "0 or 1",
        "with audit: run the program green, and record what keeps a worker (default: 0)";
    idle: bool = false, parse_switch, "0|1", "0 or 1",
        "with audit: whether nothing is recorded until greenpatch audit --pid asks for it (default: 0)";
    threshold: Option<u64> = None, parse_ms, "MS", "a number of milliseconds from 0 to 86400000",
        "with audit: a call that takes longer is kept whole; 0: each that takes ten microseconds (default: 20)";
    ticker: Option<&'a str> = None, parse_path, "PATH", "a path",
        "make a thread that ticks into this file, which is there already (greenpatch ticker makes and reads it)";
    ticks: Option<u64> = None, parse_rate, "HZ", "a number from 1 to 1000",
        "with ticker: so many times a second (default: 10)";
    stats: Option<&'a str> = None, parse_path, "PATH", "a path",
        "write a JSON object of figures to PATH at the end; %p becomes the process id, %3A a colon";
    entries: bool = true, parse_switch, "0|1", "0 or 1",
        "whether libc's own calls, and those that bypass the preload, are caught at the entries of libc's functions (default: 1)";
    inline: Option<bool> = None, parse_choice, "auto|0|1", "auto, 0 or 1",
        "whether system call instructions of the program's own and its libraries' are caught, too; needs Linux 6.17 \
         (default: auto, where they set a thread's state, as Go's do)";
    dump: Option<Dump<'a>> = None, parse_dump, "SIGNAL[:PATH]",
        "a signal that may be handled, such as USR2 or RTMIN+3, and perhaps a colon and a path",
        "list the green threads whenever SIGNAL comes, on stderr or at the end of the file PATH (%p becomes the process id); the \
         program's own handler for it runs as well";
    help: bool = false, parse_switch, "0|1", "0 or 1",
        "print these lines to stderr at start";
    follow: bool = true, parse_switch, "0|1", "0 or 1",
        "whether programs that this one executes are preloaded as well (default: 1)";
}

/// What can be wrong with GREENPATCH_OPTIONS. `report::describe` and the command's `options` put it into words.
#[derive(Debug, PartialEq)]
pub enum Wrong<'a> {
    /// A part without `=`.
    NoValue(&'a str),
    /// A key that no option has.
    UnknownKey(&'a str),
    /// A key that no option has, as `Options::set` returns it, which does not have the key's text for as long as `'a`. `parse` makes it
    /// `UnknownKey`; no caller of `parse` gets it.
    Key,
    /// An option that means something beside another one only, which is not set.
    Alone { key: &'static str, needs: &'static str },
    /// A value that the option does not take, and what it expects.
    Value { key: &'static str, value: &'a str, expects: &'static str },
}

/// Returns how many bytes of `text` are its first option: up to the next colon. A `dump` with a path goes on to the colon after that: what
/// comes behind its signal is a path if it begins with `/` or `.`, or is no `key=value`. Called by `parse` alone, with a text that is not
/// empty.
fn length(text: &str) -> usize {
    let end = |from: usize| text[from..].find(':').map_or(text.len(), |at| from + at);
    let first = end(0);
    let next = text.get(first + 1..end((first + 1).min(text.len()))).unwrap_or("");
    let is_path = next.starts_with(['/', '.']) || !next.contains('=');
    if text.starts_with("dump=") && is_path && !next.is_empty() && !text[..first].contains("%3A") {
        first + 1 + next.len()
    } else {
        first
    }
}

/// Parses `key=value:key=value`; empty parts are passed over, the last of equal keys wins. Fails by the first part that is wrong; what
/// comes behind that is not looked at. Called by `report::options` at load, and by `greenpatch run` before the program is executed.
pub fn parse(text: &str) -> Result<Options<'_>, Wrong<'_>> {
    let mut options = Options::DEFAULT;
    let mut rest = text;
    while !rest.is_empty() {
        let part;
        (part, rest) = rest.split_at(length(rest));
        rest = rest.strip_prefix(':').unwrap_or(rest);
        if part.is_empty() {
            continue;
        }
        let Some((key, value)) = part.split_once('=') else { return Err(Wrong::NoValue(part)) };
        match key {
            FAMILY => options.family = Some(value),
            // A later `stats` of the user's begins a family of its own.
            "stats" => options.family = None,
            _ => {}
        }
        if key == FAMILY {
            continue;
        }
        options.set(key, value).map_err(|wrong| if wrong == Wrong::Key { Wrong::UnknownKey(key) } else { wrong })?;
    }
    if options.green && options.audit.is_none() {
        return Err(Wrong::Alone { key: "green", needs: "audit" });
    }
    Ok(options)
}

/// Functions in front of which no other library, preloaded behind this one, may put its own: a green thread's call of them is made here,
/// and would pass that library by. To decide where a connection or a path leads is the whole purpose of such a library (proxies, other
/// roots), so the program stays native then. Read by the front door (`symbols::are_wrapped`) and by `greenpatch doctor`.
pub const PASSED_BY: [&std::ffi::CStr; 3] = [c"connect", c"open", c"openat"];
