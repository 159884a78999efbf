//! One side of a stream-stream join: a record meets the records of the other stream in its window.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use millstream_state::{RowList, WindowList, WindowStore};

use crate::{
    engine::{BoxError, Children, NodeFactory, ProcessError, ProcessResult, Receiver, Record, TaskContext, port},
    serde::{SharedSerde, read_into, write},
    stream::factory,
    table::{faults, getter},
    window::JoinWindows,
};

use super::stream_join_outer::{JoinSide, JoinTime, Waiting, WaitingRow, count, in_key_order, split_row, values};

/// Key, this side's value, the other's value. At least one value is there.
pub(crate) type Joiner<K, V, VO, VR> = Arc<dyn Fn(&K, Option<&V>, Option<&VO>) -> Result<VR, BoxError> + Send + Sync>;

/// Everything a side is made of; the same for all tasks.
pub(crate) struct SidePlan<K, V, VO, VR> {
    pub(crate) side: JoinSide,
    /// Whether a record of this side without a partner has a result.
    pub(crate) outer: bool,
    /// As seen from this side.
    pub(crate) windows: JoinWindows,
    pub(crate) key: SharedSerde<K>,
    pub(crate) reuse_key_bytes: bool,
    pub(crate) value: SharedSerde<V>,
    pub(crate) other_value: SharedSerde<VO>,
    pub(crate) other_store: Arc<str>,
    pub(crate) waiting_store: Option<Arc<str>>,
    /// Name under which both sides find their common time.
    pub(crate) join: Arc<str>,
    pub(crate) joiner: Joiner<K, V, VO, VR>,
}

pub(crate) fn side_factory<K: 'static, V: 'static, VO: 'static, VR: 'static>(
    plan: SidePlan<K, V, VO, VR>,
) -> Arc<dyn NodeFactory> {
    let plan = Arc::new(plan);
    factory(move |scope| {
        let waiting = match &plan.waiting_store {
            Some(name) => Some(Waiting {
                node: scope.name().clone(),
                store: getter::key_value(scope, name)?,
            }),
            None => None,
        };
        Ok(port(Side {
            node: scope.name().clone(),
            plan: plan.clone(),
            other: getter::window(scope, &plan.other_store)?,
            waiting,
            time: scope.context().shared::<JoinTime>(&plan.join),
            children: scope.children()?,
            buffers: Cell::default(),
        }))
    })
}

/// How many waiting rows are read at first, and at most at once.
const ROWS: (usize, usize) = (16, 1_024);

struct Buffers<K, V, VO> {
    key: Vec<u8>,
    met: (Vec<u8>, Vec<u8>),
    partners: WindowList,
    waiting: RowList,
    /// What was read last, so that the next value finds memory.
    read: Read<K, V, VO>,
}

struct Read<K, V, VO> {
    key: Option<K>,
    own: Option<V>,
    other: Option<VO>,
}

impl<K, V, VO> Default for Buffers<K, V, VO> {
    fn default() -> Self {
        Self {
            key: Vec::new(),
            met: Default::default(),
            partners: WindowList::default(),
            waiting: RowList::default(),
            read: Read {
                key: None,
                own: None,
                other: None,
            },
        }
    }
}

struct Side<K, V, VO, VR> {
    node: Arc<str>,
    plan: Arc<SidePlan<K, V, VO, VR>>,
    other: Rc<WindowStore>,
    waiting: Option<Waiting>,
    time: Rc<JoinTime>,
    children: Children<K, VR>,
    /// Taken while they are in use.
    buffers: Cell<Option<Box<Buffers<K, V, VO>>>>,
}

/// Failed in here, or behind, where handlers have been asked already.
pub(crate) enum Stop {
    Here(Box<ProcessError>),
    Behind(Box<ProcessError>),
}
impl From<Box<ProcessError>> for Stop {
    fn from(error: Box<ProcessError>) -> Self {
        Self::Here(error)
    }
}

impl<K: 'static, V: 'static, VO: 'static, VR: 'static> Receiver<K, V> for Side<K, V, VO, VR> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let mut buffers = self.buffers.take().unwrap_or_default();
        let result = self.join(cx, &record, &mut buffers);
        self.buffers.set(Some(buffers));
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Here(error)) => faults::handle(cx, error, record.timestamp, record.headers),
            Err(Stop::Behind(error)) => Err(error),
        }
    }
}

