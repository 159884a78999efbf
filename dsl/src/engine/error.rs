//! What stops a record, and in which operator it happened.
use std::{any::Any, sync::Arc};

/// Any error of user code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Outcome of a record in an operator and everything behind it. An error has passed the handlers: it stops the task.
/// Only a sink's has not yet: whoever called the operator in front of it asks them.
pub type ProcessResult = Result<(), Box<ProcessError>>;

/// What stopped a record, with the operator it happened in.
#[derive(Debug, thiserror::Error)]
#[error("{kind:?} in {node}: {message}")]
pub struct ProcessError {
    /// What went wrong.
    pub kind: ProcessErrorKind,
    /// Name of the operator.
    pub node: Arc<str>,
    /// Details, without payload.
    pub message: String,
    /// The error behind it.
    #[source]
    pub source: Option<BoxError>,
    pub(crate) stage: Stage,
}

/// Who has to deal with an error?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The owner of the task: it has passed the handlers.
    Settled,
    /// The operator in front of the sink that it happened in.
    InSink,
    /// It has left that operator, too, which has not gone on with its record.
    InFrontOfSink,
}

/// Classes of errors a record can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessErrorKind {
    /// Bytes of a source topic or store could not be read as the declared type.
    Deserialization,
    /// A key or value could not be written.
    Serialization,
    /// A function given by the user returned an error.
    UserFunction,
    /// A function given by the user panicked.
    Panic,
    /// A record has a negative timestamp.
    InvalidTimestamp,
    /// A state store failed.
    Store,
    /// A processor asked a store for something that cannot be.
    InvalidArgument,
    /// An operator that keeps records by key got one without a key.
    NullKey,
    /// A suppress buffer is full and was told to stop then.
    BufferFull,
    /// `forward_to` named an operator that is not a child.
    UnknownChild,
    /// A processor asked for a store it is not connected to, or by the wrong type.
    StoreNotConnected,
    /// A record could not be produced.
    Production,
    /// Anything else.
    Other,
}

impl ProcessError {
    /// An error without a cause.
    pub fn new(kind: ProcessErrorKind, node: &Arc<str>, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind,
            node: node.clone(),
            message: message.into(),
            source: None,
            stage: Stage::Settled,
        })
    }
    /// An error with the error behind it.
    pub fn caused(kind: ProcessErrorKind, node: &Arc<str>, source: impl Into<BoxError>) -> Box<Self> {
        let source = source.into();
        Box::new(Self {
            kind,
            node: node.clone(),
            message: source.to_string(),
            source: Some(source),
            stage: Stage::Settled,
        })
    }
    /// The error of a sink, which the operator in front of it has to deal with.
    pub(crate) fn in_sink(mut self: Box<Self>) -> Box<Self> {
        self.stage = Stage::InSink;
        self
    }
    /// A caught panic.
    pub(crate) fn panicked(node: &Arc<str>, payload: &(dyn Any + Send)) -> Box<Self> {
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        Self::new(ProcessErrorKind::Panic, node, text)
    }
}
