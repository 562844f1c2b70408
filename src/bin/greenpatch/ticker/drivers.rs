//! Python drivers at tarpits: each asks as a thread, a greenlet or a task, while another one beside it ticks.
//!
//! ```text
//!   python/drivers.py (the table) ── list ──► which are installed
//!        │                                        │
//!   python/harness.py, preloaded: a driver, a way ▼
//!        ├─ events: tick, began, ended ──► a cell: who went on, who did not
//!        ├─ the library's own ticker  ──► the control: did the machine let the process run at all?
//!        └─ the recording             ──► the call that waited, its library, what it held
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::tarpit::{now_ns, Kind, Tarpit, BEFORE_RESET};
use super::watch::TickFile;
use crate::audit::{preloaded, recording_into, startable, Folder, Recording, Waited};
use crate::failure::{Failure, FAILED};
use clap::ValueEnum;
use serde_json::Value;

/// The files that Python runs.
const FILES: [(&str, &str); 7] = [
    ("harness.py", include_str!("python/harness.py")),
    ("table.py", include_str!("python/table.py")),
    ("drivers.py", include_str!("python/drivers.py")),
    ("of_sql.py", include_str!("python/of_sql.py")),
    ("of_stores.py", include_str!("python/of_stores.py")),
    ("of_queues.py", include_str!("python/of_queues.py")),
    ("of_nets.py", include_str!("python/of_nets.py")),
];

/// What the table has for a driver that waits within the machine.
const NO_SERVER: &str = "none";
/// How often a driver is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long a driver's modules may take to be imported.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a driver may take until it has connected, in nanoseconds.
const CONNECTS_NS: u64 = 10_000_000_000;
/// How long a driver may go on once the tarpit has ended, beside the wait's own length.
const GRACE: Duration = Duration::from_secs(2);
/// How often a cell is tried where the machine does not let the process run.
const TRIES: usize = 3;
/// Calls of this many milliseconds are waits.
const THRESHOLD_MS: u64 = 20;
/// From this share of the wait on without a tick, nothing went on; below the lower one, everything did.
const BLOCKED: f64 = 0.5;
const PARTLY: f64 = 0.25;

/// The ways in which a driver is asked.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Way {
    /// A thread asks, another ticks
    Threads,
    /// A greenlet asks, another ticks; everything is patched
    Gevent,
    /// As gevent
    Eventlet,
    /// A task asks, another ticks
    Asyncio,
    /// As threads, under `greenpatch run` with one worker
    Run,
}

/// All ways, as the matrix has them.
pub const WAYS: [Way; 5] = [Way::Threads, Way::Gevent, Way::Eventlet, Way::Asyncio, Way::Run];

impl Way {
    /// Names the way as its option does.
    pub fn name(self) -> &'static str {
        match self {
            Way::Threads => "threads",
            Way::Gevent => "gevent",
            Way::Eventlet => "eventlet",
            Way::Asyncio => "asyncio",
            Way::Run => "run",
        }
    }

    /// Is it a loop's, which may lend its wait?
    fn lends(self) -> bool {
        matches!(self, Way::Gevent | Way::Eventlet | Way::Asyncio)
    }

    /// Names the way as the harness knows it.
    fn within(self) -> &'static str {
        match self {
            Way::Run => "threads",
            way => way.name(),
        }
    }
}

/// What a cell shows.
#[derive(Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Everything else went on.
    Yields,
    /// Nothing else of Python's went on, for the interpreter's lock was held.
    HoldsGil,
    /// The loop did not turn.
    BlocksLoop,
    /// Went on in slices: between a quarter and half of the wait without a tick.
    Partly,
    /// Green: the one worker was kept.
    KeepsWorker,
    /// The driver did not wait, or cannot be asked so.
    NotPossible,
    /// The machine let not even the library's own thread tick.
    Unclear,
}

impl Verdict {
    /// The verdict as the JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Yields => "YIELDS",
            Verdict::HoldsGil => "HOLDS_GIL",
            Verdict::BlocksLoop => "BLOCKS_LOOP",
            Verdict::Partly => "YIELDS_PARTLY",
            Verdict::KeepsWorker => "KEEPS_WORKER",
            Verdict::NotPossible => "NOT_POSSIBLE",
            Verdict::Unclear => "UNCLEAR",
        }
    }

    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Yields => "yields",
            Verdict::HoldsGil => "holds the GIL",
            Verdict::BlocksLoop => "blocks the loop",
            Verdict::Partly => "yields in part",
            Verdict::KeepsWorker => "keeps the worker",
            Verdict::NotPossible => "not possible",
            Verdict::Unclear => "unclear",
        }
    }
}