impl<K: 'static, V: 'static, VO: 'static, VR: 'static> Side<K, V, VO, VR> {
    fn join(&self, cx: &TaskContext, record: &Record<'_, K, V>, buffers: &mut Buffers<K, V, VO>) -> Result<(), Stop> {
        let plan = &*self.plan;
        self.time
            .stream_time
            .set(self.time.stream_time.get().max(record.timestamp));
        let (null_key, null_value) = (plan.key.is_null(record.key), plan.value.is_null(record.value));
        if plan.outer && null_key && !null_value {
            return self.forward(cx, record, None, record.timestamp);
        }
        if null_key || null_value {
            cx.count_dropped();
            return Ok(());
        }
        if record.timestamp == self.time.stream_time.get() {
            self.emit_unmatched(cx, record, buffers)?;
        }
        let Buffers {
            key: key_buffer,
            met,
            partners,
            read,
            ..
        } = buffers;
        let key = match record.key_bytes {
            Some(bytes) if plan.reuse_key_bytes => bytes,
            _ => {
                write(&*plan.key, record.key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
                key_buffer.as_slice()
            }
        };
        let from = record.timestamp.saturating_sub(plan.windows.before_ms).max(0);
        let to = record.timestamp.saturating_add(plan.windows.after_ms).max(0);
        let mut alone = true;
        self.other
            .fetch_into(key, from, to, partners)
            .map_err(|e| faults::store(&self.node, e))?;
        let waiting = self.waiting.as_ref();
        let waiting = waiting.map(|waiting| (waiting, cx.update_context(record.timestamp, record.headers)));
        for (time, value) in partners.iter() {
            alone = false;
            if let Some((waiting, context)) = &waiting {
                waiting.met((time, plan.side.other(), key), context, met)?;
            }
            read_into(&*plan.other_value, Some(value), &mut read.other).map_err(|e| faults::read(&self.node, e))?;
            self.forward(cx, record, read.other.as_ref(), record.timestamp.max(time))?;
        }
        if !(alone && plan.outer) {
            return Ok(());
        }
        match &waiting {
            // A partner can still come.
            Some((waiting, context)) if to >= self.time.stream_time.get() => {
                let value = (record.value, &*plan.value);
                Ok(waiting.add(&self.time, (plan.side, key), value, context, met)?)
            }
            _ => self.forward(cx, record, None, record.timestamp),
        }
    }

    fn forward(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        other: Option<&VO>,
        timestamp: i64,
    ) -> Result<(), Stop> {
        let result = cx.try_call(&self.node, || (self.plan.joiner)(record.key, Some(record.value), other))?;
        self.children
            .forward(cx, record.with_value(&result).with_timestamp(timestamp))
            .map_err(Stop::Behind)
    }

    /// Whether a record of this time can still meet a partner that is so much later. The sum wraps as in Kafka Streams: with no
    /// record known (`i64::MAX`) it looks into the store all the same, and that look counts for the throttle.
    fn is_open(&self, time: i64, ahead: i64) -> bool {
        time.wrapping_add(ahead).wrapping_add(self.plan.windows.grace_ms) >= self.time.stream_time.get()
    }

    /// Results of records whose window has closed without a partner, earliest first.
    fn emit_unmatched(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        buffers: &mut Buffers<K, V, VO>,
    ) -> Result<(), Stop> {
        let Some(waiting) = &self.waiting else { return Ok(()) };
        if self.is_open(self.time.earliest.get(), self.plan.windows.after_ms) {
            return Ok(());
        }
        if cx.wall_clock_ms() < self.time.next_emission.get() {
            return Ok(());
        }
        self.time
            .next_emission
            .set(cx.wall_clock_ms().saturating_add(cx.emit_interval_ms()));
        self.time.earliest.set(i64::MAX);
        if self.time.empty.replace(true) {
            return Ok(());
        }
        self.emit_rows(cx, record, waiting, buffers)
    }

    /// Goes through the waiting rows up to the first ones, of both sides, that can still meet a partner.
    fn emit_rows(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        waiting: &Waiting,
        buffers: &mut Buffers<K, V, VO>,
    ) -> Result<(), Stop> {
        let Buffers {
            key: from,
            waiting: list,
            read,
            ..
        } = buffers;
        let windows = &self.plan.windows;
        let context = cx.update_context(record.timestamp, record.headers);
        // How long a row of each side waits, as the left side sees the window.
        let (left_ahead, right_ahead) = match self.plan.side {
            JoinSide::Left => (windows.after_ms, windows.before_ms),
            JoinSide::Right => (windows.before_ms, windows.after_ms),
        };
        let (mut left_open, mut right_open) = (false, false);
        let mut rows_from = None;
        from.clear();
        from.extend_from_slice(&self.time.rows_from.get().to_be_bytes());
        let (mut rows, most) = ROWS;
        'all: loop {
            waiting.list(from, rows, list)?;
            let mut last = None;
            for (row_key, row) in list.iter() {
                last = Some(row_key);
                let place = split_row(row_key).map_err(|e| faults::read(&self.node, e))?;
                self.time.earliest.set(place.time);
                self.time.empty.set(false);
                if left_open && right_open {
                    break 'all;
                }
                let (ahead, is_open) = match place.side {
                    JoinSide::Left => (left_ahead, &mut left_open),
                    JoinSide::Right => (right_ahead, &mut right_open),
                };
                if self.is_open(place.time, ahead) {
                    *is_open = true;
                    rows_from.get_or_insert(place.time);
                    // Kafka Streams meets each value of a row, and ends at the first one behind both.
                    if left_open && right_open && count(row).map_err(|e| faults::read(&self.node, e))? > 1 {
                        break 'all;
                    }
                    continue;
                }
                self.emit_row(cx, record, &place, row, read)?;
                // Only when all its values are out: a failure before repeats them instead of losing them.
                waiting.remove(row_key, &context)?;
            }
            let Some(last) = last else { break };
            from.clear();
            from.extend_from_slice(last);
            // The next key there can be.
            from.push(0);
            rows = (rows * 4).min(most);
        }
        self.time.rows_from.set(rows_from.map_or(u64::MAX, in_key_order));
        Ok(())
    }

