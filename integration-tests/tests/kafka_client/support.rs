//! What the scenarios share: a cluster, names of their own, and waiting with a limit.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use millstream::cluster::{
    Admin, Cluster, Consumer, ConsumerConfig, Fetched, Isolation, Producer, ProducerConfig, ProducerRecord, Sent, Step,
    TopicHandle, TopicInfo, TopicPartition, Waker, rdkafka::KafkaCluster,
};
use millstream_integration_tests::kafka::KafkaServer;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A cluster, and a connection to it. The server first lives as long as the test.
pub(crate) struct Kafka {
    pub(crate) server: KafkaServer,
    pub(crate) cluster: KafkaCluster,
    pub(crate) admin: Box<dyn Admin>,
}

#[derive(Default)]
pub(crate) struct Wakes(pub(crate) AtomicU32);
impl Waker for Wakes {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn waker() -> Arc<Wakes> {
    Arc::default()
}

/// Unique in a cluster that other runs may have used before.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    format!("{name}-{}-{}", now.as_millis(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Kafka {
    pub(crate) fn start() -> Self {
        let server = KafkaServer::start(1).unwrap();
        let cluster = KafkaCluster::connect(server.bootstrap(), &[]).unwrap();
        let admin = cluster.admin("test-admin").unwrap();
        Self { server, cluster, admin }
    }

    /// A new topic; gives its name.
    pub(crate) fn topic(&mut self, name: &str, partitions: i32) -> String {
        let name = unique(name);
        let topic = TopicInfo {
            name: name.clone(),
            partitions,
            ..TopicInfo::default()
        };
        self.admin.create_topics(&[topic], LIMIT).unwrap();
        name
    }

    pub(crate) fn consumer(&self, isolation: Isolation) -> Box<dyn Consumer> {
        let config = ConsumerConfig {
            client_id: "test-consumer".into(),
            isolation,
        };
        self.cluster.consumer(&config, waker()).unwrap()
    }

    pub(crate) fn producer(&self, transactional_id: Option<&str>) -> Box<dyn Producer> {
        let config = ProducerConfig {
            client_id: "test-producer".into(),
            transactional_id: transactional_id.map(str::to_owned),
            transaction_timeout: Duration::from_secs(10),
        };
        let mut producer = self.cluster.producer(&config, waker()).unwrap();
        if transactional_id.is_some() {
            done(|| producer.poll_init_transactions().unwrap());
        }
        producer
    }
}

pub(crate) fn partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.into(),
        partition,
    }
}

/// Polls a step until it is done.
pub(crate) fn done<T>(mut step: impl FnMut() -> Step<T>) -> T {
    let start = Instant::now();
    loop {
        if let Step::Done(value) = step() {
            return value;
        }
        assert!(start.elapsed() < LIMIT, "a step is not done");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn send(producer: &mut dyn Producer, topic: TopicHandle, partition: i32, value: &str) {
    let record = ProducerRecord {
        topic,
        partition,
        key: Some(b"k"),
        value: Some(value.as_bytes()),
        timestamp: Some(1_000),
        headers: None,
    };
    assert!(matches!(producer.send(&record).unwrap(), Sent::Queued));
}

/// Reads values until the end the consumer may see; gives the position there as well.
pub(crate) fn values(consumer: &mut dyn Consumer, partition: &TopicPartition) -> (Vec<String>, i64) {
    let (start, mut values) = (Instant::now(), Vec::new());
    loop {
        assert!(
            start.elapsed() < LIMIT,
            "no end of {partition:?} after {} records",
            values.len()
        );
        consumer.serve().unwrap();
        match consumer.fetch(partition, 100).unwrap() {
            Fetched::Records(batch) => {
                let text = |i| String::from_utf8_lossy(batch.get(i).value.unwrap_or_default()).into_owned();
                values.extend((0..batch.len()).map(text));
            }
            Fetched::End { position } => return (values, position),
            Fetched::Nothing => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}
