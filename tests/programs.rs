//! Real, unmodified programs, each run natively and green, on one worker and on as many as there are processors: the same
//! output and the same exit status every time, and statistics that prove the green runs green.
//!
//! A test is a program. It starts the servers that the program needs from Debian's packages (scripts/packages.txt), on
//! ports of their own on loopback, with their data in a folder of the test's, and they end with it. What a green run must
//! prove is said in the words of a c-test's header (tests/support/header.rs): `covers` names calls that it must have made
//! green, `proof` gives bounds for its counters. Clients that wait together show that many green threads at once, and far
//! fewer kernel threads; bounds on parks are what cannot be had without waiting.
//!
//! `cargo test --release --test programs NAME` runs the tests whose names contain NAME. `GREENPATCH_LIB=FILE` tests that
//! library instead of the one just built.

#[path = "programs/case.rs"]
mod case;
#[path = "programs/server.rs"]
mod server;
mod support;

use case::Case;
use server::{free_port, Server};
use std::fs;
use support::compiler;

const PYTHON: &str = "/usr/bin/python3";

#[test]
fn python_echo() {
    let judgement = "
        covers: pthread_create sem_wait sem_post accept4 connect recv send poll close
        proof: green_threads==1001 green_threads_peak>=501 parks>=1000 kernel_threads_peak<=200";
    let Some(case) = Case::with(&[PYTHON]) else { return };
    case.compare("/usr/bin/python3 tests/programs/python_echo.py", judgement);
}

#[test]
fn python_queue() {
    let judgement = "
        covers: pthread_create sem_wait sem_clockwait sem_post clock_nanosleep
        proof: green_threads>=111 green_threads_peak>=50 parks>=200";
    let Some(case) = Case::with(&[PYTHON]) else { return };
    case.compare("/usr/bin/python3 tests/programs/python_queue.py", judgement);
}

#[test]
fn python_pool() {
    let judgement = "
        covers: pthread_create sem_wait sem_post clock_nanosleep recv send read poll waitpid
        proof: green_threads>=90 green_threads_peak>=32 parks>=300";
    let Some(case) = Case::with(&[PYTHON]) else { return };
    case.compare("/usr/bin/python3 tests/programs/python_pool.py", judgement);
}

#[test]
fn mariadb_slap() {
    let Some(case) = Case::with(&["mariadbd", "mariadb-install-db", "mariadb-slap"]) else { return };
    let server = Server::mariadb(&case);
    let slap = format!(
        "mariadb-slap --no-defaults --user=root --host=127.0.0.1 --port={} --concurrency=200 --number-of-queries=2000 \
         --auto-generate-sql --auto-generate-sql-load-type=mixed",
        server.port
    );
    let judgement = "
        covers: pthread_create pthread_mutex_lock connect recv send poll
        proof: green_threads==200 green_threads_peak==200 parks>=1000 kernel_threads_peak<=100";
    let output = case.compare_tidied(&slap, |output| without("seconds", output), judgement);
    assert!(output.contains("Number of clients running queries: 200"), "{output}");
}

#[test]
fn sysbench() {
    let Some(case) = Case::with(&["mariadbd", "mariadb-install-db", "mariadb-admin", "sysbench"]) else { return };
    let server = Server::mariadb(&case);
    case.prepare(&format!("mariadb-admin --no-defaults -uroot -h127.0.0.1 -P{} create sbtest", server.port));
    let sysbench = format!(
        "sysbench oltp_read_only --db-driver=mysql --mysql-host=127.0.0.1 --mysql-port={} --mysql-user=root \
         --table-size=500 --rand-seed=1 --threads=250 --events=1500 --time=0",
        server.port
    );
    case.prepare(&format!("{sysbench} --threads=1 prepare"));
    let judgement = "
        covers: pthread_create pthread_join pthread_mutex_lock connect recv send poll
        proof: green_threads==250 green_threads_peak==250 parks>=5000 kernel_threads_peak<=100";
    let output = case.compare_tidied(&format!("{sysbench} run"), sysbench_counts, judgement);
    assert!(output.contains("transactions: 1500\n"), "{output}");
}

/// What sysbench counted, without the times and the rates.
fn sysbench_counts(output: String) -> String {
    let counts = ["Number of threads", "total number of events", "transactions", "queries", "errors", "reconnects"];
    let count = |line: &str| {
        let (name, value) = line.trim().split_once(':')?;
        counts
            .iter()
            .any(|count| name.ends_with(count))
            .then_some((name.to_owned(), value.split_whitespace().next()?.to_owned()))
    };
    output.lines().filter_map(count).map(|(name, value)| format!("{name}: {value}\n")).collect()
}

