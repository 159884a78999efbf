//! Which transactional ids exist, who owns them, and what is in their open transactions?
use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{ErrorClass, GroupIdentity, OffsetToCommit, Result, TopicPartition},
    broker::Broker,
    errors::Code,
};

/// A producer's id and epoch, as the coordinator gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProducerIdentity {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

struct Transaction {
    producer: ProducerIdentity,
    timeout_ms: i64,
    open: Option<OpenTransaction>,
    /// How the owner ended the last one, until the next begins: the same end asked for again is answered again.
    ended: Option<bool>,
}

struct OpenTransaction {
    deadline_ms: i64,
    partitions: BTreeSet<TopicPartition>,
    groups: BTreeSet<String>,
}

#[derive(Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<String, Transaction>,
    next_producer_id: i64,
    /// How many were aborted because they took too long.
    pub(super) timed_out: u64,
}

impl Transactions {
    fn new_producer(&mut self) -> ProducerIdentity {
        self.next_producer_id += 1;
        ProducerIdentity {
            id: self.next_producer_id,
            epoch: 0,
        }
    }

    pub(super) fn open_ids(&self) -> Vec<String> {
        let open = self.by_id.iter().filter(|(_, t)| t.open.is_some());
        open.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.by_id.keys().cloned().collect()
    }

    pub(super) fn next_timeout_ms(&self) -> i64 {
        let deadlines = self.by_id.values().filter_map(|t| Some(t.open.as_ref()?.deadline_ms));
        deadlines.min().unwrap_or(i64::MAX)
    }

    /// The entry of a transactional id, if the caller is its current owner.
    fn owned(&mut self, id: &str, producer: ProducerIdentity) -> Result<&mut Transaction> {
        let Some(transaction) = self.by_id.get_mut(id) else {
            return Err(Code::InvalidProducerIdMapping.error(format!("transactional id {id} is unknown")));
        };
        if transaction.producer != producer {
            return Err(Code::ProducerFenced.error(format!(
                "transactional id {id} has a newer owner: epoch {} instead of {}",
                transaction.producer.epoch, producer.epoch
            )));
        }
        Ok(transaction)
    }

    /// The open transaction of the owner; begun by the first thing that is added to it.
    fn opened(&mut self, id: &str, producer: ProducerIdentity, now_ms: i64) -> Result<&mut OpenTransaction> {
        let transaction = self.owned(id, producer)?;
        let deadline_ms = now_ms.saturating_add(transaction.timeout_ms);
        transaction.ended = None;
        Ok(transaction.open.get_or_insert_with(|| OpenTransaction {
            deadline_ms,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
        }))
    }
}

impl Broker {
    /// InitProducerId: an id for an idempotent producer; for a transactional one the next epoch, after the
    /// transaction of the last owner was aborted under that epoch, which fences him on every partition he wrote.
    pub(super) fn init_producer(
        &mut self,
        transactional_id: Option<&str>,
        timeout_ms: i64,
    ) -> Result<ProducerIdentity> {
        let Some(id) = transactional_id else {
            return Ok(self.transactions.new_producer());
        };
        if timeout_ms <= 0 || timeout_ms > self.config.max_transaction_timeout_ms {
            return Err(Code::InvalidTransactionTimeout.error(format!(
                "transaction time-out of {timeout_ms} ms: the cluster allows 1..={} ms",
                self.config.max_transaction_timeout_ms
            )));
        }
        if self.transactions.by_id.contains_key(id) {
            self.bump_epoch(id);
        } else {
            let producer = self.transactions.new_producer();
            let fresh = Transaction {
                producer,
                timeout_ms,
                open: None,
                ended: None,
            };
            self.transactions.by_id.insert(id.to_owned(), fresh);
        }
        let Some(transaction) = self.transactions.by_id.get_mut(id) else {
            return Err(Code::UnknownServerError.error("transactional id vanished"));
        };
        transaction.timeout_ms = timeout_ms;
        Ok(transaction.producer)
    }

    /// Takes the id away from its owner: next epoch (or a new producer id when epochs are used up), open transaction aborted.
    fn bump_epoch(&mut self, id: &str) {
        let fresh = self.transactions.new_producer();
        let Some(transaction) = self.transactions.by_id.get_mut(id) else {
            return;
        };
        let old = transaction.producer;
        transaction.ended = None;
        // The last epoch is kept for the marker that fences, as Kafka does.
        let fencing_epoch = old.epoch.saturating_add(1);
        transaction.producer = if fencing_epoch == i16::MAX {
            fresh
        } else {
            ProducerIdentity {
                id: old.id,
                epoch: fencing_epoch,
            }
        };
        if let Some(open) = transaction.open.take() {
            self.settle(open, old.id, fencing_epoch, false);
        }
    }

    pub(super) fn add_partition(
        &mut self,
        id: &str,
        producer: ProducerIdentity,
        partition: &TopicPartition,
        now_ms: i64,
    ) -> Result<()> {
        self.topics.log(partition)?;
        let open = self.transactions.opened(id, producer, now_ms)?;
        open.partitions.insert(partition.clone());
        Ok(())
    }

    /// AddOffsetsToTxn and TxnOffsetCommit: offsets that become visible if the transaction commits.
    pub(super) fn add_offsets(
        &mut self,
        id: &str,
        producer: ProducerIdentity,
        group: &GroupIdentity,
        offsets: &[OffsetToCommit],
        now_ms: i64,
    ) -> Result<()> {
        let open = self.transactions.opened(id, producer, now_ms)?;
        open.groups.insert(group.group_id.clone());
        self.groups.check_transactional_commit(group, offsets)?;
        for offset in offsets {
            // The client of a real broker asks again until the transaction is in danger; here that is now.
            let log = self.topics.log(&offset.partition);
            log.map_err(|e| e.of_class(ErrorClass::AbortTransaction))?;
        }
        self.groups.hold_offsets(&group.group_id, producer.id, offsets);
        Ok(())
    }

    pub(super) fn end_transaction(&mut self, id: &str, producer: ProducerIdentity, commit: bool) -> Result<()> {
        let transaction = self.transactions.owned(id, producer)?;
        let Some(open) = transaction.open.take() else {
            if transaction.ended == Some(commit) {
                return Ok(());
            }
            return Err(Code::InvalidTxnState.error(format!("transactional id {id} has no open transaction to end")));
        };
        transaction.ended = Some(commit);
        self.settle(open, producer.id, producer.epoch, commit);
        Ok(())
    }

    pub(super) fn abort_timed_out_transactions(&mut self, now_ms: i64) {
        if self.transactions.next_timeout_ms() > now_ms {
            return;
        }
        let due = |t: &Transaction| t.open.as_ref().is_some_and(|open| open.deadline_ms <= now_ms);
        let ids: Vec<String> = self
            .transactions
            .by_id
            .iter()
            .filter(|(_, t)| due(t))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.transactions.timed_out += 1;
            self.bump_epoch(&id);
        }
    }

    /// Writes the outcome everywhere: markers into partitions, offsets into groups.
    fn settle(&mut self, open: OpenTransaction, producer_id: i64, epoch: i16, commit: bool) {
        for partition in &open.partitions {
            // A topic may have been deleted meanwhile: then there is nothing to mark.
            if let Ok((log, _)) = self.topics.log_mut(partition) {
                log.write_marker(producer_id, epoch, commit);
                self.grown(partition, true);
            }
        }
        for group in &open.groups {
            self.groups.settle_offsets(group, producer_id, commit);
        }
    }
}
