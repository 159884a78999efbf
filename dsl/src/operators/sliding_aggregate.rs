//! One result per key and sliding window: `count`, `reduce` and `aggregate` in windows around records.
//!
//! Each record has a window that ends with it (the left one), and one that starts a millisecond after it (the right one)
//! if there are records in it. Both ends are inclusive. A record changes every window of its key that holds it, newest
//! first, and makes the windows that exist because of it: the right one of the record before it, its own left one, its
//! own right one. Windows never start before the epoch: records that are younger than the difference share the window
//! `[0, difference]` as their left one. A record without key or value is dropped and counted.
use std::{cell::RefCell, sync::Arc};

use millstream_state::{ListedRow, WindowList};

use crate::{
    engine::{NodeFactory, ProcessError, ProcessErrorKind, ProcessResult, Receiver, Record, TaskContext, port},
    grouped::fold::Fold,
    serde::SharedSerde,
    stream::factory,
    table::{
        faults::{self, Stop},
        output::WindowPlan,
    },
    window::{EmitStrategy, SlidingWindows, Window},
};

use super::window_results::{Base, Emission, WindowResults};

struct SlidingAggregate<K, V, A> {
    windows: SlidingWindows,
    /// What knows which values are null.
    value: Option<SharedSerde<V>>,
    results: WindowResults<K, V, A>,
    /// The windows around a record, as they were before it.
    windows_around: RefCell<WindowList>,
}

pub(crate) fn sliding_aggregate<K: 'static, V: 'static, A: 'static>(
    windows: SlidingWindows,
    value: Option<SharedSerde<V>>,
    fold: Fold<K, V, A>,
    plan: WindowPlan<K, A>,
    emission: Emission,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        Ok(port(SlidingAggregate {
            windows,
            value: value.clone(),
            results: WindowResults::open(scope, &fold, &plan, emission)?,
            windows_around: RefCell::default(),
        }))
    })
}

/// One record on its way through the windows of its key.
struct Step<'a, K, V> {
    record: &'a Record<'a, K, V>,
    key: &'a [u8],
    closed: i64,
}

/// What the windows around a record tell about those that are to be made.
#[derive(Default)]
struct Around<'a> {
    /// A window that holds the record and later ones: what is in it is in the record's right window too.
    right: Option<ListedRow<'a>>,
    right_exists: bool,
    /// The newest window that ends before the record.
    left: Option<ListedRow<'a>>,
    left_exists: bool,
    /// Time of the record before this one, if its right window may have to be made.
    previous: Option<i64>,
}

impl<K: 'static, V: 'static, A: 'static> Receiver<K, V> for SlidingAggregate<K, V, A> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let no_value = self.value.as_ref().is_some_and(|serde| serde.is_null(record.value));
        if no_value || self.results.plan.key.is_null(record.key) {
            cx.count_dropped();
            return Ok(());
        }
        self.results.process(cx, &record, |key, buffer| {
            let mut found = self.windows_around.take();
            let result = self.add(cx, &record, key, &mut found, buffer);
            self.windows_around.replace(found);
            result
        })
    }
}

