//! Waiting by stack in pprof's form: a gzipped message of protobuf (<https://github.com/google/pprof/blob/main/proto/profile.proto>).
//!
//! The types of the values are those of Go's block profile, so that its viewers show them as such: how many calls, and their nanoseconds.
//! A native location has the address in its object's file, so that processes that mapped it at several places have one of it, and the
//! build id. Its lines are functions only. A Python frame is a function with its file and line, and lies in no object.
//!
//! The message is written here: it needs numbers and lengths, and no crate's code that is made of the `.proto` file at build time.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use flate2::write::GzEncoder;
use flate2::Compression;

use super::findings::Report;
use super::phrases::about;
use super::stacks::{microseconds, native};
use crate::words::short;

/// Sets a report's findings as a profile.
pub fn pprof(report: &Report) -> io::Result<Vec<u8>> {
    let mut profile = Profile::default();
    profile.text("");
    for (kind, unit) in [("contentions", "count"), ("delay", "nanoseconds")] {
        let kind = profile.kind(kind, unit);
        profile.message.bytes(1, &kind);
    }
    let program = profile.function(short(&report.program), &report.program, false);
    let objects = report.findings.iter().flat_map(|finding| finding.stack.iter().flatten());
    let own = objects.into_iter().find(|place| place.path == report.program);
    // Readers take the first object for the program's.
    profile.mapping(&report.program, own.map_or("", |place| place.build_id.as_str()), 0);
    let program = profile.location(Location { mapping: 0, address: 0, function: program, line: 0 });
    for finding in &report.findings {
        let mut stack = Vec::new();
        let call = profile.function(&finding.call, "", true);
        stack.push(profile.location(Location { mapping: 0, address: 0, function: call, line: 0 }));
        for place in native(&finding.worst, &finding.stack) {
            let (mapping, address, name, file) = match place {
                None => (0, 0, "?".to_owned(), ""),
                Some(place) => {
                    let mapping = profile.mapping(&place.path, &place.build_id, place.address);
                    let name =
                        if place.function.is_empty() { format!("({})", place.soname) } else { place.function.clone() };
                    (mapping, place.address, name, place.path.as_str())
                }
            };
            let function =
                profile.function(&name, file, place.as_ref().is_some_and(|place| !place.function.is_empty()));
            stack.push(profile.location(Location { mapping, address, function, line: 0 }));
        }
        for (file, line, name) in &finding.worst.python {
            let function = profile.function(name, file, false);
            stack.push(profile.location(Location { mapping: 0, address: 0, function, line: (*line).into() }));
        }
        stack.push(program);
        let mut sample = Message::default();
        sample.packed(1, &stack);
        sample.packed(2, &[finding.count, microseconds(finding) * 1_000]);
        let about = about(&finding.worst);
        for (key, value) in [
            ("verdict", finding.verdict),
            ("library", &finding.library.soname),
            ("about", about.trim()),
            ("finding", &finding.id),
        ] {
            if !value.is_empty() {
                let mut label = Message::default();
                label.number(1, profile.text(key));
                label.number(2, profile.text(value));
                sample.bytes(3, &label.0);
            }
        }
        profile.message.bytes(2, &sample.0);
    }
    let packed = profile.end(report);
    let mut writer = GzEncoder::new(Vec::new(), Compression::default());
    writer.write_all(&packed)?;
    writer.finish()
}

/// A message of protobuf, as far as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// Writes a number in parts of seven bits, the lowest first.
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Writes a field that is a number. 0 is what an absent field has.
    fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            self.varint(field << 3);
            self.varint(number);
        }
    }

    /// Writes a field that is a text or a message.
    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Writes a field that is a list of numbers.
    fn packed(&mut self, field: u64, numbers: &[u64]) {
        let mut list = Message::default();
        numbers.iter().for_each(|number| list.varint(*number));
        self.bytes(field, &list.0);
    }
}

/// A place in a stack.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Location {
    /// The object's number; 0: none.
    mapping: u64,
    address: u64,
    function: u64,
    line: u64,
}