/// Ticks during a wait.
#[derive(Default)]
pub struct Ticking {
    pub ticks: usize,
    pub gap_ns: u64,
    /// The share of the wait that no tick came in, beyond what is due.
    pub missing: f64,
}

impl Ticking {
    /// Looks at the ticks from one moment to another.
    fn between(times: &[u64], from: u64, until: u64, period_ns: u64) -> Ticking {
        let inside: Vec<u64> = times.iter().copied().filter(|ns| (from..until).contains(ns)).collect();
        let bounds = [&[from], &inside[..], &[until.max(from)]].concat();
        let gaps: Vec<u64> = bounds.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
        let missing: u64 = gaps.iter().map(|gap| gap.saturating_sub(2 * period_ns)).sum();
        Ticking {
            ticks: inside.len(),
            gap_ns: gaps.iter().copied().max().unwrap_or(0),
            missing: missing as f64 / until.saturating_sub(from).max(1) as f64,
        }
    }
}

/// One driver, asked in one way.
pub struct Cell {
    pub way: Way,
    pub verdict: Verdict,
    /// `sync` or `async`: which of the driver's functions asked.
    pub api: String,
    pub wait_ns: u64,
    pub own: Ticking,
    pub control: Ticking,
    pub waited: Option<Waited>,
    /// How the call ended, or why it cannot be asked, in words.
    pub ended: String,
}

impl Cell {
    /// Did something stand still, and no call tells why?
    fn is_doubtful(&self) -> bool {
        self.waited.is_none() && !matches!(self.verdict, Verdict::Yields | Verdict::NotPossible)
    }
}

/// A driver of the table.
pub struct Driver {
    pub name: String,
    pub tarpit: String,
    pub install: Vec<String>,
    pub packages: Vec<String>,
    /// The versions of its distributions.
    pub versions: Vec<(String, String)>,
    /// The module that is not there; `None`: it is installed.
    pub missing: Option<String>,
    ways: Vec<String>,
    apis: Value,
}

/// The table, and the Python that runs it.
pub struct Table {
    folder: Folder,
    executable: PathBuf,
    pub python: String,
    pub gevent: Option<String>,
    pub eventlet: Option<String>,
    /// The version of the Python package `greenpatch`.
    pub package: Option<String>,
    pub drivers: Vec<Driver>,
}

/// How drivers are asked.
pub struct Terms<'a> {
    pub library: &'a Path,
    pub seconds: f64,
    pub hz: u32,
    /// Dots go to stdout as the ticks come.
    pub shows: bool,
    /// Loops lend their wait, as under `greenpatch run --bridge`.
    pub bridged: bool,
}

