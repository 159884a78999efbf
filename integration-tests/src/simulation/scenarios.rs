//! The applications, the settings a seed draws for them, and the reference folds.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::StreamsConfig;
use millstream::prelude::*;
use millstream::testing::{Run, SeenRecord, Simulator};

use crate::fold::{self, PerKey};

/// An application with the settings of one seed.
pub struct Scenario {
    /// What it is called on the command line and in reports.
    pub name: &'static str,
    /// The settings, for people.
    pub settings: String,
    /// Ready to run.
    pub simulator: Simulator,
    /// Compares the output with the fold; gives how many elements were compared.
    pub verify: Verify,
}

/// Compares the output of a run with the fold; gives how many elements were compared.
pub type Verify = fn(&Run) -> Result<usize, String>;

/// Small and even enough to draw settings; the simulator has a generator of its own.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

const KEYS: u64 = 12;

/// The scenario of a seed.
pub fn scenario(seed: u64) -> Scenario {
    let mut draw = Draw(seed.wrapping_mul(2).wrapping_add(1));
    draw.below(2);
    let partitions = 1 + draw.below(4) as i32;
    let instances = 1 + draw.below(4) as usize;
    let threads = 1 + draw.below(2) as usize;
    let commit_ms = [20, 100, 100, 500, 3_000][draw.below(5) as usize];
    let records = 50 + draw.below(250);
    let at_least_once = draw.below(8) == 0;
    let config = StreamsConfig::new("app")
        .processing_guarantee(if at_least_once {
            ProcessingGuarantee::AtLeastOnce
        } else {
            ProcessingGuarantee::ExactlyOnce
        })
        .commit_interval(Duration::from_millis(commit_ms))
        .stream_threads(threads)
        .record_cache_bytes(0);
    let (name, topology, verify): (_, _, Verify) = match draw.below(5) {
        _ if at_least_once => ("relay-at-least-once", relay(), verify_nothing_lost),
        0 => ("relay", relay(), verify_relay),
        1 => ("count", count(), verify_counts),
        2 => ("windowed-count", windowed_count(), verify_as_many_as_fed),
        3 => ("cached-table", count(), verify_last_counts),
        _ => ("rekeyed-count", rekeyed_count(), verify_rekeyed_counts),
    };
    let config = match name {
        "cached-table" => config.record_cache_bytes(10 << 20),
        _ => config,
    };
    let input = (0..records).map(move |n| {
        let key = n.wrapping_mul(2_654_435_761) % KEYS;
        let at_ms = 1_700_000_000_000 + i64::try_from(n).unwrap_or_default() * 700;
        (format!("k{key}"), format!("{n}"), at_ms)
    });
    let mut simulator = Simulator::new(config, topology)
        .instances(instances)
        .topic("in", partitions)
        .topic("out", partitions)
        .timed_records("in", StringSerde, StringSerde, input);
    if name.ends_with("count") {
        simulator = simulator.watch("out", || counts_go_up(|by| by == 1));
    }
    if name == "cached-table" {
        simulator = simulator.watch("out", || counts_go_up(|by| by >= 1));
    }
    Scenario {
        name,
        settings: format!(
            "{instances} instances of {threads} threads, {partitions} partitions, {records} records, commit every {commit_ms} ms"
        ),
        simulator,
        verify,
    }
}

fn relay() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").to("out");
    built(&builder)
}

fn count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .count()
        .to_stream()
        .to("out");
    built(&builder)
}

/// Two sub-topologies with a repartition topic between them.
fn rekeyed_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by(|_, value| rekeyed(value))
        .count()
        .to_stream()
        .to("out");
    built(&builder)
}

fn rekeyed(value: &str) -> String {
    format!("r{}", value.parse::<u64>().unwrap_or_default() % 7)
}

#[expect(clippy::expect_used, reason = "the scenarios' topologies are fixed")]
fn built(builder: &StreamsBuilder) -> Topology {
    builder.build().expect("the topology of a scenario is right")
}

/// Windows of ten seconds, counted per key: a store of segments, and keys of another kind.
fn windowed_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of(Duration::from_secs(10)).grace(Duration::from_secs(3_600)))
        .count()
        .to_stream()
        .map(|window, count| {
            (
                format!("{}@{}", window.key, window.window.start),
                count.unwrap_or_default(),
            )
        })
        .to("out");
    built(&builder)
}