    /// The results of a row without a partner.
    fn emit_row(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        place: &WaitingRow<'_>,
        row: &[u8],
        Read { key, own, other }: &mut Read<K, V, VO>,
    ) -> Result<(), Stop> {
        let plan = &*self.plan;
        let fault = |e| faults::read(&self.node, e);
        read_into(&*plan.key, Some(place.key), key).map_err(fault)?;
        let Some(key) = key else { return Ok(()) };
        for value in values(row).map_err(fault)? {
            let value = Some(value.map_err(fault)?);
            let alone = if place.side == plan.side {
                read_into(&*plan.value, value, own).map_err(fault)?;
                (own.as_ref(), None)
            } else {
                read_into(&*plan.other_value, value, other).map_err(fault)?;
                (None, other.as_ref())
            };
            let result = cx.try_call(&self.node, || (plan.joiner)(key, alone.0, alone.1))?;
            let unmatched = Record {
                key: &*key,
                value: &result,
                timestamp: place.time,
                headers: record.headers,
                key_bytes: plan.reuse_key_bytes.then_some(place.key),
                is_copy: true,
            };
            self.children.forward(cx, unmatched).map_err(Stop::Behind)?;
        }
        Ok(())
    }
}

/// Keeps the records of one stream for the other: a record first looks for its partners, then waits for others.
struct Remember<K, V> {
    node: Arc<str>,
    key: SharedSerde<K>,
    reuse_key_bytes: bool,
    value: SharedSerde<V>,
    store: Rc<WindowStore>,
    children: Children<K, V>,
    buffers: RefCell<(Vec<u8>, Vec<u8>)>,
}

pub(crate) fn remember_factory<K: 'static, V: 'static>(
    key: SharedSerde<K>,
    reuse_key_bytes: bool,
    value: SharedSerde<V>,
    store: Arc<str>,
) -> Arc<dyn NodeFactory> {
    factory(move |scope| {
        Ok(port(Remember {
            node: scope.name().clone(),
            key: key.clone(),
            reuse_key_bytes,
            value: value.clone(),
            store: getter::window(scope, &store)?,
            children: scope.children()?,
            buffers: RefCell::default(),
        }))
    })
}

impl<K, V> Remember<K, V> {
    fn put(&self, cx: &TaskContext, record: &Record<'_, K, V>) -> Result<(), Box<ProcessError>> {
        let mut buffers = self.buffers.borrow_mut();
        let (key_buffer, value_buffer) = &mut *buffers;
        let key = match record.key_bytes {
            Some(bytes) if self.reuse_key_bytes => bytes,
            _ => {
                write(&*self.key, record.key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
                key_buffer.as_slice()
            }
        };
        let some =
            write(&*self.value, record.value, value_buffer).map_err(|e| faults::write("value", &self.node, e))?;
        let context = cx.update_context(record.timestamp, record.headers);
        let value = some.then_some(value_buffer.as_slice());
        let kept = self
            .store
            .put(key, value, record.timestamp, record.timestamp, &context)
            .map_err(|e| faults::store(&self.node, e))?;
        if !kept {
            cx.count_dropped();
        }
        Ok(())
    }
}

impl<K, V> Receiver<K, V> for Remember<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        self.children.forward(cx, record)?;
        if self.key.is_null(record.key) {
            return Ok(());
        }
        self.put(cx, &record)
            .or_else(|error| faults::handle(cx, error, record.timestamp, record.headers))
    }
}
