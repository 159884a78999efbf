//! A stream joined with itself, with one store instead of two: the same results in the same order.
//!
//! Each record meets what came before it, once as the left and once as the right record, and itself.
use std::{any::Any, cell::Cell, rc::Rc, sync::Arc};

use millstream_state::{WindowList, WindowStore};

use crate::{
    engine::{
        Children, NodeFactory, ProcessError, ProcessErrorKind, ProcessResult, Receiver, Record, TaskContext, port,
    },
    serde::{SharedSerde, read_into, write},
    stream::factory,
    table::{faults, getter},
    window::JoinWindows,
};

use super::stream_join_side::{Joiner, Stop};

/// Everything a self-join is made of. `V` and `VO` are one type, which the two sides of a join do not know.
pub(crate) struct SelfJoinPlan<K, V, VO, VR> {
    pub(crate) windows: JoinWindows,
    pub(crate) key: SharedSerde<K>,
    pub(crate) reuse_key_bytes: bool,
    pub(crate) value: SharedSerde<V>,
    pub(crate) other_value: SharedSerde<VO>,
    pub(crate) store: Arc<str>,
    pub(crate) joiner: Joiner<K, V, VO, VR>,
}

pub(crate) fn self_join_factory<K: 'static, V: 'static, VO: 'static, VR: 'static>(
    plan: SelfJoinPlan<K, V, VO, VR>,
) -> Arc<dyn NodeFactory> {
    let plan = Arc::new(plan);
    factory(move |scope| {
        Ok(port(SelfJoin {
            node: scope.name().clone(),
            plan: plan.clone(),
            store: getter::window(scope, &plan.store)?,
            stream_time: Cell::new(i64::MIN),
            children: scope.children()?,
            buffers: Cell::default(),
        }))
    })
}

struct Buffers<V, VO> {
    key: Vec<u8>,
    /// The records around.
    others: WindowList,
    /// What was read last, so that the next value finds memory.
    left: Option<V>,
    right: Option<VO>,
}

impl<V, VO> Default for Buffers<V, VO> {
    fn default() -> Self {
        Self {
            key: Vec::new(),
            others: WindowList::default(),
            left: None,
            right: None,
        }
    }
}

struct SelfJoin<K, V, VO, VR> {
    node: Arc<str>,
    plan: Arc<SelfJoinPlan<K, V, VO, VR>>,
    store: Rc<WindowStore>,
    stream_time: Cell<i64>,
    children: Children<K, VR>,
    /// Taken while they are in use.
    buffers: Cell<Option<Box<Buffers<V, VO>>>>,
}

impl<K: 'static, V: 'static, VO: 'static, VR: 'static> Receiver<K, V> for SelfJoin<K, V, VO, VR> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        if self.plan.key.is_null(record.key) || self.plan.value.is_null(record.value) {
            cx.count_dropped();
            return Ok(());
        }
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

impl<K: 'static, V: 'static, VO: 'static, VR: 'static> SelfJoin<K, V, VO, VR> {
    fn join(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, V>,
        Buffers {
            key: key_buffer,
            others,
            left,
            right,
        }: &mut Buffers<V, VO>,
    ) -> Result<(), Stop> {
        let plan = &*self.plan;
        let now = self.stream_time.get().max(record.timestamp);
        self.stream_time.set(now);
        // Computed before the others, as in Kafka Streams: a joiner that fails does so before any result is out.
        let own: &dyn Any = record.value;
        let Some(as_other) = own.downcast_ref::<VO>() else {
            let message = "the two sides of the self-join have different types";
            return Err(ProcessError::new(ProcessErrorKind::Other, &self.node, message).into());
        };
        let with_itself = self.call(cx, record.key, record.value, as_other)?;
        let expired = record.timestamp <= now.saturating_sub(plan.windows.retention_ms()).saturating_add(1);
        let mut itself_is_out = expired;
        let key = match record.key_bytes {
            Some(bytes) if plan.reuse_key_bytes => bytes,
            _ => {
                write(&*plan.key, record.key, key_buffer).map_err(|e| faults::write("key", &self.node, e))?;
                key_buffer.as_slice()
            }
        };
        let (before, after) = (plan.windows.before_ms, plan.windows.after_ms);
        self.fetch(key, record.timestamp, (before, after), others)?;
        for (time, value) in others.iter() {
            read_into(&*plan.other_value, Some(value), right).map_err(|e| faults::read(&self.node, e))?;
            let Some(other) = right else { continue };
            let result = self.call(cx, record.key, record.value, other)?;
            self.forward(cx, record, &result, record.timestamp.max(time))?;
        }
        if before != after {
            self.fetch(key, record.timestamp, (after, before), others)?;
        }
        for (time, value) in others.iter() {
            if record.timestamp < time && !itself_is_out {
                itself_is_out = true;
                self.forward(cx, record, &with_itself, record.timestamp)?;
            }
            read_into(&*plan.value, Some(value), left).map_err(|e| faults::read(&self.node, e))?;
            let Some(other) = left else { continue };
            let result = self.call(cx, record.key, other, as_other)?;
            self.forward(cx, record, &result, record.timestamp.max(time))?;
        }
        if !itself_is_out {
            self.forward(cx, record, &with_itself, record.timestamp)?;
        }
        Ok(())
    }

    /// The records of a key from so long before a time until so long after it.
    fn fetch(&self, key: &[u8], time: i64, (before, after): (i64, i64), list: &mut WindowList) -> Result<(), Stop> {
        let (from, to) = (time.saturating_sub(before).max(0), time.saturating_add(after).max(0));
        let fetched = self.store.fetch_into(key, from, to, list);
        fetched.map_err(|e| Stop::Here(faults::store(&self.node, e)))
    }

    fn call(&self, cx: &TaskContext, key: &K, left: &V, right: &VO) -> Result<VR, Box<ProcessError>> {
        cx.try_call(&self.node, || (self.plan.joiner)(key, Some(left), Some(right)))
    }

    fn forward(&self, cx: &TaskContext, record: &Record<'_, K, V>, result: &VR, timestamp: i64) -> Result<(), Stop> {
        self.children
            .forward(cx, record.with_value(result).with_timestamp(timestamp))
            .map_err(Stop::Behind)
    }
}