/// During the run: the counts of each key go up, by one or, with a cache, at least by one.
fn counts_go_up(right: fn(i64) -> bool) -> impl FnMut(&SeenRecord) -> Result<(), String> {
    let mut last: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    move |record| {
        let count = count_of(record)?;
        let before = last.entry(record.key.clone().unwrap_or_default()).or_default();
        if !right(count - *before) {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned();
            return Err(format!("the count of {key} goes from {before} to {count}"));
        }
        *before = count;
        Ok(())
    }
}

fn count_of(record: &SeenRecord) -> Result<i64, String> {
    let value = record.value.as_deref().unwrap_or_default();
    value
        .try_into()
        .map(i64::from_be_bytes)
        .map_err(|_| "not a count".to_owned())
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// Each partition of the output is the same partition of the input, element by element.
fn verify_relay(run: &Run) -> Result<usize, String> {
    let content = |topic| {
        let mut partitions: BTreeMap<i32, Vec<_>> = BTreeMap::new();
        for r in run.records(topic) {
            let element = (r.key.clone(), r.value.clone(), r.timestamp);
            partitions.entry(r.partition).or_default().push(element);
        }
        partitions
    };
    let (input, output) = (content("in"), content("out"));
    if input != output {
        for (partition, expected) in &input {
            let found = output.get(partition).map_or(&[][..], Vec::as_slice);
            let differs = expected.iter().zip(found).position(|(e, f)| e != f);
            if differs.is_some() || expected.len() != found.len() {
                let at = differs.unwrap_or(expected.len().min(found.len()));
                let (found, expected) = (found.len(), expected.len());
                return Err(format!(
                    "out-{partition} differs from in-{partition} at {at}: {found} records of {expected}"
                ));
            }
        }
        return Err("the output has partitions without input".into());
    }
    compared_something(run.records("out").len())
}

/// Every element of the input is in the output, in order; some are there more than once.
fn verify_nothing_lost(run: &Run) -> Result<usize, String> {
    for expected in run.records("in") {
        let same =
            |r: &&SeenRecord| r.partition == expected.partition && r.value == expected.value && r.key == expected.key;
        if !run.records("out").iter().any(|r| same(&r)) {
            return Err(format!(
                "in-{}@{} is not in the output",
                expected.partition, expected.offset
            ));
        }
    }
    compared_something(run.records("in").len())
}

/// With counts that go up by one, watched during the run: as many results as records.
fn verify_as_many_as_fed(run: &Run) -> Result<usize, String> {
    let (fed, found) = (run.records("in").len(), run.records("out").len());
    if fed != found {
        return Err(format!("{found} results for {fed} records"));
    }
    compared_something(found)
}

/// A cache leaves out counts in between; the last one of each key is right.
fn verify_last_counts(run: &Run) -> Result<usize, String> {
    let mut last = BTreeMap::new();
    for record in run.records("out") {
        last.insert(text(record.key.as_deref()), count_of(record)?);
    }
    let keys: Vec<String> = run.records("in").iter().map(|r| text(r.key.as_deref())).collect();
    let fold = fold::running_counts(keys.iter().map(String::as_str));
    let expected: BTreeMap<String, i64> = fold
        .into_iter()
        .map(|(key, counts)| (key, counts.len() as i64))
        .collect();
    if last != expected {
        return Err(format!("the last counts are {last:?}, must be {expected:?}"));
    }
    compared_something(last.len())
}

fn verify_counts(run: &Run) -> Result<usize, String> {
    let keys: Vec<String> = run.records("in").iter().map(|r| text(r.key.as_deref())).collect();
    compare(run, &keys)
}

fn verify_rekeyed_counts(run: &Run) -> Result<usize, String> {
    let keys: Vec<String> = run
        .records("in")
        .iter()
        .map(|r| rekeyed(&text(r.value.as_deref())))
        .collect();
    compare(run, &keys)
}

fn compare(run: &Run, input_keys: &[String]) -> Result<usize, String> {
    let mut output = PerKey::new();
    for record in run.records("out") {
        output
            .entry(text(record.key.as_deref()))
            .or_default()
            .push(count_of(record)?);
    }
    let expected = fold::running_counts(input_keys.iter().map(String::as_str));
    fold::compare(&expected, &output).map_err(|violations| {
        let list: Vec<String> = violations.iter().take(5).map(ToString::to_string).collect();
        list.join("; ")
    })
}

fn compared_something(elements: usize) -> Result<usize, String> {
    if elements == 0 {
        return Err("nothing was compared".into());
    }
    Ok(elements)
}
