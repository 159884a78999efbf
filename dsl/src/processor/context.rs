//! What a processor can do: forward, schedule, ask for a commit, reach its stores, know where a record came from.
use std::{rc::Rc, time::Duration};

use crate::{
    engine::{
        BoxError, Cancellable, ProcessError, ProcessErrorKind, PunctuationType, Record, TaskContext,
        receiver::{deliver, forward_to_all},
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
    /// What went wrong: to let some errors pass, where all others are returned with `?`.
    ///
    /// ```
    /// # use millstream_dsl::{engine::ProcessErrorKind, prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: some topologies have a child for alarms, others have none.
    /// match ctx.forward_to("alarms", record) {
    ///     Err(e) if e.kind() == ProcessErrorKind::UnknownChild => ctx.forward_to("other", record)?,
    ///     other => other?,
    /// }
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("others").len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// # #[derive(Default)]
    /// # struct Thrice(Option<Schedule>, i64);
    /// # impl Processor<String, i64, String, i64> for Thrice {
    /// #     fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
    /// #         self.0 = Some(ctx.schedule(seconds(1), PunctuationType::WallClock)?);
    /// #         Ok(())
    /// #     }
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         _: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    ///     // In a processor that has kept what `schedule` gave:
    ///     fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, i64>, run: Punctuation) -> Result<(), BoxError> {
    ///         self.1 += 1;
    ///         if self.1 == 3 && let Some(schedule) = &self.0 {
    ///             schedule.cancel();
    ///         }
    ///         Ok(ctx.forward(Record::new(&"beat".to_owned(), &self.1, run.timestamp, ctx.no_headers()))?)
    ///     }
    /// # }
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").process(Thrice::default).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// for second in 1..10 {
    ///     runner.graph().advance_wall_clock(second * 1_000)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("out").len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
    /// Whether `punctuation` is a run of this schedule, for processors with several of them.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// # #[derive(Default)]
    /// # struct Two(Option<Schedule>);
    /// # impl Processor<String, i64, String, i64> for Two {
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         _: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    ///     // In a processor:
    ///     fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
    ///         ctx.schedule(seconds(1), PunctuationType::WallClock)?;
    ///         self.0 = Some(ctx.schedule(seconds(2), PunctuationType::WallClock)?);
    ///         Ok(())
    ///     }
    ///     fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, i64>, run: Punctuation) -> Result<(), BoxError> {
    ///         let slow = self.0.as_ref().is_some_and(|schedule| schedule.is(run));
    ///         let key = if slow { "slow" } else { "fast" }.to_owned();
    ///         Ok(ctx.forward(Record::new(&key, &run.timestamp, run.timestamp, ctx.no_headers()))?)
    ///     }
    /// # }
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").process(Two::default).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// # for second in 1..5 {
    /// #     runner.graph().advance_wall_clock(second * 1_000)?;
    /// # }
    /// // After four seconds:
    /// let slow = runner.read::<String, i64>("out").into_iter().filter(|(key, _)| key == "slow").count();
    /// assert_eq!(slow, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
///         self.every_second = Some(ctx.schedule(seconds(1), PunctuationType::WallClock)?);
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
    /// Gives a record to every child, at once and depth first: what they do has happened when the call returns.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: a record may become several.
    /// ctx.forward(record)?;
    /// ctx.forward(record.with_value(&(record.value * 10)))?;
    /// # Ok(())
    /// # })?;
    /// let values: Vec<i64> = runner.read::<String, i64>("out").into_iter().map(|(_, n)| n).collect();
    /// assert_eq!(values, [1, 10, 2, 20]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What a child failed with, to be passed on with `?`; a negative timestamp.
    pub fn forward(&self, record: Record<'_, K, V>) -> Result<(), ForwardError> {
        self.check(&record)?;
        let children = &self.node.children;
        let result = match children.as_slice() {
            [(_, child)] => deliver(self.cx, child, record),
            _ => forward_to_all(self.cx, record, children.iter().map(|(_, child)| child)),
        };
        result.map_err(ForwardError::downstream)
    }
    /// Gives a record to the child of this name.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process` of a processor with the children `sink`, for the topic `out`, and `other`, for `others`:
    /// let even = record.value % 2 == 0;
    /// ctx.forward_to(if even { "sink" } else { "other" }, record)?;
    /// assert!(ctx.forward_to("typo", record).is_err());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 2)]);
    /// assert_eq!(runner.read::<String, i64>("others"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the child failed with, to be passed on with `?`; a negative timestamp; a name that is none of a child
    /// ([`UnknownChild`](crate::engine::ProcessErrorKind::UnknownChild)).
    pub fn forward_to(&self, child: &str, record: Record<'_, K, V>) -> Result<(), ForwardError> {
        self.check(&record)?;
        match self.node.children.iter().find(|(name, _)| **name == *child) {
            Some((_, port)) => deliver(self.cx, port, record).map_err(ForwardError::downstream),
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
    /// Calls `punctuate` every `interval`, of stream time first with the first record and then at multiples of the interval,
    /// of the wall clock first one interval from now. Runs that were missed collapse into one. An interval of less than a millisecond is an
    /// error ([`InvalidArgument`](crate::engine::ProcessErrorKind::InvalidArgument)), as in Kafka Streams.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// # struct Beats;
    /// # impl Processor<String, i64, String, i64> for Beats {
    ///     // In a processor:
    ///     fn init(&mut self, ctx: &ProcessorContext<'_, String, i64>) -> Result<(), BoxError> {
    ///         ctx.schedule(seconds(1), PunctuationType::WallClock)?;
    ///         Ok(())
    ///     }
    ///     fn punctuate(&mut self, ctx: &ProcessorContext<'_, String, i64>, run: Punctuation) -> Result<(), BoxError> {
    ///         let (key, now) = ("beat".to_owned(), run.timestamp);
    ///         Ok(ctx.forward(Record::new(&key, &now, now, ctx.no_headers()))?)
    ///     }
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         _: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").process(|| Beats).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// # runner.pipe("in", "a".to_owned(), 1i64)?;
    /// # for now in [500, 1_000, 2_000] {
    /// #     runner.graph().advance_wall_clock(now)?;
    /// # }
    /// // After two seconds:
    /// assert_eq!(runner.read::<String, i64>("out"), [("beat".to_owned(), 1_000), ("beat".to_owned(), 2_000)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schedule(&self, interval: Duration, kind: PunctuationType) -> Result<Schedule, ForwardError> {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        if interval_ms < 1 {
            let what = "the interval of a schedule is at least a millisecond";
            return Err(ForwardError::here(ProcessError::new(
                ProcessErrorKind::InvalidArgument,
                &self.node.name,
                what,
            )));
        }
        let id = self.node.next_schedule.get();
        self.node.next_schedule.set(id + 1);
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
        Ok(Schedule { id, cancel })
    }
    /// Asks for a commit soon, instead of at the end of the commit interval.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: what large amounts cause is to be seen at once.
    /// if *record.value > 1 {
    ///     ctx.commit();
    /// }
    /// # Ok(())
    /// # })?;
    /// assert!(runner.graph().take_commit_request());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self) {
        self.cx.request_commit();
    }
    /// Where the record came from: topic, partition and offset; None inside a punctuation.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: records are numbered by their offsets.
    /// let from = ctx.record_metadata().ok_or("no record")?;
    /// assert_eq!((&*from.topic, from.partition), ("in", 0));
    /// ctx.forward(record.with_value(&from.offset))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 0), ("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "recordMetadata")]
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        RecordMetadata::of(self.cx)
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: how late the record is.
    /// ctx.forward(record.with_value(&(ctx.stream_time_ms() - record.timestamp)))?;
    /// # Ok(())
    /// # })?;
    /// # runner.pipe_at("in", "a".to_owned(), 3i64, 1_500)?;
    /// // After records of the times 1000, 2000 and 1500:
    /// let late: Vec<i64> = runner.read::<String, i64>("out").into_iter().map(|(_, late)| late).collect();
    /// assert_eq!(late, [0, 0, 500]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "currentStreamTimeMs")]
    pub fn stream_time_ms(&self) -> i64 {
        self.cx.stream_time()
    }
    /// Clock of this step, milliseconds since the epoch. It is read once for many records, and tests can set it.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: when the record was seen.
    /// ctx.forward(record.with_value(&ctx.wall_clock_ms()))?;
    /// # Ok(())
    /// # })?;
    /// runner.graph().advance_wall_clock(60_000)?;
    /// # runner.pipe("in", "a".to_owned(), 3i64)?;
    /// assert_eq!(runner.read::<String, i64>("out").last(), Some(&("a".to_owned(), 60_000)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "currentSystemTimeMs")]
    pub fn wall_clock_ms(&self) -> i64 {
        self.cx.wall_clock_ms()
    }
    /// `<subtopology>_<partition>`, for logs and metrics.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_key(&format!("{} of {}", record.key, ctx.task_id())))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out")[0].0, "a of 0_0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "taskId")]
    pub fn task_id(&self) -> &str {
        self.cx.task_id()
    }
    /// `application.id`: the first part of the names of the application's own topics.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_key(&format!("{} of {}", record.key, ctx.application_id())))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out")[0].0, "a of app");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "applicationId")]
    pub fn application_id(&self) -> &str {
        self.cx.application_id()
    }
    /// Name of the processor, as given with [`Processing::named`](crate::operators::Processing::named) or generated.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process` of a processor that is added as `step`:
    /// ctx.forward(record.with_key(&format!("{} by {}", record.key, ctx.node_name())))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out")[0].0, "a by step");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn node_name(&self) -> &str {
        &self.node.name
    }
    /// Headers for a new record that has none.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: a record that does not stem from another one.
    /// let (key, value) = ("alarm".to_owned(), 1);
    /// ctx.forward(Record::new(&key, &value, record.timestamp, ctx.no_headers()))?;
    /// # Ok(())
    /// # })?;
    /// let written = &runner.written()[0];
    /// assert_eq!((written.key.as_deref(), written.headers.len()), (Some(&b"alarm"[..]), 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn no_headers(&self) -> &millstream_state::Headers {
        self.cx.no_headers()
    }
    /// The handle of a store: `ctx.store::<KeyValueStore<String, i64>>("counts")?`. Take it in `init`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `init`, or here:
    /// let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// let n = counts.get(record.key)?.unwrap_or(0) + 1;
    /// counts.put(record.key, &n)?;
    /// ctx.forward(record.with_value(&n))?;
    /// assert!(ctx.store::<WindowStore<String, i64>>("counts").is_err(), "it is of another kind");
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
