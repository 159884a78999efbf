//! What aggregations in windows of time have in common: one result per key and window, and how results leave.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use millstream_state::WindowStore;

use crate::{
    engine::{Change, NodeScope, ProcessError, ProcessResult, Record, TaskContext},
    grouped::fold::Fold,
    serde::write,
    table::{
        faults::{self, Stop},
        output::{Forwarder, Scratch, ScratchCell, WindowPlan},
    },
    window::{EmitStrategy, Window, Windowed},
};

/// How the results of an aggregation leave it.
#[derive(Clone, Copy)]
pub(crate) struct Emission {
    pub(crate) strategy: EmitStrategy,
    pub(crate) send_old: bool,
}

/// When closed windows were emitted last, and when they may be looked for again.
pub(crate) struct EmissionClock {
    /// -1: never. Kept in the committed metadata.
    emitted_until: Rc<Cell<i64>>,
    next: Cell<i64>,
}
impl EmissionClock {
    /// Keeps the position under the name of the store, if results are emitted on close.
    pub(crate) fn open(scope: &mut NodeScope<'_>, store: &str, strategy: EmitStrategy) -> Self {
        let emitted_until = Rc::new(Cell::new(-1));
        if strategy == EmitStrategy::OnWindowClose {
            let (get, set) = (emitted_until.clone(), emitted_until.clone());
            scope.keep_metadata(store, move || get.get(), move |time| set.set(time));
        }
        Self {
            emitted_until,
            next: Cell::new(i64::MIN),
        }
    }
    /// Until when windows have been emitted (-1: none yet), if it is time to look and time has moved on.
    pub(crate) fn due(&self, cx: &TaskContext, closed: i64) -> Option<i64> {
        let now = cx.wall_clock_ms();
        if now < self.next.get() {
            return None;
        }
        self.next.set(now.saturating_add(cx.emit_interval_ms()));
        Some(self.emitted_until.get()).filter(|last| *last == -1 || *last < closed)
    }
    pub(crate) fn emitted(&self, closed: i64) {
        self.emitted_until.set(closed);
    }
}

/// What a record is added to.
#[derive(Clone, Copy)]
pub(crate) enum Base<'a> {
    /// Nothing yet.
    Initial,
    /// A result with its timestamp.
    Result(&'a [u8], i64),
}

/// Store and output of an aggregation in windows of time.
pub(crate) struct WindowResults<K, V, A> {
    pub(crate) node: Arc<str>,
    pub(crate) plan: WindowPlan<K, A>,
    pub(crate) store: Rc<WindowStore>,
    pub(crate) emission: Emission,
    pub(crate) clock: EmissionClock,
    pub(crate) observed_time: Cell<i64>,
    fold: Fold<K, V, A>,
    output: Rc<Forwarder<Windowed<K>, A>>,
    scratch: ScratchCell,
    /// The key and the window that were forwarded last.
    last: Cell<Option<Windowed<K>>>,
    /// Whether it is the key of the record that is being processed.
    last_is_current: Cell<bool>,
}

