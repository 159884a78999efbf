//! The committed output against the shape the fold gives it.

use std::collections::BTreeMap;

use super::event::{Bytes, Record};
use super::report::{Invariant, Report};
use crate::applications::Shape;

type PerKey = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// Compares; says what is lost, what is there twice, and what differs.
pub(super) fn output(shape: &Shape, output: &[&Record], report: &mut Report) {
    match shape {
        Shape::Partitions(expected) => partitions(expected, output, report),
        Shape::Keys(expected) => {
            let found = per_key(output);
            for (key, expected) in expected {
                sequence(&name(key), expected, values(&found, key), report);
                report.compared(Invariant::Order, expected.len());
            }
            no_other_keys(&found, |key| expected.contains_key(key), report);
        }
        Shape::Sets(expected) => {
            let found = per_key(output);
            for (key, expected) in expected {
                let (mut expected, mut found) = (expected.clone(), values(&found, key).to_vec());
                expected.sort();
                found.sort();
                sequence(&name(key), &expected, &found, report);
            }
            no_other_keys(&found, |key| expected.contains_key(key), report);
        }
        Shape::Last(expected) => last(expected, output, report),
        Shape::Versioned { sequences, ordered } => versions(sequences, *ordered, &per_key(output), report),
        Shape::Contains { values, ordered } => contains(values, *ordered, &per_key(output), report),
        Shape::CountsAtLeast(expected) => {
            let found = per_key(output);
            for (key, at_least) in expected {
                let last = values(&found, key).last().and_then(|v| count(v)).unwrap_or(0);
                if last < *at_least {
                    report.violated(
                        Invariant::NoLoss,
                        format!("{}: counted {last} of {at_least}", name(key)),
                    );
                }
                report.compared(Invariant::NoLoss, 1);
                report.compared(Invariant::NoDuplicates, 1);
            }
            no_other_keys(&found, |key| expected.contains_key(key), report);
        }
    }
}

fn name(key: &[u8]) -> String {
    Bytes::from(key).text()
}

fn count(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}

fn shown(value: &[u8]) -> String {
    count(value).map_or_else(|| name(value), |count| count.to_string())
}

fn per_key(output: &[&Record]) -> PerKey {
    let mut found = PerKey::new();
    for record in output {
        let key = record.key.as_ref().map(|k| k.0.clone()).unwrap_or_default();
        let value = record.value.as_ref().map(|v| v.0.clone()).unwrap_or_default();
        found.entry(key).or_default().push(value);
    }
    found
}

fn values<'a>(found: &'a PerKey, key: &[u8]) -> &'a [Vec<u8>] {
    found.get(key).map_or(&[], Vec::as_slice)
}

fn no_other_keys(found: &PerKey, known: impl Fn(&[u8]) -> bool, report: &mut Report) {
    for key in found.keys().filter(|key| !known(key)) {
        let what = format!("{} is in the output, but must not be", name(key));
        report.violated(Invariant::NoDuplicates, what);
    }
}

/// Element by element. A shorter output has lost something, a longer one has something twice, else something differs.
fn sequence(place: &str, expected: &[Vec<u8>], found: &[Vec<u8>], report: &mut Report) {
    report.compared(Invariant::NoLoss, expected.len());
    report.compared(Invariant::NoDuplicates, expected.len().min(found.len()));
    let differs = expected.iter().zip(found).position(|(e, f)| e != f);
    let at = differs.map_or(String::new(), |at| {
        let [e, f] = [expected, found].map(|side| side.get(at).map_or(String::new(), |v| shown(v)));
        format!(", element {at} is {f} instead of {e}")
    });
    let counts = format!("{place}: {} results instead of {}{at}", found.len(), expected.len());
    if found.len() < expected.len() {
        report.violated(Invariant::NoLoss, counts);
    } else if found.len() > expected.len() || differs.is_some() {
        report.violated(Invariant::NoDuplicates, counts);
    }
}

/// Key and value, which may be missing.
type KeyValue = (Vec<u8>, Option<Vec<u8>>);

