//! One result per key and window: `count`, `reduce` and `aggregate` in tumbling, hopping and unlimited windows.
//!
//! A record without key is dropped and counted; one without value is a record like others. A window that has closed
//! takes no record any more: each such window counts one dropped record.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use millstream_state::WindowStore;

use crate::{
    engine::{Change, NodeFactory, ProcessError, ProcessResult, Receiver, Record, TaskContext, port},
    grouped::fold::{Fold, Folded},
    serde::{SharedSerde, write},
    stream::factory,
    table::{
        faults::{self, Stop},
        output::{Forwarder, Scratch, ScratchCell, WindowPlan},
    },
    window::{EmitStrategy, Window, Windowed, Windows},
};

/// How the results of an aggregation leave it.
#[derive(Clone, Copy)]
pub(crate) struct Emission {
    pub(crate) strategy: EmitStrategy,
    pub(crate) send_old: bool,
}

struct WindowAggregate<K, V, A, W> {
    node: Arc<str>,
    windows: W,
    fold: Fold<K, V, A>,
    key: SharedSerde<K>,
    value: SharedSerde<A>,
    reuse_key_bytes: bool,
    store: Rc<WindowStore>,
    output: Rc<Forwarder<Windowed<K>, A>>,
    emission: Emission,
    observed_time: Cell<i64>,
    emitted_until: Rc<Cell<i64>>,
    next_emission: Cell<i64>,
    scratch: ScratchCell,
}

pub(crate) fn window_aggregate<K: 'static, V: 'static, A: 'static, W: Windows>(
    windows: W,
    fold: Fold<K, V, A>,
    plan: WindowPlan<K, A>,
    emission: Emission,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        let (store, output) = plan.open(scope, emission.send_old)?;
        let emitted_until = Rc::new(Cell::new(-1));
        if emission.strategy == EmitStrategy::OnWindowClose {
            let (get, set) = (emitted_until.clone(), emitted_until.clone());
            scope.keep_metadata(&*plan.store, move || get.get(), move |time| set.set(time));
        }
        Ok(port(WindowAggregate {
            node: scope.name().clone(),
            windows: windows.clone(),
            fold: fold.clone(),
            key: plan.key.clone(),
            value: plan.value.clone(),
            reuse_key_bytes: plan.reuse_key_bytes,
            store,
            output,
            emission,
            observed_time: Cell::new(-1),
            emitted_until,
            next_emission: Cell::new(i64::MIN),
            scratch: RefCell::default(),
        }))
    })
}

impl<K: 'static, V: 'static, A: 'static, W: Windows> Receiver<K, V> for WindowAggregate<K, V, A, W> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        if self.key.is_null(record.key) {
            cx.count_dropped();
            return Ok(());
        }
        let mut scratch = self.scratch.take();
        let result = self.update_windows(cx, &record, &mut scratch);
        self.scratch.replace(scratch);
        result.or_else(|stop| stop.handle(cx, record.timestamp, record.headers))
    }
}

