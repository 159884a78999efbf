//! What to do with a record that cannot be read, processed or produced: fail, or go on without it.
use std::sync::Arc;

use millstream_state::Headers;

use super::ProcessError;

/// Answer of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Stop the task with the error.
    Fail,
    /// Drop the record (counted) and go on.
    Continue,
}

/// Where a record came from when it failed.
pub struct ErrorContext<'a> {
    /// `<subtopology>_<partition>`
    pub task_id: &'a str,
    /// The operator that failed.
    pub node: &'a str,
    /// Source topic; None inside a punctuation.
    pub topic: Option<&'a str>,
    /// Source partition; -1 inside a punctuation.
    pub partition: i32,
    /// Source offset; -1 inside a punctuation.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers of the record.
    pub headers: &'a Headers,
    /// Key bytes of the source record, where they are known.
    pub source_key: Option<&'a [u8]>,
    /// Value bytes of the source record, where they are known.
    pub source_value: Option<&'a [u8]>,
}

/// Decides about records whose bytes cannot be read. Kafka Streams: `DeserializationExceptionHandler`.
pub trait DeserializationHandler: Send + Sync {
    /// Decides about one record, which is then dropped or stops the task.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # use millstream_dsl::engine::{DeserializationHandler, ErrorContext, ProcessError, Response};
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let topology = builder.build()?;
    /// /// What old producers wrote may be left out.
    /// struct OldOnes;
    /// impl DeserializationHandler for OldOnes {
    ///     fn on_deserialization_error(&self, context: &ErrorContext<'_>, _: &ProcessError) -> Response {
    ///         if context.timestamp < 1_000 { Response::Continue } else { Response::Fail }
    ///     }
    /// }
    /// let handlers = Handlers { deserialization: std::sync::Arc::new(OldOnes), ..Handlers::default() };
    /// let driver = TopologyTestDriver::builder(&topology).handlers(handlers).build()?;
    /// let text = driver.input("in", StringSerde, StringSerde)?;
    /// assert!(text.at_ms(999).pipe("a", "no number").is_ok());
    /// assert!(text.at_ms(1_000).pipe("a", "no number").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn on_deserialization_error(&self, context: &ErrorContext<'_>, error: &ProcessError) -> Response;
}
/// Decides about records on which an operator failed. Kafka Streams: `ProcessingExceptionHandler`.
///
/// An error of a sink counts as one of the operator in front of it: a function that chooses topic or partition failed, or the
/// production handler did not want to go on. That operator is not asked for more of its record, and sinks that come
/// later get nothing of it. In front of a sink right behind a source there is no operator: its error stops the task.
pub trait ProcessingHandler: Send + Sync {
    /// Decides about one record, which is then dropped or stops the task.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # use millstream_dsl::engine::{ErrorContext, ProcessError, ProcessingHandler, Response};
    /// # let numbers = builder.stream::<String, String>("in");
    /// numbers.try_map_values_with(|text| text.parse::<i64>(), "parse").to("out");
    /// # let topology = builder.build()?;
    /// /// What cannot be parsed is left out, any other error ends the task.
    /// struct Lenient;
    /// impl ProcessingHandler for Lenient {
    ///     fn on_processing_error(&self, context: &ErrorContext<'_>, _: &ProcessError) -> Response {
    ///         if context.node == "parse" { Response::Continue } else { Response::Fail }
    ///     }
    /// }
    /// let handlers = Handlers { processing: std::sync::Arc::new(Lenient), ..Handlers::default() };
    /// let driver = TopologyTestDriver::builder(&topology).handlers(handlers).build()?;
    /// let input = driver.input("in", StringSerde, StringSerde)?;
    /// input.pipe("a", "seven")?;
    /// input.pipe("a", "7")?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [7]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn on_processing_error(&self, context: &ErrorContext<'_>, error: &ProcessError) -> Response;
}
/// Decides about records that cannot be written. Kafka Streams: `ProductionExceptionHandler`. Where it answers
/// [`Response::Fail`], the [`ProcessingHandler`] is asked as well.
pub trait ProductionHandler: Send + Sync {
    /// Decides about one record, which is then left out or stops the task.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # use millstream_dsl::{engine::{ErrorContext, ProcessError, ProductionHandler, Response}, serde::SerdeError};
    /// /// Refuses negative numbers.
    /// #[derive(Clone, Copy)]
    /// struct Positive;
    /// impl Serde<i64> for Positive {
    ///     fn serialize(&self, n: &i64, out: &mut Vec<u8>) -> Result<(), SerdeError> {
    ///         if *n < 0 { Err(SerdeError::new("negative")) } else { I64Serde.serialize(n, out) }
    ///     }
    /// #     fn deserialize(&self, bytes: &[u8]) -> Result<i64, SerdeError> {
    /// #         I64Serde.deserialize(bytes)
    /// #     }
    /// }
    /// struct LeaveOut;
    /// impl ProductionHandler for LeaveOut {
    ///     fn on_production_error(&self, _: &ErrorContext<'_>, _: &ProcessError) -> Response {
    ///         Response::Continue
    ///     }
    /// }
    /// builder.stream::<String, i64>("in").to(Produced::topic("out").value_serde(Positive));
    /// # let topology = builder.build()?;
    /// let handlers = Handlers { production: std::sync::Arc::new(LeaveOut), ..Handlers::default() };
    /// let driver = TopologyTestDriver::builder(&topology).handlers(handlers).build()?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for n in [-1, 1] {
    ///     input.pipe("a", n)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn on_production_error(&self, context: &ErrorContext<'_>, error: &ProcessError) -> Response;
}

