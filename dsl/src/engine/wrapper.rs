//! What runs around every operator of a topology, without being part of it?
use std::{any::Any, rc::Rc, sync::Arc};

use millstream_state::Headers;

use super::{
    Change, ProcessResult, PunctuationType, Punctuator, Receiver, Record, StreamPort, TablePort, TableReceiver,
    TaskContext,
};

/// A record or an update of a table as a wrapper sees it. Types are known to those who know the operator.
pub struct WrappedRecord<'a> {
    key: &'a dyn Any,
    value: Option<&'a dyn Any>,
    old_value: Option<&'a dyn Any>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers of the record, or of the one that caused the update.
    pub headers: &'a Headers,
}
impl WrappedRecord<'_> {
    /// The key, if it is a `K`.
    pub fn key<K: 'static>(&self) -> Option<&K> {
        self.key.downcast_ref()
    }
    /// The value, or the row after the update, if it is a `V`. None: deleted, or another type.
    pub fn value<V: 'static>(&self) -> Option<&V> {
        self.value?.downcast_ref()
    }
    /// The row before the update, if it is a `V` and somebody behind asked for it.
    pub fn old_value<V: 'static>(&self) -> Option<&V> {
        self.old_value?.downcast_ref()
    }
}

/// Runs around one operator of one task.
pub trait Around {
    /// Sees one record. `process` is the operator and everything behind it: call it once, or not at all to skip the
    /// record; its error has passed the handlers, hand it on.
    ///
    /// # Errors
    /// Those of `process`; any error stops the task.
    fn around(
        &self,
        cx: &TaskContext,
        record: &WrappedRecord<'_>,
        process: &mut dyn FnMut() -> ProcessResult,
    ) -> ProcessResult;

    /// Sees one run of a schedule of the operator. `run` is the function with everything it forwards to: call it once, or
    /// not at all to skip the run; its error has passed the handlers, hand it on. Default: calls it.
    ///
    /// # Errors
    /// Those of `run`; any error stops the task.
    fn around_punctuation(
        &self,
        cx: &TaskContext,
        punctuation: WrappedPunctuation,
        run: &mut dyn FnMut() -> ProcessResult,
    ) -> ProcessResult {
        let _ = (cx, punctuation);
        run()
    }
}

/// A run of a schedule as a wrapper sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedPunctuation {
    /// Stream time or wall clock, milliseconds since the epoch.
    pub timestamp: i64,
    /// Which of the two.
    pub kind: PunctuationType,
}

/// A schedule's function with what is around its operator.
pub(super) fn around_punctuator(
    name: Arc<str>,
    around: Rc<dyn Around>,
    kind: PunctuationType,
    punctuator: Punctuator,
) -> Punctuator {
    Rc::new(move |cx, timestamp| {
        let punctuation = WrappedPunctuation { timestamp, kind };
        let run = &mut || punctuator(cx, timestamp);
        match cx.call(&name, || around.around_punctuation(cx, punctuation, run)) {
            Ok(result) => result,
            // A panic of the wrapper itself: those of operators have been caught.
            Err(error) => cx.processing_failed(error, timestamp, cx.no_headers()),
        }
    })
}

/// Puts something around the operators of a topology: to measure, trace or check them. Kafka Streams: `ProcessorWrapper`.
///
/// It is asked for each operator of each task, those of the DSL included, but not for sources and sinks.
#[doc(alias = "processor.wrapper.class")]
pub trait ProcessorWrapper: Send + Sync {
    /// What runs around the operator of this name; None: nothing.
    fn wrap(&self, operator: &Arc<str>, task_id: &str) -> Option<Rc<dyn Around>>;
}
impl<F> ProcessorWrapper for F
where
    F: Fn(&Arc<str>, &str) -> Option<Rc<dyn Around>> + Send + Sync,
{
    fn wrap(&self, operator: &Arc<str>, task_id: &str) -> Option<Rc<dyn Around>> {
        self(operator, task_id)
    }
}

/// An operator with something around it.
pub(super) struct Wrapped<P> {
    pub(super) name: Arc<str>,
    pub(super) around: Rc<dyn Around>,
    pub(super) inner: P,
}
impl<P> Wrapped<P> {
    fn run(
        &self,
        cx: &TaskContext,
        record: &WrappedRecord<'_>,
        process: &mut dyn FnMut() -> ProcessResult,
    ) -> ProcessResult {
        match cx.call(&self.name, || self.around.around(cx, record, process)) {
            Ok(result) => result,
            // A panic of the wrapper itself: those of operators have been caught.
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}
impl<K: 'static, V: 'static> Receiver<K, V> for Wrapped<StreamPort<K, V>> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let seen = WrappedRecord {
            key: record.key,
            value: Some(record.value),
            old_value: None,
            timestamp: record.timestamp,
            headers: record.headers,
        };
        self.run(cx, &seen, &mut || self.inner.receive(cx, record))
    }
}
impl<K: 'static, V: 'static> TableReceiver<K, V> for Wrapped<TablePort<K, V>> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        let seen = WrappedRecord {
            key: change.key,
            value: change.new.map(|value| value as &dyn Any),
            old_value: change.old.map(|value| value as &dyn Any),
            timestamp: change.timestamp,
            headers: change.headers,
        };
        self.run(cx, &seen, &mut || self.inner.receive_change(cx, change))
    }
}