impl<K: 'static, V: 'static, A: 'static, W: Windows> WindowAggregate<K, V, A, W> {
    fn update_windows(&self, cx: &TaskContext, record: &Record<'_, K, V>, scratch: &mut Scratch) -> Result<(), Stop> {
        let Scratch {
            key: key_buffer,
            value: value_buffer,
        } = scratch;
        let key = match record.key_bytes {
            Some(bytes) if self.reuse_key_bytes => bytes,
            _ => {
                write(&*self.key, record.key, key_buffer)
                    .map_err(|e| Stop::Here(faults::write("key", &self.node, e)))?;
                key_buffer.as_slice()
            }
        };
        self.observed_time.set(self.observed_time.get().max(record.timestamp));
        let closed = self.observed_time.get().saturating_sub(self.windows.grace_ms());
        self.windows.each(record.timestamp, |window| {
            if window.end <= closed {
                tracing::debug!(
                    node = &*self.node,
                    timestamp = record.timestamp,
                    window_start = window.start,
                    window_end = window.end,
                    closed,
                    "record of a closed window dropped"
                );
                cx.count_dropped();
                return Ok(());
            }
            self.update(cx, record, key, window, value_buffer)
        })?;
        if self.emission.strategy == EmitStrategy::OnWindowClose {
            self.emit_closed(cx, record, closed)?;
        }
        Ok(())
    }

    #[inline]
    fn update(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        key: &[u8],
        window: Window,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let at_update = self.emission.strategy == EmitStrategy::OnWindowUpdate && !self.store.is_cached();
        let (new, old, timestamp) = self
            .fold_into(cx, record, key, window, buffer, at_update)
            .map_err(Stop::Here)?;
        if !at_update {
            return Ok(());
        }
        self.forward(cx, record, window, key, new.as_ref(), old.as_ref(), timestamp)
            .map_err(|e| *e)
    }

    fn fold_into<'a>(
        &self,
        cx: &TaskContext,
        record: &Record<'a, K, V>,
        key: &[u8],
        window: Window,
        buffer: &mut Vec<u8>,
        at_update: bool,
    ) -> Result<(Folded<'a, A>, Option<A>, i64), Box<ProcessError>> {
        let read = |bytes: &[u8]| self.value.deserialize(bytes).map_err(|e| faults::read(&self.node, e));
        let stored = self
            .store
            .get(key, window.start, buffer)
            .map_err(|e| faults::store(&self.node, e))?;
        let old = stored.map(|_| read(buffer)).transpose()?;
        let shown = if !self.emission.send_old || !at_update {
            None
        } else if stored.is_some() {
            Some(read(buffer)?)
        } else {
            self.fold
                .initial
                .as_ref()
                .map(|initial| cx.call(&self.node, || initial()))
                .transpose()?
        };
        let new = cx.try_call(&self.node, || (self.fold.apply)(record.key, record.value, old))?;
        let timestamp = stored.map_or(record.timestamp, |stored| stored.max(record.timestamp));
        let bytes = match new.as_ref() {
            None => None,
            Some(value) => {
                let some = write(&*self.value, value, buffer).map_err(|e| faults::write("value", &self.node, e))?;
                some.then_some(buffer.as_slice())
            }
        };
        let context = cx.record_context(record.timestamp, record.headers);
        let kept = self
            .store
            .put(key, bytes, window.start, timestamp, &context)
            .map_err(|e| faults::store(&self.node, e))?;
        if !kept {
            cx.count_dropped();
        }
        Ok((new, shown, timestamp))
    }

    /// Forwards an update of a window; the windowed key owns its key, so it is read from the key's bytes.
    #[expect(
        clippy::too_many_arguments,
        reason = "an update has that many parts, and a struct of borrows adds none"
    )]
    fn forward(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        window: Window,
        key: &[u8],
        new: Option<&A>,
        old: Option<&A>,
        timestamp: i64,
    ) -> Result<(), Box<Stop>> {
        let key = self
            .key
            .deserialize(key)
            .map_err(|e| Stop::Here(faults::read(&self.node, e)))?;
        let change = Change {
            key: &Windowed { key, window },
            new,
            old,
            is_latest: true,
            timestamp,
            headers: record.headers,
            key_bytes: None,
        };
        self.output
            .children
            .forward(cx, change)
            .map_err(|e| Box::new(Stop::Behind(e)))
    }

    /// Emits the windows that have closed since the last round, in the order of the store.
    fn emit_closed(&self, cx: &TaskContext, record: &Record<'_, K, V>, closed: i64) -> Result<(), Stop> {
        let now = cx.wall_clock_ms();
        if now < self.next_emission.get() {
            return Ok(());
        }
        self.next_emission.set(now.saturating_add(cx.emit_interval_ms()));
        let last = self.emitted_until.get();
        if last != -1 && last >= closed {
            return Ok(());
        }
        let size = self.windows.size_ms();
        let upper = closed.saturating_sub(size);
        if upper < 0 {
            return Ok(());
        }
        let lower = if last == -1 {
            0
        } else {
            last.saturating_sub(size).max(0).saturating_add(1)
        };
        // A round that would see the same windows as the last one is not worth a scan, nor a new position.
        if last != -1 && self.windows_at(upper) == self.windows_at(lower - 1) {
            return Ok(());
        }
        let rows: millstream_state::Result<Vec<_>> = self.store.fetch_range(None, None, lower, upper, false).collect();
        let mut rows = rows.map_err(|e| Stop::Here(faults::store(&self.node, e)))?;
        // Windows leave in the order of their start, however the store keeps them.
        rows.sort_by(|a, b| (a.start, &a.key).cmp(&(b.start, &b.key)));
        for row in rows {
            let value = self
                .value
                .deserialize(&row.value)
                .map_err(|e| Stop::Here(faults::read(&self.node, e)))?;
            let window = Window {
                start: row.start,
                end: row.start.saturating_add(size),
            };
            self.forward(cx, record, window, &row.key, Some(&value), None, row.timestamp)
                .map_err(|e| *e)?;
        }
        self.emitted_until.set(closed);
        Ok(())
    }
    fn windows_at(&self, timestamp: i64) -> Vec<Window> {
        let mut found = Vec::new();
        let _ = self.windows.each::<()>(timestamp, |window| {
            found.push(window);
            Ok(())
        });
        found
    }
}
