//! The side of the foreign table: keeps subscriptions and answers them, at once and whenever a foreign row changes.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::KeyValueStore;

use crate::{
    engine::{Change, Children, ProcessError, ProcessResult, Receiver, Record, TableReceiver, TaskContext},
    serde::{Serde, SharedSerde, write},
    table::{faults, getter::ValueGetter},
};

use super::wire::{Answer, Instruction, Subscription, SubscriptionSerde, put_prefix};

/// Keeps a subscription, or forgets it, and passes it on.
pub(super) struct Keep<KO> {
    pub(super) node: Arc<str>,
    pub(super) store: Rc<KeyValueStore>,
    pub(super) foreign_key: SharedSerde<KO>,
    pub(super) children: Children<Option<KO>, Subscription>,
    pub(super) scratch: RefCell<KeepScratch>,
}

#[derive(Default)]
pub(super) struct KeepScratch {
    foreign_key: Vec<u8>,
    row_key: Vec<u8>,
    row: Vec<u8>,
}

impl<KO> Keep<KO> {
    fn keep(
        &self,
        cx: &TaskContext,
        key: &KO,
        key_bytes: Option<&[u8]>,
        record: &Record<'_, Option<KO>, Subscription>,
    ) -> ProcessResult {
        let mut scratch = self.scratch.borrow_mut();
        let KeepScratch {
            foreign_key,
            row_key,
            row,
        } = &mut *scratch;
        let unwritten = |e| faults::write("foreign key", &self.node, e);
        let bytes = match key_bytes {
            Some(bytes) => bytes,
            None => {
                write(&*self.foreign_key, key, foreign_key).map_err(unwritten)?;
                foreign_key
            }
        };
        put_prefix(bytes, row_key).map_err(unwritten)?;
        row_key.extend_from_slice(&record.value.primary_key);
        let row = match record.value.instruction {
            Instruction::Forget | Instruction::ForgetAndAnswer => None,
            Instruction::KeepAndAnswer | Instruction::KeepAndAnswerIfFound => {
                write(&SubscriptionSerde, record.value, row)
                    .map_err(|e| faults::write("subscription", &self.node, e))?;
                Some(row.as_slice())
            }
        };
        let context = cx.update_context(record.timestamp, record.headers);
        self.store
            .put(row_key, row, record.timestamp, &context)
            .map_err(|e| faults::store(&self.node, e))
    }
}

impl<KO: 'static> Receiver<Option<KO>, Subscription> for Keep<KO> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, Option<KO>, Subscription>) -> ProcessResult {
        match record.key {
            None if record.value.instruction != Instruction::KeepAndAnswer => {
                cx.count_dropped();
                Ok(())
            }
            // A row of a left join that points nowhere: to be answered, never to be found.
            None => self.children.forward(cx, record),
            Some(key) => match self.keep(cx, key, record.key_bytes, &record) {
                Ok(()) => self.children.forward(cx, record),
                Err(error) => faults::handle(cx, error, record.timestamp, record.headers),
            },
        }
    }
}

/// Answers a subscription with the foreign row of this moment.
pub(super) struct AnswerNow<KO, VO> {
    pub(super) node: Arc<str>,
    pub(super) foreign: Rc<dyn ValueGetter<KO, VO>>,
    pub(super) value: SharedSerde<VO>,
    pub(super) children: Children<Vec<u8>, Answer>,
    pub(super) answer: RefCell<Answer>,
}

impl<KO: 'static, VO: 'static> AnswerNow<KO, VO> {
    /// Time of the answer; None: there is nothing to say.
    fn prepare(
        &self,
        cx: &TaskContext,
        record: &Record<'_, Option<KO>, Subscription>,
        answer: &mut Answer,
    ) -> Result<Option<i64>, Box<ProcessError>> {
        let subscription = record.value;
        if subscription.instruction == Instruction::Forget {
            return Ok(None);
        }
        let found = match record.key {
            None => None,
            Some(key) => self.foreign.get(cx, key, record.key_bytes)?,
        };
        if found.is_none() && subscription.instruction == Instruction::KeepAndAnswerIfFound {
            return Ok(None);
        }
        answer.hash = subscription.hash;
        answer.partition = subscription.partition;
        answer.foreign.clear();
        if let Some((value, _)) = &found
            && subscription.instruction != Instruction::ForgetAndAnswer
        {
            put_value(&*self.value, value, &mut answer.foreign).map_err(|e| faults::write("value", &self.node, e))?;
        }
        Ok(Some(
            found.map_or(record.timestamp, |(_, time)| record.timestamp.max(time)),
        ))
    }
}

