//! The last word on a scene: input, results, changelog, offsets and open transactions against the reference fold.

use std::collections::BTreeMap;
use std::time::Duration;

use super::feeder::key_index;
use super::patience::becomes;
use super::{Attempt, Outcome};
use crate::applications::OUTPUT;
use crate::fold::{PerKey, compare, running_counts};
use crate::history::{Event, Record, Recorder};
use crate::kafka::{ObservedRecord, Observer};

/// What must be true at rest.
pub(super) struct Expectation<'a> {
    pub(super) application_id: &'a str,
    /// Acknowledged records of each key.
    pub(super) sent: &'a [u64],
    /// Committed results of each key that the witness saw during the run.
    pub(super) seen: &'a [u64],
    pub(super) transaction_timeout: Duration,
    pub(super) history: &'a Recorder,
}

/// Commits come ten times a second; markers are written a little later.
const AT_REST: Duration = Duration::from_secs(10);

/// Gives how many results were compared; violations go to the outcome.
pub(super) fn verify(observer: &Observer, expected: &Expectation<'_>, outcome: &mut Outcome) -> Attempt<u64> {
    let id = expected.application_id;
    let input = observer.read_committed(&format!("{id}-in"))?;
    let fold = running_counts(input.iter().filter(|r| is_good(r)).map(ObservedRecord::key_text));
    let fed: u64 = expected.sent.iter().sum();
    let folded = fold.values().map(Vec::len).sum::<usize>() as u64;
    if folded != fed {
        outcome.violation(format!("the input has {folded} records, the feeder sent {fed}"));
    }
    let output = observer.read_committed(&format!("{id}-out"))?;
    found(expected.history, INPUT, input.iter().filter(|r| is_good(r)))?;
    found(expected.history, OUTPUT, output.iter())?;
    let results = results(&output);
    let compared = match compare(&fold, &results) {
        Ok(compared) => compared as u64,
        Err(violations) => {
            let shown = violations.iter().take(10).map(ToString::to_string);
            outcome.violations.extend(shown);
            0
        }
    };
    let total: u64 = expected.seen.iter().sum();
    if total != folded {
        outcome.violation(format!(
            "the witness saw {total} results during the run, {folded} are right"
        ));
    }
    changelogs(observer, id, &fold, outcome)?;
    offsets(observer, expected, outcome)?;
    open_transactions(observer, expected, outcome)?;
    Ok(compared)
}

/// As the histories of all applications name it.
const INPUT: &str = "in";

fn found<'a>(history: &Recorder, topic: &str, records: impl Iterator<Item = &'a ObservedRecord>) -> Attempt {
    for r in records {
        let record = Record::new(topic, r.partition, r.offset, r.key.as_deref(), r.value.as_deref());
        history.add(Event::Found(record.at_ms(r.timestamp_ms)))?;
    }
    Ok(())
}

fn record_rest(history: &Recorder, committed: &[Option<(i64, String)>], ends: &[(i64, i64)]) -> Attempt {
    for ((partition, committed), (_, end)) in (0..).zip(committed).zip(ends) {
        history.add(Event::AtRest {
            topic: INPUT.to_owned(),
            partition,
            end: *end,
            // Nothing in it is read before it is stable, and all of it has been read.
            stable: *end,
            committed: committed.as_ref().map(|(offset, _)| *offset),
            left: None,
        })?;
    }
    Ok(())
}

/// Records that rows send to be refused are none of the feeder's.
fn is_good(record: &ObservedRecord) -> bool {
    key_index(record.key_text()).is_some() && record.value_text().parse::<u64>().is_ok()
}

fn results(records: &[ObservedRecord]) -> PerKey {
    let mut results = PerKey::new();
    for record in records {
        let value = record
            .value
            .as_deref()
            .and_then(|v| Some(i64::from_be_bytes(v.try_into().ok()?)));
        // What is no number equals nothing.
        results
            .entry(record.key_text().to_owned())
            .or_default()
            .push(value.unwrap_or(i64::MIN));
    }
    results
}

