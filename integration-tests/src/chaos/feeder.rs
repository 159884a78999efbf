//! Records without end: each key counts its own from 0, and no acknowledged record is ever given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::Attempt;

/// Keys of every scene.
pub(super) const KEYS: usize = 48;
/// Records of one turn, each for another key.
const PER_TURN: usize = 16;
const BETWEEN_TURNS: Duration = Duration::from_millis(40);
/// Longer than any fault: the feeder waits rather than give a record up, which would leave a hole in its key.
const DELIVERY_LIMIT_MS: &str = "600000";
const FLUSH_LIMIT: Duration = Duration::from_secs(60);
/// Of a transactional feeder, every so many turns are aborted.
const ABORT_EVERY: u64 = 3;

/// Name of a key.
pub(super) fn key(index: usize) -> String {
    format!("k{index:02}")
}

/// Number of a key; `None` if it is not one of the feeder's.
pub(super) fn key_index(name: &str) -> Option<usize> {
    name.strip_prefix('k')?.parse().ok().filter(|i| *i < KEYS)
}

struct Counts {
    sent: [AtomicU64; KEYS],
    failed: AtomicU64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            sent: std::array::from_fn(|_| AtomicU64::new(0)),
            failed: AtomicU64::new(0),
        }
    }
}

struct Deliveries(Arc<Counts>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A running feeder.
pub(super) struct Feeder {
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Attempt>>,
}

impl Feeder {
    /// Starts; with a transactional id, in transactions, of which every third is aborted.
    pub(super) fn start(bootstrap: &str, topic: &str, transactional_id: Option<&str>) -> Attempt<Self> {
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "feeder")
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("reconnect.backoff.max.ms", "500");
        match transactional_id {
            Some(id) => config.set("transactional.id", id),
            None => config.set("message.timeout.ms", DELIVERY_LIMIT_MS),
        };
        let producer: BaseProducer<Deliveries> = config.create_with_context(Deliveries(Arc::clone(&counts)))?;
        let transactional = transactional_id.is_some();
        if transactional {
            producer.init_transactions(FLUSH_LIMIT)?;
        }
        let thread = thread::spawn({
            let (counts, stop, topic) = (Arc::clone(&counts), Arc::clone(&stop), topic.to_owned());
            move || feed(&producer, &topic, transactional, &counts, &stop)
        });
        Ok(Self {
            counts,
            stop,
            thread: Some(thread),
        })
    }

    /// How many records of each key have been sent so far.
    pub(super) fn sent(&self) -> Vec<u64> {
        self.counts.sent.iter().map(|n| n.load(Ordering::Acquire)).collect()
    }

    /// Stops when everything is acknowledged; gives how many of each key.
    pub(super) fn finish(mut self) -> Attempt<Vec<u64>> {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| "the feeder has panicked")??;
        }
        match self.counts.failed.load(Ordering::Acquire) {
            0 => Ok(self.sent()),
            failed => Err(format!("{failed} records of the feeder were not acknowledged").into()),
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn feed(
    producer: &BaseProducer<Deliveries>,
    topic: &str,
    transactional: bool,
    counts: &Counts,
    stop: &AtomicBool,
) -> Attempt {
    let mut next = 0;
    for turn in 1_u64.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let keys = (0..PER_TURN).map(|i| (next + i) % KEYS);
        if transactional {
            in_transaction(producer, topic, keys, turn % ABORT_EVERY == 0, counts)?;
        } else {
            for index in keys {
                let count = counts.sent.get(index).ok_or("no such key")?;
                send(producer, topic, index, &count.load(Ordering::Acquire).to_string())?;
                count.fetch_add(1, Ordering::AcqRel);
            }
        }
        next = (next + PER_TURN) % KEYS;
        producer.poll(Duration::ZERO);
        thread::sleep(BETWEEN_TURNS);
    }
    producer.flush(FLUSH_LIMIT)?;
    Ok(())
}

/// What an aborted transaction carries would spoil every count if it were read.
fn in_transaction(
    producer: &BaseProducer<Deliveries>,
    topic: &str,
    keys: impl Iterator<Item = usize> + Clone,
    abort: bool,
    counts: &Counts,
) -> Attempt {
    producer.begin_transaction()?;
    for index in keys.clone() {
        let count = counts.sent.get(index).ok_or("no such key")?.load(Ordering::Acquire);
        let value = if abort { "aborted".to_owned() } else { count.to_string() };
        send(producer, topic, index, &value)?;
    }
    if abort {
        producer.flush(FLUSH_LIMIT)?;
        producer.abort_transaction(FLUSH_LIMIT)?;
        return Ok(());
    }
    producer.commit_transaction(FLUSH_LIMIT)?;
    for index in keys {
        counts
            .sent
            .get(index)
            .ok_or("no such key")?
            .fetch_add(1, Ordering::AcqRel);
    }
    Ok(())
}

fn send(producer: &BaseProducer<Deliveries>, topic: &str, index: usize, value: &str) -> Attempt {
    let key = key(index);
    let mut record = BaseRecord::<str, str>::to(topic).key(&key).payload(value);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((rdkafka::error::KafkaError::MessageProduction(rdkafka::types::RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(20));
                record = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_name_and_strangers_are_not() {
        assert_eq!((0..KEYS).filter(|i| key_index(&key(*i)) == Some(*i)).count(), KEYS);
        assert_eq!([key_index("k48"), key_index("x01"), key_index("")], [None; 3]);
    }
}
