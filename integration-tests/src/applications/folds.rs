//! The reference folds: what the output must be, from the input alone, and without anything of Millstream.

use std::collections::BTreeMap;

use super::Application;
use super::topologies::{JOIN_WITHIN_MS, SESSION_GAP_MS, rekeyed, window_end, window_of};
use crate::history::Record;

/// The committed input: by topic and partition, in the order of offsets.
pub type Inputs<'a> = BTreeMap<&'a str, BTreeMap<i32, Vec<&'a Record>>>;

type Key = Vec<u8>;
type Value = Vec<u8>;

/// What the output must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each partition, element by element.
    Partitions(BTreeMap<i32, Vec<(Key, Option<Value>)>>),
    /// Each key's values, element by element.
    Keys(BTreeMap<Key, Vec<Value>>),
    /// Each key's values in any order, each as often as it is here.
    Sets(BTreeMap<Key, Vec<Value>>),
    /// The last value of each key; `None`: a deletion, or nothing at all.
    Last(BTreeMap<Key, Option<Value>>),
    /// Each key's values, element by element: what comes before the `|` is given, what comes after is a version of the second
    /// list.
    Versioned {
        /// The values and the versions of each key.
        sequences: BTreeMap<Key, (Vec<Value>, Vec<Value>)>,
        /// Whether versions never go back.
        ordered: bool,
    },
    /// At least once: each value is there, and first occurrences are in order where that is said.
    Contains {
        /// The values of each key.
        values: BTreeMap<Key, Vec<Value>>,
        /// Whether they come in this order.
        ordered: bool,
    },
    /// At least once: the last count of each key is at least this.
    CountsAtLeast(BTreeMap<Key, i64>),
}

/// What an application must have made of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The output.
    pub shape: Shape,
    /// The final rows of stores, by name.
    pub stores: BTreeMap<&'static str, BTreeMap<Key, Value>>,
}

/// The fold of an application over its input.
pub fn fold(application: Application, exactly_once: bool, inputs: &Inputs<'_>) -> Expected {
    let (shape, stores) = match application {
        Application::Relay => (relay(inputs, exactly_once), BTreeMap::new()),
        Application::Count => counts(keyed(inputs, |r| Some(key(r))), exactly_once, false),
        Application::CachedCount => counts(keyed(inputs, |r| Some(key(r))), exactly_once, true),
        Application::RekeyedCount => counts(
            keyed(inputs, |r| Some(rekeyed(&text(r)).into_bytes())),
            exactly_once,
            false,
        ),
        Application::WindowedCount => {
            let window = |r: &Record| Some(windowed(&key(r), window_of(r.timestamp)));
            (counts(keyed(inputs, window), exactly_once, false).0, BTreeMap::new())
        }
        Application::SuppressedCount => (suppressed(inputs), BTreeMap::new()),
        Application::SessionCount => (sessions(inputs), BTreeMap::new()),
        Application::Numbers => (numbers(inputs), BTreeMap::new()),
        Application::StreamTableJoin => stream_table(inputs, true),
        Application::VersionedJoin => (stream_table(inputs, true).0, BTreeMap::new()),
        Application::GlobalTableJoin => (stream_table(inputs, false).0, BTreeMap::new()),
        Application::TableJoin => tables(inputs),
        Application::StreamJoin => (stream_join(inputs, exactly_once), BTreeMap::new()),
    };
    // At least once, state may be ahead of what was committed.
    let stores = if exactly_once { stores } else { BTreeMap::new() };
    Expected { shape, stores }
}

type Stores = BTreeMap<&'static str, BTreeMap<Key, Value>>;

fn key(record: &Record) -> Key {
    record.key.as_ref().map(|k| k.0.clone()).unwrap_or_default()
}

fn value(record: &Record) -> Option<Value> {
    record.value.as_ref().map(|v| v.0.clone())
}

fn text(record: &Record) -> String {
    String::from_utf8(value(record).unwrap_or_default()).unwrap_or_default()
}

fn windowed(key: &[u8], start: i64) -> Key {
    [key, format!("@{start}").as_bytes()].concat()
}

fn records<'a>(inputs: &'a Inputs<'a>, topic: &str) -> impl Iterator<Item = &'a Record> {
    let partitions = inputs.get(topic).into_iter().flat_map(BTreeMap::values);
    partitions.flatten().copied()
}

fn relay(inputs: &Inputs<'_>, exactly_once: bool) -> Shape {
    if !exactly_once {
        let mut values = BTreeMap::<Key, Vec<Value>>::new();
        for record in records(inputs, "in") {
            values
                .entry(key(record))
                .or_default()
                .push(value(record).unwrap_or_default());
        }
        return Shape::Contains { values, ordered: true };
    }
    let partitions = inputs.get("in").cloned().unwrap_or_default();
    let elements = |records: Vec<&Record>| records.into_iter().map(|r| (key(r), value(r))).collect();
    Shape::Partitions(partitions.into_iter().map(|(p, r)| (p, elements(r))).collect())
}

/// How many records there are of each key.
fn keyed(inputs: &Inputs<'_>, key: impl Fn(&Record) -> Option<Key>) -> BTreeMap<Key, i64> {
    let mut counts = BTreeMap::new();
    for record in records(inputs, "in").filter_map(key) {
        *counts.entry(record).or_default() += 1;
    }
    counts
}