fn partitions(expected: &BTreeMap<i32, Vec<KeyValue>>, output: &[&Record], report: &mut Report) {
    let mut found = BTreeMap::<i32, Vec<Vec<u8>>>::new();
    // Key and value as one element; a missing value differs from an empty one.
    let element =
        |key: &[u8], value: Option<&[u8]>| [key, &[0, u8::from(value.is_some())], value.unwrap_or(&[])].concat();
    for record in output {
        let key = record.key.as_ref().map_or(&[][..], |k| &k.0);
        let value = record.value.as_ref().map(|v| &v.0[..]);
        found.entry(record.partition).or_default().push(element(key, value));
    }
    for (partition, expected) in expected {
        let expected: Vec<Vec<u8>> = expected.iter().map(|(k, v)| element(k, v.as_deref())).collect();
        let found = found.remove(partition).unwrap_or_default();
        sequence(&format!("partition {partition}"), &expected, &found, report);
        report.compared(Invariant::Order, expected.len());
    }
    for partition in found.keys() {
        let what = format!("partition {partition} of the output has records, that of the input has none");
        report.violated(Invariant::NoDuplicates, what);
    }
}

fn last(expected: &BTreeMap<Vec<u8>, Option<Vec<u8>>>, output: &[&Record], report: &mut Report) {
    let mut found = BTreeMap::new();
    for record in output {
        let key = record.key.as_ref().map(|k| k.0.clone()).unwrap_or_default();
        found.insert(key, record.value.as_ref().map(|v| v.0.clone()));
    }
    for (key, expected) in expected {
        let found = found.remove(key).flatten();
        report.compared(Invariant::NoLoss, 1);
        report.compared(Invariant::NoDuplicates, 1);
        if found != *expected {
            let [e, f] = [expected, &found].map(|v| v.as_deref().map_or("nothing".to_owned(), shown));
            let what = format!("{}: the last result is {f} instead of {e}", name(key));
            report.violated(Invariant::NoDuplicates, what);
        }
    }
    for key in found.keys() {
        let what = format!("{} is in the output, but must not be", name(key));
        report.violated(Invariant::NoDuplicates, what);
    }
}

/// The elements of a key, and the versions of the row they may be joined with.
type Versions = (Vec<Vec<u8>>, Vec<Vec<u8>>);

fn versions(expected: &BTreeMap<Vec<u8>, Versions>, ordered: bool, found: &PerKey, report: &mut Report) {
    for (key, (elements, versions)) in expected {
        let (mut firsts, mut from) = (Vec::new(), 0);
        for value in values(found, key) {
            let at = value.iter().rposition(|byte| *byte == b'|').unwrap_or(value.len());
            let (first, second) = value.split_at(at);
            firsts.push(first.to_vec());
            let second = second.get(1..).unwrap_or_default();
            let ahead = versions.iter().skip(from).position(|v| v == second);
            match ahead {
                Some(by) => from += if ordered { by } else { 0 },
                None => report.violated(
                    Invariant::Order,
                    format!("{}: {} is joined with a row of the past", name(key), shown(value)),
                ),
            }
            report.compared(Invariant::Order, 1);
        }
        sequence(&name(key), elements, &firsts, report);
    }
    no_other_keys(found, |key| expected.contains_key(key), report);
}

fn contains(expected: &BTreeMap<Vec<u8>, Vec<Vec<u8>>>, ordered: bool, found: &PerKey, report: &mut Report) {
    for (key, expected) in expected {
        let found = values(found, key);
        let mut firsts: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (at, value) in found.iter().enumerate() {
            firsts.entry(value).or_insert(at);
        }
        let mut before = None;
        for value in expected {
            let Some(at) = firsts.get(&value[..]).copied() else {
                let what = format!("{}: {} is not in the output", name(key), shown(value));
                report.violated(Invariant::NoLoss, what);
                continue;
            };
            if ordered && before.is_some_and(|before| at < before) {
                let what = format!("{}: {} comes too early", name(key), shown(value));
                report.violated(Invariant::Order, what);
            }
            before = Some(at);
        }
        report.compared(Invariant::NoLoss, expected.len());
        report.compared(Invariant::NoDuplicates, found.len());
        report.compared(Invariant::Order, if ordered { expected.len() } else { 0 });
    }
    no_other_keys(found, |key| expected.contains_key(key), report);
}