fn failed(sentence: impl Into<String>) -> Failure {
    Failure(FAILED, sentence.into())
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Table {
    /// Asks a Python for the table, with a file of the user's own. Fails where that cannot be read, Python cannot be started, or does not
    /// answer.
    pub fn new(python: &Path, own: Option<&Path>) -> Result<Table, Failure> {
        let folder = Folder::new(None)?;
        for (name, text) in FILES {
            fs::write(folder.path.join(name), text)
                .map_err(|why| failed(format!("{name} cannot be written: {why}.")))?;
        }
        if let Some(own) = own {
            fs::copy(own, folder.path.join("of_user.py"))
                .map_err(|why| failed(format!("{}: {why}.", crate::words::shown(own))))?;
        }
        let output =
            Command::new(python).arg(folder.path.join("harness.py")).arg("list").stderr(Stdio::inherit()).output();
        let output = output.map_err(|why| failed(format!("{}: {why}.", crate::words::shown(python))))?;
        let facts: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed(format!("{} did not tell its drivers.", crate::words::shown(python))))?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let driver = |row: &Value| Driver {
            name: text(&row["name"]).unwrap_or_default(),
            tarpit: text(&row["tarpit"]).unwrap_or_default(),
            install: texts(&row["install"]),
            packages: texts(&row["packages"]),
            versions: row["versions"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, version)| (name.clone(), text(version).unwrap_or_default()))
                .collect(),
            missing: text(&row["missing"]),
            ways: texts(&row["ways"]),
            apis: row["api"].clone(),
        };
        Ok(Table {
            executable: text(&facts["executable"]).unwrap_or_default().into(),
            python: text(&facts["python"]).unwrap_or_default(),
            gevent: text(&facts["gevent"]),
            eventlet: text(&facts["eventlet"]),
            package: text(&facts["greenpatch"]),
            drivers: facts["drivers"].as_array().into_iter().flatten().map(driver).collect(),
            folder,
        })
    }

    /// Sends all drivers that have a server to tarpits of one kind.
    pub fn go_to(&mut self, kind: Kind) {
        let of_servers = self.drivers.iter_mut().filter(|driver| driver.tarpit != NO_SERVER);
        of_servers.for_each(|driver| driver.tarpit = kind.to_string());
    }

    /// Finds a driver by its name, or by the name of what is installed for it.
    pub fn find(&self, name: &str) -> Result<&Driver, Failure> {
        let named = |driver: &&Driver| driver.name.eq_ignore_ascii_case(name);
        let begins = |driver: &&Driver| driver.name.to_lowercase().starts_with(&format!("{} (", name.to_lowercase()));
        let found = self.drivers.iter().find(named).or_else(|| self.drivers.iter().find(begins));
        found.ok_or_else(|| {
            let names: Vec<&str> = self.drivers.iter().map(|driver| driver.name.as_str()).collect();
            failed(format!("there is no driver “{name}”; there are {}.", names.join(", ")))
        })
    }

    /// Asks a driver in a way, again where what it shows may be the machine's fault. `None`: the way is not one of the driver's.
    pub fn cell(&self, driver: &Driver, way: Way, terms: &Terms) -> Result<Option<Cell>, Failure> {
        if !driver.ways.iter().any(|name| name == way.within()) {
            return Ok(None);
        }
        let not_there = match way {
            _ if driver.missing.is_some() => driver.missing.as_deref(),
            Way::Gevent if self.gevent.is_none() => Some("gevent"),
            Way::Eventlet if self.eventlet.is_none() => Some("eventlet"),
            way if terms.bridged && way.lends() && self.package.is_none() => Some("greenpatch"),
            _ => None,
        };
        let api = driver.apis[way.within()].as_str().unwrap_or_default().to_owned();
        if let Some(module) = not_there {
            let ended = format!("{module} is not installed");
            let (own, control) = (Ticking::default(), Ticking::default());
            let verdict = Verdict::NotPossible;
            return Ok(Some(Cell { way, verdict, api, wait_ns: 0, own, control, waited: None, ended }));
        }
        let mut cell = self.run(driver, way, &api, terms)?;
        for _ in 1..TRIES {
            if !cell.is_doubtful() {
                break;
            }
            let again = self.run(driver, way, &api, terms)?;
            // What blocks does so each time; what yields may look as if it blocked, on a busy machine.
            if cell.verdict == Verdict::Unclear || again.verdict == Verdict::Yields {
                cell = again;
            }
        }
        Ok(Some(cell))
    }

    fn run(&self, driver: &Driver, way: Way, api: &str, terms: &Terms) -> Result<Cell, Failure> {
        let folder = Folder::within(&self.folder.path, "cell")?;
        let cannot = |why: io::Error| failed(format!("{}: {why}.", crate::words::shown(&folder.path)));
        let (recorded, path, events) =
            (folder.path.join("recorded"), folder.path.join("ticks"), folder.path.join("events"));
        fs::create_dir(&recorded).map_err(cannot)?;
        let ticks = TickFile::new(&path).map_err(cannot)?;
        let ticker = format!("ticker={}:ticks={}", path.display().to_string().replace(':', "%3A"), terms.hz);
        let is_lent = terms.bridged && way.lends();
        let options = match way {
            Way::Run => format!("workers=1:{ticker}"),
            _ if is_lent => ticker,
            _ => format!("{}:{ticker}", recording_into(&recorded, THRESHOLD_MS)),
        };
        // A driver that waits for a lock has no server: the tarpit that it does not ask is as good as any.
        let kind = Kind::from_str(&driver.tarpit, false).unwrap_or(Kind::Silent);
        let tarpit = Tarpit::new(kind, 0, BEFORE_RESET).map_err(cannot)?;
        let port = tarpit.port;
        let words = [
            self.executable.clone().into_os_string(),
            self.folder.path.join("harness.py").into(),
            driver.name.clone().into(),
            way.within().into(),
            "127.0.0.1".into(),
            port.to_string().into(),
            terms.seconds.to_string().into(),
            terms.hz.to_string().into(),
            events.clone().into(),
        ];
        let program = startable(&words[0], terms.library)?;
        let mut command = preloaded(&words, terms.library, &options)?;
        if is_lent {
            command.env("GREENPATCH_BRIDGE", way.name());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(&folder.path);
        let mut child = command.spawn().map_err(|why| crate::start::refused(&program, &why))?;
        let recording = (way != Way::Run && !is_lent).then(|| Recording::begin(&recorded));
        let wait_ns = (terms.seconds * 1e9) as u64;
        let (started, mut shown, mut seen) = (Instant::now(), 0, Events::default());
        while child.try_wait().map_err(cannot)?.is_none() {
            seen = Events::read(&events);
            let connected = tarpit.connected_ns();
            // What a driver computes before it connects is no wait.
            let connects = kind != Kind::NeverAccept && driver.tarpit != NO_SERVER && connected.is_none();
            let is_late = |began: &u64| connects && now_ns() < began + CONNECTS_NS;
            let from = seen.began.filter(|began| !is_late(began)).map(|began| began.max(connected.unwrap_or(0)));
            if seen.ended.is_some() || from.is_some_and(|from| now_ns() >= from + wait_ns) {
                break;
            }
            if from.is_none() && started.elapsed() >= PATIENCE {
                break;
            }
            if terms.shows {
                shown = dots(&seen, shown);
            }
            sleep(LOOK);
        }
        let connected = tarpit.connected_ns();
        let until = now_ns();
        let control = ticks.times();
        tarpit.end();
        // The call is to end, so that it is recorded; how it ends is told.
        let last = Instant::now() + GRACE + Duration::from_secs_f64(terms.seconds);
        while child.try_wait().map_err(cannot)?.is_none() && Instant::now() < last {
            sleep(LOOK);
        }
        let was_ended = child.try_wait().map_err(cannot)?.is_none();
        let _ = child.kill();
        let status = child.wait().map_err(cannot)?;
        let recording = recording.and_then(|recording| recording.end(until).ok());
        let before = seen;
        let seen = Events::read(&events);
        if terms.shows {
            dots(&Events { ticks: seen.ticks.iter().copied().filter(|ns| *ns < until).collect(), ..before }, shown);
        }
        let mut cell = Cell {
            way,
            verdict: Verdict::NotPossible,
            api: api.to_owned(),
            wait_ns: 0,
            own: Ticking::default(),
            control: Ticking::default(),
            waited: None,
            ended: match &seen.ended {
                Some((_, words)) => words.clone(),
                None if was_ended => "went on when the server had ended, and was ended".to_owned(),
                None => format!("the process ended: {status}"),
            },
        };
        let Some(began) = seen.began else { return Ok(cell) };
        let from = began.max(connected.unwrap_or(0)).min(until);
        let until = seen.ended.as_ref().map_or(until, |(at, _)| until.min(*at)).max(from);
        let period_ns = 1_000_000_000 / u64::from(terms.hz);
        cell.wait_ns = until - from;
        cell.own = Ticking::between(&seen.ticks, from, until, period_ns);
        cell.control = Ticking::between(&control, from, until, period_ns);
        // A call that is not the wait's own half is not what it waited for: that one is not known.
        let is_it = |waited: &Waited| waited.total_s * 2e9 >= cell.wait_ns as f64;
        cell.waited = recording.and_then(|ended| ended.of_thread(seen.thread)).filter(is_it);
        let is_held = cell.waited.as_ref().is_some_and(|waited| waited.gil == "held");
        let stopped = cell.own.missing >= BLOCKED;
        cell.verdict = match way {
            // What ends sooner has not waited, but for what ends with its own timeout.
            _ if cell.wait_ns < wait_ns / 3 => Verdict::NotPossible,
            Way::Run if cell.control.missing >= BLOCKED && stopped => Verdict::KeepsWorker,
            _ if cell.control.missing >= PARTLY => Verdict::Unclear,
            Way::Run | Way::Threads if stopped => Verdict::HoldsGil,
            _ if stopped && is_held => Verdict::HoldsGil,
            _ if stopped => Verdict::BlocksLoop,
            _ if cell.own.missing >= PARTLY => Verdict::Partly,
            _ => Verdict::Yields,
        };
        Ok(cell)
    }
}

