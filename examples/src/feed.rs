//! Somebody outside of the application who writes its input topics.
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use millstream::cluster::{Cluster, Producer, ProducerConfig, ProducerRecord, Sent, Step, TopicHandle, Waker};
use serde::Serialize;

use crate::BoxError;

const FLUSH_LIMIT: Duration = Duration::from_secs(60);

/// Nobody sleeps here for long enough to be woken.
pub(crate) struct NoWaker;

impl Waker for NoWaker {
    fn wake(&self) {}
}

/// Writes text keys and JSON values.
pub struct Feed {
    producer: Box<dyn Producer>,
    topics: Vec<(String, TopicHandle, i32)>,
    buffer: Vec<u8>,
}

impl Feed {
    /// A producer of its own.
    pub fn connect(cluster: &dyn Cluster, client_id: &str) -> Result<Self, BoxError> {
        let config = ProducerConfig {
            client_id: client_id.to_owned(),
            transactional_id: None,
            transaction_timeout: Duration::from_secs(10),
        };
        let producer = cluster.producer(&config, Arc::new(NoWaker))?;
        Ok(Self {
            producer,
            topics: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Sends a value as JSON. The partition is Java's choice for the key.
    pub fn send_json(
        &mut self,
        topic: &str,
        key: &str,
        value: &impl Serialize,
        timestamp_ms: i64,
    ) -> Result<(), BoxError> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, value)?;
        let value = std::mem::take(&mut self.buffer);
        let sent = self.send(topic, Some(key), &value, timestamp_ms);
        self.buffer = value;
        sent
    }

    /// Sends bytes; waits while the producer is full. Without a key, to the first partition.
    pub fn send(&mut self, topic: &str, key: Option<&str>, value: &[u8], timestamp_ms: i64) -> Result<(), BoxError> {
        let (handle, partitions) = self.topic(topic)?;
        let key = key.map(str::as_bytes);
        let record = ProducerRecord {
            topic: handle,
            partition: key.map_or(0, |k| millstream::partition_of(k, partitions)),
            key,
            value: Some(value),
            timestamp: Some(timestamp_ms),
            headers: None,
        };
        while let Sent::Full = self.producer.send(&record)? {
            self.producer.serve()?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn topic(&mut self, name: &str) -> Result<(TopicHandle, i32), BoxError> {
        if let Some((_, handle, partitions)) = self.topics.iter().find(|t| t.0 == name) {
            return Ok((*handle, *partitions));
        }
        let handle = self.producer.topic(name)?;
        let partitions = self.producer.partition_count(handle)?;
        self.topics.push((name.to_owned(), handle, partitions));
        Ok((handle, partitions))
    }

    /// Waits until everything is acknowledged.
    pub fn flush(&mut self) -> Result<(), BoxError> {
        let start = Instant::now();
        while let Step::Pending = self.producer.poll_flush()? {
            if start.elapsed() > FLUSH_LIMIT {
                return Err("the cluster does not acknowledge what was sent".into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}
