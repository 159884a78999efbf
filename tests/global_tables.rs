//! Tables that every instance holds whole: filled before the first record is processed, kept up to date, kept on disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use millstream::{
    CloseOptions, Error, ErrorKind, KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee, State,
    cluster::{Cluster, Isolation, Producer, ProducerRecord, Sent, Step, TopicPartition, memory::MemoryCluster},
    dsl::{
        engine::{Handlers, LogAndContinue, Topology},
        prelude::*,
    },
};
use support::{PARTITIONS, PATIENCE, visit};

const BOTH: [ProcessingGuarantee; 2] = [ProcessingGuarantee::AtLeastOnce, ProcessingGuarantee::ExactlyOnce];

/// Visits, as (visitor, city), joined with the names of cities.
fn visits(materialized: Materialized<String, String>) -> Topology {
    let builder = StreamsBuilder::new();
    let cities = builder.global_table_with("cities", materialized);
    builder
        .stream::<String, String>("visits")
        .left_join_global(
            &cities,
            |_, city| city.clone(),
            |_, name| name.cloned().unwrap_or_else(|| "?".to_owned()),
        )
        .to("out");
    builder.build().unwrap()
}

/// Every visit is an error.
fn failing() -> Topology {
    let builder = StreamsBuilder::new();
    let cities = builder.global_table::<String, String>("cities");
    builder
        .stream::<String, String>("visits")
        .join_global(&cities, |_, city| city.clone(), |_, name| name.clone())
        .try_map_values(|_| Err::<String, &str>("every visit fails"))
        .to("out");
    builder.build().unwrap()
}

fn app(guarantee: ProcessingGuarantee, dir: &Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("visits")
        .processing_guarantee(guarantee)
        .commit_interval(Duration::from_millis(30))
        .stream_threads(2)
        .state_dir(dir)
}

struct World {
    cluster: MemoryCluster,
    producer: Box<dyn Producer>,
}

impl World {
    fn new() -> Self {
        support::logging();
        let cluster = MemoryCluster::new();
        for topic in ["visits", "out"] {
            cluster.create_topic(topic, PARTITIONS, &[]).unwrap();
        }
        cluster
            .create_topic("cities", 2, &[("cleanup.policy", "compact")])
            .unwrap();
        let producer = support::plain_producer(&cluster);
        Self { cluster, producer }
    }

    fn send(&mut self, topic: &str, partition: i32, key: &str, value: Option<&[u8]>) {
        let record = ProducerRecord {
            topic: self.producer.topic(topic).unwrap(),
            partition,
            key: Some(key.as_bytes()),
            value,
            timestamp: Some(1_795_000_000_000),
            headers: None,
        };
        while matches!(self.producer.send(&record).unwrap(), Sent::Full) {
            self.producer.serve().unwrap();
        }
    }

    fn flush(&mut self) {
        while matches!(self.producer.poll_flush().unwrap(), Step::Pending) {}
    }

    /// A city, in the partition that the last letter of its code says.
    fn city(&mut self, code: &str, name: Option<&str>) {
        let partition = i32::from(code.ends_with(['1', '3', '5', '7', '9']));
        self.send("cities", partition, code, name.map(str::as_bytes));
        self.flush();
    }

    fn visit(&mut self, visitor: &str, city: &str) {
        let partition = i32::try_from(visitor.len()).unwrap() % PARTITIONS;
        self.send("visits", partition, visitor, Some(city.as_bytes()));
        self.flush();
    }

    fn out(&self) -> BTreeMap<String, Vec<String>> {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        visit(&self.cluster, "out", Isolation::ReadCommitted, |key, value| {
            out.entry(text(key)).or_default().push(text(value));
        });
        out
    }