fn counts(of: BTreeMap<Key, i64>, exactly_once: bool, only_last: bool) -> (Shape, Stores) {
    let rows = of.iter().map(|(k, n)| (k.clone(), n.to_be_bytes().to_vec())).collect();
    let shape = if !exactly_once {
        Shape::CountsAtLeast(of)
    } else if only_last {
        let last = |n: i64| Some(n.to_be_bytes().to_vec());
        Shape::Last(of.into_iter().map(|(k, n)| (k, last(n))).collect())
    } else {
        let running = |n: i64| (1..=n).map(|i| i.to_be_bytes().to_vec()).collect();
        Shape::Keys(of.into_iter().map(|(k, n)| (k, running(n))).collect())
    };
    (shape, BTreeMap::from([("counts", rows)]))
}

/// A window's count comes once: when a later record of its partition is at or behind its end.
fn suppressed(inputs: &Inputs<'_>) -> Shape {
    let mut results = BTreeMap::new();
    for records in inputs.get("in").into_iter().flat_map(BTreeMap::values) {
        let (mut counts, mut now) = (BTreeMap::<(i64, Key), i64>::new(), i64::MIN);
        for record in records {
            now = now.max(record.timestamp);
            let start = window_of(record.timestamp);
            if window_end(start) > now {
                *counts.entry((start, key(record))).or_default() += 1;
            }
        }
        for ((start, key), count) in counts {
            if window_end(start) <= now {
                results.insert(windowed(&key, start), vec![count.to_be_bytes().to_vec()]);
            }
        }
    }
    Shape::Keys(results)
}

/// Every session a record touches is deleted (counts nothing any more), and what they are together counts one more.
fn sessions(inputs: &Inputs<'_>) -> Shape {
    let mut open = BTreeMap::<Key, Vec<(i64, i64, i64)>>::new();
    let mut results = BTreeMap::<Key, Vec<Value>>::new();
    for record in records(inputs, "in") {
        let (key, at) = (key(record), record.timestamp);
        let mut tell = |start: i64, end: i64, count: i64| {
            let session = [&key[..], format!("@{start}-{end}").as_bytes()].concat();
            results.entry(session).or_default().push(count.to_be_bytes().to_vec());
        };
        let of_key = open.entry(key.clone()).or_default();
        let near = |(start, end, _): &(i64, i64, i64)| *start <= at + SESSION_GAP_MS && *end >= at - SESSION_GAP_MS;
        let (touched, others): (Vec<_>, Vec<_>) = of_key.drain(..).partition(near);
        let (mut start, mut end, mut count) = (at, at, 1);
        for (from, to, counted) in &touched {
            (start, end, count) = (start.min(*from), end.max(*to), count + counted);
        }
        if (start, end) != (at, at) {
            touched.iter().for_each(|(from, to, _)| tell(*from, *to, 0));
        }
        tell(start, end, count);
        *of_key = others;
        of_key.push((start, end, count));
    }
    Shape::Keys(results)
}

fn numbers(inputs: &Inputs<'_>) -> Shape {
    let mut results = BTreeMap::<Key, Vec<Value>>::new();
    for record in records(inputs, "in") {
        let number = match value(record) {
            None => Some("null".to_owned()),
            Some(_) => text(record).parse::<i64>().ok().map(|number| number.to_string()),
        };
        if let Some(number) = number {
            results.entry(key(record)).or_default().push(number.into_bytes());
        }
    }
    Shape::Keys(results)
}

fn last_rows(inputs: &Inputs<'_>, topic: &str) -> BTreeMap<Key, Value> {
    let mut rows = BTreeMap::new();
    for record in records(inputs, topic) {
        match value(record) {
            Some(value) => drop(rows.insert(key(record), value)),
            None => drop(rows.remove(&key(record))),
        }
    }
    rows
}

fn stream_table(inputs: &Inputs<'_>, ordered: bool) -> (Shape, Stores) {
    let mut sequences = BTreeMap::<Key, (Vec<Value>, Vec<Value>)>::new();
    for record in records(inputs, "in") {
        let values = &mut sequences.entry(key(record)).or_default().0;
        values.push(value(record).unwrap_or_default());
    }
    // Before the first row there is none.
    for (_, versions) in sequences.values_mut() {
        versions.push(b"-".to_vec());
    }
    for record in records(inputs, "table") {
        if let Some((_, versions)) = sequences.get_mut(&key(record)) {
            versions.push(value(record).unwrap_or_else(|| b"-".to_vec()));
        }
    }
    let rows = last_rows(inputs, "table");
    (
        Shape::Versioned { sequences, ordered },
        BTreeMap::from([("table-rows", rows)]),
    )
}

fn tables(inputs: &Inputs<'_>) -> (Shape, Stores) {
    let (left, right) = (last_rows(inputs, "left"), last_rows(inputs, "right"));
    let keys = ["left", "right"].map(|topic| records(inputs, topic).map(key));
    let last = keys.into_iter().flatten().map(|key| {
        let pair = left.get(&key).zip(right.get(&key));
        let joined = pair.map(|(l, r)| [l, &b"|"[..], r].concat());
        (key, joined)
    });
    let shape = Shape::Last(last.collect());
    (shape, BTreeMap::from([("left-rows", left), ("right-rows", right)]))
}

fn stream_join(inputs: &Inputs<'_>, exactly_once: bool) -> Shape {
    let mut pairs = BTreeMap::<Key, Vec<Value>>::new();
    for left in records(inputs, "left") {
        for right in records(inputs, "right").filter(|r| r.key == left.key) {
            if (left.timestamp - right.timestamp).abs() <= JOIN_WITHIN_MS {
                let joined = format!("{}|{}", text(left), text(right)).into_bytes();
                pairs.entry(key(left)).or_default().push(joined);
            }
        }
    }
    match exactly_once {
        true => Shape::Sets(pairs),
        false => Shape::Contains {
            values: pairs,
            ordered: false,
        },
    }
}
