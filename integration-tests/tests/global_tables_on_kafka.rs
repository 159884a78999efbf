//! A stream joined with a global table on real Kafka: rows before the start, updates, transactions, a restart, both guarantees.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a scenario fails by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use millstream::prelude::*;
use millstream_integration_tests::kafka::{KafkaServer, NewRecord, Observer};

const PATIENCE: Duration = Duration::from_secs(30);

struct World<'a> {
    observer: Observer,
    bootstrap: &'a str,
    guarantee: ProcessingGuarantee,
    id: &'static str,
}

impl World<'_> {
    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.id)
    }

    fn topology(&self) -> Topology {
        let builder = StreamsBuilder::new();
        let cities = builder.global_table::<String, String>(&*self.topic("cities"));
        builder
            .stream::<String, String>(&*self.topic("visits"))
            .left_join_global(
                &cities,
                |_, city| city.clone(),
                |_, name| name.cloned().unwrap_or_else(|| "?".to_owned()),
            )
            .to(&*self.topic("out"));
        builder.build().unwrap()
    }

    async fn start(&self, dir: &Path) -> KafkaStreams {
        let app = KafkaStreams::builder(self.id)
            .bootstrap_servers(self.bootstrap)
            .processing_guarantee(self.guarantee)
            .commit_interval(Duration::from_millis(100))
            .stream_threads(2)
            .state_dir(dir)
            .start(self.topology())
            .await
            .unwrap();
        app.until_running(PATIENCE).await.unwrap();
        app
    }

    fn out(&self, visitor: &str) -> Vec<String> {
        let out = self.observer.read_committed(&self.topic("out")).unwrap();
        let of_visitor = out.iter().filter(|r| r.key_text() == visitor);
        of_visitor.map(|r| r.value_text().to_owned()).collect()
    }

    /// What the visitor finds in a city now.
    fn visit(&self, visitor: &str, city: &str) -> String {
        let before = self.out(visitor).len();
        self.observer
            .produce(&self.topic("visits"), &[NewRecord::new(visitor, city)])
            .unwrap();
        let start = Instant::now();
        loop {
            if let Some(seen) = self.out(visitor).get(before) {
                return seen.clone();
            }
            assert!(start.elapsed() < PATIENCE, "{visitor} does not arrive in {city}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// There is no order between a table and a stream, only "soon".
    fn finds(&self, visitor: &str, city: &str, name: &str) {
        let start = Instant::now();
        while self.visit(visitor, city) != name {
            assert!(start.elapsed() < PATIENCE, "{visitor} does not find {name} in {city}");
        }
    }

    fn cities(&self, cities: impl Iterator<Item = (String, &'static str)>) {
        let cities: Vec<NewRecord> = cities.map(|(code, name)| NewRecord::new(code, name)).collect();
        self.observer.produce(&self.topic("cities"), &cities).unwrap();
    }
}

fn scenario(world: &World<'_>) {
    for (name, partitions) in [("visits", 4), ("cities", 3), ("out", 2)] {
        world.observer.create_topic(&world.topic(name), partitions).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    world.cities((0..5_000).map(|code| (format!("c{code}"), "old")));
    let first = runtime.block_on(world.start(dir.path()));
    assert_eq!(first.metrics().records_restored, 5_000);
    // The first record already finds the last row.
    for (visitor, city) in [("a", "c0"), ("b", "c4999"), ("c", "c2500")] {
        assert_eq!(world.visit(visitor, city), "old");
    }
    world.cities([("c0".to_owned(), "new")].into_iter());
    for visitor in ["a", "c"] {
        world.finds(visitor, "c0", "new");
    }
    let tombstone = NewRecord {
        value: None,
        ..NewRecord::new("c1", "")
    };
    world.observer.produce(&world.topic("cities"), &[tombstone]).unwrap();
    world.finds("d", "c1", "?");
    runtime.block_on(first.close(CloseOptions::default())).unwrap();

    // While it is down: one transaction that ends well, one that does not. The topic ends with control records.
    let write = |name: &'static str, commit| {
        let records = [NewRecord::new("c7", name)];
        world
            .observer
            .produce_in_transaction(&world.topic("writer"), &world.topic("cities"), &records, commit)
            .unwrap();
    };
    write("committed", true);
    write("aborted", false);
    let second = runtime.block_on(world.start(dir.path()));
    let reads_all = world.guarantee == ProcessingGuarantee::AtLeastOnce;
    assert_eq!(
        second.metrics().records_restored,
        if reads_all { 2 } else { 1 },
        "the rest is on disk"
    );
    assert_eq!(world.visit("e", "c7"), if reads_all { "aborted" } else { "committed" });
    assert_eq!(world.visit("e", "c8"), "old");
    world.cities([("c8".to_owned(), "newer")].into_iter());
    world.finds("e", "c8", "newer");
    runtime.block_on(second.close(CloseOptions::default())).unwrap();
    let third = runtime.block_on(world.start(dir.path()));
    assert_eq!(third.metrics().records_restored, 0);
    runtime.block_on(third.close(CloseOptions::default())).unwrap();
}

#[test]
fn a_stream_joined_with_a_global_table() {
    let server = KafkaServer::start(1).unwrap();
    for (guarantee, id) in [
        (ProcessingGuarantee::ExactlyOnce, "once"),
        (ProcessingGuarantee::AtLeastOnce, "at-least"),
    ] {
        scenario(&World {
            observer: server.observer().unwrap(),
            bootstrap: server.bootstrap(),
            guarantee,
            id,
        });
    }
}