/// Logs and stops: the default of every kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAndFail;
/// Logs, drops the record and goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAndContinue;

macro_rules! log_handlers {
    ($($t:ident :: $method:ident),*) => {$(
        impl $t for LogAndFail {
            fn $method(&self, context: &ErrorContext<'_>, error: &ProcessError) -> Response {
                tracing::error!(task = context.task_id, topic = context.topic, partition = context.partition, offset = context.offset, %error, "record failed");
                Response::Fail
            }
        }
        impl $t for LogAndContinue {
            fn $method(&self, context: &ErrorContext<'_>, error: &ProcessError) -> Response {
                tracing::warn!(task = context.task_id, topic = context.topic, partition = context.partition, offset = context.offset, %error, "record dropped");
                Response::Continue
            }
        }
    )*};
}
log_handlers!(
    DeserializationHandler::on_deserialization_error,
    ProcessingHandler::on_processing_error,
    ProductionHandler::on_production_error
);

/// Error handlers of an application. `Default` = fail, as in Kafka Streams.
#[derive(Clone)]
pub struct Handlers {
    /// For bytes that cannot be read.
    pub deserialization: Arc<dyn DeserializationHandler>,
    /// For operators that fail.
    pub processing: Arc<dyn ProcessingHandler>,
    /// Whether `processing` also decides about records of global tables; without it they fail. Default: false.
    pub processing_of_global_tables: bool,
    /// For records that cannot be written.
    pub production: Arc<dyn ProductionHandler>,
    /// Failed records go here with their source bytes and `__streams.errors.*` headers, whatever the handler answers.
    pub dead_letter_topic: Option<Arc<str>>,
    /// Keep a copy of each source record's bytes, so that `ErrorContext` shows them to the processing handler.
    /// Implied by `dead_letter_topic`.
    pub keep_source_bytes: bool,
}

impl Default for Handlers {
    fn default() -> Self {
        Self {
            deserialization: Arc::new(LogAndFail),
            processing: Arc::new(LogAndFail),
            production: Arc::new(LogAndFail),
            processing_of_global_tables: false,
            dead_letter_topic: None,
            keep_source_bytes: false,
        }
    }
}