/// Shows a dot for each tick of the wait that has none yet. Returns how many there are.
fn dots(seen: &Events, shown: usize) -> usize {
    let count = seen.ticks.iter().filter(|ns| seen.began.is_some_and(|began| **ns >= began)).count();
    let mut stdout = io::stdout();
    // A reader that has gone away is no reason to fail.
    let _ = stdout.write_all(".".repeat(count.saturating_sub(shown)).as_bytes()).and_then(|()| stdout.flush());
    count.max(shown)
}

/// What the harness has told.
#[derive(Default)]
struct Events {
    ticks: Vec<u64>,
    /// The last one, for a driver may prepare something first.
    began: Option<u64>,
    ended: Option<(u64, String)>,
    thread: i32,
}

impl Events {
    /// Reads whole lines.
    fn read(path: &Path) -> Events {
        let mut seen = Events::default();
        let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let mut words = line.splitn(3, ' ');
            let (what, at, rest) = (words.next(), words.next().and_then(|ns| ns.parse().ok()), words.next());
            let (Some(at), rest) = (at, rest.unwrap_or_default()) else { continue };
            match what {
                Some("tick") => seen.ticks.push(at),
                Some("began") => seen.began = Some(at),
                Some("ended" | "cannot") => seen.ended = Some((at, rest.trim().to_owned())),
                Some("thread") => seen.thread = rest.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        seen
    }
}