impl<K: 'static, V: 'static, A: 'static> WindowResults<K, V, A> {
    pub(crate) fn open(
        scope: &mut NodeScope<'_>,
        fold: &Fold<K, V, A>,
        plan: &WindowPlan<K, A>,
        emission: Emission,
    ) -> Result<Self, Box<ProcessError>> {
        let (store, output) = plan.open(scope, emission)?;
        Ok(Self {
            node: scope.name().clone(),
            plan: plan.clone(),
            store,
            emission,
            clock: EmissionClock::open(scope, &plan.store, emission.strategy),
            observed_time: Cell::new(-1),
            fold: fold.clone(),
            output,
            scratch: RefCell::default(),
            last: Cell::new(None),
            last_is_current: Cell::new(false),
        })
    }

    /// Lends the key's bytes and a buffer to `f`; a failure in here goes to the handler.
    pub(crate) fn process(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        f: impl FnOnce(&[u8], &mut Vec<u8>) -> Result<(), Stop>,
    ) -> ProcessResult {
        let mut scratch = self.scratch.take();
        let Scratch { key, value } = &mut scratch;
        self.last_is_current.set(false);
        let result = self.key_bytes(record, key).map_err(Stop::Here).and_then(|key| {
            self.observed_time.set(self.observed_time.get().max(record.timestamp));
            f(key, value)
        });
        self.scratch.replace(scratch);
        result.or_else(|stop| stop.handle(cx, record.timestamp, record.headers))
    }
    fn key_bytes<'a>(&self, record: &Record<'a, K, V>, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], Box<ProcessError>> {
        match record.key_bytes {
            Some(bytes) if self.plan.reuse_key_bytes => Ok(bytes),
            _ => {
                write(&*self.plan.key, record.key, buffer).map_err(|e| faults::write("key", &self.node, e))?;
                Ok(buffer)
            }
        }
    }

    /// A window that has closed takes no record any more.
    pub(crate) fn drop_late(&self, cx: &TaskContext, timestamp: i64, window: Window, closed: i64) {
        tracing::debug!(
            node = &*self.node,
            timestamp,
            window_start = window.start,
            window_end = window.end,
            closed,
            "record of a closed window dropped"
        );
        cx.count_dropped();
    }

    fn read(&self, bytes: &[u8]) -> Result<A, Box<ProcessError>> {
        self.plan
            .value
            .deserialize(bytes)
            .map_err(|e| faults::read(&self.node, e))
    }
    /// Whether results leave with the record that makes them.
    fn at_update(&self) -> bool {
        self.emission.strategy == EmitStrategy::OnWindowUpdate && !self.store.is_cached()
    }

    /// Adds a record to a window, whose result so far is `base`. `buffer` is not what `base` lies in.
    pub(crate) fn update(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        (key, window): (&[u8], Window),
        base: Base<'_>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let (old, timestamp) = match base {
            Base::Initial => (None, record.timestamp),
            Base::Result(bytes, time) => (Some(self.read(bytes)?), time.max(record.timestamp)),
        };
        // The function takes the old result by value, so whoever wants to see it gets one read a second time.
        let shown = match base {
            _ if !self.emission.send_old || !self.at_update() => None,
            Base::Result(bytes, _) => Some(self.read(bytes)?),
            Base::Initial => self.fold.old_of_first(cx, &self.node, &self.plan.value)?,
        };
        let new = cx.try_call(&self.node, || (self.fold.apply)(record.key, record.value, old))?;
        let bytes = match new.as_ref() {
            None => None,
            Some(value) => {
                let some =
                    write(&*self.plan.value, value, buffer).map_err(|e| faults::write("value", &self.node, e))?;
                some.then_some(buffer.as_slice())
            }
        };
        self.put(cx, record, (key, window), bytes, timestamp)?;
        self.forward_update(cx, record, (key, window), (new.as_ref(), shown.as_ref()), timestamp)
    }
    /// Starts a window with a result that is known.
    pub(crate) fn start(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        place: (&[u8], Window),
        result: (&[u8], i64),
    ) -> Result<(), Stop> {
        let (bytes, timestamp) = result;
        self.put(cx, record, place, Some(bytes), timestamp)?;
        if !self.at_update() {
            return Ok(());
        }
        let value = self.read(bytes)?;
        self.forward_update(cx, record, place, (Some(&value), None), timestamp)
    }
    fn put(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        (key, window): (&[u8], Window),
        value: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<(), Box<ProcessError>> {
        let context = cx.update_context(record.timestamp, record.headers);
        let kept = self
            .store
            .put(key, value, window.start, timestamp, &context)
            .map_err(|e| faults::store(&self.node, e))?;
        if !kept {
            cx.count_dropped();
        }
        Ok(())
    }

    fn forward_update(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        place: (&[u8], Window),
        values: (Option<&A>, Option<&A>),
        timestamp: i64,
    ) -> Result<(), Stop> {
        if !self.at_update() {
            return Ok(());
        }
        let (key, window) = place;
        let windowed = self.last_windowed(key, window)?;
        let result = self.forward(cx, record, &windowed, values, timestamp);
        self.last.set(Some(windowed));
        self.last_is_current.set(true);
        result
    }
    /// A record that changes several windows is told to all of them with one key, whose buffer serves the next record.
    fn last_windowed(&self, bytes: &[u8], window: Window) -> Result<Windowed<K>, Box<ProcessError>> {
        let Some(mut last) = self.last.take() else {
            return self.windowed(bytes, window);
        };
        if !self.last_is_current.get() {
            let read = self.plan.key.deserialize_into(bytes, &mut last.key);
            read.map_err(|e| faults::read(&self.node, e))?;
        }
        last.window = window;
        Ok(last)
    }
    /// The windowed key owns its key, so it is read from the key's bytes.
    fn windowed(&self, key: &[u8], window: Window) -> Result<Windowed<K>, Box<ProcessError>> {
        let key = self.plan.key.deserialize(key);
        let key = key.map_err(|e| faults::read(&self.node, e))?;
        Ok(Windowed { key, window })
    }
    fn forward(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        key: &Windowed<K>,
        (new, old): (Option<&A>, Option<&A>),
        timestamp: i64,
    ) -> Result<(), Stop> {
        let change = Change {
            key,
            new,
            old,
            is_latest: true,
            timestamp,
            headers: record.headers,
            key_bytes: None,
        };
        self.output.children.forward(cx, change).map_err(Stop::Behind)
    }

    /// Emits the windows that start in a range, which have closed, in the order of their start, however the store keeps
    /// them.
    pub(crate) fn emit(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        starts: (i64, i64),
        closed: i64,
    ) -> Result<(), Stop> {
        let rows = self.store.fetch_closed(starts.0, starts.1);
        let mut rows = rows.map_err(|e| faults::store(&self.node, e))?;
        rows.sort_by(|a, b| (a.start, &a.key).cmp(&(b.start, &b.key)));
        for row in rows {
            let value = self.read(&row.value)?;
            let window = Window {
                start: row.start,
                end: row.start.saturating_add(self.plan.size_ms),
            };
            let windowed = self.windowed(&row.key, window)?;
            self.forward(cx, record, &windowed, (Some(&value), None), row.timestamp)?;
        }
        self.clock.emitted(closed);
        Ok(())
    }
}
