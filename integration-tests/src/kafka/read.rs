//! What is in a topic, as a reader of committed or of all records sees it.
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::error::{Context, HarnessError, Result};
use super::observer::Observer;

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Records of committed transactions and those outside of transactions, up to the first open transaction.
    Committed,
    /// Everything, aborted records too.
    Everything,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedRecord {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl ObservedRecord {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|all| {
            all.iter()
                .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                .collect::<Vec<_>>()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }

    /// Key as text; empty if it is null or no text.
    pub fn key_text(&self) -> &str {
        text(self.key.as_deref())
    }

    /// Value as text; empty if it is null or no text.
    pub fn value_text(&self) -> &str {
        text(self.value.as_deref())
    }
}

fn text(bytes: Option<&[u8]>) -> &str {
    bytes.and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
}

impl Observer {
    /// Everything in a topic for readers of committed records: partition by partition, each in offset order.
    pub fn read_committed(&self, topic: &str) -> Result<Vec<ObservedRecord>> {
        self.read_all(topic, View::Committed)
    }

    /// Everything that the view shows from the beginning to the end of this moment.
    pub fn read_all(&self, topic: &str, view: View) -> Result<Vec<ObservedRecord>> {
        let mut all = Vec::new();
        self.visit(topic, view, |m| all.push(ObservedRecord::from(m)))?;
        all.sort_by_key(|r| (r.partition, r.offset));
        Ok(all)
    }

    /// Calls `each` for every record without keeping it, for topics that are large. Returns for each partition the
    /// offset after the last record or control record that the view lets one see.
    pub fn visit(&self, topic: &str, view: View, mut each: impl FnMut(&BorrowedMessage<'_>)) -> Result<Vec<i64>> {
        let consumer = self.assigned(topic, view)?;
        let partitions = usize::try_from(self.partitions(topic)?).unwrap_or(0);
        let mut ended = vec![false; partitions];
        let mut last_progress = Instant::now();
        while ended.contains(&false) {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    each(&message);
                    last_progress = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(flag) = usize::try_from(partition).ok().and_then(|p| ended.get_mut(p)) {
                        *flag = true;
                    }
                    last_progress = Instant::now();
                }
                // Lost connections heal; silence is bounded below.
                Some(Err(_)) | None => {}
            }
            if last_progress.elapsed() > LIMIT {
                return Err(HarnessError::TimeOut {
                    what: format!("no end of {topic} seen"),
                    seconds: LIMIT.as_secs(),
                });
            }
        }
        positions(&consumer, topic, partitions)
    }

    /// Reads until `enough` says so about all records so far (in order of arrival) or the limit is over; then the
    /// records are returned all the same.
    pub fn read_until(
        &self,
        topic: &str,
        limit: Duration,
        mut enough: impl FnMut(&[ObservedRecord]) -> bool,
    ) -> Result<Vec<ObservedRecord>> {
        let consumer = self.assigned(topic, View::Committed)?;
        let start = Instant::now();
        let mut all = Vec::new();
        while start.elapsed() < limit && !enough(&all) {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                all.push(ObservedRecord::from(&message));
            }
        }
        Ok(all)
    }

    fn assigned(&self, topic: &str, view: View) -> Result<BaseConsumer> {
        let partitions = self.partitions(topic)?;
        if partitions == 0 {
            return Err(HarnessError::Unsupported(format!("there is no topic {topic}")));
        }
        let consumer = self.consumer(view == View::Committed, "observer")?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Beginning)
                .context(|| format!("reading {topic}"))?;
        }
        consumer.assign(&list).context(|| format!("reading {topic}"))?;
        Ok(consumer)
    }

    /// First offset and high watermark of each partition.
    pub fn watermarks(&self, topic: &str) -> Result<Vec<(i64, i64)>> {
        let consumer = self.consumer(false, "observer")?;
        let each = 0..self.partitions(topic)?;
        each.map(|p| {
            consumer
                .fetch_watermarks(topic, p, LIMIT)
                .context(|| format!("asking for the ends of {topic}"))
        })
        .collect()
    }

    /// Partitions whose committed readers are held back by a transaction that is neither committed nor aborted.
    pub fn open_transactions(&self, topic: &str) -> Result<Vec<i32>> {
        let visible = self.visit(topic, View::Committed, |_| {})?;
        let ends = self.watermarks(topic)?;
        let held = visible
            .iter()
            .zip(&ends)
            .zip(0..)
            .filter(|((seen, (_, end)), _)| *seen < end);
        Ok(held.map(|(_, partition)| partition).collect())
    }

    /// Committed offset and metadata of each partition for a group; `None` where there is none.
    pub fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<(i64, String)>>> {
        let consumer = self.consumer(false, group)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions(topic)? {
            list.add_partition(topic, partition);
        }
        let what = || format!("asking for the offsets of {group}");
        let start = Instant::now();
        let answer = loop {
            match consumer.committed_offsets(list.clone(), LIMIT) {
                // A broker that has just lost its coordinators, or is getting them, says so: on a slow machine also a
                // cluster of one.
                Err(error) if is_moving(&error) && start.elapsed() < LIMIT => thread::sleep(PAUSE),
                answer => break answer.context(what)?,
            }
        };
        let one = |e: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match e.offset() {
            Offset::Offset(offset) => Some((offset, e.metadata().to_owned())),
            _ => None,
        };
        Ok(answer.elements().iter().map(one).collect())
    }
}

/// Whether the coordinator of a group is about to be another one.
fn is_moving(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

fn positions(consumer: &BaseConsumer, topic: &str, partitions: usize) -> Result<Vec<i64>> {
    let list = consumer
        .position()
        .context(|| format!("asking where we are in {topic}"))?;
    let mut all = vec![0; partitions];
    for element in list.elements() {
        let slot = usize::try_from(element.partition()).ok().and_then(|p| all.get_mut(p));
        if let (Some(slot), Offset::Offset(offset)) = (slot, element.offset()) {
            *slot = offset;
        }
    }
    Ok(all)
}
