//! The latest long calls along the time, for profiler.firefox.com: a marker and a sample a call, a track a thread.
//!
//! A sample's weight is the call's milliseconds, so that the call tree and the flame graph are of waiting. A call that took less than one
//! counts as one.

use std::collections::HashMap;
use std::time::Duration;

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, MarkerFieldFlags, MarkerFieldFormat,
    MarkerTiming, Profile, ReferenceTimestamp, SamplingInterval, StaticSchemaMarker, StaticSchemaMarkerField,
    StringHandle, Timestamp, WeightType,
};
use serde_json::Value;

use super::findings::Report;
use super::phrases::about;
use super::stacks::{rooted, Kind};
use super::timeline::{latest, CALLS};
use crate::words::short;

/// A call, as a marker.
struct Call {
    name: StringHandle,
    category: CategoryHandle,
    /// The values of `FIELDS`.
    texts: [StringHandle; 5],
}

const fn field(key: &'static str, label: &'static str) -> StaticSchemaMarkerField {
    StaticSchemaMarkerField { key, label, format: MarkerFieldFormat::String, flags: MarkerFieldFlags::SEARCHABLE }
}

impl StaticSchemaMarker for Call {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "greenpatch wait";
    const DESCRIPTION: Option<&'static str> = Some("A call that waited for the threshold or longer.");
    const CHART_LABEL: Option<&'static str> = Some("{marker.name} {marker.data.about}");
    const TOOLTIP_LABEL: Option<&'static str> = Some("{marker.data.verdict}: {marker.name} {marker.data.about}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.data.verdict}: {marker.name} {marker.data.about}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[
        field("verdict", "Verdict"),
        field("about", "About"),
        field("gil", "Python's lock"),
        field("result", "Result"),
        field("finding", "Finding"),
    ];

    fn name(&self, _profile: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _profile: &mut Profile) -> CategoryHandle {
        self.category
    }

    fn string_field_value(&self, field_index: u32) -> StringHandle {
        self.texts[field_index as usize]
    }

    fn number_field_value(&self, _field_index: u32) -> f64 {
        0.0
    }
}

/// Sets a report's latest calls as a profile. `None`: they are not known.
pub fn firefox(report: &Report) -> Option<Value> {
    let calls = latest(report, CALLS)?;
    let began = ReferenceTimestamp::from_duration_since_unix_epoch(Duration::from_nanos(report.began_real_ns));
    let mut profile = Profile::new(short(&report.program), began, SamplingInterval::from_millis(1));
    let of_kind = |kind| match kind {
        Kind::Program => ("Program", CategoryColor::Gray),
        Kind::Python => ("Python", CategoryColor::Yellow),
        Kind::Native => ("Native", CategoryColor::Blue),
        Kind::Call => ("Wait", CategoryColor::Red),
    };
    let (mut processes, mut threads) = (HashMap::new(), HashMap::new());
    let mut shown_until = 1;
    for entry in calls {
        let long = &entry.long;
        let moment = |ns: u64| Timestamp::from_nanos_since_reference(ns.saturating_sub(report.began_ns));
        let begin = moment(0);
        let process = *processes
            .entry(entry.process)
            .or_insert_with(|| profile.add_process(short(&entry.program), entry.process as u32, begin));
        let thread = *threads.entry((entry.process, long.thread)).or_insert_with(|| {
            let made = profile.add_thread(process, long.thread as u32, begin, long.thread == entry.process);
            profile.set_thread_name(made, &long.thread_name);
            profile.set_thread_samples_weight_type(made, WeightType::TracingMs);
            profile.set_thread_show_markers_in_timeline(made, true);
            made
        });
        let mut frames = Vec::new();
        for frame in rooted(&entry.program, long, &entry.stack) {
            let (name, color) = of_kind(frame.kind);
            let category_pair = profile.add_category(name, color).into();
            let frame = Frame::Label(profile.intern_string(&frame.name));
            frames.push(FrameInfo { frame, category_pair, flags: FrameFlags::empty() });
        }
        let (name, color) = of_kind(Kind::Call);
        let (about, result) = (about(long), long.result.to_string());
        let texts = [entry.verdict, about.trim(), long.gil, &result, &entry.id];
        let marker = Call {
            name: profile.intern_string(&long.name),
            category: profile.add_category(name, color),
            texts: texts.map(|text| profile.intern_string(text)),
        };
        shown_until = shown_until.max(long.ended_ns.saturating_sub(report.began_ns));
        let from = moment(long.ended_ns.saturating_sub(long.duration_ns));
        let marker = profile.add_marker(thread, MarkerTiming::Interval(from, moment(long.ended_ns)), marker);
        let stack = profile.intern_stack_frames(thread, frames.into_iter());
        profile.set_marker_stack(thread, marker, stack);
        let weight = i32::try_from(long.duration_ns / 1_000_000).unwrap_or(i32::MAX).max(1);
        profile.add_sample(thread, from, stack, CpuDelta::ZERO, weight);
    }
    let mut profile = serde_json::to_value(&profile).ok()?;
    // Without them what is shown begins with the first call and ends with the beginning of the last one.
    profile["meta"]["profilingStartTime"] = 0.into();
    profile["meta"]["profilingEndTime"] = (shown_until as f64 / 1e6).into();
    Some(profile)
}
