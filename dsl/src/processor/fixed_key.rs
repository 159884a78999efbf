//! Processors that cannot change the key, by type.
use millstream_state::Headers;

use crate::engine::{BoxError, PunctuationType, Record};

use super::{ForwardError, Processor, ProcessorContext, Punctuation, RecordMetadata, Schedule};

/// A record whose key cannot be changed.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// struct Stamps;
/// impl FixedKeyProcessor<String, i64, String> for Stamps {
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, String>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         let text = format!("{}={} with {} headers", record.key(), record.value(), record.headers().len());
///         let headers = record.headers().clone();
///         headers.add("stamped", None);
///         let later = record.timestamp() + 1;
///         Ok(ctx.forward(record.with_value(&text).with_timestamp(later).with_headers(&headers))?)
///     }
/// }
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").process_values(|| Stamps).to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// driver.input("in", StringSerde, I64Serde)?.at_ms(9).header("trace", "x").pipe("a", 1)?;
/// let out = driver.output("out", StringSerde, StringSerde)?.read_record()?.ok_or("nothing")?;
/// assert_eq!((out.value.as_str(), out.timestamp_ms, out.headers.len()), ("a=1 with 1 headers", 10, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FixedKeyRecord<'a, K, V>(Record<'a, K, V>);
impl<K, V> Clone for FixedKeyRecord<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for FixedKeyRecord<'_, K, V> {}
impl<'a, K, V> FixedKeyRecord<'a, K, V> {
    /// The key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`:
    /// let length = i64::try_from(record.key().len())?;
    /// ctx.forward(record.with_value(&length))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out")[0], ("a".to_owned(), 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self) -> &'a K {
        self.0.key
    }
    /// The value.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_value(&(record.value() * 10)))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 10), ("a".to_owned(), 20)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn value(&self) -> &'a V {
        self.0.value
    }
    /// Milliseconds since the epoch.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_value(&(record.timestamp() / 1_000)))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)], "seconds");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timestamp(&self) -> i64 {
        self.0.timestamp
    }
    /// Headers, shared with everybody who holds this record: what is added here is seen by the children of a processor
    /// that forwards the record.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`:
    /// record.headers().add("seen-by", Some(b"step"));
    /// ctx.forward(record)?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.written()[0].headers, [("seen-by".to_owned(), Some(b"step".to_vec()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn headers(&self) -> &'a Headers {
        self.0.headers
    }
    fn copied(self) -> Record<'a, K, V> {
        Record {
            is_copy: true,
            ..self.0
        }
    }
    /// The same record with another value.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_value(&-record.value()))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), -1), ("a".to_owned(), -2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withValue")]
    pub fn with_value<'b, V2>(self, value: &'b V2) -> FixedKeyRecord<'b, K, V2>
    where
        'a: 'b,
    {
        FixedKeyRecord(self.0.with_value(value))
    }
    /// The same record at another time, in milliseconds since the epoch. A negative one is refused by `forward`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`: due in a minute.
    /// ctx.forward(record.with_timestamp(record.timestamp() + 60_000))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.written()[0].timestamp, 61_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withTimestamp")]
    #[must_use]
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self(self.0.with_timestamp(timestamp))
    }
    /// The same record with other headers.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`: nothing of the old ones goes on.
    /// let headers = Headers::new();
    /// headers.add("origin", Some(b"step"));
    /// record.headers().add("secret", None);
    /// ctx.forward(record.with_headers(&headers))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.written()[0].headers, [("origin".to_owned(), Some(b"step".to_vec()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withHeaders")]
    #[must_use]
    pub fn with_headers<'b>(self, headers: &'b Headers) -> FixedKeyRecord<'b, K, V>
    where
        'a: 'b,
    {
        FixedKeyRecord(self.0.with_headers(headers))
    }
}

