//! The statistics in words: one JSON object, put together without allocating. Beside it the symbol `greenpatch_figures`, by which
//! `greenpatch stats` reads the same figures from outside.
//!
//! The text, one line:
//!
//! ```text
//!   {"family":"…","distance":0,"started":true,   read back by `member_of`: keep their order
//!    "native":"…",                                only where the program stays native, and why is known
//!    "version":"…","pid":…,
//!    … the rows of PLAIN but `started`, in their order …
//!    "green_threads":…,"parks":…,"switches":…,   sums over the workers
//!    "hooks":{…},"served":{…}}                    calls of each hook: as they came, and those of them that were served
//! ```

use crate::figures::{Layout, Name, Plain, MARK, ROWS};
use crate::statistics::member::Member;
use crate::{rows, runtime};
use std::sync::atomic::Ordering::Relaxed;

/// The library's version, as Cargo.toml has it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes the place of a constant text, for readers from outside.
const fn name(text: &'static str) -> Name {
    Name { text: text.as_ptr(), bytes: text.len() }
}

/// Makes `PLAIN` of rows `"name": bytes at place`. The size is written by hand and must be the static's: 8 for a number, 1 for a bool.
macro_rules! plain {
    ($($name:literal: $bytes:literal at $place:expr;)*) => {
        /// The figures that are one word somewhere.
        static PLAIN: Table<{ [$($name),*].len() }> = Table([$(
            Plain { name: name($name), place: &$place as *const _ as *const u8, bytes: $bytes },
        )*]);
    };
}

/// The plain figures, by row.
struct Table<const N: usize>([Plain; N]);

// SAFETY: it points to statics, which are read as what they are: words that change at any time.
unsafe impl<const N: usize> Sync for Table<N> {}

plain! {
    "started": 1 at runtime::machine::started::STARTED.has_started;
    "workers": 8 at runtime::start::WORKERS;
    "entries": 8 at runtime::machine::counts::ENTRIES;
    "inline": 1 at runtime::trap::inline::CATCH.is_on;
    "inline_calls": 8 at runtime::trap::inline::CATCH.calls;
    "green_threads_peak": 8 at runtime::machine::counts::COUNTS.green_threads_peak;
    "hand_overs": 8 at runtime::machine::counts::COUNTS.hand_overs;
    "false_alarms": 8 at runtime::machine::counts::COUNTS.false_alarms;
    "kernel_threads_peak": 8 at runtime::machine::counts::COUNTS.kernel_threads_peak;
}

/// The hooks' names, by row.
struct Names([Name; rows::NAMES.len()]);

// SAFETY: it points to constant texts.
unsafe impl Sync for Names {}

/// The hooks' names as places, made of `rows::NAMES` when the library is compiled.
static NAMES: Names = Names({
    let mut names = [const { name("") }; rows::NAMES.len()];
    let mut row = 0;
    while row < names.len() {
        names[row] = name(rows::NAMES[row]);
        row += 1;
    }
    names
});

