//! What somebody who reads committed records must never see, not even for a moment.

use std::collections::{BTreeMap, BTreeSet};

use millstream::testing::{SeenRecord, Simulator};

use crate::applications::{Application, OUTPUT};

/// Watches the output while faults go on.
pub(super) fn watched(simulator: Simulator, application: Application, exactly_once: bool) -> Simulator {
    if !exactly_once {
        return simulator;
    }
    match application {
        Application::Count | Application::RekeyedCount | Application::WindowedCount => {
            simulator.watch(OUTPUT, || counts_go_up(|by| by == 1))
        }
        Application::CachedCount => simulator.watch(OUTPUT, || counts_go_up(|by| by >= 1)),
        // A table may come to the same row again; sessions that are merged count nothing, as often as they are; null has no number.
        Application::TableJoin | Application::SessionCount | Application::Numbers => simulator,
        Application::VersionedJoin => simulator
            .watch(OUTPUT, nothing_twice)
            .watch(OUTPUT, || no_row_of_the_future),
        _ => simulator.watch(OUTPUT, nothing_twice),
    }
}

/// The counts of each key go up, by one or, with a cache, at least by one.
fn counts_go_up(right: fn(i64) -> bool) -> impl FnMut(&SeenRecord) -> Result<(), String> {
    let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    move |record| {
        let value = record.value.as_deref().unwrap_or_default();
        let count = value.try_into().map(i64::from_be_bytes).map_err(|_| "not a count")?;
        let before = last.entry(record.key.clone().unwrap_or_default()).or_default();
        if !right(count - *before) {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            return Err(format!("the count of {key} goes from {before} to {count}"));
        }
        *before = count;
        Ok(())
    }
}

/// No key has the same value twice.
fn nothing_twice() -> impl FnMut(&SeenRecord) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    move |record| match seen.insert((record.key.clone(), record.value.clone())) {
        true => Ok(()),
        false => Err("is there twice".into()),
    }
}

/// A record is joined with the row of its time: both were written with their number, and the numbers are the times.
fn no_row_of_the_future(record: &SeenRecord) -> Result<(), String> {
    let joined = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    let number = |text: &str| {
        text.trim_start_matches(|c: char| !c.is_ascii_digit())
            .parse::<u64>()
            .ok()
    };
    let (of_record, of_row) = joined.split_once('|').unwrap_or((&joined, ""));
    match number(of_record).zip(number(of_row)) {
        Some((record, row)) if row > record => Err(format!("{joined} is joined with a row of the future")),
        _ => Ok(()),
    }
}
