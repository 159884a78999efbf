//! The whole cluster through its clients, with time standing still: what the behaviour suite cannot reach, because
//! real clusters have other settings and other clocks.
mod cleanup;
mod groups;
mod standbys;
mod transactions;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{ManualClock, MemoryCluster, MemoryClusterConfig};
use crate::cluster::{
    Cluster, Consumer, ConsumerConfig, Fetched, GroupIdentity, Isolation, Producer, ProducerConfig, ProducerRecord,
    StartOffset, Step, TopicPartition, Waker,
};

#[derive(Default)]
struct Wakes(AtomicU64);

impl Waker for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct World {
    cluster: MemoryCluster,
    clock: Arc<ManualClock>,
    wakes: Arc<Wakes>,
}

impl World {
    fn new(config: MemoryClusterConfig) -> Self {
        let clock = Arc::new(ManualClock::at(1_000_000));
        World {
            cluster: MemoryCluster::with(config, clock.clone()),
            clock,
            wakes: Arc::default(),
        }
    }

    fn with_topic(partitions: i32, configs: &[(&str, &str)]) -> Self {
        let world = World::new(MemoryClusterConfig::default());
        world.cluster.create_topic("t", partitions, configs).unwrap();
        world
    }

    fn producer(&self, id: Option<&str>) -> Box<dyn Producer> {
        let config = ProducerConfig {
            client_id: "test".into(),
            transactional_id: id.map(str::to_owned),
            transaction_timeout: Duration::from_secs(10),
        };
        let mut producer = self.cluster.producer(&config, self.wakes.clone()).unwrap();
        if id.is_some() {
            assert!(matches!(producer.poll_init_transactions(), Ok(Step::Done(()))));
        }
        producer
    }

    fn consumer(&self, isolation: Isolation) -> Box<dyn Consumer> {
        let config = ConsumerConfig {
            client_id: "test".into(),
            isolation,
        };
        let mut consumer = self.cluster.consumer(&config, self.wakes.clone()).unwrap();
        consumer.assign(&partition(0), StartOffset::Earliest).unwrap();
        consumer
    }

    /// (offset, key, value) of everything a new reader sees.
    fn read(&self, isolation: Isolation) -> Vec<(i64, String, Option<String>)> {
        drain(&mut *self.consumer(isolation))
    }

    fn wakes(&self) -> u64 {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

fn partition(partition: i32) -> TopicPartition {
    TopicPartition {
        topic: "t".into(),
        partition,
    }
}

fn drain(consumer: &mut dyn Consumer) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut seen = Vec::new();
    while let Fetched::Records(batch) = consumer.fetch(&partition(0), 3).unwrap() {
        for index in 0..batch.len() {
            let record = batch.get(index);
            seen.push((
                record.offset,
                record.key.map_or_else(String::new, text),
                record.value.map(text),
            ));
        }
    }
    seen
}

fn send(producer: &mut dyn Producer, key: &str, value: Option<&str>, timestamp: i64) {
    let topic = producer.topic("t").unwrap();
    let record = ProducerRecord {
        topic,
        partition: 0,
        key: Some(key.as_bytes()),
        value: value.map(str::as_bytes),
        timestamp: Some(timestamp),
        headers: None,
    };
    producer.send(&record).unwrap();
}

fn nobody() -> GroupIdentity {
    GroupIdentity {
        group_id: "g".into(),
        member_id: String::new(),
        member_epoch: -1,
    }
}
