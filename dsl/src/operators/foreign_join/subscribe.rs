//! The side of the primary table: an update of a row becomes subscriptions to foreign keys.
//!
//! A row that changes its foreign key takes the old subscription back first. The subscription carries the hash of the
//! row's value, so that an answer to an older value is recognised when it comes back.
use std::{cell::RefCell, sync::Arc};

use crate::{
    engine::{BoxError, Change, Children, ProcessError, ProcessResult, Record, TableReceiver, TaskContext},
    serde::{SharedSerde, write},
    table::faults,
};

use crate::operators::key_pair::KeyPair;

use super::{
    hash::hash128,
    wire::{Instruction, Subscription},
};

/// The foreign key of a row; None: it has none.
pub(super) type Extractor<K, V, KO> = Arc<dyn Fn(&K, &V) -> Result<Option<KO>, BoxError> + Send + Sync>;

pub(super) struct Subscribe<K, V, KO> {
    pub(super) node: Arc<str>,
    pub(super) left: bool,
    pub(super) versioned: bool,
    pub(super) extractor: Extractor<K, V, KO>,
    pub(super) key: SharedSerde<K>,
    /// Whether the bytes of keys are bytes of `key`.
    pub(super) reuse_key_bytes: bool,
    pub(super) value: SharedSerde<V>,
    pub(super) foreign_key: SharedSerde<KO>,
    pub(super) children: Children<Option<KO>, Subscription>,
    pub(super) scratch: RefCell<Scratch>,
}

#[derive(Default)]
pub(super) struct Scratch {
    subscription: Subscription,
    value: Vec<u8>,
    foreign_keys: KeyPair,
}

/// Subscriptions of one update: the one to take back, and the one to make.
struct Plan<KO> {
    first: Option<(Option<KO>, Instruction)>,
    second: Option<(Option<KO>, Instruction)>,
}

impl<K, V, KO> Subscribe<K, V, KO> {
    fn extract(&self, cx: &TaskContext, key: &K, value: Option<&V>) -> Result<Option<KO>, Box<ProcessError>> {
        let Some(value) = value else { return Ok(None) };
        let extracted = cx.try_call(&self.node, || (self.extractor)(key, value))?;
        Ok(extracted.filter(|key| !self.foreign_key.is_null(key)))
    }

    fn plan(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
        scratch: &mut Scratch,
    ) -> Result<Plan<KO>, Box<ProcessError>> {
        let old = self.extract(cx, change.key, change.old)?;
        let new = self.extract(cx, change.key, change.new)?;
        scratch.foreign_keys.clear();
        let moved = match (&old, &new) {
            (Some(old), Some(new)) => {
                let same = scratch.foreign_keys.same(&*self.foreign_key, old, new);
                !same.map_err(|e| faults::write("foreign key", &self.node, e))?
            }
            (old, _) => old.is_some(),
        };
        Ok(if self.left {
            left_plan(change, old, new, moved)
        } else {
            inner_plan(cx, change, old, new, moved)
        })
    }

    fn prepare(
        &self,
        cx: &TaskContext,
        change: &Change<'_, K, V>,
        scratch: &mut Scratch,
    ) -> Result<(), Box<ProcessError>> {
        let hash = match change.new {
            None => None,
            Some(value) => {
                write(&*self.value, value, &mut scratch.value).map_err(|e| faults::write("value", &self.node, e))?;
                Some(hash128(&scratch.value))
            }
        };
        let subscription = &mut scratch.subscription;
        subscription.hash = hash;
        subscription.partition = Some(cx.partition());
        match change.key_bytes {
            Some(bytes) if self.reuse_key_bytes => {
                subscription.primary_key.clear();
                subscription.primary_key.extend_from_slice(bytes);
            }
            _ => {
                write(&*self.key, change.key, &mut subscription.primary_key)
                    .map_err(|e| faults::write("key", &self.node, e))?;
            }
        }
        Ok(())
    }
}

fn left_plan<K, V, KO>(change: &Change<'_, K, V>, old: Option<KO>, new: Option<KO>, moved: bool) -> Plan<KO> {
    if change.old.is_none() && change.new.is_none() {
        return Plan {
            first: None,
            second: None,
        };
    }
    Plan {
        first: old.filter(|_| moved).map(|old| (Some(old), Instruction::Forget)),
        // Also without a foreign key: there is a result all the same, or its end.
        second: Some((new, Instruction::KeepAndAnswer)),
    }
}

fn inner_plan<K, V, KO>(
    cx: &TaskContext,
    change: &Change<'_, K, V>,
    old: Option<KO>,
    new: Option<KO>,
    moved: bool,
) -> Plan<KO> {
    if change.new.is_some() && new.is_none() {
        // A row without a foreign key has no result.
        cx.count_dropped();
    }
    match (old, new) {
        // The result of the old foreign key may have to go, so there is an answer in any case.
        (Some(old), Some(new)) if moved => Plan {
            first: Some((Some(old), Instruction::Forget)),
            second: Some((Some(new), Instruction::KeepAndAnswer)),
        },
        (Some(_), Some(new)) => Plan {
            first: None,
            second: Some((Some(new), Instruction::KeepAndAnswerIfFound)),
        },
        (Some(old), None) => Plan {
            first: Some((Some(old), Instruction::ForgetAndAnswer)),
            second: None,
        },
        (None, new) => Plan {
            first: None,
            second: new.map(|new| (Some(new), Instruction::KeepAndAnswerIfFound)),
        },
    }
}

impl<K: 'static, V: 'static, KO: 'static> TableReceiver<K, V> for Subscribe<K, V, KO> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        if self.versioned && !change.is_latest {
            // History: the newest row has been told already.
            cx.count_dropped();
            return Ok(());
        }
        let mut scratch = self.scratch.take();
        let planned = self
            .plan(cx, &change, &mut scratch)
            .and_then(|plan| self.prepare(cx, &change, &mut scratch).map(|()| plan));
        let result = match planned {
            Err(error) => faults::handle(cx, error, change.timestamp, change.headers),
            Ok(Plan { first, second }) => {
                let Scratch {
                    subscription,
                    foreign_keys,
                    ..
                } = &mut scratch;
                let mut subscriptions = [first, second].into_iter().zip(foreign_keys.bytes());
                subscriptions.try_for_each(|(planned, key_bytes)| {
                    let Some((key, instruction)) = planned else {
                        return Ok(());
                    };
                    subscription.instruction = instruction;
                    let record = Record::new(&key, &*subscription, change.timestamp, change.headers);
                    self.children.forward(cx, Record { key_bytes, ..record })
                })
            }
        };
        self.scratch.replace(scratch);
        result
    }
}