/// An object: its number, and the highest address that is told of it.
struct Mapping {
    number: u64,
    highest: u64,
}

/// A profile, as far as it is written: its lists have each thing once, numbered from 1 on, texts from 0 on.
#[derive(Default)]
struct Profile {
    message: Message,
    texts: HashMap<String, u64>,
    list: Vec<String>,
    functions: HashMap<(u64, u64), u64>,
    locations: HashMap<Location, u64>,
    mappings: BTreeMap<(String, String), Mapping>,
}

impl Profile {
    /// Returns a text's place in the list.
    fn text(&mut self, text: &str) -> u64 {
        let next = self.list.len() as u64;
        *self.texts.entry(text.to_owned()).or_insert_with(|| {
            self.list.push(text.to_owned());
            next
        })
    }

    /// Sets a type of values.
    fn kind(&mut self, kind: &str, unit: &str) -> Vec<u8> {
        let mut message = Message::default();
        message.number(1, self.text(kind));
        message.number(2, self.text(unit));
        message.0
    }

    /// Returns a function's number. A symbol is written as such, and may be demangled by readers; another name may not.
    fn function(&mut self, name: &str, file: &str, is_symbol: bool) -> u64 {
        let key = (self.text(name), self.text(file));
        let next = self.functions.len() as u64 + 1;
        *self.functions.entry(key).or_insert_with(|| {
            let mut message = Message::default();
            message.number(1, next);
            message.number(2, key.0);
            message.number(3, if is_symbol { key.0 } else { 0 });
            message.number(4, key.1);
            self.message.bytes(5, &message.0);
            next
        })
    }

    /// Returns an object's number, and notes that it has this address.
    fn mapping(&mut self, path: &str, build_id: &str, address: u64) -> u64 {
        let next = self.mappings.len() as u64 + 1;
        let key = (path.to_owned(), build_id.to_owned());
        let known = self.mappings.entry(key).or_insert(Mapping { number: next, highest: 0 });
        known.highest = known.highest.max(address);
        known.number
    }

    /// Returns a location's number.
    fn location(&mut self, location: Location) -> u64 {
        let next = self.locations.len() as u64 + 1;
        *self.locations.entry(location.clone()).or_insert_with(|| {
            let mut line = Message::default();
            line.number(1, location.function);
            line.number(2, location.line);
            let mut message = Message::default();
            message.number(1, next);
            message.number(2, location.mapping);
            message.number(3, location.address);
            message.bytes(4, &line.0);
            self.message.bytes(4, &message.0);
            next
        })
    }

    /// Writes what is known at the end only, and returns the whole message.
    fn end(mut self, report: &Report) -> Vec<u8> {
        const PAGE: u64 = 4096;
        let mut mappings: Vec<_> = std::mem::take(&mut self.mappings).into_iter().collect();
        mappings.sort_by_key(|(_, mapping)| mapping.number);
        for ((path, build_id), Mapping { number, highest }) in mappings {
            let mut message = Message::default();
            message.number(1, number);
            message.number(3, (highest + 1).next_multiple_of(PAGE));
            message.number(5, self.text(&path));
            message.number(6, self.text(&build_id));
            // Its functions are told.
            message.number(7, 1);
            self.message.bytes(3, &message.0);
        }
        let comment = format!("greenpatch {} audit of {}", env!("CARGO_PKG_VERSION"), report.command);
        let comment = self.text(&comment);
        let period = self.kind("contentions", "count");
        let delay = self.text("delay");
        self.message.number(9, report.began_real_ns);
        self.message.number(10, (report.duration_s * 1e9) as u64);
        self.message.bytes(11, &period);
        self.message.number(12, 1);
        self.message.packed(13, &[comment]);
        self.message.number(14, delay);
        let list = std::mem::take(&mut self.list);
        list.iter().for_each(|text| self.message.bytes(6, text.as_bytes()));
        self.message.0
    }
}