    /// What the visitor has seen, once there is so much of it.
    async fn seen(&self, visitor: &str, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let seen = self.out().remove(visitor).unwrap_or_default();
            if seen.len() >= count {
                return seen;
            }
            assert!(start.elapsed() < PATIENCE, "{visitor} has seen {seen:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends the visitor again and again until it sees this: there is no order between a table and a stream.
    async fn sees(&mut self, visitor: &str, city: &str, name: &str) {
        let start = Instant::now();
        loop {
            let before = self.out().remove(visitor).map_or(0, |seen| seen.len());
            self.visit(visitor, city);
            let seen = self.seen(visitor, before + 1).await;
            if seen.last().is_some_and(|last| last == name) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{visitor} sees {seen:?}, and not {name}");
        }
    }
}

/// The error the application stops with.
async fn ended(app: &KafkaStreams) -> Error {
    let start = Instant::now();
    while !app.state().is_final() {
        assert!(start.elapsed() < PATIENCE, "still {}", app.state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    app.error().unwrap()
}

#[tokio::test]
async fn every_thread_sees_all_rows_from_the_first_record_on_and_their_updates() {
    for guarantee in BOTH {
        for materialized in [Materialized::named("names"), Materialized::named("names").in_memory()] {
            let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
            for code in 0..3_000 {
                world.send(
                    "cities",
                    code % 2,
                    &format!("c{code}"),
                    Some(format!("city {code}").as_bytes()),
                );
            }
            // Visitors of every partition, and with them tasks of both threads.
            for (visitor, city) in [("a", "c0"), ("bb", "c2999"), ("ccc", "c1500"), ("dddd", "nowhere")] {
                world.visit(visitor, city);
            }
            let app = app(guarantee, dir.path())
                .start_on(world.cluster.clone(), visits(materialized))
                .await
                .unwrap();
            assert_eq!(world.seen("a", 1).await, ["city 0"]);
            assert_eq!(world.seen("bb", 1).await, ["city 2999"]);
            assert_eq!(world.seen("ccc", 1).await, ["city 1500"]);
            assert_eq!(world.seen("dddd", 1).await, ["?"]);
            world.city("c0", Some("Rome"));
            world.city("c2999", None);
            world.city("nowhere", Some("Atlantis"));
            for visitor in ["a", "bb", "ccc"] {
                world.sees(visitor, "c0", "Rome").await;
                world.sees(visitor, "c2999", "?").await;
                world.sees(visitor, "nowhere", "Atlantis").await;
            }
            assert_eq!(
                app.metrics().records_restored,
                3_000,
                "up to the end the topic had at the start"
            );
            app.close(CloseOptions::default()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_restart_reads_only_what_is_new_from_disk_and_everything_into_memory() {
    for (materialized, again) in [
        (Materialized::<String, String>::named("names"), 1),
        (Materialized::named("names").in_memory(), 101),
    ] {
        let make = || match again {
            1 => Materialized::named("names"),
            _ => Materialized::named("names").in_memory(),
        };
        drop(materialized);
        let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
        for code in 0..100 {
            world.city(&format!("c{code}"), Some("old"));
        }
        let first = app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .start_on(world.cluster.clone(), visits(make()))
            .await
            .unwrap();
        world.sees("a", "c7", "old").await;
        assert_eq!(first.metrics().records_restored, 100);
        // Killed: nothing is flushed, nobody is told.
        first.close(CloseOptions::default().timeout(Duration::ZERO)).await.ok();
        world.city("c7", Some("new"));
        let second = app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .start_on(world.cluster.clone(), visits(make()))
            .await
            .unwrap();
        let before = world.out()["a"].len();
        world.visit("a", "c7");
        world.visit("a", "c8");
        assert_eq!(world.seen("a", before + 2).await[before..], ["new", "old"]);
        assert_eq!(second.metrics().records_restored, again);
        second.close(CloseOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_do_not_fit_their_topic_are_filled_anew() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    for code in ["c1", "c2", "c4"] {
        world.city(code, Some("old"));
    }
    let start = || {
        app(ProcessingGuarantee::AtLeastOnce, dir.path())
            .start_on(world.cluster.clone(), visits(Materialized::named("names")))
    };
    start().await.unwrap().close(CloseOptions::default()).await.unwrap();
    // What was read is gone, and more than was read.
    world.city("c6", Some("gone"));
    world.city("c8", Some("new"));
    let partition = TopicPartition {
        topic: "cities".into(),
        partition: 0,
    };
    let mut admin = world.cluster.admin("test").unwrap();
    admin.delete_records(&[(partition, 3)], PATIENCE).unwrap();
    let again = app(ProcessingGuarantee::AtLeastOnce, dir.path())
        .start_on(world.cluster.clone(), visits(Materialized::named("names")))
        .await
        .unwrap();
    for (visitor, city, name) in [
        ("a", "c8", "new"),
        ("b", "c1", "old"),
        ("c", "c2", "?"),
        ("d", "c6", "?"),
    ] {
        world.visit(visitor, city);
        assert_eq!(world.seen(visitor, 1).await, [name], "{city}");
    }
    again.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test]
async fn a_damaged_directory_is_filled_again() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.city("c1", Some("Rome"));
    let started = app(ProcessingGuarantee::ExactlyOnce, dir.path())
        .start_on(world.cluster.clone(), visits(Materialized::named("names")))
        .await
        .unwrap();
    started.close(CloseOptions::default()).await.unwrap();
    std::fs::write(dir.path().join("visits/global/CURRENT"), "garbage").unwrap();
    let app = app(ProcessingGuarantee::ExactlyOnce, dir.path())
        .start_on(world.cluster.clone(), visits(Materialized::named("names")))
        .await
        .unwrap();
    world.visit("a", "c1");
    assert_eq!(world.seen("a", 1).await, ["Rome"]);
    assert_eq!(app.metrics().records_restored, 1);
    app.close(CloseOptions::default()).await.unwrap();
}

/// In place: a process that has the file open sees it.
#[cfg(feature = "rocksdb")]
fn corrupt_tables(dir: &Path) -> usize {
    use std::io::Write;
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let tables: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|e| e == "sst"))
        .collect();
    for table in &tables {
        let mut bytes = std::fs::read(table).unwrap();
        bytes.iter_mut().for_each(|b| *b = !*b);
        let mut file = std::fs::OpenOptions::new().write(true).open(table).unwrap();
        file.write_all(&bytes).unwrap();
    }
    tables.len()
}

#[cfg(feature = "rocksdb")]
#[tokio::test]
async fn damage_that_shows_while_tasks_read_stops_the_instance_and_the_next_start_fills_the_store_again() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.city("c1", Some("Rome"));
    let cluster = world.cluster.clone();
    let start = || {
        app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .start_on(cluster.clone(), visits(Materialized::named("names")))
    };
    start().await.unwrap().close(CloseOptions::default()).await.unwrap();
    let broken = start().await.unwrap();
    assert!(corrupt_tables(&dir.path().join("visits/global")) > 0);
    world.visit("a", "c1");
    let error = ended(&broken).await;
    assert_eq!(error.kind(), ErrorKind::State, "{error}");
    let text = error.to_string();
    for part in [
        "is global and cannot be read",
        "visits/global",
        "start the application again",
        "topic visits",
        "offset 0",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    drop(broken);
    let repaired = start().await.unwrap();
    assert_eq!(world.seen("a", 1).await, ["Rome"]);
    assert_eq!(repaired.metrics().records_restored, 1);
    repaired.close(CloseOptions::default()).await.unwrap();
}

#[tokio::test]
async fn whoever_hears_of_the_last_state_may_start_again() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.city("c1", Some("Rome"));
    world.visit("a", "c1");
    for _ in 0..20 {
        let app = app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .start_on(world.cluster.clone(), failing())
            .await
            .unwrap();
        let last = app.state_changes().collect::<Vec<_>>().await;
        assert_eq!(last.last(), Some(&State::Error));
        assert_eq!(app.error().unwrap().kind(), ErrorKind::Processing);
    }
}

/// Numbers by city: not every value is one.
fn counted() -> Topology {
    let builder = StreamsBuilder::new();
    let cities = builder.global_table::<String, i64>("cities");
    builder
        .stream::<String, String>("visits")
        .join_global(&cities, |_, city| city.clone(), |_, n| n.to_string())
        .to("out");
    builder.build().unwrap()
}

#[tokio::test]
async fn bytes_that_are_no_row_stop_the_instance_or_are_left_out() {
    // Before the start, so that `start` fails; or while it runs.
    for before in [true, false] {
        let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
        world.send("cities", 1, "c1", Some(&7i64.to_be_bytes()));
        world.flush();
        if before {
            world.city("c3", Some("canary"));
        }
        let started = app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .start_on(world.cluster.clone(), counted())
            .await;
        let error = match started {
            Err(error) => error,
            Ok(app) => {
                assert!(!before);
                app.until_running(PATIENCE).await.unwrap();
                world.city("c3", Some("canary"));
                let error = ended(&app).await;
                assert_eq!(app.state(), State::Error);
                error
            }
        };
        assert_eq!(error.kind(), ErrorKind::Processing, "{error}");
        let place = error.context();
        assert_eq!(
            (
                place.topic.as_deref(),
                place.partition,
                place.offset,
                place.task.as_deref()
            ),
            (Some("cities"), Some(1), Some(1), Some("global"))
        );
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        let skipping = Handlers {
            deserialization: Arc::new(LogAndContinue),
            ..Handlers::default()
        };
        let app = app(ProcessingGuarantee::ExactlyOnce, dir.path())
            .handlers(skipping)
            .start_on(world.cluster.clone(), counted())
            .await
            .unwrap();
        world.visit("a", "c1");
        assert_eq!(world.seen("a", 1).await, ["7"]);
        assert_eq!(app.metrics().records_dropped, 1);
        app.close(CloseOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_global_topic_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = MemoryCluster::new();
    cluster.create_topic("visits", 1, &[]).unwrap();
    let error = app(ProcessingGuarantee::AtLeastOnce, dir.path())
        .missing_topic_timeout(Duration::from_millis(200))
        .start_on(cluster, visits(Materialized::named("names")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingSourceTopic);
    assert!(error.message().ends_with("missing: cities"), "{error}");
}

/// Keeps the longest name of each city; writes only what its own topic says.
struct Longest(Option<KeyValueStore<String, String>>);

impl Processor<String, String, (), ()> for Longest {
    fn init(&mut self, ctx: &ProcessorContext<'_, (), ()>) -> Result<(), BoxError> {
        self.0 = Some(ctx.store("longest")?);
        Ok(())
    }
    fn process(
        &mut self,
        _: &ProcessorContext<'_, (), ()>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        let store = self.0.as_ref().ok_or("not started")?;
        if store
            .get(record.key)?
            .is_none_or(|known| known.len() < record.value.len())
        {
            store.put(record.key, record.value)?;
        }
        Ok(())
    }
}

/// Lists all cities; a visit to `write` tries to write, which is not allowed here.
struct Atlas(Option<KeyValueStore<String, String>>);

impl Processor<String, String, String, String> for Atlas {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
        self.0 = Some(ctx.store("longest")?);
        Ok(())
    }
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        let store = self.0.as_ref().ok_or("not started")?;
        if record.value == "write" {
            store.put(record.key, record.value)?;
        }
        let all: Result<Vec<String>, _> = store.all().map(|row| row.map(|(_, name)| name)).collect();
        ctx.forward(record.with_value(&all?.join(" ")))?;
        Ok(())
    }
}

fn atlas() -> Topology {
    let builder = StreamsBuilder::new();
    builder.add_global_store(
        Store::<String, String>::key_value("longest"),
        Consumed::<String, String>::topic("cities"),
        || Longest(None),
    );
    builder
        .stream::<String, String>("visits")
        .process_with(|| Atlas(None), Processing::new())
        .to("out");
    builder.build().unwrap()
}

#[tokio::test]
async fn a_store_with_a_processor_of_its_own_is_read_everywhere_and_written_only_there() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    for (code, name) in [("c1", "Rome"), ("c2", "Paris"), ("c1", "Roma aeterna"), ("c2", "P")] {
        world.city(code, Some(name));
    }
    let app = app(ProcessingGuarantee::ExactlyOnce, dir.path())
        .start_on(world.cluster.clone(), atlas())
        .await
        .unwrap();
    world.visit("a", "all");
    assert_eq!(world.seen("a", 1).await, ["Roma aeterna Paris"]);
    world.visit("a", "write");
    let text = ended(&app).await.to_string();
    for part in ["longest", "is global and only read here", "topic visits", "offset 1"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}

#[tokio::test]
async fn a_topology_of_global_tables_alone_runs_and_stops() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.city("c1", Some("Rome"));
    let builder = StreamsBuilder::new();
    builder.global_table::<String, String>("cities");
    let app = app(ProcessingGuarantee::ExactlyOnce, dir.path())
        .start_on(world.cluster.clone(), builder.build().unwrap())
        .await
        .unwrap();
    app.until_running(PATIENCE).await.unwrap();
    assert_eq!(app.metrics().records_restored, 1);
    app.close(CloseOptions::default()).await.unwrap();
}
