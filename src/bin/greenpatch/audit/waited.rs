//! The call that a program waited in, for `ticker`: of its recordings, and of a watch over its calls that were not over.

use std::cmp::Ordering::Equal;
use std::path::{Path, PathBuf};

use super::findings::{self, Finding, Report};
use super::folder::read_all;
use super::open::Open;
use super::recording::{Long, Recorded};
use super::sites::Site;
use super::symbols::{Library, Place, Symbols};
use super::watch::Watch;
use super::{clock, phrases};
use crate::failure::Failure;

/// A call that waited.
pub struct Waited {
    pub call: String,
    pub seconds: f64,
    /// All its calls together.
    pub total_s: f64,
    /// The call's subject in words: `tcp 127.0.0.1:5432`; or nothing.
    pub about: String,
    /// Where the call was made: a place in words each, the innermost first; for Python, its lines first.
    pub stack: Vec<String>,
    /// The calling library, and the package that it comes from, where it is known.
    pub library: String,
    pub package: Option<String>,
    /// `held`, `released`, or `none`: the interpreter's lock meanwhile.
    pub gil: &'static str,
    /// Did it end before the program did?
    pub is_over: bool,
}

impl Waited {
    /// A call as its entry tells it: its length, and the length of all its calls together, in seconds.
    fn told(
        call: &str,
        [seconds, total_s]: [f64; 2],
        long: &Long,
        stack: &[Option<Place>],
        library: &Library,
    ) -> Waited {
        Waited {
            call: call.to_owned(),
            seconds,
            total_s,
            about: phrases::about(long).trim_start().to_owned(),
            stack: phrases::stack(long, stack),
            library: library.soname.clone(),
            package: library.package.clone(),
            gil: long.gil,
            is_over: true,
        }
    }

    fn of(finding: &Finding) -> Waited {
        let lengths = [finding.worst_s, finding.total_s];
        Waited::told(&finding.call, lengths, &finding.worst, &finding.stack, &finding.library)
    }

    /// The wait of a loop's own, which is no finding.
    fn of_loop(recorded: &Recorded, site: &Site) -> Waited {
        let place = Symbols::default().place(recorded, site.caller, true);
        Waited {
            call: site.name.clone(),
            seconds: site.worst_ns as f64 / 1e9,
            total_s: site.total_ns as f64 / 1e9,
            about: "the wait of a loop of its own".into(),
            stack: place.iter().map(phrases::words).collect(),
            library: place.map(|place| place.soname).unwrap_or_default(),
            package: None,
            gil: "none",
            is_over: true,
        }
    }

    /// A call that was not over when its process ended.
    fn of_open(open: &Open) -> Waited {
        let told = Waited::told(&open.long.name, [open.for_s; 2], &open.long, &open.stack, &open.library);
        Waited { is_over: false, ..told }
    }
}

/// A program's recordings while it runs: its calls that are not over are watched, for one that is killed tells nothing any more.
pub struct Recording {
    folder: PathBuf,
    watch: Watch,
}

/// What a program's recordings say, once it has ended.
pub struct Ended {
    recordings: Vec<Recorded>,
    report: Report,
    /// When the wait was over, that is asked for: calls that began later are none of it.
    until_ns: u64,
}

impl Recording {
    /// Begins to watch the program that is recorded into a folder.
    pub fn begin(folder: &Path) -> Recording {
        Recording { folder: folder.to_owned(), watch: Watch::begin(folder.to_owned(), None, || {}) }
    }

    /// Reads the recordings of the program, which has ended by now. Fails where nothing was recorded.
    pub fn end(self, until_ns: u64) -> Result<Ended, Failure> {
        let over_ns = clock::now_ns();
        let seen = self.watch.end();
        let mut recordings = read_all(&[self.folder], None)?;
        recordings.iter_mut().for_each(|recorded| seen.complete(recorded, Some(over_ns)));
        let report = findings::judge(&recordings);
        Ok(Ended { recordings, report, until_ns })
    }
}

impl Ended {
    /// Lists the calls that were not over, and that had begun within the wait.
    fn open(&self) -> impl Iterator<Item = &Open> {
        let began = |open: &Open| open.long.ended_ns.saturating_sub(open.long.duration_ns);
        self.report.open.iter().filter(move |open| began(open) < self.until_ns)
    }

    /// Returns where a thread waited most in all: a finding or a call that was not over, or else what is taken for a loop of its own.
    /// `None`: none of its calls took the threshold.
    pub fn of_thread(&self, thread: i32) -> Option<Waited> {
        let found = self.report.findings.iter().filter(|finding| finding.worst.thread == thread).map(Waited::of);
        let open = self.open().filter(|open| open.long.thread == thread).map(Waited::of_open);
        let most = found.chain(open).max_by(|one, other| one.total_s.partial_cmp(&other.total_s).unwrap_or(Equal));
        let of_loop = || {
            let is_its = |recorded: &Recorded, site: &Site| {
                recorded.loops.iter().any(|known| known.thread == thread && known.caller == site.caller)
            };
            let sites = self.sites();
            let sites =
                sites.filter(|(recorded, site)| is_its(recorded, site) && site.worst_ns >= recorded.threshold_ns);
            sites.max_by_key(|(_, site)| site.worst_ns).map(|(recorded, site)| Waited::of_loop(recorded, site))
        };
        most.or_else(of_loop)
    }

    /// Lists all call sites, each with its recording.
    fn sites(&self) -> impl Iterator<Item = (&Recorded, &Site)> {
        self.recordings.iter().flat_map(|recorded| recorded.sites.iter().map(move |site| (recorded, site)))
    }

    /// Returns the longest call: one with this peer before all others, else the longest, or the longest wait of a loop's own, which is no
    /// finding. A call that was not over counts as a finding, but for that of another thread than the first, which may have had nothing to
    /// do. `None`: nothing took the threshold.
    pub fn longest(&self, peer: &str) -> Option<Waited> {
        let found = self.report.findings.iter().map(|finding| {
            let rank = (finding.worst.peer == peer, true, finding.worst_s);
            (rank, Waited::of(finding))
        });
        let open = self.open().map(|open| {
            let is_first = open.long.thread == open.process && open.waits_for.is_none();
            ((open.long.peer == peer, is_first, open.for_s), Waited::of_open(open))
        });
        let longest = found.chain(open).max_by(|(one, _), (other, _)| one.partial_cmp(other).unwrap_or(Equal));
        let site = self.sites().filter(|(_, site)| site.caller > 0).max_by_key(|(_, site)| site.worst_ns);
        let (ns, least_ns) = site.map_or((0, 0), |(recorded, site)| (site.worst_ns, recorded.threshold_ns));
        // A site's times are read from the processor's counter, and may be a little off.
        let seconds = ns as f64 / 1e9;
        let of_loop = longest.as_ref().is_none_or(|((is_peer, ..), waited)| !is_peer && waited.seconds < seconds * 0.9);
        match site.filter(|_| of_loop && ns >= least_ns) {
            Some((recorded, site)) => Some(Waited::of_loop(recorded, site)),
            None => longest.map(|(_, waited)| waited),
        }
    }
}