fn internal(observer: &Observer, id: &str, suffix: &str) -> Attempt<Vec<String>> {
    let all = observer.topics()?.into_iter();
    Ok(all
        .filter(|t| t.starts_with(&format!("{id}-")) && t.ends_with(suffix))
        .collect())
}

/// The changelog, compacted, is the fold's last value of each key.
fn changelogs(observer: &Observer, id: &str, fold: &PerKey, outcome: &mut Outcome) -> Attempt {
    let topics = internal(observer, id, "-changelog")?;
    if topics.is_empty() {
        outcome.violation("there is no changelog to compare");
    }
    for topic in topics {
        let mut last = BTreeMap::new();
        for record in observer.read_committed(&topic)? {
            let value = record
                .value
                .as_deref()
                .and_then(|v| Some(i64::from_be_bytes(v.try_into().ok()?)));
            last.insert(record.key_text().to_owned(), value);
        }
        let wrong = fold
            .iter()
            .filter(|(key, all)| last.get(*key) != Some(&all.last().copied()));
        let wrong: Vec<&String> = wrong.map(|(key, _)| key).collect();
        if !wrong.is_empty() || last.len() != fold.len() {
            outcome.violation(format!(
                "{topic} differs from the fold in {} keys ({wrong:?} ...), has {} of {}",
                wrong.len(),
                last.len(),
                fold.len()
            ));
        }
    }
    Ok(())
}

/// At rest the committed offset is the end of the partition, also where that is a control record.
fn offsets(observer: &Observer, expected: &Expectation<'_>, outcome: &mut Outcome) -> Attempt {
    let id = expected.application_id;
    let mut topics = internal(observer, id, "-repartition")?;
    topics.push(format!("{id}-in"));
    for topic in topics {
        let mut committed = Vec::new();
        let mut ends = Vec::new();
        let at_rest = becomes(AT_REST, || {
            committed = observer.committed(id, &topic)?;
            ends = observer.watermarks(&topic)?;
            let at_end = |(c, (_, end)): (&Option<(i64, String)>, &(i64, i64))| match c {
                Some((offset, _)) => offset == end,
                None => *end == 0,
            };
            Ok(committed.iter().zip(&ends).all(at_end))
        })?;
        if !at_rest {
            let committed: Vec<_> = committed.iter().map(|c| c.as_ref().map(|(o, _)| *o)).collect();
            outcome.violation(format!("{topic}: committed {committed:?} at rest, ends are {ends:?}"));
        } else if topic == format!("{id}-in") {
            record_rest(expected.history, &committed, &ends)?;
        }
    }
    Ok(())
}

/// Ends, committed offsets and open transactions of every topic: where records are stuck.
pub(super) fn whereabouts(observer: &Observer, id: &str) -> String {
    let all = observer.topics().unwrap_or_default().into_iter();
    let of_topic = |topic: String| {
        let ends: Vec<i64> = observer
            .watermarks(&topic)
            .unwrap_or_default()
            .iter()
            .map(|w| w.1)
            .collect();
        let committed = observer.committed(id, &topic).unwrap_or_default();
        let committed: Vec<_> = committed.iter().map(|c| c.as_ref().map_or(-1, |(o, _)| *o)).collect();
        let open = observer.open_transactions(&topic).unwrap_or_default();
        format!("{topic}: ends {ends:?}, committed {committed:?}, held back {open:?}")
    };
    let texts: Vec<String> = all.filter(|t| t.starts_with(&format!("{id}-"))).map(of_topic).collect();
    texts.join("; ")
}

fn open_transactions(observer: &Observer, expected: &Expectation<'_>, outcome: &mut Outcome) -> Attempt {
    let id = expected.application_id;
    let mut topics = internal(observer, id, "-changelog")?;
    topics.extend(internal(observer, id, "-repartition")?);
    topics.push(format!("{id}-out"));
    let limit = expected.transaction_timeout + AT_REST;
    for topic in topics {
        let mut open = Vec::new();
        let over = becomes(limit, || {
            open = observer.open_transactions(&topic)?;
            Ok(open.is_empty())
        })?;
        if !over {
            outcome.violation(format!("{topic}: hanging transactions in partitions {open:?}"));
        }
    }
    Ok(())
}
