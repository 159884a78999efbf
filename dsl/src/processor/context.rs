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
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*, topology::TopologyBuilder};
/// /// Small numbers go one way, large ones another; every second it says how many there were, three times.
/// #[derive(Default)]
/// struct Sorts {
///     seen: Option<KeyValueStore<String, i64>>,
///     every_second: Option<Schedule>,
/// }
/// impl Processor<String, i64, String, String> for Sorts {
///     fn init(&mut self, ctx: &ProcessorContext<'_, String, String>) -> Result<(), BoxError> {
///         self.seen = Some(ctx.store("seen")?);
///         self.every_second = Some(ctx.schedule(seconds(1), PunctuationType::WallClock));
///         assert_eq!((ctx.application_id(), ctx.task_id(), ctx.node_name()), ("app", "0_0", "sorts"));
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         ctx: &ProcessorContext<'_, String, String>,
///         record: Record<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         let seen = self.seen.as_ref().ok_or("no store")?;
///         seen.put(record.key, &(seen.get(record.key)?.unwrap_or(0) + 1))?;
///         let from = ctx.record_metadata().ok_or("no record")?;
///         let text = format!("{} of {}/{}, at {}", record.value, from.topic, from.offset, ctx.stream_time_ms());
///         ctx.forward_to(if *record.value < 10 { "small" } else { "large" }, record.with_value(&text))?;
///         ctx.commit();
///         Ok(())
///     }
///     fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, String>, run: Punctuation) -> Result<(), BoxError> {
///         assert!(ctx.record_metadata().is_none());
///         for row in self.seen.as_ref().ok_or("no store")?.all() {
///             let (key, count) = row?;
///             let text = format!("{count} by {}", ctx.wall_clock_ms());
///             ctx.forward(Record::new(&key, &text, run.timestamp, ctx.no_headers()))?;
///         }
///         if let Some(schedule) = self.every_second.as_ref().filter(|s| s.is(run) && run.timestamp >= 3_000) {
///             schedule.cancel();
///         }
///         Ok(())
///     }
/// }
/// let mut builder = TopologyBuilder::new();
/// builder.add_source::<String, i64>("source", "in");
/// builder.add_processor("sorts", Sorts::default, &["source"]);
/// builder.add_state_store(Store::<String, i64>::key_value("seen"), &["sorts"]);
/// builder.add_sink::<String, String>("small", "small-ones", &["sorts"]);
/// builder.add_sink::<String, String>("large", "large-ones", &["sorts"]);
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(5).pipe("a", 1)?;
/// input.at_ms(7).pipe("a", 100)?;
/// let (small, large) =
///     (driver.output("small-ones", StringSerde, StringSerde)?, driver.output("large-ones", StringSerde, StringSerde)?);
/// assert_eq!(small.read_values()?, ["1 of in/0, at 5"]);
/// assert_eq!(large.read_values()?, ["100 of in/1, at 7"]);
/// for _ in 0..5 {
///     driver.advance_wall_clock(seconds(1))?;
/// }
/// assert_eq!(large.read_values()?, ["2 by 1000", "2 by 2000", "2 by 3000"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
