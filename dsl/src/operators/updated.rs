//! What becomes of an updated result per key: it is forwarded, unless the record cache forwards it or it was refused.
use crate::{
    engine::{Change, ProcessError, ProcessResult, Record, TaskContext},
    table::{
        faults,
        output::{Forwarder, Rows},
        store::Placed,
    },
};

/// The outcome of one record in an aggregation.
pub(super) struct Updated<'a, A, N> {
    pub(super) key: &'a [u8],
    pub(super) new: N,
    pub(super) old: Option<A>,
    pub(super) timestamp: i64,
    pub(super) placed: Placed,
}

/// Forwards the outcome to the readers of the table; an error goes to the processing handler. `new` shows the new result.
#[inline]
pub(super) fn forward<K, V, A, N>(
    cx: &TaskContext,
    record: &Record<'_, K, V>,
    (rows, output): (&Rows<K, A>, &Forwarder<K, A>),
    outcome: Result<Updated<'_, A, N>, Box<ProcessError>>,
    new: impl FnOnce(&N) -> Option<&A>,
) -> ProcessResult {
    match outcome {
        Err(error) => faults::handle(cx, error, record.timestamp, record.headers),
        Ok(updated) if rows.store.is_cached() || updated.placed == Placed::Refused => Ok(()),
        Ok(updated) => output.children.forward(
            cx,
            Change {
                key: record.key,
                new: new(&updated.new),
                old: updated.old.as_ref(),
                is_latest: updated.placed == Placed::Newest,
                timestamp: updated.timestamp,
                headers: record.headers,
                key_bytes: Some(updated.key),
            },
        ),
    }
}
