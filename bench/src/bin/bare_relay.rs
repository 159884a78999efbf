//! `relay` without Millstream's runtime: a loop over the clients alone. What the runtime adds is the difference.
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use millstream::cluster::rdkafka::KafkaCluster;
use millstream::cluster::{
    Cluster, Consumer, ConsumerConfig, Fetched, GroupIdentity, Isolation, OffsetToCommit, Producer, ProducerConfig,
    ProducerRecord, Sent, StartOffset, Step, TopicHandle, TopicPartition, Waker,
};
use millstream_bench::BoxError;
use millstream_bench::measure::{Figures, Stopwatch, since_process_start_ms};
use millstream_bench::transform::{passes, triple};

#[derive(Parser)]
#[command(about = "The relay workload as a bare loop over librdkafka")]
struct Arguments {
    /// Always `relay`: for the same command line as the application.
    #[arg(value_parser = ["relay"])]
    workload: String,
    #[arg(long, value_enum, default_value = "alos")]
    mode: Mode,
    #[arg(long, default_value = "127.0.0.1:19092")]
    bootstrap: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Alos,
    Eos,
}

const BATCH: usize = 1000;
const LIMIT: Duration = Duration::from_secs(20);
/// As the application under exactly-once. At least once, offsets are committed at the end only: less than it does.
const COMMIT_EVERY: Duration = Duration::from_millis(100);

struct NoWaker;

impl Waker for NoWaker {
    fn wake(&self) {}
}

struct Relay {
    consumer: Box<dyn Consumer>,
    producer: Box<dyn Producer>,
    source: TopicPartition,
    sink: TopicHandle,
    partitions: i32,
    next: i64,
    transactional: bool,
    open: bool,
}

fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let mut relay = Relay::connect(&arguments)?;
    let cluster = KafkaCluster::connect(&arguments.bootstrap, &[])?;
    let ends = cluster
        .admin("bare")?
        .offsets(&[relay.source.clone()], Isolation::ReadCommitted, LIMIT)?;
    let total = ends
        .first()
        .map_or(0, |(first, end)| u64::try_from(end - first).unwrap_or(0));
    let mut figures = Figures::default();
    figures.put("command", "bare");
    figures.number("startup_ms", since_process_start_ms()?);
    let mut stopwatch = Stopwatch::start(total)?;
    relay.run(&mut stopwatch)?;
    stopwatch.finish(&mut figures)?;
    print_line(&figures.line());
    Ok(())
}

impl Relay {
    fn connect(arguments: &Arguments) -> Result<Self, BoxError> {
        let cluster = KafkaCluster::connect(&arguments.bootstrap, &[])?;
        let transactional = arguments.mode == Mode::Eos;
        let consumer = ConsumerConfig {
            client_id: "bare".to_owned(),
            isolation: Isolation::ReadCommitted,
        };
        let mut consumer = cluster.consumer(&consumer, Arc::new(NoWaker))?;
        let mut producer = cluster.producer(
            &ProducerConfig {
                client_id: "bare".to_owned(),
                transactional_id: transactional.then(|| "bare".to_owned()),
                transaction_timeout: Duration::from_secs(10),
            },
            Arc::new(NoWaker),
        )?;
        if transactional {
            until_done(|| Ok(producer.poll_init_transactions()?))?;
        }
        let source = TopicPartition {
            topic: "relay-in".into(),
            partition: 0,
        };
        consumer.assign(&source, StartOffset::Earliest)?;
        let sink = producer.topic("relay-out")?;
        let partitions = producer.partition_count(sink)?;
        Ok(Self {
            consumer,
            producer,
            source,
            sink,
            partitions,
            next: 0,
            transactional,
            open: false,
        })
    }

    fn run(&mut self, stopwatch: &mut Stopwatch) -> Result<(), BoxError> {
        let mut done = 0;
        let mut committed = Instant::now();
        while stopwatch.goes_on(done)? {
            self.consumer.serve()?;
            match self.consumer.fetch(&self.source, BATCH)? {
                Fetched::Records(batch) => {
                    self.begin()?;
                    for index in 0..batch.len() {
                        let record = batch.get(index);
                        self.next = record.offset + 1;
                        self.relay(
                            record.key.unwrap_or_default(),
                            record.value.unwrap_or_default(),
                            record.timestamp,
                        )?;
                    }
                    done += batch.len() as u64;
                    self.producer.serve()?;
                }
                Fetched::End { .. } | Fetched::Nothing => {
                    self.producer.serve()?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            if self.transactional && committed.elapsed() >= COMMIT_EVERY {
                self.commit()?;
                committed = Instant::now();
            }
        }
        if self.transactional {
            self.commit()
        } else {
            until_done(|| Ok(self.producer.poll_flush()?))
        }
    }

    fn begin(&mut self) -> Result<(), BoxError> {
        if self.transactional && !self.open {
            self.producer.begin_transaction()?;
            self.open = true;
        }
        Ok(())
    }

    /// Text in, text out, as the application: both are checked to be UTF-8, and the key is copied.
    fn relay(&mut self, key: &[u8], value: &[u8], timestamp: i64) -> Result<(), BoxError> {
        let (key, value) = (std::str::from_utf8(key)?.to_owned(), std::str::from_utf8(value)?);
        if !passes(value) {
            return Ok(());
        }
        let changed = triple(value);
        let record = ProducerRecord {
            topic: self.sink,
            partition: millstream::partition_of(key.as_bytes(), self.partitions),
            key: Some(key.as_bytes()),
            value: Some(changed.as_bytes()),
            timestamp: Some(timestamp),
            headers: None,
        };
        while let Sent::Full = self.producer.send(&record)? {
            self.producer.serve()?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), BoxError> {
        if !self.open {
            return Ok(());
        }
        let offsets = [OffsetToCommit {
            partition: self.source.clone(),
            offset: self.next,
            metadata: String::new(),
        }];
        // No member of the group: nobody else commits.
        let group = GroupIdentity {
            group_id: "bare".to_owned(),
            member_id: String::new(),
            member_epoch: -1,
        };
        until_done(|| Ok(self.producer.poll_commit(&offsets, &group)?))?;
        self.open = false;
        Ok(())
    }
}

fn until_done(mut step: impl FnMut() -> Result<Step<()>, BoxError>) -> Result<(), BoxError> {
    let start = Instant::now();
    while let Step::Pending = step()? {
        if start.elapsed() > LIMIT {
            return Err("the broker does not answer".into());
        }
        thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn print_line(line: &str) {
    println!("{line}");
}
