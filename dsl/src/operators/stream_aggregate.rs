//! One result per key of a stream: `count`, `reduce` and `aggregate` without windows.
//!
//! A record without key or value is dropped and counted. The result's timestamp is the highest of the records in it.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use crate::{
    engine::{NodeFactory, ProcessError, ProcessResult, Receiver, Record, TaskContext, port},
    grouped::fold::Fold,
    serde::SharedSerde,
    stream::factory,
    table::output::{Forwarder, Rows, RowsPlan, Scratch, ScratchCell},
};

use super::updated::{Updated, forward};

struct StreamAggregate<K, V, A> {
    node: Arc<str>,
    fold: Fold<K, V, A>,
    /// Knows which values are null; None where the type has no serde and hence no null.
    value: Option<SharedSerde<V>>,
    rows: Rows<K, A>,
    output: Rc<Forwarder<K, A>>,
    scratch: ScratchCell,
}

pub(crate) fn stream_aggregate<K: 'static, V: 'static, A: 'static>(
    fold: Fold<K, V, A>,
    value: Option<SharedSerde<V>>,
    plan: RowsPlan<K, A>,
    send_old: bool,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        let (rows, output) = plan.open(scope, send_old)?;
        Ok(port(StreamAggregate {
            node: scope.name().clone(),
            fold: fold.clone(),
            value: value.clone(),
            rows,
            output,
            scratch: RefCell::default(),
        }))
    })
}

impl<K, V, A> Receiver<K, V> for StreamAggregate<K, V, A> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let no_value = self.value.as_ref().is_some_and(|serde| serde.is_null(record.value));
        if no_value || self.rows.key.is_null(record.key) {
            cx.count_dropped();
            return Ok(());
        }
        let mut scratch = self.scratch.take();
        let outcome = self.update(cx, &record, &mut scratch);
        let result = forward(cx, &record, (&self.rows, &self.output), outcome, |new| new.as_ref());
        self.scratch.replace(scratch);
        result
    }
}

impl<K, V, A> StreamAggregate<K, V, A> {
    #[inline]
    fn update<'a>(
        &self,
        cx: &TaskContext,
        record: &Record<'a, K, V>,
        scratch: &'a mut Scratch,
    ) -> Result<Updated<'a, A, crate::grouped::fold::Folded<'a, A>>, Box<ProcessError>> {
        let Scratch {
            key: key_buffer,
            value: value_buffer,
        } = scratch;
        let key = self.rows.key_bytes(record.key, record.key_bytes, key_buffer)?;
        let stored = self.rows.get(key, value_buffer)?;
        let old = stored.map(|_| self.rows.decode(value_buffer)).transpose()?;
        // The function takes the old result by value, so whoever wants to see it gets one read a second time.
        let shown = if !self.output.send_old || self.rows.store.is_cached() {
            None
        } else if stored.is_some() {
            Some(self.rows.decode(value_buffer)?)
        } else {
            self.fold.old_of_first(cx, &self.node, &self.rows.value)?
        };
        let new = cx.try_call(&self.node, || (self.fold.apply)(record.key, record.value, old))?;
        let timestamp = stored.map_or(record.timestamp, |stored| stored.max(record.timestamp));
        let origin = (record.timestamp, record.headers);
        let placed = self.rows.put(cx, key, new.as_ref(), timestamp, origin, value_buffer)?;
        Ok(Updated {
            key,
            new,
            old: shown,
            timestamp,
            placed,
        })
    }
}
