//! Who takes a record: the typed edges of a task's graph. Erased once, when the task is built; a hop is one virtual call.
use std::rc::Rc;

use millstream_state::Headers;

use super::{Change, ProcessError, ProcessResult, Record, TaskContext, error::Stage};

/// Takes the records of a stream.
pub trait Receiver<K, V> {
    /// Takes one record and everything that follows from it, depth first.
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult;
}
/// Takes the updates of a table.
pub trait TableReceiver<K, V> {
    /// Takes one update and everything that follows from it, depth first.
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult;
}

/// A shared edge of a stream.
pub type StreamPort<K, V> = Rc<dyn Receiver<K, V>>;
/// A shared edge of a table.
pub type TablePort<K, V> = Rc<dyn TableReceiver<K, V>>;

/// The operators behind an operator, in the order in which they were added.
pub enum Children<K, V> {
    /// Nobody listens.
    None,
    /// The common case.
    One(StreamPort<K, V>),
    /// Several: each gets the same references.
    Many(Box<[StreamPort<K, V>]>),
}

impl<K, V> Children<K, V> {
    /// Sorts the number of ports into the cheapest form.
    pub fn new(mut ports: Vec<StreamPort<K, V>>) -> Self {
        match ports.len() {
            0 => Self::None,
            1 => ports.pop().map_or(Self::None, Self::One),
            _ => Self::Many(ports.into()),
        }
    }
    /// Gives the record to every child.
    #[inline]
    pub fn forward(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match self {
            Self::None => Ok(()),
            Self::One(port) => deliver(cx, port, record),
            Self::Many(ports) => forward_to_all(cx, record, ports.iter()),
        }
    }
}

/// Gives a record to an operator, and deals with an error of a sink behind it: the operator does not go on with the record,
/// and the processing handler decides whether anybody does. An error of a sink right behind a source stops the task. Both
/// as in Kafka Streams, where sinks are no processors.
#[inline]
pub(crate) fn deliver<K, V>(cx: &TaskContext, port: &StreamPort<K, V>, record: Record<'_, K, V>) -> ProcessResult {
    let result = port.receive(cx, record);
    result.or_else(|error| settle(cx, error, record.timestamp, record.headers))
}

#[cold]
pub(crate) fn settle(
    cx: &TaskContext,
    mut error: Box<ProcessError>,
    timestamp: i64,
    headers: &Headers,
) -> ProcessResult {
    match error.stage {
        Stage::Settled => Err(error),
        Stage::InSink => {
            error.stage = Stage::InFrontOfSink;
            Err(error)
        }
        Stage::InFrontOfSink => {
            error.stage = Stage::Settled;
            cx.processing_failed(error, timestamp, headers)
        }
    }
}

/// Gives a record to several operators. They see what one of them does to its headers, as it is one record.
pub(crate) fn forward_to_all<'p, K: 'p, V: 'p>(
    cx: &TaskContext,
    record: Record<'_, K, V>,
    mut ports: impl Iterator<Item = &'p StreamPort<K, V>>,
) -> ProcessResult {
    if record.is_copy && cx.headers_may_change() {
        let headers = record.headers.clone();
        return ports.try_for_each(|port| deliver(cx, port, record.with_own_headers(&headers)));
    }
    ports.try_for_each(|port| deliver(cx, port, record))
}

/// The operators behind a table, in the order in which they were added.
pub enum TableChildren<K, V> {
    /// Nobody listens.
    None,
    /// The common case.
    One(TablePort<K, V>),
    /// Several: each gets the same references.
    Many(Box<[TablePort<K, V>]>),
}

impl<K, V> TableChildren<K, V> {
    /// Sorts the number of ports into the cheapest form.
    pub fn new(mut ports: Vec<TablePort<K, V>>) -> Self {
        match ports.len() {
            0 => Self::None,
            1 => ports.pop().map_or(Self::None, Self::One),
            _ => Self::Many(ports.into()),
        }
    }
    /// Gives the update to every child.
    #[inline]
    pub fn forward(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        match self {
            Self::None => Ok(()),
            Self::One(port) => deliver_change(cx, port, change),
            Self::Many(ports) => ports.iter().try_for_each(|port| deliver_change(cx, port, change)),
        }
    }
}

/// [`deliver`] for an update of a table.
#[inline]
fn deliver_change<K, V>(cx: &TaskContext, port: &TablePort<K, V>, change: Change<'_, K, V>) -> ProcessResult {
    let result = port.receive_change(cx, change);
    result.or_else(|error| settle(cx, error, change.timestamp, change.headers))
}
