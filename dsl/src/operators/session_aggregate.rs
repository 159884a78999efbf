//! One result per key and session: `count`, `reduce` and `aggregate` in session windows.
//!
//! A record joins all sessions that are no further away than the gap; each of them is deleted, and their union is put.
//! A record without key is dropped and counted, and so is one whose session has closed. A result has the timestamp of
//! the session's end and no headers.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use millstream_state::{SessionStore, WindowList};

use crate::{
    engine::{BoxError, Change, NodeFactory, ProcessError, ProcessResult, Receiver, Record, TaskContext, port},
    grouped::fold::Fold,
    serde::write,
    stream::factory,
    table::{
        faults::{self, Stop},
        output::{Forwarder, WindowPlan},
    },
    window::{EmitStrategy, SessionWindows, Window, Windowed},
};

use super::window_results::{Emission, EmissionClock};

/// Joins the results of two sessions that a record has connected.
pub(crate) type Merge<K, A> = Arc<dyn Fn(&K, Option<A>, A) -> Result<Option<A>, BoxError> + Send + Sync>;

struct SessionAggregate<K, V, A> {
    node: Arc<str>,
    windows: SessionWindows,
    fold: Fold<K, V, A>,
    merge: Merge<K, A>,
    plan: WindowPlan<K, A>,
    store: Rc<SessionStore>,
    output: Rc<Forwarder<Windowed<K>, A>>,
    emission: Emission,
    observed_time: Cell<i64>,
    clock: EmissionClock,
    buffers: RefCell<Buffers>,
}

/// Lent to one record at a time.
#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    value: Vec<u8>,
    found: WindowList,
}

pub(crate) fn session_aggregate<K: 'static, V: 'static, A: 'static>(
    windows: SessionWindows,
    fold: Fold<K, V, A>,
    merge: Merge<K, A>,
    plan: WindowPlan<K, A>,
    emission: Emission,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        let (store, output) = plan.open_session(scope, emission.send_old)?;
        Ok(port(SessionAggregate {
            node: scope.name().clone(),
            windows,
            fold: fold.clone(),
            merge: merge.clone(),
            clock: EmissionClock::open(scope, &plan.store, emission.strategy),
            plan: plan.clone(),
            store,
            output,
            emission,
            observed_time: Cell::new(-1),
            buffers: RefCell::default(),
        }))
    })
}

impl<K: 'static, V: 'static, A: 'static> Receiver<K, V> for SessionAggregate<K, V, A> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        if self.plan.key.is_null(record.key) {
            cx.count_dropped();
            return Ok(());
        }
        let mut buffers = self.buffers.take();
        let result = self.update(cx, &record, &mut buffers);
        self.buffers.replace(buffers);
        result.or_else(|stop| stop.handle(cx, record.timestamp, record.headers))
    }
}

