//! The writing client: records gathered per partition, sent as one shared batch; transactions around them.
use std::sync::Arc;

use super::{
    super::{
        ClusterError, ErrorClass, GroupIdentity, OffsetToCommit, Producer, ProducerConfig, ProducerRecord, Result,
        Sent, Step, TopicHandle, Waker,
    },
    batch::Batch,
    dispatch::{MemoryCluster, partition},
    errors::Code,
    producer_requests::{AddOffsets, AddPartition, EndTransaction, InitProducer, PartitionCount, Produce},
    sequence::{Stamp, advance},
    transactions::ProducerIdentity,
    transport::{Call, Link, Reply, Trouble},
};
use crate::mutants::{Mutant, planted};

/// A partition's records go out when they reach this size, or at the next `serve` or flush.
const BATCH_BYTES: usize = 256 << 10;
/// Largest record, as `max.request.size` of Kafka's producers.
const MAX_RECORD_BYTES: usize = 1 << 20;

pub(super) struct MemoryProducer {
    link: Link,
    transactional_id: Option<Arc<str>>,
    timeout_ms: i64,
    identity: Option<ProducerIdentity>,
    /// The id and epoch are asked for.
    initialising: Option<Call<ProducerIdentity>>,
    topics: Vec<Topic>,
    in_transaction: bool,
    /// The coordinator may know of the transaction: something was added to it.
    known: bool,
    /// The transaction is being ended.
    ending: Option<Ending>,
    /// A request that ends a transaction got no answer and was repeated: an older copy of it may still arrive.
    asked_again: bool,
    /// The error that finished this producer.
    failed: Option<ClusterError>,
}

struct Topic {
    name: Arc<str>,
    partitions: Vec<Partition>,
}

#[derive(Default)]
struct Partition {
    /// Gathers what is sent next.
    batch: Batch,
    /// On its way. One batch at a time: those of one partition must not overtake each other.
    sending: Option<(Arc<Batch>, Call<i64>)>,
    added: Added,
    sequence: i32,
    acknowledged: Option<i64>,
}

/// Whether a partition is part of the open transaction.
#[derive(Default)]
enum Added {
    #[default]
    No,
    Asked(Call<()>),
    Yes,
}

/// The steps of a commit (and the last one of an abort).
enum Ending {
    Flush(Arc<[OffsetToCommit]>, GroupIdentity),
    Offsets(Arc<[OffsetToCommit]>, GroupIdentity, Call<()>),
    End(Call<()>),
}

impl MemoryProducer {
    pub(super) fn new(cluster: MemoryCluster, config: &ProducerConfig, waker: Arc<dyn Waker>) -> Self {
        MemoryProducer {
            link: Link::new(cluster, waker),
            transactional_id: config.transactional_id.as_deref().map(Arc::from),
            timeout_ms: i64::try_from(config.transaction_timeout.as_millis()).unwrap_or(i64::MAX),
            identity: None,
            initialising: None,
            topics: Vec::new(),
            in_transaction: false,
            known: false,
            ending: None,
            asked_again: false,
            failed: None,
        }
    }

    /// Asks for id and epoch until there is an answer.
    fn initialise(&mut self) -> Result<Step<()>> {
        while self.identity.is_none() {
            let Some(call) = &mut self.initialising else {
                let request = InitProducer {
                    transactional_id: self.transactional_id.clone(),
                    timeout_ms: self.timeout_ms,
                };
                self.initialising = Some(self.link.call(request));
                continue;
            };
            match answered(&mut self.link, call)? {
                Answered::Yes(identity) => self.identity = Some(identity),
                Answered::NotYet => return Ok(Step::Pending),
                Answered::Lost(_) => self.initialising = None,
            }
        }
        self.initialising = None;
        Ok(Step::Done(()))
    }

