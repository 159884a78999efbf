//! A reader of committed results that checks each one while faults happen: what was ever seen must stay true.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::Attempt;
use super::feeder::{KEYS, key, key_index};
use crate::applications::OUTPUT;
use crate::history::{Event, Record, Recorder};

/// More are not kept: one mistake often spoils everything behind it.
const VIOLATIONS_KEPT: usize = 20;

/// What has been seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// Results of each key: 1, 2, 3 ... so the last one is their number.
    pub(super) results: Vec<u64>,
    /// Sentences.
    pub(super) violations: Vec<String>,
}

impl Seen {
    fn result(&mut self, name: &str, value: Option<&[u8]>) {
        let number = value.and_then(|v| Some(i64::from_be_bytes(v.try_into().ok()?)));
        let slot = key_index(name).and_then(|i| self.results.get_mut(i));
        let (Some(number), Some(slot)) = (number, slot) else {
            self.violations
                .push(format!("a result that no input can have: key {name:?}"));
            return;
        };
        *slot += 1;
        if number != i64::try_from(*slot).unwrap_or(i64::MAX) && self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(format!(
                "{name}: committed result {slot} is {number} (seen during the run)"
            ));
        }
    }

    pub(super) fn has_all(&self, wanted: &[u64]) -> bool {
        self.results.iter().zip(wanted).all(|(seen, wanted)| seen >= wanted)
    }

    /// The keys that lack most, for a message.
    pub(super) fn missing(&self, wanted: &[u64]) -> String {
        let lacking = self.results.iter().zip(wanted).enumerate();
        let lacking: Vec<String> = lacking
            .filter(|(_, (seen, wanted))| seen < wanted)
            .map(|(i, (seen, wanted))| format!("{} {seen}/{wanted}", key(i)))
            .collect();
        format!(
            "{} of {KEYS} keys: {}",
            lacking.len(),
            lacking.iter().take(6).cloned().collect::<Vec<_>>().join(", ")
        )
    }
}

/// A running witness.
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub(super) fn start(bootstrap: &str, topic: &str, partitions: i32, history: Arc<Recorder>) -> Attempt<Self> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "witness")
            .set("group.id", "witness")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Offset(0))?;
        }
        consumer.assign(&list)?;
        let seen = Arc::new(Mutex::new(Seen {
            results: vec![0; KEYS],
            violations: Vec::new(),
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            move || watch(&consumer, &seen, &stop, &history)
        });
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Waits until so many results of each key were seen; false if the limit was not enough. What is wrong already need not be
    /// waited for.
    pub(super) fn wait_for(&self, wanted: &[u64], limit: Duration) -> bool {
        let deadline = std::time::Instant::now() + limit;
        loop {
            let seen = self.seen();
            if seen.has_all(wanted) {
                return true;
            }
            if !seen.violations.is_empty() || std::time::Instant::now() >= deadline {
                return false;
            }
            drop(seen);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Witness {
    /// Ends; gives the number of results of each key.
    pub(super) fn finish(&mut self) -> Vec<u64> {
        self.end();
        self.seen().results.clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic of it shows in results that never come.
            let _ = thread.join();
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn watch(consumer: &BaseConsumer, seen: &Mutex<Seen>, stop: &AtomicBool, history: &Recorder) {
    while !stop.load(Ordering::Acquire) {
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => {
                let name = message.key().map(String::from_utf8_lossy).unwrap_or_default();
                lock(seen).result(&name, message.payload());
                let record = Record::new(
                    OUTPUT,
                    message.partition(),
                    message.offset(),
                    message.key(),
                    message.payload(),
                );
                if let Err(error) = history.add(Event::Seen(record)) {
                    lock(seen).violations.push(error.to_string());
                    return;
                }
            }
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                lock(seen)
                    .violations
                    .push("committed results disappeared from the topic".to_owned());
                return;
            }
            // Lost connections heal.
            Some(Err(_)) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(results: &[(&str, i64)]) -> Seen {
        let mut seen = Seen {
            results: vec![0; KEYS],
            violations: Vec::new(),
        };
        for (name, value) in results {
            seen.result(name, Some(&value.to_be_bytes()));
        }
        seen
    }

    #[test]
    fn results_in_sequence_are_fine() {
        let seen = seen(&[("k00", 1), ("k01", 1), ("k00", 2)]);
        assert_eq!((seen.violations.len(), seen.results[0], seen.results[1]), (0, 2, 1));
    }

    #[test]
    fn a_repetition_a_gap_and_a_stranger_are_violations() {
        for wrong in [("k00", 1), ("k00", 3), ("z", 1), ("k00", -2)] {
            assert_eq!(seen(&[("k00", 1), wrong]).violations.len(), 1, "{wrong:?}");
        }
    }
}