/// What a processor of values can do: all of [`ProcessorContext`], which has an example.
pub struct FixedKeyContext<'c, 'a, K, V>(&'c ProcessorContext<'a, K, V>);
impl<K: 'static, V: 'static> FixedKeyContext<'_, '_, K, V> {
    /// Gives a record to every child, at once and depth first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`: only what has changed enough.
    /// if *record.value() > 1 {
    ///     ctx.forward(record)?;
    /// }
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What a child failed with, to be passed on with `?`; a negative timestamp.
    pub fn forward(&self, record: FixedKeyRecord<'_, K, V>) -> Result<(), ForwardError> {
        self.0.forward(record.copied())
    }
    /// Gives a record to the child of this name.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process` of a processor with the children `small`, for the topic `out`, and `large`, for `others`:
    /// ctx.forward_to(if *record.value() < 2 { "small" } else { "large" }, record)?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// assert_eq!(runner.read::<String, i64>("others"), [("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the child failed with, to be passed on with `?`; a negative timestamp; a name that is none of a child
    /// ([`UnknownChild`](crate::engine::ProcessErrorKind::UnknownChild)).
    pub fn forward_to(&self, child: &str, record: FixedKeyRecord<'_, K, V>) -> Result<(), ForwardError> {
        self.0.forward_to(child, record.copied())
    }
    /// Calls `punctuate` every `interval` of stream time or wall clock; see [`ProcessorContext::schedule`]. A
    /// punctuation has no record, and so no key to forward by: it works on stores, or asks for a commit.
    ///
    /// ```
    /// # use millstream_dsl::prelude::*;
    /// # #[derive(Default)]
    /// # struct Waits(i64);
    /// # impl FixedKeyProcessor<String, i64, i64> for Waits {
    ///     // In a processor:
    ///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>) -> Result<(), BoxError> {
    ///         ctx.schedule(seconds(10), PunctuationType::StreamTime)?;
    ///         Ok(())
    ///     }
    ///     fn punctuate(
    ///         &mut self,
    ///         _: &FixedKeyContext<'_, '_, String, i64>,
    ///         run: Punctuation,
    ///     ) -> Result<(), BoxError> {
    ///         self.0 = run.timestamp; // which the values of the next records tell
    ///         Ok(())
    ///     }
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(ctx.forward(record.with_value(&self.0))?)
    /// #     }
    /// # }
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").process_values(Waits::default).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// for time in [1_000, 2_000, 12_000, 13_000] {
    ///     runner.pipe_at("in", "a".to_owned(), 7i64, time)?;
    /// }
    /// let last: Vec<i64> = runner.read::<String, i64>("out").into_iter().map(|(_, last)| last).collect();
    /// assert_eq!(last, [0, 1_000, 1_000, 12_000]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schedule(&self, interval: std::time::Duration, kind: PunctuationType) -> Result<Schedule, ForwardError> {
        self.0.schedule(interval, kind)
    }
    /// Asks for a commit soon, instead of at the end of the commit interval.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record)?;
    /// ctx.commit();
    /// # Ok(())
    /// # })?;
    /// assert!(runner.graph().take_commit_request());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(&self) {
        self.0.commit();
    }
    /// Where the record came from: topic, partition and offset; None inside a punctuation.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`: records are numbered by their offsets.
    /// let from = ctx.record_metadata().ok_or("no record")?;
    /// ctx.forward(record.with_value(&from.offset))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 0), ("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "recordMetadata")]
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        self.0.record_metadata()
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `process`: late records are left out.
    /// if record.timestamp() == ctx.stream_time_ms() {
    ///     ctx.forward(record)?;
    /// }
    /// # Ok(())
    /// # })?;
    /// # runner.pipe_at("in", "a".to_owned(), 3i64, 1_500)?;
    /// // After the records 1, 2 and 3, of the times 1000, 2000 and 1500:
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "currentStreamTimeMs")]
    pub fn stream_time_ms(&self) -> i64 {
        self.0.stream_time_ms()
    }
    /// Clock of this step, milliseconds since the epoch. It is read once for many records, and tests can set it.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
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
        self.0.wall_clock_ms()
    }
    /// The handle of a store; see [`ProcessorContext::store`]. Take it in `init`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_values};
    /// # let runner = with_values(|ctx, record| {
    /// // In `init`, or here:
    /// let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// counts.put(record.key(), &n)?;
    /// ctx.forward(record.with_value(&n))?;
    /// assert!(ctx.store::<KeyValueStore<String, i64>>("others").is_err(), "it is not connected");
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the processor is not connected to the store, or it has another kind or other types.
    #[doc(alias = "getStateStore")]
    pub fn store<S: crate::store::Handle>(&self, name: &str) -> Result<S, BoxError> {
        self.0.store(name)
    }
}

