//! The page of `report --format html`, opened in a browser: what the report says is drawn, at its place, in light and dark, wide and
//! narrow; nothing is loaded, and no script fails.

use super::outputs::{record, report};
use super::support::needs::{is_installed, skip};
use super::support::place::stdout;
use super::support::run::Scratch;
use serde_json::{json, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Is the running test to be skipped, because no browser opens a page here? Says so, then.
fn skips_without_browser(scratch: &Scratch) -> bool {
    if !is_installed("chromium") {
        skip("chromium is not installed");
        return true;
    }
    fs::write(scratch.path("empty.html"), "<!DOCTYPE html><title>empty</title><p>opened").expect("a file");
    let opens =
        opened(scratch, &scratch.path("empty.html"), "1200,800", false).is_some_and(|dom| dom.contains("opened"));
    if !opens {
        skip("chromium does not run here");
    }
    !opens
}

/// Opens a page in the browser, without network: the document as the scripts have left it. `None`: the browser does not run.
fn opened(scratch: &Scratch, page: &Path, size: &str, is_dark: bool) -> Option<String> {
    let dom = scratch.path("dom.html");
    let mut browser = Command::new("chromium");
    browser
        .args([
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-extensions",
        ])
        .args(["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "--dump-dom"])
        .args(["--virtual-time-budget=20000", "--force-device-scale-factor=1"])
        .args([format!("--window-size={size}"), format!("--user-data-dir={}", scratch.path("profile").display())])
        .args(is_dark.then_some("--blink-settings=preferredColorScheme=0"))
        .arg(format!("file://{}", page.display()))
        .env("HOME", scratch.path("."))
        .stdin(std::process::Stdio::null())
        .stdout(fs::File::create(&dom).expect("a file"))
        .stderr(fs::File::create(scratch.path("browser.log")).expect("a file"));
    let mut running = browser.spawn().ok()?;
    let until = Instant::now() + Duration::from_secs(120);
    while running.try_wait().expect("a child").is_none() {
        if Instant::now() > until {
            running.kill().expect("it is there");
            running.wait().expect("a child");
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    fs::read_to_string(dom).ok()
}

/// What the test's own script, put before and behind the page's, has seen: errors, loads, and what lies where.
fn probed(scratch: &Scratch, page: &str, size: &str, is_dark: bool) -> Value {
    let (before, behind) = (include_str!("probe-before.js"), include_str!("probe-behind.js"));
    let (head, rest) = page.split_once("<head>").expect("a head");
    let (body, end) = rest.rsplit_once("</body>").expect("a body");
    let probed = format!("{head}<head><script>{before}</script>{body}<script>{behind}</script></body>{end}");
    let file = scratch.path("probed.html");
    fs::write(&file, probed).expect("a file");
    let dom = opened(scratch, &file, size, is_dark).expect("the browser runs");
    let (_, seen) = dom.rsplit_once("<pre id=\"probe\">").unwrap_or_else(|| panic!("the probe has not run: {dom}"));
    let seen = seen.split_once("</pre>").expect("an end").0;
    let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&seen).unwrap_or_else(|why| panic!("{why}: {seen}"))
}

/// The report of the recordings, in this format.
fn set(scratch: &Scratch, format: &str) -> String {
    stdout(&report(scratch, &["kept", "--format", format]))
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("a list: {value}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number: {value}"))
}

/// What must be so of every opened page.
fn is_sound(seen: &Value) {
    assert_eq!(seen["errors"], json!([]), "{seen:#}");
    assert_eq!(seen["loaded"], json!([]), "{seen:#}");
    assert_eq!(seen["drawn"], "whole", "{seen:#}");
    // Nothing is wider than the window.
    assert!(number(&seen["width"]) <= number(&seen["window"]), "{seen:#}");
}

#[test]
fn what_the_report_says_is_drawn_and_nothing_is_loaded() {
    let scratch = Scratch::new();
    if skips_without_browser(&scratch) {
        return;
    }
    record(&scratch);
    let page = set(&scratch, "html");
    let whole: Value = serde_json::from_str(&set(&scratch, "json")).expect("JSON");
    let trace: Value = serde_json::from_str(&set(&scratch, "perfetto")).expect("JSON");
    let seen = probed(&scratch, &page, "1200,900", false);
    is_sound(&seen);

    // The timeline's bars are where the trace has its slices, each in its thread's row, and has its verdict's colour.
    let all_s = number(&whole["duration_s"]);
    let slices: Vec<&Value> = list(&trace["traceEvents"]).iter().filter(|event| event["ph"] == "X").collect();
    let bars = list(&seen["stalls"]);
    assert_eq!(bars.len(), slices.len(), "{seen:#}");
    for slice in slices {
        let (from, long) = (number(&slice["ts"]) / 1e6 / all_s, number(&slice["dur"]) / 1e6 / all_s);
        let is_it = |bar: &&Value| {
            bar["process"] == slice["pid"]
                && bar["thread"] == slice["tid"]
                && bar["verdict"] == slice["cat"]
                && (number(&bar["from"]) - from).abs() < 0.004
                && (number(&bar["wide"]) - long).abs() < 0.004
        };
        let bar = bars.iter().find(is_it).unwrap_or_else(|| panic!("{slice:#} is not drawn: {bars:#?}"));
        assert!(number(&bar["height"]) >= 10.0 && bar["is_on_top"] == true, "{bar:#}");
    }
    let of = |verdict: &str| bars.iter().find(|bar| bar["verdict"] == verdict).expect("one")["color"].clone();
    assert!(of("BLOCKS_LOOP") != of("WAITS") && of("HOLDS_GIL") != of("WAITS"), "{bars:#?}");

    // Each loop's lag is drawn, a bar a part of its series that has a turn, and the highest is as long as the longest turn says.
    let loops = list(&whole["loops"]);
    assert!(!loops.is_empty());
    assert_eq!(list(&seen["lags"]).len(), loops.len(), "{seen:#}");
    for known in loops {
        let lag = list(&seen["lags"]).iter().find(|lag| lag["thread"] == known["thread"]).expect("its own");
        let turns: Vec<f64> =
            list(&known["lag_series"]["worst_us"]).iter().map(number).filter(|us| *us > 0.0).collect();
        assert!(number(&lag["points"]) as usize == turns.len() && lag["bars"] == lag["points"], "{lag:#} {known:#}");
        let longest = turns.iter().copied().fold(0.0, f64::max) / 1e6;
        assert!((longest - number(&known["lag_max_s"])).abs() < 1e-5, "{known:#}");
        assert!(number(&lag["height"]) > 0.5 * number(&lag["of"]), "{lag:#}");
    }

    // The flame graph has each stack's call at a tip, and each row is as wide as its parent at most.
    let frames = list(&seen["frames"]);
    let root = frames.iter().find(|frame| frame["depth"] == 0).expect("a root");
    let waited: f64 = list(&whole["findings"]).iter().map(|finding| number(&finding["total_s"])).sum();
    assert!((number(&root["us"]) / 1e6 - waited).abs() < 1e-3, "{root:#} {waited}");
    assert!(number(&root["share"]) > 0.999, "{root:#}");
    for name in ["usleep", "lets_go (waits.py:3)", "keeps (waits.py:5)", "handler_blocks (loops)"] {
        let frame = frames.iter().find(|frame| frame["name"] == name).unwrap_or_else(|| panic!("{name}: {frames:#?}"));
        let share = number(&frame["us"]) / number(&root["us"]);
        assert!((number(&frame["share"]) - share).abs() < 0.01, "{frame:#}");
    }

    // The findings, their stacks, the libraries with what to do, and what was not seen, are texts on the page.
    assert_eq!(list(&seen["cards"]).len(), list(&whole["findings"]).len());
    let text = seen["text"].as_str().expect("text").split_whitespace().collect::<Vec<_>>().join(" ");
    let has = |words: &str| {
        let words = words.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&words), "{words} is missing: {text}");
    };
    for finding in list(&whole["findings"]) {
        has(finding["id"].as_str().expect("text"));
        has(finding["verdict"].as_str().expect("text"));
        for frame in list(&finding["native_stack"]) {
            has(frame["function"].as_str().unwrap_or(""));
        }
        for frame in list(&finding["python_stack"]) {
            let words = |field: &str| frame[field].as_str().expect("text").to_owned();
            has(&format!("{} {}:{}", words("function"), words("file"), frame["line"]));
        }
    }
    for known in list(&whole["libraries"]) {
        for field in ["soname", "path", "build_id", "package", "advice"] {
            has(known[field].as_str().unwrap_or(""));
        }
    }
    list(&whole["unseen"]).iter().for_each(|words| has(words.as_str().expect("text")));

    // A click into the flame graph looks nearer, one on a bar leads to its finding, a drag over a row shows a part of the time.
    let did = &seen["did"];
    assert!(number(&did["flame_share"]) > 0.999 && did["flame_back"] == root["share"], "{did:#}");
    assert!(did["opened"] == did["wanted"] && did["opened"].is_string(), "{did:#}");
    assert!(number(&did["zoomed"]) > 1.5 * number(&did["whole"]), "{did:#}");
    assert!(did["tip"].as_str().expect("text").contains(' '), "{did:#}");

    // Another colour where dark is wanted; nothing beyond the edge where it is narrow.
    let dark = probed(&scratch, &page, "1200,900", true);
    is_sound(&dark);
    assert!(number(&seen["ground"]) > 200.0 && number(&dark["ground"]) < 60.0, "{} {}", seen["ground"], dark["ground"]);
    assert!(number(&seen["ink"]) < 60.0 && number(&dark["ink"]) > 200.0, "{} {}", seen["ink"], dark["ink"]);
    let narrow = probed(&scratch, &page, "500,900", false);
    is_sound(&narrow);
    assert_eq!(list(&narrow["stalls"]).len(), bars.len());
}

#[test]
fn a_hostile_name_is_text_on_the_page() {
    let scratch = Scratch::new();
    if skips_without_browser(&scratch) {
        return;
    }
    let name = "</script><img src=x onerror=fail()><!--\u{1}\u{2028}&amp;\"'.py";
    let script: PathBuf = scratch.path("hostile");
    fs::create_dir(&script).expect("a folder");
    // No file need have the name that compile() is told.
    let text = format!("import time\nexec(compile('def wait():\\n  time.sleep(0.06)\\nwait()', {name:?}, 'exec'))\n");
    let text = text.replace("\\u{1}", "\\x01").replace("\\u{2028}", "\\u2028");
    fs::write(script.join("run.py"), text).expect("a file");
    let words = ["audit", "-q", "--keep", "kept", "--", "/usr/bin/python3", "hostile/run.py", "</script><b>"];
    let output = super::greenpatch(&words).current_dir(scratch.path(".")).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let page = set(&scratch, "html");
    let seen = probed(&scratch, &page, "1200,900", false);
    is_sound(&seen);
    assert_eq!(seen["markup"], json!(0), "{seen:#}");
    let text = seen["text"].as_str().expect("text");
    assert!(text.contains("</script><img src=x onerror=fail()>") && text.contains("&amp;"), "{text}");
}