    /// The id and epoch to write under, or why this producer may not.
    fn usable(&self) -> Result<ProducerIdentity> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.identity
            .ok_or_else(|| Code::InvalidTxnState.error("init_transactions has not been called"))
    }

    fn open_transaction(&self) -> Result<(Arc<str>, ProducerIdentity)> {
        let identity = self.usable()?;
        match &self.transactional_id {
            Some(id) if self.in_transaction => Ok((id.clone(), identity)),
            Some(id) => Err(Code::InvalidTxnState.error(format!("{id}: no transaction has been begun"))),
            None => Err(Code::InvalidTxnState.error("this producer has no transactional id")),
        }
    }

    /// Everything but `Retry` finishes the producer.
    fn remember<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && error.class != ErrorClass::Retry
        {
            self.failed = Some(error.clone());
        }
        outcome
    }

    /// Sends everything gathered, as far as possible without waiting. Done: everything is acknowledged.
    fn flush_all(&mut self) -> Result<Step<()>> {
        if self.transactional_id.is_none() && self.identity.is_none() && self.failed.is_none() {
            let initialised = self.initialise();
            if let Step::Pending = self.remember(initialised)? {
                return Ok(Step::Pending);
            }
        }
        self.usable()?;
        let mut all = true;
        for topic in 0..self.topics.len() {
            for partition in 0..self.topics[topic].partitions.len() {
                if !self.topics[topic].partitions[partition].is_quiet() {
                    let outcome = self.flush(topic, partition);
                    all &= self.remember(outcome)?;
                }
            }
        }
        Ok(if all { Step::Done(()) } else { Step::Pending })
    }

    /// Sends what one partition has gathered; true: it is acknowledged. In a transaction the partition is added to it first.
    /// What gets no answer is sent again under the same sequence number, as Kafka's clients do: the cluster knows it again.
    fn flush(&mut self, topic_at: usize, partition_at: usize) -> Result<bool> {
        let identity = self.usable()?;
        let topic = &mut self.topics[topic_at];
        let slot = &mut topic.partitions[partition_at];
        let link = &mut self.link;
        let target = || partition(&topic.name, partition_at as i32);
        while !slot.is_quiet() {
            if let Some((batch, call)) = &mut slot.sending {
                let count = batch.len() as i64;
                match answered(link, call)? {
                    Answered::NotYet => return Ok(false),
                    Answered::Yes(base_offset) => {
                        slot.sequence = advance(slot.sequence, count);
                        slot.acknowledged = Some(base_offset + count - 1);
                        slot.sending = None;
                        continue;
                    }
                    Answered::Lost(_) => {}
                }
            } else if let (Some(id), Added::No) = (&self.transactional_id, &slot.added) {
                self.known = true;
                slot.added = Added::Asked(link.call(AddPartition {
                    transactional_id: id.clone(),
                    producer: identity,
                    partition: target(),
                }));
            }
            if let Added::Asked(call) = &mut slot.added {
                slot.added = match answered(link, call)? {
                    Answered::NotYet => return Ok(false),
                    Answered::Yes(()) => Added::Yes,
                    Answered::Lost(_) => Added::No,
                };
                continue;
            }
            let batch = match slot.sending.take() {
                Some((batch, _)) => batch,
                None => slot.take_batch(),
            };
            let call = link.call(Produce {
                partition: target(),
                transactional: self.transactional_id.is_some(),
                stamp: Stamp {
                    producer_id: identity.id,
                    epoch: identity.epoch,
                    sequence: slot.sequence,
                },
                batch: batch.clone(),
            });
            slot.sending = Some((batch, call));
        }
        Ok(true)
    }

    /// Moves the end of the transaction on as far as possible without waiting.
    fn step_ending(&mut self, commit: bool) -> Result<Step<()>> {
        let (transactional_id, producer) = self.open_transaction()?;
        loop {
            let next = match self.ending.take() {
                None => return Ok(Step::Done(())),
                Some(Ending::Flush(offsets, group)) => {
                    if let Step::Pending = self.flush_all()? {
                        self.ending = Some(Ending::Flush(offsets, group));
                        return Ok(Step::Pending);
                    }
                    if offsets.is_empty() {
                        self.end(transactional_id.clone(), producer, commit)
                    } else {
                        self.known = true;
                        let call = self.link.call(AddOffsets {
                            transactional_id: transactional_id.clone(),
                            producer,
                            group: group.clone(),
                            offsets: offsets.clone(),
                        });
                        Some(Ending::Offsets(offsets, group, call))
                    }
                }
                Some(Ending::Offsets(offsets, group, mut call)) => match answered(&mut self.link, &mut call)? {
                    Answered::NotYet => {
                        self.ending = Some(Ending::Offsets(offsets, group, call));
                        return Ok(Step::Pending);
                    }
                    Answered::Yes(()) => self.end(transactional_id.clone(), producer, commit),
                    Answered::Lost(None) => Some(Ending::Flush(offsets, group)),
                    Answered::Lost(_) if planted(Mutant::ReuseProducer) || planted(Mutant::OffsetsAskedAgain) => {
                        Some(Ending::Flush(offsets, group))
                    }
                    Answered::Lost(Some(_)) if self.asks_again() => {
                        self.asked_again = true;
                        Some(Ending::Flush(offsets, group))
                    }
                    // Asked again, an older copy could put these offsets into a later transaction.
                    Answered::Lost(Some(trouble)) => return Err(trouble.error(ErrorClass::AbortTransaction)),
                },
                Some(Ending::End(mut call)) => match answered(&mut self.link, &mut call)? {
                    Answered::NotYet => {
                        self.ending = Some(Ending::End(call));
                        return Ok(Step::Pending);
                    }
                    Answered::Yes(()) => None,
                    // Only a refusal is asked again. Whether a request that got no answer has been, or still will be, carried
                    // out, nobody knows: asked again, an older copy of it could end a later transaction.
                    Answered::Lost(None) => self.end(transactional_id.clone(), producer, commit),
                    Answered::Lost(_) if planted(Mutant::ReuseProducer) => {
                        self.end(transactional_id.clone(), producer, commit)
                    }
                    Answered::Lost(Some(_)) if self.asks_again() => {
                        self.asked_again = true;
                        self.end(transactional_id.clone(), producer, commit)
                    }
                    Answered::Lost(Some(trouble)) => return Err(trouble.error(ErrorClass::Unknown)),
                },
            };
            self.ending = next;
            if self.ending.is_none() {
                self.ended();
            }
        }
    }

    /// Ends the transaction at the coordinator, unless nothing was ever added to it: then he knows of none.
    fn end(&mut self, transactional_id: Arc<str>, producer: ProducerIdentity, commit: bool) -> Option<Ending> {
        let request = EndTransaction {
            transactional_id,
            producer,
            commit,
        };
        self.known.then(|| Ending::End(self.link.call(request)))
    }

    fn asks_again(&self) -> bool {
        self.link.cluster.network().is_some_and(|n| n.clients_ask_again())
    }

    fn ended(&mut self) {
        self.known = false;
        self.in_transaction = false;
        for slot in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
            slot.added = Added::No;
        }
    }

    fn slot(&mut self, record: &ProducerRecord<'_>) -> Result<(usize, usize)> {
        let topic = record.topic.0 as usize;
        let count = self.topics.get(topic).map_or(0, |t| t.partitions.len());
        match usize::try_from(record.partition) {
            Ok(partition) if partition < count => Ok((topic, partition)),
            _ => Err(Code::UnknownTopicOrPartition.error(format!(
                "topic {} has no partition {}",
                self.topics.get(topic).map_or("?", |t| &t.name),
                record.partition
            ))),
        }
    }
}