fn put_value<V>(serde: &dyn Serde<V>, value: &V, out: &mut Vec<u8>) -> Result<(), crate::serde::SerdeError> {
    write(serde, value, out).map(|_| ())
}

impl<KO: 'static, VO: 'static> Receiver<Option<KO>, Subscription> for AnswerNow<KO, VO> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, Option<KO>, Subscription>) -> ProcessResult {
        let mut answer = self.answer.take();
        let result = match self.prepare(cx, &record, &mut answer) {
            Err(error) => faults::handle(cx, error, record.timestamp, record.headers),
            Ok(None) => Ok(()),
            Ok(Some(timestamp)) => {
                let key = &record.value.primary_key;
                let record = Record {
                    key,
                    value: &answer,
                    timestamp,
                    headers: record.headers,
                    key_bytes: Some(key),
                    is_copy: true,
                };
                self.children.forward(cx, record)
            }
        };
        self.answer.replace(answer);
        result
    }
}

/// Answers all subscriptions to a foreign row that changed, in the order of their primary keys.
pub(super) struct AnswerAll<KO, VO> {
    pub(super) node: Arc<str>,
    pub(super) versioned: bool,
    pub(super) store: Rc<KeyValueStore>,
    pub(super) key: SharedSerde<KO>,
    pub(super) value: SharedSerde<VO>,
    pub(super) children: Children<Vec<u8>, Answer>,
    pub(super) scratch: RefCell<AllScratch>,
}

#[derive(Default)]
pub(super) struct AllScratch {
    key: Vec<u8>,
    prefix: Vec<u8>,
    subscription: Subscription,
    answer: Answer,
}

impl<KO: 'static, VO: 'static> AnswerAll<KO, VO> {
    fn prepare(&self, change: &Change<'_, KO, VO>, scratch: &mut AllScratch) -> Result<(), Box<ProcessError>> {
        let unwritten = |e| faults::write("key", &self.node, e);
        write(&*self.key, change.key, &mut scratch.key).map_err(unwritten)?;
        put_prefix(&scratch.key, &mut scratch.prefix).map_err(unwritten)?;
        scratch.answer.foreign.clear();
        if let Some(value) = change.new {
            put_value(&*self.value, value, &mut scratch.answer.foreign)
                .map_err(|e| faults::write("value", &self.node, e))?;
        }
        Ok(())
    }

    fn answer(&self, cx: &TaskContext, change: &Change<'_, KO, VO>, scratch: &mut AllScratch) -> ProcessResult {
        let AllScratch {
            prefix,
            subscription,
            answer,
            ..
        } = scratch;
        for row in self.store.prefix(prefix) {
            let row = row.map_err(|e| faults::store(&self.node, e))?;
            let read = SubscriptionSerde.deserialize_into(&row.value, subscription);
            if let Err(error) = read {
                faults::handle(cx, faults::read(&self.node, error), change.timestamp, change.headers)?;
                continue;
            }
            answer.hash = subscription.hash;
            answer.partition = subscription.partition;
            let key = &subscription.primary_key;
            let record = Record {
                key,
                value: &*answer,
                timestamp: change.timestamp,
                headers: change.headers,
                key_bytes: Some(key),
                is_copy: true,
            };
            self.children.forward(cx, record)?;
        }
        Ok(())
    }
}

impl<KO: 'static, VO: 'static> TableReceiver<KO, VO> for AnswerAll<KO, VO> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, KO, VO>) -> ProcessResult {
        if self.versioned && !change.is_latest {
            // History: the newest row has been told already.
            cx.count_dropped();
            return Ok(());
        }
        let mut scratch = self.scratch.take();
        let result = match self.prepare(&change, &mut scratch) {
            Err(error) => faults::handle(cx, error, change.timestamp, change.headers),
            Ok(()) => self.answer(cx, &change, &mut scratch),
        };
        self.scratch.replace(scratch);
        result
    }
}