impl<K: 'static, V: 'static, A: 'static> SessionAggregate<K, V, A> {
    fn update(&self, cx: &TaskContext, record: &Record<'_, K, V>, buffers: &mut Buffers) -> Result<(), Stop> {
        let Buffers {
            key: key_buffer,
            value: value_buffer,
            found,
        } = buffers;
        let key = match record.key_bytes {
            Some(bytes) if self.plan.reuse_key_bytes => bytes,
            _ => {
                write(&*self.plan.key, record.key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
                key_buffer.as_slice()
            }
        };
        self.observed_time.set(self.observed_time.get().max(record.timestamp));
        let closed = self
            .observed_time
            .get()
            .saturating_sub(self.windows.grace_ms)
            .saturating_sub(self.windows.gap_ms);
        let (from, to) = (
            record.timestamp.saturating_sub(self.windows.gap_ms),
            record.timestamp.saturating_add(self.windows.gap_ms),
        );
        self.store
            .find_into(key, from, to, found)
            .map_err(|e| faults::store(&self.node, e))?;
        let single = Window {
            start: record.timestamp,
            end: record.timestamp,
        };
        let session = found.rows().fold(single, |all, row| Window {
            start: all.start.min(row.session().0),
            end: all.end.max(row.session().1),
        });
        if session.end < closed {
            cx.count_dropped();
        } else {
            self.merge_into(cx, record, key, found, session, value_buffer)?;
        }
        if self.emission.strategy == EmitStrategy::OnWindowClose {
            self.emit_closed(cx, record, closed)?;
        }
        Ok(())
    }

    fn merge_into(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        key: &[u8],
        found: &WindowList,
        session: Window,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let mut result = self
            .fold
            .initial
            .as_ref()
            .map(|initial| cx.call(&self.node, || initial()))
            .transpose()?;
        for row in found.rows() {
            let value = self.read(row.value)?;
            result = cx.try_call(&self.node, || (self.merge)(record.key, result, value))?;
        }
        let context = cx.update_context(record.timestamp, record.headers);
        if session.start != session.end || session.start != record.timestamp {
            for row in found.rows() {
                let (start, end) = row.session();
                self.store
                    .put(key, start, end, None, &context)
                    .map_err(|e| faults::store(&self.node, e))?;
                let old = if self.output.send_old {
                    Some(self.read(row.value)?)
                } else {
                    None
                };
                self.forward(cx, key, Window { start, end }, None, old.as_ref())?;
            }
        }
        let new = cx.try_call(&self.node, || (self.fold.apply)(record.key, record.value, result))?;
        let bytes = match new.as_ref() {
            None => None,
            Some(value) => {
                let some =
                    write(&*self.plan.value, value, buffer).map_err(|e| faults::write("value", &self.node, e))?;
                some.then_some(buffer.as_slice())
            }
        };
        let kept = self
            .store
            .put(key, session.start, session.end, bytes, &context)
            .map_err(|e| faults::store(&self.node, e))?;
        if !kept {
            cx.count_dropped();
        }
        self.forward(cx, key, session, new.as_ref(), None)
    }

    fn read(&self, bytes: &[u8]) -> Result<A, Box<ProcessError>> {
        self.plan
            .value
            .deserialize(bytes)
            .map_err(|e| faults::read(&self.node, e))
    }

    /// Forwards an update at once, unless it waits in the cache or for the end of the session.
    fn forward(
        &self,
        cx: &TaskContext,
        key: &[u8],
        window: Window,
        new: Option<&A>,
        old: Option<&A>,
    ) -> Result<(), Stop> {
        if self.emission.strategy == EmitStrategy::OnWindowClose || self.store.is_cached() {
            return Ok(());
        }
        self.send(cx, key, window, new, old, cx.no_headers())
    }
    fn send(
        &self,
        cx: &TaskContext,
        key: &[u8],
        window: Window,
        new: Option<&A>,
        old: Option<&A>,
        headers: &millstream_state::Headers,
    ) -> Result<(), Stop> {
        let key = self
            .plan
            .key
            .deserialize(key)
            .map_err(|e| faults::read(&self.node, e))?;
        let (key, timestamp) = (&Windowed { key, window }, window.end);
        let change = Change {
            key,
            new,
            old,
            is_latest: true,
            timestamp,
            headers,
            key_bytes: None,
        };
        self.output.children.forward(cx, change).map_err(Stop::Behind)
    }

    /// Emits the sessions that have closed since the last round, in the order of their end. Those that end together come as
    /// the store of Kafka Streams has them: on disk by start, in memory by key.
    fn emit_closed(&self, cx: &TaskContext, record: &Record<'_, K, V>, closed: i64) -> Result<(), Stop> {
        let Some(last) = self.clock.due(cx, closed) else {
            return Ok(());
        };
        let (lower, upper) = (last.max(0), closed.saturating_sub(1));
        if upper < lower {
            return Ok(());
        }
        let rows = self.store.find_kept(lower, upper);
        let mut rows = rows.map_err(|e| faults::store(&self.node, e))?;
        if self.store.is_in_memory() {
            rows.sort_by(|a, b| (a.end, &a.key, a.start).cmp(&(b.end, &b.key, b.start)));
        } else {
            rows.sort_by(|a, b| (a.end, a.start, &a.key).cmp(&(b.end, b.start, &b.key)));
        }
        for row in rows {
            let value = self.read(&row.value)?;
            let window = Window {
                start: row.start,
                end: row.end,
            };
            self.send(cx, &row.key, window, Some(&value), None, record.headers)?;
        }
        self.clock.emitted(closed);
        Ok(())
    }
}
