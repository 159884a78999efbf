//! All checkers over one history.

use std::collections::BTreeMap;

use super::event::{Event, Record};
use super::file::History;
use super::report::{Invariant, Report};
use super::{compare, rest};
use crate::applications::{self, Inputs, OUTPUT};

type Partitions<'a> = BTreeMap<(&'a str, i32), Vec<&'a Record>>;

/// Checks everything the history has the events for.
///
/// A history without a comparable output is a violation of its own: a run that compared nothing has shown nothing.
pub fn check(history: &History) -> Report {
    let mut report = Report::default();
    let found = partitions(history, |e| match e {
        Event::Found(record) => Some(record),
        _ => None,
    });
    let seen = partitions(history, |e| match e {
        Event::Seen(record) => Some(record),
        _ => None,
    });
    let produced = partitions(history, |e| match e {
        Event::Produced(record) => Some(record),
        _ => None,
    });
    let application = history.about.application;
    let mut inputs = Inputs::new();
    for ((topic, partition), records) in &found {
        if application.inputs().contains(topic) {
            inputs.entry(topic).or_default().insert(*partition, records.clone());
        }
    }
    let output: Vec<&Record> = found
        .iter()
        .filter(|((topic, _), _)| *topic == OUTPUT)
        .flat_map(|(_, records)| records)
        .copied()
        .collect();
    let expected = applications::fold(application, history.about.exactly_once, &inputs);
    compare::output(&expected.shape, &output, &mut report);
    report.output_is_compared();
    nothing_acknowledged_is_lost(&produced, &found, &mut report);
    what_was_seen_stays(&seen, &found, &mut report);
    replaced_producers_commit_nothing(&found, &mut report);
    rest::offsets(history, &mut report);
    rest::recovery(history, &mut report);
    rest::stores(history, &expected, &mut report);
    report
}

fn partitions<'a>(history: &'a History, of: impl Fn(&'a Event) -> Option<&'a Record>) -> Partitions<'a> {
    let mut partitions = Partitions::new();
    for record in history.events.iter().filter_map(|timed| of(&timed.event)) {
        let place = (&*record.topic, record.partition);
        partitions.entry(place).or_default().push(record);
    }
    partitions
}

fn alike(a: &Record, b: &Record) -> bool {
    a.key == b.key && a.value == b.value
}

/// What was acknowledged is in the topic, in the order in which it was acknowledged.
fn nothing_acknowledged_is_lost(produced: &Partitions<'_>, found: &Partitions<'_>, report: &mut Report) {
    for (place @ (topic, partition), produced) in produced {
        let mut ahead = found.get(place).map_or(&[][..], Vec::as_slice).iter();
        report.compared(Invariant::NoLoss, produced.len());
        let lost = produced.iter().position(|p| !ahead.any(|f| alike(p, f)));
        if let Some(lost) = lost {
            let what = format!("acknowledged record {lost} of {topic}-{partition} is not in the topic");
            report.violated(Invariant::NoLoss, what);
        }
    }
}

/// What a reader of committed records has seen while faults went on is still there, at the same place.
fn what_was_seen_stays(seen: &Partitions<'_>, found: &Partitions<'_>, report: &mut Report) {
    for (place @ (topic, partition), seen) in seen {
        let found: BTreeMap<i64, &Record> = found
            .get(place)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .map(|r| (r.offset, *r))
            .collect();
        let mut last = -1;
        for record in seen {
            report.compared(Invariant::NoDuplicates, 1);
            let there = found.get(&record.offset).is_some_and(|f| alike(f, record));
            if record.offset <= last || !there {
                let what = format!("what was seen at {topic}-{partition}@{} did not stay", record.offset);
                report.violated(Invariant::NoDuplicates, what);
                break;
            }
            last = record.offset;
        }
    }
}

/// In each partition the epochs of a producer only grow.
fn replaced_producers_commit_nothing(found: &Partitions<'_>, report: &mut Report) {
    for ((topic, partition), records) in found {
        let mut epochs = BTreeMap::new();
        for record in records {
            let Some(writer) = record.writer else { continue };
            let before = epochs.insert(writer.id, writer.epoch).unwrap_or(writer.epoch);
            report.compared(Invariant::Fencing, 1);
            if writer.epoch < before {
                let what = format!(
                    "{topic}-{partition}@{} was written under epoch {}, after epoch {before}",
                    record.offset, writer.epoch
                );
                report.violated(Invariant::Fencing, what);
            }
        }
    }
}
