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
    pub fn key(&self) -> &'a K {
        self.0.key
    }
    /// The value.
    pub fn value(&self) -> &'a V {
        self.0.value
    }
    /// Milliseconds since the epoch.
    pub fn timestamp(&self) -> i64 {
        self.0.timestamp
    }
    /// Headers, shared with everybody who holds this record.
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
    pub fn with_value<'b, V2>(self, value: &'b V2) -> FixedKeyRecord<'b, K, V2>
    where
        'a: 'b,
    {
        FixedKeyRecord(self.0.with_value(value))
    }
    /// The same record at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self(self.0.with_timestamp(timestamp))
    }
    /// The same record with other headers.
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
    pub fn forward(&self, record: FixedKeyRecord<'_, K, V>) -> Result<(), ForwardError> {
        self.0.forward(record.copied())
    }
    /// Gives a record to the child of this name.
    pub fn forward_to(&self, child: &str, record: FixedKeyRecord<'_, K, V>) -> Result<(), ForwardError> {
        self.0.forward_to(child, record.copied())
    }
    /// Calls `punctuate` every `interval` of stream time or wall clock.
    pub fn schedule(&self, interval: std::time::Duration, kind: PunctuationType) -> Schedule {
        self.0.schedule(interval, kind)
    }
    /// Asks for a commit soon.
    pub fn commit(&self) {
        self.0.commit();
    }
    /// Where the record came from; None inside a punctuation.
    pub fn record_metadata(&self) -> Option<RecordMetadata> {
        self.0.record_metadata()
    }
    /// Highest timestamp the task has seen, milliseconds since the epoch; -1 before the first record.
    pub fn stream_time_ms(&self) -> i64 {
        self.0.stream_time_ms()
    }
    /// Clock of this step, milliseconds since the epoch.
    pub fn wall_clock_ms(&self) -> i64 {
        self.0.wall_clock_ms()
    }
    /// The handle of a store; see [`ProcessorContext::store`].
    ///
    /// # Errors
    /// When the processor is not connected to the store, or it has another kind or other types.
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
    /// Called once, before the first record.
    ///
    /// # Errors
    /// Stop the task.
    fn init(&mut self, ctx: &FixedKeyContext<'_, '_, K, VOut>) -> Result<(), BoxError> {
        let _ = ctx;
        Ok(())
    }
    /// One record.
    ///
    /// # Errors
    /// Go to the processing handler.
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, K, VOut>,
        record: FixedKeyRecord<'_, K, V>,
    ) -> Result<(), BoxError>;
    /// One run of a schedule.
    ///
    /// # Errors
    /// Go to the processing handler.
    fn punctuate(&mut self, ctx: &FixedKeyContext<'_, '_, K, VOut>, punctuation: Punctuation) -> Result<(), BoxError> {
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

/// Runs a processor of values as a processor.
pub struct FixedKey<P>(pub P);
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
