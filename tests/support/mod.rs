//! What the scenarios share: lines in, counts out, on the cluster in memory.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests; every scenario uses its own part"
)]

pub mod log;
pub mod old_broker;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use millstream::cluster::{
    Cluster, ConsumerConfig, Fetched, Isolation, Producer, ProducerConfig, ProducerRecord, Sent, StartOffset, Step,
    TopicPartition, Waker, memory::MemoryCluster,
};
use millstream::dsl::{
    engine::{RawRecord, Topology},
    prelude::*,
};
use millstream::{KafkaStreams, KafkaStreamsBuilder, ProcessingGuarantee};

/// Lines to words to counts; the word `poison` cannot be processed.
pub fn word_count() -> Topology {
    counting(|word| if word == "poison" { Err("poison") } else { Ok(()) })
}

/// The same in five lines, with the record cache between the table and its readers.
pub fn cached_word_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .to("counts");
    builder.build().unwrap()
}

/// The word `flaky` fails that often before it is counted.
pub fn word_count_failing(times: u32) -> Topology {
    let left = AtomicU32::new(times);
    counting(move |word| {
        let fails = word == "flaky" && left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
        if fails { Err("flaky") } else { Ok(()) }
    })
}

fn counting(check: impl Fn(&str) -> Result<(), &'static str> + Send + Sync + 'static) -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>("lines")
        .try_map_values(move |line: &String| line.split(' ').try_for_each(&check).map(|()| line.clone()))
        .flat_map(|_, line| line.split(' ').map(|word| (word.to_owned(), 1i64)).collect::<Vec<_>>())
        .repartition_with(Repartitioned::named("words"))
        .process_with(
            || Count(None),
            Processing::new().with_store(Store::<String, i64>::key_value("counts")),
        )
        .to("counts");
    builder.build().unwrap()
}

struct Count(Option<KeyValueStore<String, i64>>);

impl Processor<String, i64, String, i64> for Count {
    fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
        self.0 = Some(ctx.store("counts")?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, i64>,
        record: Record<'_, String, i64>,
    ) -> Result<(), BoxError> {
        let store = self.0.as_ref().ok_or("not started")?;
        let count = store.get(record.key)?.unwrap_or(0) + 1;
        store.put(record.key, &count)?;
        ctx.forward(record.with_value(&count))?;
        Ok(())
    }
}

pub const PARTITIONS: i32 = 3;
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The word count, exactly once, that commits all the time.
pub fn app(dir: &Path) -> KafkaStreamsBuilder {
    KafkaStreams::builder("word-count")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
        .commit_interval(Duration::from_millis(30))
        .record_cache_bytes(0)
        .state_dir(dir)
}

