//! What operators of one task share: objects by name, and how often results that wait for time may be looked for.
use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use super::{TaskContext, TaskGraph};

/// Kafka Streams: `__emit.interval.ms.kstreams.windowed.aggregation__` and `..outer.join.spurious.results.fix__`.
const EMIT_INTERVAL_MS: i64 = 1_000;

pub(super) struct SharedObjects {
    objects: RefCell<HashMap<String, Rc<dyn Any>>>,
    emit_interval_ms: Cell<i64>,
}
impl Default for SharedObjects {
    fn default() -> Self {
        Self {
            objects: RefCell::default(),
            emit_interval_ms: Cell::new(EMIT_INTERVAL_MS),
        }
    }
}

impl TaskContext {
    /// The object of this name, made at the first call. One name has one type; another type gives an object of its own.
    pub(crate) fn shared<T: Default + 'static>(&self, name: &str) -> Rc<T> {
        let name = format!("{name}/{}", std::any::type_name::<T>());
        let mut objects = self.shared.objects.borrow_mut();
        let object = objects.entry(name).or_insert_with(|| Rc::new(T::default())).clone();
        object.downcast().unwrap_or_default()
    }
    /// Least time between two looks for results that wait for time to pass, in milliseconds of the wall clock.
    pub(crate) fn emit_interval_ms(&self) -> i64 {
        self.shared.emit_interval_ms.get()
    }
}

impl TaskGraph {
    /// Least time between two rounds of emission of closed windows and of unmatched join results, in milliseconds of
    /// the wall clock. Default: 1000; test drivers set 0 and see each result with the record that makes it due.
    pub fn set_emit_interval_ms(&self, interval_ms: i64) {
        self.context.shared.emit_interval_ms.set(interval_ms);
    }
}