#[test]
fn libpq() {
    let Some(case) = Case::with(&["cc", "pg_config", "/usr/include/postgresql/libpq-fe.h", "pg_ctlcluster"]) else {
        return;
    };
    let client = case.path("libpq_threads");
    case.prepare(&format!("{} -I/usr/include/postgresql tests/programs/libpq_threads.c -o {client} -lpq", cc()));
    let server = Server::postgres(&case);
    let judgement = "
        covers: pthread_create pthread_join pthread_barrier_wait pthread_mutex_lock nanosleep connect poll recv send
        proof: green_threads==201 green_threads_peak==201 parks>=1000 kernel_threads_peak<=100";
    case.compare(&format!("{client} postgresql://postgres@127.0.0.1:{}/postgres", server.port), judgement);
}

#[test]
fn hiredis() {
    let Some(case) = Case::with(&["cc", "redis-server", "/usr/include/hiredis/hiredis.h"]) else { return };
    let client = case.path("hiredis_threads");
    case.prepare(&format!("{} tests/programs/hiredis_threads.c -o {client} -lhiredis", cc()));
    let server = Server::redis(&case);
    let judgement = "
        covers: pthread_create pthread_join pthread_barrier_wait pthread_mutex_lock connect poll setsockopt read write
        proof: green_threads==200 green_threads_peak==200 parks>=1000 kernel_threads_peak<=100";
    case.compare(&format!("{client} {}", server.port), judgement);
}

/// A compiler as it is called for these programs.
fn compile(compiler: &str, standard: &str) -> String {
    let strictness = compiler::strictness(compiler).join(" ");
    format!("{compiler} -std={standard} -O1 -Wall -Wextra {strictness} -pthread")
}

fn cc() -> String {
    compile("cc", "gnu11")
}

#[test]
fn sqlite_writers() {
    let Some(case) = Case::with(&["cc", "/usr/include/sqlite3.h"]) else { return };
    let writers = case.path("sqlite_writers");
    case.prepare(&format!("{} tests/programs/sqlite_writers.c -o {writers} -lsqlite3", cc()));
    let judgement = "
        covers: pthread_create pthread_join pthread_mutex_lock fcntl64 fdatasync pread64 pwrite64
        proof: green_threads>=21 parks>=40 kernel_threads_peak<=30
        passes: fcntl64: SQLite only tries its locks: that waits for nothing, and is the kernel's";
    case.compare(&writers, judgement);
}

#[test]
fn memcached() {
    let judgement = "
        covers: pthread_create pthread_mutex_lock pthread_cond_wait epoll_wait accept4 read sendmsg
        proof: green_threads>=4 parks>=100";
    let Some(case) = Case::with(&["memcached", PYTHON]) else { return };
    case.compare_server(
        |port| format!("memcached --listen=127.0.0.1 --port={port} --udp-port=0 --threads=4 --user=nobody"),
        |port| format!("/usr/bin/python3 tests/programs/memcached_load.py {port}"),
        judgement,
    );
}

#[test]
fn stunnel() {
    let Some(case) = Case::with(&["stunnel4", "lighttpd", "openssl", PYTHON]) else { return };
    let web = Server::web(&case);
    let (key, certificate, configuration) = (case.path("key"), case.path("certificate"), case.path("stunnel.conf"));
    case.prepare(&format!(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
         -keyout {key} -out {certificate}"
    ));
    let configure = |port| {
        // The server's end first: when the client's end accepts, both do.
        let (middle, end) = (free_port(), web.port);
        let settings = format!(
            "foreground = yes\npid =\nsyslog = no\n\
             [server]\naccept = 127.0.0.1:{middle}\nconnect = 127.0.0.1:{end}\nkey = {key}\ncert = {certificate}\n\
             [client]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{middle}\nclient = yes\n\
             verifyChain = yes\nCAfile = {certificate}\n"
        );
        fs::write(&configuration, settings).expect("a configuration for stunnel");
        format!("stunnel4 {configuration}")
    };
    let judgement = "
        covers: pthread_create pthread_rwlock_rdlock poll accept4 connect read write
        proof: green_threads>=320 parks>=320
        stderr: its log has times, ports and addresses, in any order";
    let load = |port| format!("/usr/bin/python3 tests/programs/tunnel_load.py {port}");
    case.compare_server(configure, load, judgement);
}

