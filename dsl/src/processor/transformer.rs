//! Values of a table made by something with state and time.
use millstream_state::Headers;

use crate::engine::{BoxError, PunctuationType};

use super::{ForwardError, ProcessorContext, Punctuation, RecordMetadata, Schedule};

/// What a transformer of values can do: everything but forward. Kafka Streams: `ProcessorContext` of a transformer.
pub struct TransformContext<'a> {
    pub(crate) inner: &'a ProcessorContext<'a, (), ()>,
    pub(crate) timestamp: i64,
    pub(crate) headers: &'a Headers,
}
impl TransformContext<'_> {
    /// Time of the row, milliseconds since the epoch; -1 where a reader of the table has found none.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, _, value| {
    /// // In `transform`: the value is when it was said, in seconds.
    /// Ok(value.map(|_| ctx.timestamp() / 1_000))
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }
    /// Headers of the update; empty where the table is read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Headed;
    /// # impl ValueTransformer<String, i64, i64> for Headed {
    ///     fn transform(
    ///         &mut self,
    ///         ctx: &TransformContext<'_>,
    ///         _: &String,
    ///         value: Option<&i64>,
    ///     ) -> Result<Option<i64>, BoxError> {
    ///         let negative = ctx.headers().last("negative").is_some();
    ///         Ok(value.map(|n| if negative { -n } else { *n }))
    ///     }
    /// # }
    /// # builder.table::<String, i64>("in").transform_values(|| Headed).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.header("negative", "").pipe("a", 1)?;
    /// input.pipe("a", 2)?;
    /// assert_eq!(driver.output("out", StringSerde, OptionSerde::new(I64Serde))?.read_values()?, [Some(-1), Some(2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn headers(&self) -> &Headers {
        self.headers
    }
    /// Calls `punctuate` every `interval` of stream time or wall clock; see [`ProcessorContext::schedule`].
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # #[derive(Default)]
    /// # struct PerTenSeconds(i64);
    /// # impl ValueTransformer<String, i64, i64> for PerTenSeconds {
    ///     // In a transformer that numbers the updates of every ten seconds:
    ///     fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
    ///         ctx.schedule(seconds(10), PunctuationType::StreamTime)?;
    ///         Ok(())
    ///     }
    ///     fn punctuate(&mut self, _: &TransformContext<'_>, _: Punctuation) -> Result<(), BoxError> {
    ///         self.0 = 0;
    ///         Ok(())
    ///     }
    /// #     fn transform(
    /// #         &mut self,
    /// #         _: &TransformContext<'_>,
    /// #         _: &String,
    /// #         _: Option<&i64>,
    /// #     ) -> Result<Option<i64>, BoxError> {
    /// #         self.0 += 1;
    /// #         Ok(Some(self.0))
    /// #     }
    /// # }
    /// # let rows = Materialized::named("rows");
    /// # let table = builder.table::<String, i64>("in");
    /// # table.transform_values_with(PerTenSeconds::default, Processing::new(), rows).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [0, 1_000, 10_000, 11_000] {
    ///     input.at_ms(time).pipe("a", 7)?;
    /// }
    /// let out = driver.output("out", StringSerde, I64Serde)?.read_values()?;
    /// assert_eq!(out, [1, 1, 2, 1], "the punctuation of a record's time follows the record");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schedule(&self, interval: std::time::Duration, kind: PunctuationType) -> Result<Schedule, ForwardError> {
        self.inner.schedule(interval, kind)
    }
    /// Asks for a commit soon, instead of at the end of the commit interval.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, _, value| {
    /// // In `transform`:
    /// ctx.commit();
    /// Ok(value.copied())
    /// # })?;
    /// assert!(runner.graph().take_commit_request());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self) {
        self.inner.commit();
    }
    /// Where the update came from: topic, partition and offset; None inside a punctuation, and where the table is read.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, _, _| {
    /// // In `transform`: the value is the offset of its update.
    /// Ok(ctx.record_metadata().map(|from| from.offset))
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 0), ("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "recordMetadata")]
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        self.inner.record_metadata()
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, _, value| {
    /// // In `transform`:
    /// Ok(value.map(|_| ctx.stream_time_ms()))
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1_000), ("a".to_owned(), 2_000)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "currentStreamTimeMs")]
    pub fn stream_time_ms(&self) -> i64 {
        self.inner.stream_time_ms()
    }
    /// Clock of this step, milliseconds since the epoch. It is read once for many records, and tests can set it.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, _, value| {
    /// // In `transform`:
    /// Ok(value.map(|_| ctx.wall_clock_ms()))
    /// # })?;
    /// runner.graph().advance_wall_clock(60_000)?;
    /// # runner.pipe("in", "a".to_owned(), 3i64)?;
    /// assert_eq!(runner.read::<String, i64>("out").last(), Some(&("a".to_owned(), 60_000)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "currentSystemTimeMs")]
    pub fn wall_clock_ms(&self) -> i64 {
        self.inner.wall_clock_ms()
    }
    /// `<subtopology>_<partition>`, for logs and metrics.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, _, value| {
    /// // In `transform`:
    /// let partition = ctx.task_id().split('_').nth(1).ok_or("no partition")?.parse::<i64>()?;
    /// Ok(value.map(|_| partition))
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out")[0], ("a".to_owned(), 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "taskId")]
    pub fn task_id(&self) -> &str {
        self.inner.task_id()
    }
    /// The handle of a store; see [`ProcessorContext::store`]. Take it in `init`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_transformer};
    /// # let runner = with_transformer(|ctx, key, value| {
    /// // In `init`, or in `transform` as here: the value becomes the sum of all updates.
    /// let sums = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// let sum = sums.get(key)?.unwrap_or(0) + value.copied().unwrap_or(0);
    /// sums.put(key, &sum)?;
    /// Ok(Some(sum))
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 3)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the operator is not connected to the store, or it has another kind or other types.
    #[doc(alias = "getStateStore")]
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
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// #[derive(Default)]
    /// struct Highest(Option<KeyValueStore<String, i64>>);
    /// impl ValueTransformer<String, i64, i64> for Highest {
    ///     fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
    ///         self.0 = Some(ctx.store("highest")?);
    ///         Ok(())
    ///     }
    /// #     fn transform(
    /// #         &mut self,
    /// #         _: &TransformContext<'_>,
    /// #         key: &String,
    /// #         value: Option<&i64>,
    /// #     ) -> Result<Option<i64>, BoxError> {
    /// #         let store = self.0.as_ref().ok_or("no store")?;
    /// #         let highest = store.get(key)?.max(value.copied());
    /// #         store.put(key, &highest.unwrap_or(0))?;
    /// #         Ok(highest)
    /// #     }
    ///     // `transform` gives the highest value of the key so far ...
    /// }
    /// # let store = Processing::new().with_store(Store::<String, i64>::key_value("highest"));
    /// # let table = builder.table::<String, i64>("in");
    /// # table.transform_values_with(Highest::default, store, Materialized::named("rows")).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for n in [7, 3, 9] {
    ///     input.pipe("a", n)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [7, 7, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Stop the task.
    fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }
    /// The value of one row; None: the row is deleted. `value` is None where the row of the table was deleted. Also
    /// called where a row is read and the result is not stored, so that it should give the same for the same row.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// struct Shown;
    /// impl ValueTransformer<String, i64, String> for Shown {
    ///     fn transform(
    ///         &mut self,
    ///         _: &TransformContext<'_>,
    ///         key: &String,
    ///         value: Option<&i64>,
    ///     ) -> Result<Option<String>, BoxError> {
    ///         Ok(value.filter(|n| **n > 0).map(|n| format!("{n} of {key}")))
    ///     }
    /// }
    /// let shown = builder.table::<String, i64>("in").transform_values(|| Shown);
    /// # shown.to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("tea", 3)?;
    /// input.pipe("tea", 0)?;
    /// let out = driver.output("out", StringSerde, OptionSerde::new(StringSerde))?;
    /// assert_eq!(out.read_values()?, [Some("3 of tea".to_owned()), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Go to the processing handler.
    fn transform(&mut self, ctx: &TransformContext<'_>, key: &K, value: Option<&V>) -> Result<Option<VOut>, BoxError>;
    /// One run of a schedule. Nothing is done unless it is implemented.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # #[derive(Default)]
    /// # struct PerMinute(i64);
    /// # impl ValueTransformer<String, i64, i64> for PerMinute {
    /// #     fn init(&mut self, ctx: &TransformContext<'_>) -> Result<(), BoxError> {
    /// #         ctx.schedule(minutes(1), PunctuationType::WallClock)?;
    /// #         Ok(())
    /// #     }
    ///     // In a transformer that numbers the updates of each minute of the clock:
    ///     fn punctuate(&mut self, _: &TransformContext<'_>, _: Punctuation) -> Result<(), BoxError> {
    ///         self.0 = 0;
    ///         Ok(())
    ///     }
    /// #     fn transform(
    /// #         &mut self,
    /// #         _: &TransformContext<'_>,
    /// #         _: &String,
    /// #         _: Option<&i64>,
    /// #     ) -> Result<Option<i64>, BoxError> {
    /// #         self.0 += 1;
    /// #         Ok(Some(self.0))
    /// #     }
    /// # }
    /// # let rows = Materialized::named("rows");
    /// # let table = builder.table::<String, i64>("in");
    /// # table.transform_values_with(PerMinute::default, Processing::new(), rows).to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// input.pipe("a", 7)?;
    /// driver.advance_wall_clock(minutes(1))?;
    /// input.pipe("a", 7)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1, 2, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Go to the processing handler.
    fn punctuate(&mut self, ctx: &TransformContext<'_>, punctuation: Punctuation) -> Result<(), BoxError> {
        let _ = (ctx, punctuation);
        Ok(())
    }
    /// Called when the task closes, also where it moves to another instance.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Connected(std::sync::mpsc::Sender<&'static str>);
    /// # impl ValueTransformer<String, i64, i64> for Connected {
    /// #     fn transform(
    /// #         &mut self,
    /// #         _: &TransformContext<'_>,
    /// #         _: &String,
    /// #         value: Option<&i64>,
    /// #     ) -> Result<Option<i64>, BoxError> {
    /// #         Ok(value.copied())
    /// #     }
    ///     // In a transformer with a connection:
    ///     fn close(&mut self) -> Result<(), BoxError> {
    ///         Ok(self.0.send("goodbye")?)
    ///     }
    /// # }
    /// # let (sender, other_end) = std::sync::mpsc::channel();
    /// # let rows = builder.table::<String, i64>("in").transform_values(move || Connected(sender.clone()));
    /// # rows.to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.close()?;
    /// assert_eq!(other_end.try_recv()?, "goodbye");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Are reported; the task closes all the same.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}