impl<K: 'static, V: 'static, A: 'static> SlidingAggregate<K, V, A> {
    fn window(&self, start: i64) -> Window {
        Window {
            start,
            end: start.saturating_add(self.windows.difference_ms),
        }
    }

    fn add(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        key: &[u8],
        found: &mut WindowList,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let closed = self.results.observed_time.get().saturating_sub(self.windows.grace_ms);
        let last = self.window(record.timestamp);
        if last.end < closed {
            self.results.drop_late(cx, record.timestamp, last, closed);
            return Ok(());
        }
        if self.windows.difference_ms == 0 {
            // So it is in Kafka Streams, which finds out here.
            let what = "sliding windows need a time difference of at least a millisecond: a window without length has no record";
            let error = ProcessError::new(ProcessErrorKind::InvalidArgument, &self.results.node, what);
            return Err(error.into());
        }
        let step = Step { record, key, closed };
        if record.timestamp < self.windows.difference_ms {
            // Kafka Streams looks for closed windows only at later records.
            return self.add_early(cx, &step, found, buffer);
        }
        self.find_around(&step, found)?;
        if let Some(around) = self.update_around(cx, &step, found, buffer)? {
            self.make(cx, &step, &around, found, buffer)?;
        }
        if self.results.emission.strategy == EmitStrategy::OnWindowClose {
            self.emit_closed(cx, record, closed)?;
        }
        Ok(())
    }

    /// Reads the windows that hold the record, newest first, and the newest one that ends before it.
    fn find_around(&self, step: &Step<'_, K, V>, found: &mut WindowList) -> Result<(), Stop> {
        let timestamp = step.record.timestamp;
        let from = timestamp.saturating_sub(self.windows.difference_ms.saturating_mul(2));
        // One more than the time, so that the record's right window is seen on the way.
        let to = timestamp.saturating_add(1);
        let ends_before = &mut |start| self.window(start).end < timestamp;
        self.results
            .store
            .fetch_back_into(step.key, (from, to), found, ends_before)
            .map_err(|e| faults::store(&self.results.node, e).into())
    }

    /// Updates the windows that hold the record, newest first. None: there was a record at this time already, so all
    /// windows exist.
    fn update_around<'a>(
        &self,
        cx: &TaskContext,
        step: &Step<'_, K, V>,
        found: &'a WindowList,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Around<'a>>, Stop> {
        let timestamp = step.record.timestamp;
        let mut around = Around::default();
        for row in found.rows() {
            let window = self.window(row.window_start());
            let base = Base::Result(row.value, row.timestamp);
            if window.start > timestamp {
                around.right_exists = true;
            } else if window.end > timestamp {
                around.right.get_or_insert(row);
                self.update(cx, step, window, base, buffer)?;
            } else if window.end == timestamp {
                around.left_exists = true;
                self.update(cx, step, window, base, buffer)?;
                if row.timestamp >= timestamp {
                    return Ok(None);
                }
                around.previous = Some(row.timestamp);
            } else {
                around.previous = Some(row.timestamp);
                around.left = Some(row);
            }
        }
        Ok(Some(around))
    }

    /// Makes the windows that are there because of the record.
    fn make(
        &self,
        cx: &TaskContext,
        step: &Step<'_, K, V>,
        around: &Around<'_>,
        found: &WindowList,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let timestamp = step.record.timestamp;
        if let Some(previous) = around.previous {
            let right_of_previous = self.window(previous.saturating_add(1));
            if !is_among(found, right_of_previous) && right_of_previous.end >= timestamp {
                self.update(cx, step, right_of_previous, Base::Initial, buffer)?;
            }
        }
        let left = Window {
            start: timestamp.saturating_sub(self.windows.difference_ms),
            end: timestamp,
        };
        if !around.left_exists {
            let base = match (&around.left, around.previous) {
                (Some(known), Some(previous)) if left.start <= previous => Base::Result(known.value, timestamp),
                _ => Base::Initial,
            };
            self.update(cx, step, left, base, buffer)?;
        }
        self.make_right(cx, step, around)
    }
    fn make_right(&self, cx: &TaskContext, step: &Step<'_, K, V>, around: &Around<'_>) -> Result<(), Stop> {
        let timestamp = step.record.timestamp;
        match &around.right {
            Some(known) if !around.right_exists && known.timestamp > timestamp => {
                let window = self.window(timestamp.saturating_add(1));
                let place = (step.key, window);
                self.results
                    .start(cx, step.record, place, (known.value, known.timestamp))
            }
            _ => Ok(()),
        }
    }

    /// A record that is younger than the difference: its left window is `[0, difference]`.
    fn add_early(
        &self,
        cx: &TaskContext,
        step: &Step<'_, K, V>,
        found: &mut WindowList,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let timestamp = step.record.timestamp;
        self.results
            .store
            .fetch_into(step.key, 0, timestamp.saturating_add(1), found)
            .map_err(|e| faults::store(&self.results.node, e))?;
        let mut around = Around::default();
        let mut combined = None;
        for row in found.rows() {
            let start = row.window_start();
            if start == 0 {
                combined = Some(row);
                around.previous = Some(row.timestamp).filter(|previous| *previous < timestamp);
            } else if start <= timestamp {
                around.right = Some(row);
                let base = Base::Result(row.value, row.timestamp);
                self.update(cx, step, self.window(start), base, buffer)?;
            } else {
                around.right_exists = true;
            }
        }
        // No window holds the record and later ones, but there are later ones: all that are known are later.
        if around.right.is_none() {
            around.right = combined.filter(|known| known.timestamp > timestamp);
        }
        self.make_right(cx, step, &around)?;
        if let Some(previous) = around.previous {
            let right_of_previous = self.window(previous.saturating_add(1));
            if !is_among(found, right_of_previous) {
                self.update(cx, step, right_of_previous, Base::Initial, buffer)?;
            }
        }
        let base = combined.map_or(Base::Initial, |known| Base::Result(known.value, known.timestamp));
        self.update(cx, step, self.window(0), base, buffer)
    }

    fn update(
        &self,
        cx: &TaskContext,
        step: &Step<'_, K, V>,
        window: Window,
        base: Base<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if window.end < step.closed {
            self.results.drop_late(cx, step.record.timestamp, window, step.closed);
            return Ok(());
        }
        self.results.update(cx, step.record, (step.key, window), base, buffer)
    }

    /// Emits the windows that have closed since the last round.
    fn emit_closed(&self, cx: &TaskContext, record: &Record<'_, K, V>, closed: i64) -> Result<(), Stop> {
        let Some(last) = self.results.clock.due(cx, closed) else {
            return Ok(());
        };
        // Both ends of a window are inclusive.
        let upper = closed.saturating_sub(self.windows.difference_ms).saturating_sub(1);
        if upper < 0 {
            return Ok(());
        }
        let lower = if last == -1 {
            0
        } else {
            last.saturating_sub(self.windows.difference_ms).max(0)
        };
        self.results.emit(cx, record, (lower, upper), closed)
    }
}

fn is_among(found: &WindowList, window: Window) -> bool {
    found.rows().any(|row| row.window_start() == window.start)
}