/// curl makes threads only to resolve names, and resolves those of loopback without. So some names here are ones that the
/// resolver refuses before it asks anybody: a label has at most 63 letters.
#[test]
fn curl_parallel() {
    const TRANSFERS: usize = 150;
    let Some(case) = Case::with(&["curl", "lighttpd"]) else { return };
    let web = Server::web(&case);
    let (list, folder) = (case.path("list"), case.path("fetched"));
    let url = |number: usize| match number % 10 {
        0 => format!("http://{}{number}/", "a".repeat(64)),
        1 => format!("http://127.0.0.1:{}/large", web.port),
        file => format!("http://127.0.0.1:{}/small{}", web.port, file % 5),
    };
    let entries = (0..TRANSFERS).map(|number| format!("url = {}\noutput = {folder}/{number}\n", url(number)));
    fs::write(&list, entries.collect::<String>()).expect("curl's list");
    let curl = format!(
        "curl --silent --parallel --parallel-max 40 --create-dirs --config {list} \
         --write-out %{{urlnum}}:%{{exitcode}}:%{{http_code}}:%{{size_download}}\\n"
    );
    // Transfers end in any order; what they fetched counts as output.
    let tidy = |output: String| {
        let mut lines: Vec<_> = output.lines().map(str::to_owned).collect();
        lines.sort();
        lines.extend((0..TRANSFERS).filter_map(|number| fs::read_to_string(format!("{folder}/{number}")).ok()));
        fs::remove_dir_all(&folder).expect("what curl fetched");
        lines.join("\n")
    };
    let judgement = "
        covers: pthread_create poll getaddrinfo connect recv send
        proof: green_threads>=15 switches>=15
        no_park: over loopback its poll finds something ready at each turn
        stderr: its meter shows speeds
        exit: 6";
    let output = case.compare_tidied(&curl, tidy, judgement);
    assert_eq!(output.matches(":0:200:").count(), TRANSFERS / 10 * 9, "{output:.2000}");
}

#[test]
fn pigz() {
    let compressing = "
        covers: pthread_create pthread_join pthread_mutex_lock pthread_cond_wait pthread_cond_broadcast read write
        proof: green_threads>=4 parks>=4";
    let decompressing = "
        covers: pthread_create pthread_join pthread_mutex_lock pthread_cond_wait pthread_cond_broadcast read write
        proof: green_threads>=2 parks>=2";
    round_trip("pigz -p4 --no-name --stdout", compressing, "pigz --decompress --stdout", decompressing);
}

#[test]
fn xz() {
    let judgement = "
        covers: pthread_create pthread_mutex_lock pthread_cond_wait pthread_cond_signal
        proof: green_threads>=4 parks>=4";
    round_trip("xz -T4 -1 --block-size=128KiB --stdout", judgement, "xz -T4 --decompress --stdout", judgement);
}

/// Compresses a file to standard output, and makes of that what it was, each in all worlds.
fn round_trip(compress: &str, compressing: &str, decompress: &str, decompressing: &str) {
    let program = compress.split(' ').next().expect("a command");
    let Some(case) = Case::with(&[program]) else { return };
    let (whole, packed) = (case.path("whole"), case.path("packed.gz"));
    let text = some_text(6 << 20);
    fs::write(&whole, &text).expect("a file to compress");
    fs::write(&packed, case.compare(&format!("{compress} {whole}"), compressing)).expect("the compressed file");
    let round = case.compare(&format!("{decompress} {packed}"), decompressing);
    assert!(round == text, "the round trip changed the file");
}

/// So many bytes, always the same, that compress to about half.
fn some_text(size: usize) -> Vec<u8> {
    let mut state = 1u32;
    let letter = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        b"etaoin shrdlu\n.,"[(state >> 28) as usize]
    };
    std::iter::repeat_with(letter).take(size).collect()
}

#[test]
fn rust_std() {
    let Some(case) = Case::with(&["rustc"]) else { return };
    let program = case.path("rust_std");
    case.prepare(&format!("rustc --edition=2021 -O tests/programs/rust_std/main.rs -o {program}"));
    let judgement = "
        covers: pthread_create pthread_join syscall accept4 connect recv recvfrom send clock_nanosleep setsockopt waitpid
        proof: green_threads>=683 green_threads_peak>=101 parks>=400 kernel_threads_peak<=100";
    case.compare(&program, judgement);
}

#[test]
fn cpp20() {
    let Some(case) = Case::with(&["g++"]) else { return };
    let program = case.path("cpp20");
    case.prepare(&format!("{} tests/programs/cpp20.cpp -o {program}", compile("g++", "c++20")));
    let judgement = "
        covers: pthread_create pthread_join pthread_once pthread_mutex_lock pthread_mutex_clocklock pthread_cond_wait
        covers: pthread_cond_clockwait pthread_rwlock_rdlock pthread_rwlock_wrlock pthread_rwlock_clockrdlock
        covers: syscall nanosleep
        proof: green_threads>=359 green_threads_peak>=41 parks>=256";
    case.compare(&program, judgement);
}

/// C++ unwinding through blocked calls.
#[test]
fn unwind() {
    let Some(case) = Case::with(&["g++"]) else { return };
    let program = case.path("unwind");
    case.prepare(&format!("{} tests/programs/unwind.cpp -o {program}", compile("g++", "c++20")));
    let judgement = "
        covers: pthread_cancel pthread_exit pthread_once recv usleep read
        proof: green_threads>=100 parks>=60 hooks.pthread_cancel>=21 hooks.pthread_exit>=20";
    case.compare(&program, judgement);
}

/// The lines without a word in them.
fn without(word: &str, text: String) -> String {
    text.lines().filter(|line| !line.contains(word)).map(|line| format!("{line}\n")).collect()
}
