//! One result per group of a table: `count`, `reduce` and `aggregate` with an adder and a subtractor.
//!
//! The old value is taken out first, then the new one put in. The result's timestamp is the highest of the updates in it.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, NodeFactory, ProcessError, ProcessResult, Receiver, Record, TaskContext, port},
    serde::GroupedChange,
    stream::factory,
    table::output::{Forwarder, Rows, RowsPlan, Scratch, ScratchCell},
};

use super::updated::{Updated, forward};

/// Key, value and result so far (None: there is none) to the new result; None deletes the row.
pub(crate) type Step<K, V, A> = Arc<dyn Fn(&K, &V, Option<A>) -> Result<Option<A>, BoxError> + Send + Sync>;

/// How values get into a result and out of it.
pub(crate) struct TableFold<K, V, A> {
    pub(crate) add: Step<K, V, A>,
    pub(crate) subtract: Step<K, V, A>,
    /// A first value without a result may be the result itself (`reduce`), in which case its bytes are stored.
    pub(crate) first: Option<fn(&V) -> &A>,
}
impl<K, V, A> Clone for TableFold<K, V, A> {
    fn clone(&self) -> Self {
        Self {
            add: self.add.clone(),
            subtract: self.subtract.clone(),
            first: self.first,
        }
    }
}

struct TableAggregate<K, V, A> {
    node: Arc<str>,
    fold: TableFold<K, V, A>,
    rows: Rows<K, A>,
    output: Rc<Forwarder<K, A>>,
    scratch: ScratchCell,
}

pub(crate) fn table_aggregate<K: 'static, V: 'static, A: 'static>(
    fold: TableFold<K, V, A>,
    plan: RowsPlan<K, A>,
    send_old: bool,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        let (rows, output) = plan.open(scope, send_old)?;
        let (node, fold) = (scope.name().clone(), fold.clone());
        Ok(port(TableAggregate {
            node,
            fold,
            rows,
            output,
            scratch: RefCell::default(),
        }))
    })
}

enum Outcome<'a, A> {
    Owned(Option<A>),
    First(&'a A),
}
impl<A> Outcome<'_, A> {
    fn as_ref(&self) -> Option<&A> {
        match self {
            Self::Owned(value) => value.as_ref(),
            Self::First(value) => Some(value),
        }
    }
}

impl<K, V, A> TableAggregate<K, V, A> {
    fn update<'a>(
        &self,
        cx: &TaskContext,
        record: &Record<'a, K, GroupedChange<V>>,
        scratch: &'a mut Scratch,
    ) -> Result<Updated<'a, A, Outcome<'a, A>>, Box<ProcessError>> {
        let Scratch {
            key: key_buffer,
            value: value_buffer,
        } = scratch;
        let key = self.rows.key_bytes(record.key, record.key_bytes, key_buffer)?;
        let stored = self.rows.get(key, value_buffer)?;
        let read = |bytes: &[u8]| stored.map(|_| self.rows.decode(bytes)).transpose();
        let mut result = read(value_buffer)?;
        let shown = if self.output.send_old && !self.rows.store.is_cached() {
            read(value_buffer)?
        } else {
            None
        };
        let mut timestamp = record.timestamp;
        let GroupedChange { new, old } = record.value;
        if let Some(old) = old
            && result.is_some()
        {
            result = cx.try_call(&self.node, || (self.fold.subtract)(record.key, old, result))?;
            timestamp = timestamp.max(stored.unwrap_or(timestamp));
        }
        let mut outcome = Outcome::Owned(None);
        match (new, self.fold.first) {
            (Some(new), Some(first)) if result.is_none() => outcome = Outcome::First(first(new)),
            (Some(new), _) => {
                result = cx.try_call(&self.node, || (self.fold.add)(record.key, new, result))?;
                timestamp = timestamp.max(stored.unwrap_or(timestamp));
            }
            (None, _) => {}
        }
        if matches!(outcome, Outcome::Owned(_)) {
            outcome = Outcome::Owned(result);
        }
        let origin = (record.timestamp, record.headers);
        let placed = self
            .rows
            .put(cx, key, outcome.as_ref(), timestamp, origin, value_buffer)?;
        Ok(Updated {
            key,
            new: outcome,
            old: shown,
            timestamp,
            placed,
        })
    }
}

impl<K, V, A> Receiver<K, GroupedChange<V>> for TableAggregate<K, V, A> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, GroupedChange<V>>) -> ProcessResult {
        let mut scratch = self.scratch.take();
        let outcome = self.update(cx, &record, &mut scratch);
        let result = forward(cx, &record, (&self.rows, &self.output), outcome, |new| new.as_ref());
        self.scratch.replace(scratch);
        result
    }
}
