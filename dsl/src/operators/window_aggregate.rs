//! One result per key and window: `count`, `reduce` and `aggregate` in tumbling, hopping and unlimited windows.
//!
//! A record without key is dropped and counted; one without value is a record like others. A window that has closed
//! takes no record any more: each such window counts one dropped record.
use std::{cell::RefCell, sync::Arc};

use crate::{
    engine::{NodeFactory, ProcessResult, Receiver, Record, TaskContext, port},
    grouped::fold::Fold,
    stream::factory,
    table::{
        faults::{self, Stop},
        output::WindowPlan,
    },
    window::{EmitStrategy, SharedWindows, Window},
};

use super::window_results::{Base, Emission, WindowResults};

struct WindowAggregate<K, V, A> {
    windows: SharedWindows,
    results: WindowResults<K, V, A>,
    stored: RefCell<Vec<u8>>,
}

pub(crate) fn window_aggregate<K: 'static, V: 'static, A: 'static>(
    windows: SharedWindows,
    fold: Fold<K, V, A>,
    plan: WindowPlan<K, A>,
    emission: Emission,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        Ok(port(WindowAggregate {
            windows: windows.clone(),
            results: WindowResults::open(scope, &fold, &plan, emission)?,
            stored: RefCell::default(),
        }))
    })
}

impl<K: 'static, V: 'static, A: 'static> Receiver<K, V> for WindowAggregate<K, V, A> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        if self.results.plan.key.is_null(record.key) {
            cx.count_dropped();
            return Ok(());
        }
        self.results.process(cx, &record, |key, buffer| {
            let mut stored = self.stored.take();
            let result = self.update_windows(cx, &record, key, &mut stored, buffer);
            self.stored.replace(stored);
            result
        })
    }
}

impl<K: 'static, V: 'static, A: 'static> WindowAggregate<K, V, A> {
    fn update_windows(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        key: &[u8],
        stored: &mut Vec<u8>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let results = &self.results;
        let closed = results.observed_time.get().saturating_sub(self.windows.grace_ms());
        // The windows may be the user's.
        let updated = cx.call(&results.node, || {
            self.windows.each(record.timestamp, |window| {
                self.update_window(cx, record, (key, window), closed, (stored, buffer))
            })
        });
        updated??;
        if results.emission.strategy == EmitStrategy::OnWindowClose {
            self.emit_closed(cx, record, closed)?;
        }
        Ok(())
    }

    fn update_window(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        (key, window): (&[u8], Window),
        closed: i64,
        (stored, buffer): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> Result<(), Stop> {
        let results = &self.results;
        if window.end <= closed {
            results.drop_late(cx, record.timestamp, window, closed);
            return Ok(());
        }
        let timestamp = results
            .store
            .get(key, window.start, stored)
            .map_err(|e| faults::store(&results.node, e))?;
        let base = timestamp.map_or(Base::Initial, |timestamp| Base::Result(stored, timestamp));
        results.update(cx, record, (key, window), base, buffer)
    }

    /// Emits the windows that have closed since the last round.
    fn emit_closed(&self, cx: &TaskContext, record: &Record<'_, K, V>, closed: i64) -> Result<(), Stop> {
        let Some(last) = self.results.clock.due(cx, closed) else {
            return Ok(());
        };
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
        let nothing_new = || last != -1 && self.windows_at(upper) == self.windows_at(lower - 1);
        if cx.call(&self.results.node, nothing_new)? {
            return Ok(());
        }
        self.results.emit(cx, record, (lower, upper), closed)
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