impl Producer for MemoryProducer {
    fn topic(&mut self, name: &str) -> Result<TopicHandle> {
        if let Some(at) = self.topics.iter().position(|t| &*t.name == name) {
            return Ok(TopicHandle(at as u32));
        }
        let count = self.link.cluster.dispatch(PartitionCount { topic: name })?;
        self.topics.push(Topic {
            name: name.into(),
            partitions: (0..count).map(|_| Partition::default()).collect(),
        });
        Ok(TopicHandle(self.topics.len() as u32 - 1))
    }

    fn partition_count(&mut self, topic: TopicHandle) -> Result<i32> {
        match self.topics.get(topic.0 as usize) {
            Some(topic) => Ok(topic.partitions.len() as i32),
            None => Err(Code::UnknownTopicOrPartition.error("a topic handle of another producer")),
        }
    }

    fn send(&mut self, record: &ProducerRecord<'_>) -> Result<Sent> {
        if self.failed.is_some() || self.transactional_id.is_some() && !self.in_transaction {
            self.usable()?;
            self.open_transaction()?;
        }
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if size > MAX_RECORD_BYTES {
            let error = Code::MessageTooLarge.error(format!("a record of {size} bytes, at most {MAX_RECORD_BYTES}"));
            return self.remember(Err(error));
        }
        let (topic, partition) = self.slot(record)?;
        let timestamp = record.timestamp.unwrap_or_else(|| self.link.cluster.now_ms());
        let batch = &mut self.topics[topic].partitions[partition].batch;
        batch.push(record, timestamp);
        if batch.size_bytes() >= BATCH_BYTES {
            let outcome = self.flush(topic, partition);
            self.remember(outcome)?;
        }
        Ok(Sent::Queued)
    }

