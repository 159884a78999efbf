//! Errors of operators with state, in one form.
use std::sync::Arc;

use millstream_state::{Headers, StateError};

use crate::{
    engine::{ProcessError, ProcessErrorKind, ProcessResult, TaskContext},
    serde::SerdeError,
};

/// Where an update or a record failed.
pub(crate) enum Stop {
    /// In this operator: its handler is to be asked.
    Here(Box<ProcessError>),
    /// Behind it: handlers have been asked.
    Behind(Box<ProcessError>),
}
impl From<Box<ProcessError>> for Stop {
    fn from(error: Box<ProcessError>) -> Self {
        Self::Here(error)
    }
}
impl Stop {
    /// Asks the handler where that has not happened.
    #[cold]
    pub(crate) fn handle(self, cx: &TaskContext, timestamp: i64, headers: &Headers) -> ProcessResult {
        match self {
            Self::Here(error) => handle(cx, error, timestamp, headers),
            Self::Behind(error) => Err(error),
        }
    }
}

/// What can end a walk over rows of a store that are handed on one by one.
pub(crate) enum Failed {
    /// The store.
    Store(StateError),
    /// What a row was handed to.
    Stop(Stop),
}
impl From<StateError> for Failed {
    fn from(error: StateError) -> Self {
        Self::Store(error)
    }
}
impl Failed {
    pub(crate) fn in_node(self, node: &Arc<str>) -> Stop {
        match self {
            Self::Store(error) => Stop::Here(store(node, error)),
            Self::Stop(stop) => stop,
        }
    }
}

/// A store failed: the task stops.
#[cold]
pub(crate) fn store(node: &Arc<str>, error: StateError) -> Box<ProcessError> {
    ProcessError::caused(ProcessErrorKind::Store, node, error)
}
/// A row could not be read.
#[cold]
pub(crate) fn read(node: &Arc<str>, error: SerdeError) -> Box<ProcessError> {
    ProcessError::caused(ProcessErrorKind::Deserialization, node, error)
}
/// A key or value could not be written.
#[cold]
pub(crate) fn write(what: &str, node: &Arc<str>, error: SerdeError) -> Box<ProcessError> {
    let mut error = ProcessError::caused(ProcessErrorKind::Serialization, node, error);
    error.message = format!("{what}: {}", error.message);
    error
}
/// What was wrong with the record goes to the processing handler; a failed store stops the task whatever the handler says.
#[cold]
pub(crate) fn handle(cx: &TaskContext, error: Box<ProcessError>, timestamp: i64, headers: &Headers) -> ProcessResult {
    match error.kind {
        ProcessErrorKind::Store => Err(error),
        _ => cx.processing_failed(error, timestamp, headers),
    }
}