/// Waits until it has stopped, in order or with an error.
pub async fn ended(app: &KafkaStreams) {
    let start = Instant::now();
    while !app.state().is_final() {
        assert!(start.elapsed() < PATIENCE, "still {}", app.state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub struct NoWaker;
impl Waker for NoWaker {
    fn wake(&self) {}
}

/// Shows the log of the library when a scenario is to be looked at: `RUST_LOG=millstream=debug`.
pub fn logging() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_test_writer()
        .try_init()
        .ok();
}

pub fn cluster() -> MemoryCluster {
    logging();
    let cluster = MemoryCluster::new();
    for topic in ["lines", "counts"] {
        cluster.create_topic(topic, PARTITIONS, &[]).unwrap();
    }
    cluster
}

/// A producer without transactions.
pub fn plain_producer(cluster: &dyn Cluster) -> Box<dyn Producer> {
    let config = ProducerConfig {
        client_id: "lines".into(),
        transactional_id: None,
        transaction_timeout: Duration::from_secs(10),
    };
    cluster.producer(&config, Arc::new(NoWaker)).unwrap()
}

/// Writes lines, round robin over the partitions.
pub struct Lines {
    producer: Box<dyn Producer>,
    sent: i32,
    pub words: BTreeMap<String, i64>,
}

impl Lines {
    pub fn new(cluster: &dyn Cluster) -> Self {
        Self {
            producer: plain_producer(cluster),
            sent: 0,
            words: BTreeMap::new(),
        }
    }

    pub fn send(&mut self, line: &str) {
        let topic = self.producer.topic("lines").unwrap();
        let record = ProducerRecord {
            topic,
            partition: self.sent % PARTITIONS,
            key: None,
            value: Some(line.as_bytes()),
            timestamp: Some(1_795_000_000_000 + i64::from(self.sent)),
            headers: None,
        };
        while matches!(self.producer.send(&record).unwrap(), Sent::Full) {
            self.producer.serve().unwrap();
        }
        self.sent += 1;
        for word in line.split(' ') {
            *self.words.entry(word.to_owned()).or_default() += 1;
        }
    }

    /// `n` lines of three words out of seven.
    pub fn send_many(&mut self, n: i32) {
        const WORDS: [&str; 7] = ["ash", "beech", "cedar", "elm", "fir", "larch", "oak"];
        for _ in 0..n {
            let word = |k: i32| WORDS[usize::try_from((self.sent * k + k) % 7).unwrap()];
            self.send(&format!("{} {} {}", word(1), word(3), word(5)));
        }
        self.flush();
    }

    /// Everything sent is in the topic.
    pub fn flush(&mut self) {
        while matches!(self.producer.poll_flush().unwrap(), Step::Pending) {}
    }
}

/// Calls `f` with key and value of every record a reader sees now.
pub fn visit(cluster: &dyn Cluster, topic: &str, isolation: Isolation, mut f: impl FnMut(&[u8], &[u8])) {
    visit_records(cluster, topic, isolation, |r| {
        f(r.key.unwrap_or_default(), r.value.unwrap_or_default());
    });
}

/// Calls `f` with every record a reader sees now.
pub fn visit_records(cluster: &dyn Cluster, topic: &str, isolation: Isolation, mut f: impl FnMut(RawRecord<'_>)) {
    let config = ConsumerConfig {
        client_id: "check".into(),
        isolation,
    };
    let mut consumer = cluster.consumer(&config, Arc::new(NoWaker)).unwrap();
    for partition in 0..PARTITIONS {
        let partition = TopicPartition {
            topic: topic.into(),
            partition,
        };
        consumer.assign(&partition, StartOffset::Earliest).unwrap();
        loop {
            match consumer.fetch(&partition, 1000).unwrap() {
                Fetched::Records(records) => {
                    for i in 0..records.len() {
                        f(records.get(i));
                    }
                }
                Fetched::End { .. } => break,
                Fetched::Nothing => {}
            }
        }
    }
}

/// Number of records a reader sees.
pub fn records_in(cluster: &dyn Cluster, topic: &str, isolation: Isolation) -> usize {
    let mut n = 0;
    visit(cluster, topic, isolation, |_, _| n += 1);
    n
}

/// Every committed value of the topic by key, in order.
pub fn committed(cluster: &dyn Cluster, topic: &str) -> BTreeMap<String, Vec<i64>> {
    let mut values: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    visit(cluster, topic, Isolation::ReadCommitted, |key, value| {
        let key = String::from_utf8(key.to_vec()).unwrap();
        values
            .entry(key)
            .or_default()
            .push(i64::from_be_bytes(value.try_into().unwrap()));
    });
    values
}

/// Waits until the highest count of every word is what was sent.
pub async fn counted(cluster: &dyn Cluster, words: &BTreeMap<String, i64>) -> BTreeMap<String, Vec<i64>> {
    let start = Instant::now();
    loop {
        let now = committed(cluster, "counts");
        let done = words
            .iter()
            .all(|(w, n)| now.get(w).is_some_and(|v| v.iter().max() >= Some(n)));
        if done {
            return now;
        }
        let reached: Vec<_> = now.iter().map(|(w, v)| (w, v.len(), v.last())).collect();
        assert!(start.elapsed() < PATIENCE, "wanted {words:?}, got {reached:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Each word counted 1, 2, 3 ... without a gap or a repetition.
pub fn assert_exactly_once(values: &BTreeMap<String, Vec<i64>>, words: &BTreeMap<String, i64>) {
    assert_eq!(values.keys().collect::<Vec<_>>(), words.keys().collect::<Vec<_>>());
    for (word, n) in words {
        assert_eq!(values[word], (1..=*n).collect::<Vec<_>>(), "{word}");
    }
}