    fn serve(&mut self) -> Result<()> {
        if self.identity.is_none() && self.transactional_id.is_some() && self.failed.is_none() {
            return Ok(());
        }
        self.flush_all().map(|_| ())
    }

    fn poll_init_transactions(&mut self) -> Result<Step<()>> {
        if self.transactional_id.is_none() {
            return Err(Code::InvalidTxnState.error("this producer has no transactional id"));
        }
        if self.identity.is_some() {
            return Err(Code::InvalidTxnState.error("init_transactions has been called before"));
        }
        let outcome = self.initialise();
        self.remember(outcome)
    }

    fn begin_transaction(&mut self) -> Result<()> {
        self.usable()?;
        if self.transactional_id.is_none() || self.in_transaction {
            return Err(
                Code::InvalidTxnState.error("a transaction cannot be begun here: no transactional id, or one is open")
            );
        }
        self.in_transaction = true;
        Ok(())
    }

    fn poll_flush(&mut self) -> Result<Step<()>> {
        self.flush_all()
    }

    fn poll_commit(&mut self, offsets: &[OffsetToCommit], group: &GroupIdentity) -> Result<Step<()>> {
        if self.ending.is_none() {
            self.open_transaction()?;
            self.ending = Some(Ending::Flush(offsets.into(), group.clone()));
        }
        let outcome = self.step_ending(true);
        self.remember(outcome)
    }

    fn is_settled(&self) -> bool {
        !self.asked_again
    }

    fn poll_abort(&mut self) -> Result<Step<()>> {
        // An abort is how a failed transaction is ended: an earlier error that asks for it does not stand in the way.
        if let Some(error) = &self.failed
            && error.class == ErrorClass::AbortTransaction
        {
            self.failed = None;
        }
        let (id, producer) = self.open_transaction()?;
        if !matches!(self.ending, Some(Ending::End(_))) {
            for slot in self.topics.iter_mut().flat_map(|t| &mut t.partitions) {
                slot.batch = Batch::default();
                slot.sending = None;
            }
            self.ending = self.end(id, producer, false);
            if self.ending.is_none() {
                self.ended();
                return Ok(Step::Done(()));
            }
        }
        let outcome = self.step_ending(false);
        self.remember(outcome)
    }

    fn take_acknowledged(&mut self, f: &mut dyn FnMut(TopicHandle, i32, i64)) {
        for (topic_at, topic) in self.topics.iter_mut().enumerate() {
            for (partition_at, slot) in topic.partitions.iter_mut().enumerate() {
                if let Some(offset) = slot.acknowledged.take() {
                    f(TopicHandle(topic_at as u32), partition_at as i32, offset);
                }
            }
        }
    }
}

impl Partition {
    /// Nothing is gathered and nothing is on its way.
    fn is_quiet(&self) -> bool {
        self.batch.len() == 0 && self.sending.is_none()
    }

    fn take_batch(&mut self) -> Arc<Batch> {
        let (bytes, records) = self.batch.capacity();
        // The next batch is likely to be as large as this one.
        let fresh = Batch::with_capacity(bytes, records);
        Arc::new(std::mem::replace(&mut self.batch, fresh))
    }
}

enum Answered<A> {
    Yes(A),
    NotYet,
    /// To be asked again: `None` after a refusal, or why there is no answer.
    Lost(Option<Trouble>),
}

/// What has become of a call; refusals that pass by themselves are among the lost ones.
fn answered<A>(link: &mut Link, call: &mut Call<A>) -> Result<Answered<A>> {
    match call.poll() {
        None => Ok(Answered::NotYet),
        Some(Reply::Answer(Ok(answer))) => Ok(Answered::Yes(answer)),
        Some(Reply::Answer(Err(error))) if error.class == ErrorClass::Retry => Ok(Answered::Lost(None)),
        Some(Reply::Answer(Err(error))) => Err(error),
        Some(Reply::Lost(trouble)) => {
            link.lost(call);
            Ok(Answered::Lost(Some(trouble)))
        }
    }
}
