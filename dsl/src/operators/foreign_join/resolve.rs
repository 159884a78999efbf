//! Back at the primary table: an answer becomes a result if the row is still the one that asked.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, Children, ProcessError, ProcessResult, Receiver, Record, TaskContext},
    serde::{SharedSerde, write},
    table::{faults, getter::ValueGetter},
};

use super::{hash::hash128, wire::Answer};

/// Joins a row with the foreign row, if there is one.
pub(super) type Joiner<V, VO, VR> = Arc<dyn Fn(&V, Option<&VO>) -> Result<Option<VR>, BoxError> + Send + Sync>;

pub(super) struct Resolve<K, V, VO, VR> {
    pub(super) node: Arc<str>,
    pub(super) left: bool,
    pub(super) primary: Rc<dyn ValueGetter<K, V>>,
    pub(super) value: SharedSerde<V>,
    pub(super) foreign: SharedSerde<VO>,
    pub(super) joiner: Joiner<V, VO, VR>,
    pub(super) children: Children<K, Option<VR>>,
    pub(super) buffer: RefCell<Vec<u8>>,
}

impl<K, V, VO, VR> Resolve<K, V, VO, VR> {
    /// The result; None: the row has changed since, so another answer is on its way.
    fn resolve(
        &self,
        cx: &TaskContext,
        record: &Record<'_, K, Answer>,
    ) -> Result<Option<Option<VR>>, Box<ProcessError>> {
        let row = self.primary.get(cx, record.key, record.key_bytes)?.map(|(row, _)| row);
        let hash = match &row {
            None => None,
            Some(row) => {
                let mut buffer = self.buffer.borrow_mut();
                write(&*self.value, row, &mut buffer).map_err(|e| faults::write("value", &self.node, e))?;
                Some(hash128(&buffer))
            }
        };
        let Answer {
            hash: asked, foreign, ..
        } = record.value;
        if *asked != hash {
            return Ok(None);
        }
        let foreign = if foreign.is_empty() {
            None
        } else {
            let value = self.foreign.deserialize(foreign);
            Some(value.map_err(|e| faults::read(&self.node, e))?)
        };
        match &row {
            Some(row) if self.left || foreign.is_some() => cx
                .try_call(&self.node, || (self.joiner)(row, foreign.as_ref()))
                .map(Some),
            _ => Ok(Some(None)),
        }
    }
}

impl<K: 'static, V: 'static, VO: 'static, VR: 'static> Receiver<K, Answer> for Resolve<K, V, VO, VR> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, Answer>) -> ProcessResult {
        match self.resolve(cx, &record) {
            Ok(Some(result)) => self.children.forward(cx, record.with_value(&result)),
            Ok(None) => {
                cx.count_dropped();
                Ok(())
            }
            Err(error) => faults::handle(cx, error, record.timestamp, record.headers),
        }
    }
}
