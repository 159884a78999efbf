//! What a processor can do: forward, schedule, ask for a commit, reach its stores, know where a record came from.
use std::{rc::Rc, time::Duration};

use crate::{
    engine::{
        BoxError, Cancellable, ProcessError, ProcessErrorKind, PunctuationType, Record, TaskContext,
        receiver::forward_to_all,
    },
    store::Handle,
};

use super::node::Connected;

/// Why a record was not forwarded. Return it with `?`: what failed downstream has already been handled there.
#[derive(Debug)]
pub struct ForwardError {
    pub(crate) error: Box<ProcessError>,
    /// Whether the processing handler has seen it.
    pub(crate) handled: bool,
}
impl ForwardError {
    fn downstream(error: Box<ProcessError>) -> Self {
        Self { error, handled: true }
    }
    pub(crate) fn here(error: Box<ProcessError>) -> Self {
        Self { error, handled: false }
    }
    /// What went wrong.
    pub fn kind(&self) -> ProcessErrorKind {
        self.error.kind
    }
}
impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}
impl std::error::Error for ForwardError {}

/// Where the record being processed came from. Kafka Streams: `RecordMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Source topic.
    pub topic: Rc<str>,
    /// Source partition.
    pub partition: i32,
    /// Source offset.
    pub offset: i64,
}

impl RecordMetadata {
    pub(crate) fn of(cx: &TaskContext) -> Option<Self> {
        Some(Self {
            topic: cx.topic()?,
            partition: cx.partition(),
            offset: cx.offset(),
        })
    }
}

/// A schedule of punctuations.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub(crate) id: u64,
    pub(crate) cancel: Cancellable,
}
impl Schedule {
    /// No further run.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
    /// Whether `punctuation` is a run of this schedule.
    pub fn is(&self, punctuation: Punctuation) -> bool {
        self.id == punctuation.schedule
    }
}

/// One run of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Punctuation {
    pub(crate) schedule: u64,
    /// Stream time or wall clock, milliseconds since the epoch.
    pub timestamp: i64,
    /// Which of the two.
    pub kind: PunctuationType,
}

/// What a processor can do. Kafka Streams: `ProcessorContext`.
pub struct ProcessorContext<'a, K, V> {
    pub(crate) cx: &'a TaskContext,
    pub(crate) node: &'a Connected<K, V>,
}

impl<K: 'static, V: 'static> ProcessorContext<'_, K, V> {
    /// Gives a record to every child, at once and depth first.
    pub fn forward(&self, record: Record<'_, K, V>) -> Result<(), ForwardError> {
        self.check(&record)?;
        let children = &self.node.children;
        let result = match children.as_slice() {
            [(_, child)] => child.receive(self.cx, record),
            _ => forward_to_all(self.cx, record, children.iter().map(|(_, child)| child)),
        };
        result.map_err(ForwardError::downstream)
    }
    /// Gives a record to the child of this name.
    pub fn forward_to(&self, child: &str, record: Record<'_, K, V>) -> Result<(), ForwardError> {
        self.check(&record)?;
        match self.node.children.iter().find(|(name, _)| **name == *child) {
            Some((_, port)) => port.receive(self.cx, record).map_err(ForwardError::downstream),
            None => {
                let message = format!("there is no child {child}");
                Err(ForwardError::here(ProcessError::new(
                    ProcessErrorKind::UnknownChild,
                    &self.node.name,
                    message,
                )))
            }
        }
    }
    fn check(&self, record: &Record<'_, K, V>) -> Result<(), ForwardError> {
        if record.timestamp >= 0 {
            return Ok(());
        }
        let message = format!("a record with the timestamp {} cannot be forwarded", record.timestamp);
        Err(ForwardError::here(ProcessError::new(
            ProcessErrorKind::InvalidTimestamp,
            &self.node.name,
            message,
        )))
    }
    /// Calls `punctuate` every `interval` of stream time or wall clock.
    pub fn schedule(&self, interval: Duration, kind: PunctuationType) -> Schedule {
        let id = self.node.next_schedule.get();
        self.node.next_schedule.set(id + 1);
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        let node = self.node.this.borrow().clone();
        let run = move |cx: &TaskContext, timestamp: i64| match node.upgrade() {
            Some(node) => node.punctuate(
                cx,
                Punctuation {
                    schedule: id,
                    timestamp,
                    kind,
                },
            ),
            None => Ok(()),
        };
        let cancel = self.cx.schedule(&self.node.name, interval_ms, kind, Rc::new(run));
        Schedule { id, cancel }
    }
    /// Asks for a commit soon.
    pub fn commit(&self) {
        self.cx.request_commit();
    }
    /// Where the record came from; None inside a punctuation.
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        RecordMetadata::of(self.cx)
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    #[doc(alias = "currentStreamTimeMs")]
    pub fn stream_time_ms(&self) -> i64 {
        self.cx.stream_time()
    }
    /// Clock of this step, milliseconds since the epoch.
    #[doc(alias = "currentSystemTimeMs")]
    pub fn wall_clock_ms(&self) -> i64 {
        self.cx.wall_clock_ms()
    }
    /// `<subtopology>_<partition>`.
    pub fn task_id(&self) -> &str {
        self.cx.task_id()
    }
    /// `application.id`.
    pub fn application_id(&self) -> &str {
        self.cx.application_id()
    }
    /// Name of the processor.
    pub fn node_name(&self) -> &str {
        &self.node.name
    }
    /// Headers for a new record that has none.
    pub fn no_headers(&self) -> &millstream_state::Headers {
        self.cx.no_headers()
    }
    /// The handle of a store: `ctx.store::<KeyValueStore<String, i64>>("counts")?`. Take it in `init`.
    ///
    /// # Errors
    /// When the processor is not connected to the store, or it has another kind or other types.
    #[doc(alias = "getStateStore")]
    pub fn store<S: Handle>(&self, name: &str) -> Result<S, BoxError> {
        let fail = |message: String| {
            ForwardError::here(ProcessError::new(
                ProcessErrorKind::StoreNotConnected,
                &self.node.name,
                message,
            ))
        };
        let access = self.node.stores.iter().find(|s| *s.name == *name);
        let Some(access) = access else {
            return Err(fail(format!("the processor is not connected to a store {name}")).into());
        };
        S::open(access).map_err(|message| fail(format!("store {name}: {message}")).into())
    }
}