/// A processor that gives records of the same key. Kafka Streams: `FixedKeyProcessor`.
///
/// It gives values for the key it got; there is no way to another key:
///
/// ```compile_fail,E0599
/// use millstream_dsl::prelude::*;
/// struct Rename;
/// impl FixedKeyProcessor<String, i64, i64> for Rename {
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, i64>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         Ok(ctx.forward(record.with_key(&"another".to_owned()))?)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not process values of `{V}` whose keys are `{K}`",
    label = "this stream has keys of `{K}` and values of `{V}`, and the key must stay",
    note = "implement `FixedKeyProcessor<{K}, {V}, VOut>` for it; a `Processor`, which may change the key, goes into `process`"
)]
pub trait FixedKeyProcessor<K, V, VOut> {
    /// Called once, before the first record: take store handles and schedule punctuations here.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// #[derive(Default)]
    /// struct Sums(Option<KeyValueStore<String, i64>>);
    /// impl FixedKeyProcessor<String, i64, i64> for Sums {
    ///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>) -> Result<(), BoxError> {
    ///         self.0 = Some(ctx.store("sums")?);
    ///         Ok(())
    ///     }
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let store = self.0.as_ref().ok_or("no store")?;
    /// #         let sum = store.get(record.key())?.unwrap_or(0) + record.value();
    /// #         store.put(record.key(), &sum)?;
    /// #         Ok(ctx.forward(record.with_value(&sum))?)
    /// #     }
    ///     // `process` adds up ...
    /// }
    /// # let builder = StreamsBuilder::new();
    /// # let store = Processing::new().with_store(Store::<String, i64>::key_value("sums"));
    /// # builder.stream::<String, i64>("in").process_values_with(Sums::default, store).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 7i64)?;
    /// runner.pipe("in", "a".to_owned(), 8i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 7), ("a".to_owned(), 15)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Stop the task.
    fn init(&mut self, ctx: &FixedKeyContext<'_, '_, K, VOut>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }
    /// One record. Any number of values may be forwarded, none if the record is to be left out.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner};
    /// struct Positive;
    /// impl FixedKeyProcessor<String, i64, i64> for Positive {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &FixedKeyContext<'_, '_, String, i64>,
    ///         record: FixedKeyRecord<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         if *record.value() > 0 {
    ///             ctx.forward(record)?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").process_values(|| Positive).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), -1i64)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Go to the processing handler.
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, K, VOut>,
        record: FixedKeyRecord<'_, K, V>,
    ) -> Result<(), BoxError>;
    /// One run of a schedule. There is no record, and so no key to forward by. Nothing is done unless it is
    /// implemented.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # #[derive(Default)]
    /// # struct PerMinute(i64);
    /// # impl FixedKeyProcessor<String, i64, i64> for PerMinute {
    /// #     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, i64>) -> Result<(), BoxError> {
    /// #         ctx.schedule(minutes(1), PunctuationType::WallClock)?;
    /// #         Ok(())
    /// #     }
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         self.0 += 1;
    /// #         Ok(ctx.forward(record.with_value(&self.0))?)
    /// #     }
    ///     // In a processor that numbers the records of each minute of the clock:
    ///     fn punctuate(&mut self, _: &FixedKeyContext<'_, '_, String, i64>, _: Punctuation) -> Result<(), BoxError> {
    ///         self.0 = 0;
    ///         Ok(())
    ///     }
    /// # }
    /// # builder.stream::<String, i64>("in").process_values(PerMinute::default).to("out");
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
    fn punctuate(&mut self, ctx: &FixedKeyContext<'_, '_, K, VOut>, punctuation: Punctuation) -> Result<(), BoxError> {
        let _ = (ctx, punctuation);
        Ok(())
    }
    /// Called when the task closes, also where it moves to another instance.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Connected(std::sync::mpsc::Sender<&'static str>);
    /// # impl FixedKeyProcessor<String, i64, i64> for Connected {
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &FixedKeyContext<'_, '_, String, i64>,
    /// #         _: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    ///     // In a processor with a connection:
    ///     fn close(&mut self) -> Result<(), BoxError> {
    ///         Ok(self.0.send("goodbye")?)
    ///     }
    /// # }
    /// # let (sender, other_end) = std::sync::mpsc::channel();
    /// # builder.stream::<String, i64>("in").process_values(move || Connected(sender.clone()));
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

/// Runs a processor of values as a processor.
pub(crate) struct FixedKey<P>(pub(crate) P);
impl<K: 'static, V, VOut: 'static, P: FixedKeyProcessor<K, V, VOut>> Processor<K, V, K, VOut> for FixedKey<P> {
    fn init(&mut self, ctx: &ProcessorContext<'_, K, VOut>) -> Result<(), BoxError> {
        self.0.init(&FixedKeyContext(ctx))
    }
    fn process(&mut self, ctx: &ProcessorContext<'_, K, VOut>, record: Record<'_, K, V>) -> Result<(), BoxError> {
        // Kafka Streams makes another record here: nobody else holds its headers.
        let headers = record.headers.clone();
        let record = record.with_own_headers(&headers);
        self.0.process(&FixedKeyContext(ctx), FixedKeyRecord(record))
    }
    fn punctuate(&mut self, ctx: &ProcessorContext<'_, K, VOut>, punctuation: Punctuation) -> Result<(), BoxError> {
        self.0.punctuate(&FixedKeyContext(ctx), punctuation)
    }
    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }
}
