//! Where records enter: a source decodes key and value once.
use std::rc::Rc;

use millstream_state::Headers;

use super::{NodeScope, ProcessError, ProcessResult, RawRecord, TaskContext};

/// The entry of a source topic in a task.
pub trait SourcePort {
    /// Timestamp by the extractor of the source; negative: skip the record.
    fn extract_timestamp(
        &self,
        cx: &TaskContext,
        record: &RawRecord<'_>,
        partition_time: i64,
    ) -> Result<i64, Box<ProcessError>>;
    /// Whether the bytes can be decoded.
    fn can_read(&self, cx: &TaskContext, record: &RawRecord<'_>) -> bool;
    /// Decodes and forwards. Advances the stream time of the task once the record has been read.
    fn process(&self, cx: &TaskContext, record: &RawRecord<'_>, timestamp: i64, headers: &Headers) -> ProcessResult;
}

/// Makes the source of one node for one task.
pub trait SourceFactory: Send + Sync {
    /// Makes the source; its children exist already.
    fn instantiate(&self, scope: &mut NodeScope<'_>) -> Result<Rc<dyn SourcePort>, Box<ProcessError>>;
}
impl<F> SourceFactory for F
where
    F: Fn(&mut NodeScope<'_>) -> Result<Rc<dyn SourcePort>, Box<ProcessError>> + Send + Sync,
{
    fn instantiate(&self, scope: &mut NodeScope<'_>) -> Result<Rc<dyn SourcePort>, Box<ProcessError>> {
        self(scope)
    }
}
