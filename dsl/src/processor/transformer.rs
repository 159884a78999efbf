//! Values of a table made by something with state and time.
use millstream_state::Headers;

use crate::engine::{BoxError, PunctuationType};

use super::{ProcessorContext, Punctuation, RecordMetadata, Schedule};

/// What a transformer of values can do: everything but forward. Kafka Streams: `ProcessorContext` of a transformer.
pub struct TransformContext<'a> {
    pub(crate) inner: &'a ProcessorContext<'a, (), ()>,
    pub(crate) timestamp: i64,
    pub(crate) headers: &'a Headers,
}
impl TransformContext<'_> {
    /// Time of the row, milliseconds since the epoch; -1 where a reader of the table has found none.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }
    /// Headers of the update; empty where the table is read.
    pub fn headers(&self) -> &Headers {
        self.headers
    }
    /// Calls `punctuate` every `interval` of stream time or wall clock.
    pub fn schedule(&self, interval: std::time::Duration, kind: PunctuationType) -> Schedule {
        self.inner.schedule(interval, kind)
    }
    /// Asks for a commit soon.
    pub fn commit(&self) {
        self.inner.commit();
    }
    /// Where the update came from; None inside a punctuation, and where the table is read.
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        self.inner.record_metadata()
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    pub fn stream_time_ms(&self) -> i64 {
        self.inner.stream_time_ms()
    }
    /// Clock of this step, milliseconds since the epoch.
    pub fn wall_clock_ms(&self) -> i64 {
        self.inner.wall_clock_ms()
    }
    /// `<subtopology>_<partition>`.
    pub fn task_id(&self) -> &str {
        self.inner.task_id()
    }
    /// The handle of a store; see [`ProcessorContext::store`].
    ///
    /// # Errors
    /// When the operator is not connected to the store, or it has another kind or other types.
    pub fn store<S: crate::store::Handle>(&self, name: &str) -> Result<S, BoxError> {
        self.inner.store(name)
    }
}

/// Makes another value of each row of a table, with state and time of its own. Used by
/// [`KTable::transform_values`](crate::table::KTable::transform_values). Kafka Streams: `ValueTransformerWithKey`.
#[doc(alias = "ValueTransformerWithKey")]
pub trait ValueTransformer<K, V, VOut> {
    /// Called once, before the first row: take store handles and schedule punctuations here.
    ///
    /// # Errors
    /// Stop the task.
    fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }
    /// The value of one row; None: the row is deleted.
    ///
    /// # Errors
    /// Go to the processing handler.
    fn transform(&mut self, ctx: &TransformContext<'_>, key: &K, value: Option<&V>) -> Result<Option<VOut>, BoxError>;
    /// One run of a schedule.
    ///
    /// # Errors
    /// Go to the processing handler.
    fn punctuate(&mut self, ctx: &TransformContext<'_>, punctuation: Punctuation) -> Result<(), BoxError> {
        let _ = (ctx, punctuation);
        Ok(())
    }
    /// Called when the task closes.
    ///
    /// # Errors
    /// Are reported; the task closes all the same.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
