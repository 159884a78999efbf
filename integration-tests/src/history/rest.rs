//! What must hold when everything has come to rest: offsets, open transactions, stores and their changelogs.

use std::collections::BTreeMap;

use super::event::{Bytes, Event};
use super::file::History;
use super::report::{Invariant, Report};
use crate::applications::{Application, Expected};

/// Committed offsets never go back exactly once, and at rest are at the end; nothing is open.
pub(super) fn offsets(history: &History, report: &mut Report) {
    let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for timed in &history.events {
        match &timed.event {
            Event::Committed {
                topic,
                partition,
                offset,
            } => {
                report.compared(Invariant::Offsets, 1);
                let before = last.insert((topic, *partition), *offset).unwrap_or(-1);
                if *offset < before && history.about.exactly_once {
                    let what =
                        format!("the committed offset of {topic}-{partition} went back from {before} to {offset}");
                    report.violated(Invariant::Offsets, what);
                }
            }
            Event::AtRest {
                topic,
                partition,
                end,
                stable,
                committed,
                left,
            } => {
                report.compared(Invariant::NothingOpen, 1);
                if stable != end {
                    let what = format!("{topic}-{partition} hangs: it ends at {end}, stable is only {stable}");
                    report.violated(Invariant::NothingOpen, what);
                }
                let Some(committed) = committed else { continue };
                report.compared(Invariant::Offsets, 1);
                if left.map_or(committed != end, |left| left > 0) || committed > end {
                    let what = format!("{topic}-{partition} ends at {end}, but {committed} is committed");
                    report.violated(Invariant::Offsets, what);
                }
            }
            _ => {}
        }
    }
}

/// From the end of all faults until nothing was left to do.
pub(super) fn recovery(history: &History, report: &mut Report) {
    let Some(bound_ms) = history.about.recovery_bound_ms else {
        return;
    };
    let mut cleared = None;
    for timed in &history.events {
        match (&timed.event, cleared) {
            (Event::Cleared, _) => cleared = Some(timed.at_ms),
            (Event::Recovered, Some(since)) => {
                cleared = None;
                report.compared(Invariant::Recovery, 1);
                let took = timed.at_ms.saturating_sub(since);
                if took > bound_ms {
                    let what = format!("recovery took {took} ms, at most {bound_ms} ms are allowed");
                    report.violated(Invariant::Recovery, what);
                }
            }
            _ => {}
        }
    }
    if cleared.is_some() {
        report.violated(Invariant::Recovery, "after the faults nothing recovered");
    }
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type Place<'a> = (&'a str, i32);
type Changes<'a> = BTreeMap<Place<'a>, Vec<Change<'a>>>;

#[derive(Clone, Copy)]
struct Change<'a> {
    offset: i64,
    key: &'a Bytes,
    value: Option<&'a Bytes>,
    writer: Option<i64>,
}

/// Each store is its changelog below the offset it claims to stand for; those that stand for all of it are the fold.
pub(super) fn stores(history: &History, expected: &Expected, report: &mut Report) {
    let mut rows: BTreeMap<(&str, Place<'_>), Rows> = BTreeMap::new();
    let mut marks: BTreeMap<(&str, Place<'_>), (i64, i64)> = BTreeMap::new();
    let mut changes = Changes::new();
    for timed in &history.events {
        match &timed.event {
            Event::Row {
                who,
                store,
                partition,
                key,
                value,
            } => drop(
                rows.entry((who, (store, *partition)))
                    .or_default()
                    .insert(key.0.clone(), value.0.clone()),
            ),
            Event::Mark {
                who,
                store,
                partition,
                offset,
                end,
            } => drop(marks.insert((who, (store, *partition)), (*offset, *end))),
            Event::Change {
                store,
                partition,
                offset,
                key,
                value,
                writer,
            } => changes.entry((store, *partition)).or_default().push(Change {
                offset: *offset,
                key,
                value: value.as_ref(),
                writer: *writer,
            }),
            _ => {}
        }
    }
    let mut complete: BTreeMap<&str, BTreeMap<i32, &Rows>> = BTreeMap::new();
    let nothing = Rows::new();
    for ((who, place), (mark, end)) in &marks {
        let (store, partition) = *place;
        let rows = rows.get(&(*who, *place)).unwrap_or(&nothing);
        let of = format!("store {store}-{partition} of {who}");
        if mark > end {
            let what = format!("{of} claims to stand for {mark}, but its changelog ends at {end}");
            report.violated(Invariant::ChangelogIsStore, what);
        }
        let changes = changes.get(place).map_or(&[][..], Vec::as_slice);
        let below: Vec<Change<'_>> = changes.iter().filter(|c| c.offset < *mark).copied().collect();
        let replayed = replay(&below);
        report.compared(Invariant::ChangelogIsStore, rows.len().max(replayed.len()));
        let overtaken = |key: &[u8]| !history.about.exactly_once && another_wrote_last(&below, key);
        if let Some(what) = difference(rows, &replayed, overtaken) {
            report.violated(Invariant::ChangelogIsStore, format!("{of} below {mark}: {what}"));
        }
        if changes.iter().all(|c| c.offset < *mark) {
            complete.entry(store).or_default().insert(partition, rows);
        }
    }
    // A disk that was damaged, and not read since, shows nothing: then the fold cannot be compared.
    complete.retain(|store, found| changes.keys().all(|(s, p)| s != store || found.contains_key(p)));
    is_fold(&complete, expected, history.about.application, report);
}

/// At least once two instances may have a task for a while, and what one of them writes to the changelog the other does not read: then
/// a row may be older than the changelog.
fn another_wrote_last(below: &[Change<'_>], key: &[u8]) -> bool {
    let owner = below.last().and_then(|last| last.writer);
    let last = below.iter().rev().find(|change| change.key.0 == key);
    last.is_some_and(|last| last.writer != owner)
}

fn replay(changes: &[Change<'_>]) -> Rows {
    let mut rows = Rows::new();
    for Change { key, value, .. } in changes {
        match value {
            Some(value) => drop(rows.insert(key.0.clone(), value.0.clone())),
            None => drop(rows.remove(&key.0)),
        }
    }
    rows
}

fn is_fold(
    complete: &BTreeMap<&str, BTreeMap<i32, &Rows>>,
    expected: &Expected,
    application: Application,
    report: &mut Report,
) {
    for (store, expected) in &expected.stores {
        let Some(partitions) = complete.get(store) else {
            continue;
        };
        let mut found = Rows::new();
        for rows in partitions.values() {
            found.extend(rows.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        if let Some(what) = difference(&found, expected, |_| false) {
            let what = format!("store {store} of {}: {what}", application.name());
            report.violated(Invariant::StateIsFold, what);
        }
        report.compared(Invariant::StateIsFold, expected.len());
    }
}

/// The first row that is not as expected, of those that have to be.
fn difference(found: &Rows, expected: &Rows, any_will_do: impl Fn(&[u8]) -> bool) -> Option<String> {
    let show = |value: Option<&Vec<u8>>| value.map_or("nothing".to_owned(), |v| Bytes(v.clone()).text());
    let keys = expected.keys().chain(found.keys());
    let key = keys
        .into_iter()
        .find(|key| found.get(*key) != expected.get(*key) && !any_will_do(key))?;
    Some(format!(
        "{} has {} instead of {}",
        Bytes(key.clone()).text(),
        show(found.get(key)),
        show(expected.get(key))
    ))
}