/// What `greenpatch_figures` is: a `Layout` that is only read from outside, so the compiler sees no use of it.
struct Figures(#[allow(dead_code)] Layout);

// SAFETY: it points to statics.
unsafe impl Sync for Figures {}

/// Where the figures lie in memory, for readers from outside: constant from load on. `mark` changes with anything in `Layout`.
#[allow(non_upper_case_globals)]
#[no_mangle]
static greenpatch_figures: Figures = Figures(Layout {
    mark: MARK,
    version: name(VERSION),
    plain: PLAIN.0.as_ptr(),
    plain_count: PLAIN.0.len(),
    hooks: NAMES.0.as_ptr(),
    hook_count: NAMES.0.len(),
    others: runtime::machine::counts::COUNTS.others.as_ptr(),
    others_passed: runtime::machine::counts::COUNTS.others_passed.as_ptr(),
    created_by_others: &runtime::machine::counts::COUNTS.green_threads,
    workers: &runtime::machine::counts::COUNTS.workers,
});

/// Bytes that a text can become: for each hook twice its name, quotes, a colon, a comma and a number; and a kilobyte for the rest.
const MOST: usize = 2 * ROWS * 64 + 1024;

/// A text in the making: bytes in place, so that nothing is allocated. 50 KB, too much for a small stack: the one that is used is static
/// (`place::ROOM`), and belongs to the thread whose turn it is.
pub struct Text {
    bytes: [u8; MOST],
    length: usize,
}

impl Text {
    /// An empty text.
    pub const fn new() -> Text {
        Text { bytes: [0; MOST], length: 0 }
    }

    /// Returns the text as it is by now.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Makes the text empty.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Adds bytes; what does not fit is cut.
    pub fn add(&mut self, part: &[u8]) {
        let fits = part.len().min(MOST - self.length);
        self.bytes[self.length..self.length + fits].copy_from_slice(&part[..fits]);
        self.length += fits;
    }

    /// Adds a number in decimal.
    pub fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let (mut first, mut rest) = (digits.len(), number);
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return self.add(&digits[first..]);
            }
        }
    }

    /// Adds `,"name":`; the value comes after it, by one of the next three.
    fn key(&mut self, name: &str) {
        self.add(b",\"");
        self.add(name.as_bytes());
        self.add(b"\":");
    }

    /// Adds `,"name":number`.
    fn figure(&mut self, name: &str, number: u64) {
        self.key(name);
        self.number(number);
    }

    /// Adds `,"name":true` or `,"name":false`.
    fn yes_or_no(&mut self, name: &str, yes: bool) {
        self.key(name);
        self.add(if yes { b"true" } else { b"false" });
    }

    /// Adds `,"name":"word"`. The word has no quotes, backslashes and control characters: nothing is escaped. It is a constant of the
    /// library's.
    fn word(&mut self, name: &str, word: &str) {
        self.key(name);
        self.add(b"\"");
        self.add(word.as_bytes());
        self.add(b"\"");
    }

    /// Becomes the statistics as they are now. Called under the turn of `statistics`; other threads count meanwhile, so figures of one text
    /// may be of different moments.
    pub fn tell(&mut self, family: Option<&str>, member: Member, pid: i32) {
        use runtime::machine::counts::{sum, COUNTS};
        self.clear();
        self.add(b"{\"family\":\"");
        self.add(family.unwrap_or("").as_bytes());
        self.add(b"\"");
        self.figure("distance", member.distance.into());
        self.yes_or_no("started", member.started);
        if let Some(why) = runtime::start::why_native() {
            self.word("native", why);
        }
        self.word("version", VERSION);
        self.figure("pid", pid as u64);
        for figure in PLAIN.0.iter().skip(1) {
            // SAFETY: constant texts, and words of the size that is said.
            let (name, value) = unsafe {
                let name = std::slice::from_raw_parts(figure.name.text, figure.name.bytes);
                let value = match figure.bytes {
                    1 => figure.place.read_volatile() as u64,
                    _ => (figure.place as *const u64).read_volatile(),
                };
                (std::str::from_utf8_unchecked(name), value)
            };
            match figure.bytes {
                1 => self.yes_or_no(name, value != 0),
                _ => self.figure(name, value),
            }
        }
        self.figure("green_threads", COUNTS.green_threads.load(Relaxed) + sum(|worker| &worker.created));
        self.figure("parks", sum(|worker| &worker.parks));
        self.figure("switches", sum(|worker| &worker.switches));
        self.calls("hooks", |(came, _)| came);
        self.calls("served", |(_, served)| served);
        self.add(b"}\n");
    }

    /// Adds `,"key":{"hook":calls,…}`, with a figure of each hook that has one. `part` chooses of (calls that came, calls that were
    /// served).
    fn calls(&mut self, key: &str, part: fn((u64, u64)) -> u64) {
        self.key(key);
        let mut before: &[u8] = b"{";
        for (row, name) in rows::NAMES.iter().enumerate() {
            let calls = part(runtime::machine::counts::came_and_served(row));
            if calls > 0 {
                self.add(before);
                self.add(b"\"");
                self.add(name.as_bytes());
                self.add(b"\":");
                self.number(calls);
                before = b",";
            }
        }
        self.add(if before == b"{" { b"{}" } else { b"}" });
    }
}

/// Returns the member that a file tells of, by the bytes that it begins with; `None`: it is no such file, or of another family. The bytes
/// are read by this exact form and no other, for the library wrote them. Called under the turn, on what `place` has just read; allocates
/// nothing.
pub fn member_of(family: &str, begin: &[u8]) -> Option<Member> {
    let rest =
        begin.strip_prefix(b"{\"family\":\"")?.strip_prefix(family.as_bytes())?.strip_prefix(b"\",\"distance\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let distance =
        rest[..digits].iter().fold(0u32, |sum, digit| sum.wrapping_mul(10).wrapping_add((digit - b'0').into()));
    Some(Member { distance, started: rest[digits..].starts_with(b",\"started\":true") })
}
