//! The one public error: what went wrong, where, and what the caller must do next.
//!
//! An error never carries a key, a value or a header of a record, and never the value of a configuration property.

use std::{fmt, sync::Arc};

use crate::{
    cluster::{ClusterError, ErrorClass},
    state::StateError,
};

/// Result of the public API.
pub type Result<T> = std::result::Result<T, Error>;

/// What the caller has to do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Correct the configuration; the message lists every violated rule.
    Configuration,
    /// Correct the topology.
    Topology,
    /// Create the source topics that the message names, or correct their names.
    #[doc(alias = "MissingSourceTopicException")]
    MissingSourceTopic,
    /// Give the topics that are joined the same number of partitions, or repartition one side.
    IncorrectlyPartitioned,
    /// The brokers cannot be reached: check `bootstrap_servers`, the network and the security settings; then start again.
    BrokerUnavailable,
    /// The broker has no streams groups: upgrade it (Apache Kafka 4.2 or newer), or switch the feature on.
    UnsupportedBroker,
    /// Another process, or another application in this one, uses the state directory: stop it or choose another directory.
    #[doc(alias = "LockException")]
    StateLocked,
    /// The state directory cannot be used: check permissions and free space.
    State,
    /// The changelog of a store holds less than what has been written to it: the topic was deleted, created again or cut off. Bring
    /// it back from a copy; or give the state up: reset the application's offsets and delete its state directories.
    #[doc(alias = "MissingInternalTopicException")]
    ChangelogLost,
    /// A record cannot be processed: correct the topology or the record, or install a handler that skips it.
    #[doc(alias = "StreamsException")]
    Processing,
    /// A record cannot be written: check the topic, its limits and the permissions.
    Production,
    /// Another instance took the tasks over; nothing to do, the application joins again by itself.
    #[doc(alias = "TaskMigratedException")]
    Migrated,
    /// The broker's answer was not usable just now; nothing is lost, try again.
    Retry,
    /// Another instance of the application asked all of them to stop.
    ShutdownRequested,
    /// The call does not fit the state the application is in, for instance a second `start`.
    IllegalState,
    /// A time limit of the call has passed.
    Timeout,
    /// Nothing will help without a person; the message says what the broker or the client reported.
    Fatal,
}

impl ErrorKind {
    /// What to do next, as a sentence.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Configuration => "correct the configuration",
            Self::Topology => "correct the topology",
            Self::MissingSourceTopic => "create the source topics or correct their names",
            Self::IncorrectlyPartitioned => "give joined topics the same number of partitions",
            Self::BrokerUnavailable => "check bootstrap_servers, the network and the security settings",
            Self::UnsupportedBroker => "use Apache Kafka 4.2 or newer with streams groups switched on",
            Self::StateLocked => "stop the other process or choose another state directory",
            Self::State => "check permissions and free space of the state directory",
            Self::ChangelogLost => {
                "bring the changelog topic back from a copy, or reset the application's offsets and delete its state directories"
            }
            Self::Processing => "correct the topology or the record, or install a handler that skips it",
            Self::Production => "check the topic, its limits and the permissions",
            Self::Migrated => "nothing, the application joins again by itself",
            Self::Retry => "try again",
            Self::ShutdownRequested => "start the application again when the cause is gone",
            Self::IllegalState => "correct the order of calls",
            Self::Timeout => "try again with a longer time limit",
            Self::Fatal => "look at the message and at the broker's log",
        }
    }
}

/// Where an error happened; every part is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorContext {
    /// Topic the record or the request was about.
    pub topic: Option<Arc<str>>,
    /// Partition of the topic.
    pub partition: Option<i32>,
    /// Offset of the record.
    pub offset: Option<i64>,
    /// Task, as `<subtopology>_<partition>`.
    pub task: Option<Arc<str>>,
    /// State store.
    pub store: Option<Arc<str>>,
    /// Operator of the topology.
    pub operator: Option<Arc<str>>,
}

/// Anything that stops an application, a thread of it or a call.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Box<ErrorContext>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            context: Box::default(),
            source: None,
        }
    }

    /// What the caller must do next.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it happened.
    pub fn context(&self) -> &ErrorContext {
        &self.context
    }

    pub(crate) fn task(mut self, task: impl Into<Arc<str>>) -> Self {
        self.context.task.get_or_insert(task.into());
        self
    }

    pub(crate) fn operator(mut self, operator: impl Into<Arc<str>>) -> Self {
        self.context.operator.get_or_insert(operator.into());
        self
    }

    pub(crate) fn at(mut self, topic: impl Into<Arc<str>>, partition: i32) -> Self {
        self.context.topic.get_or_insert(topic.into());
        self.context.partition.get_or_insert(partition);
        self
    }

    pub(crate) fn offset(mut self, offset: i64) -> Self {
        self.context.offset.get_or_insert(offset);
        self
    }

    pub(crate) fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }
}

impl Error {
    /// The error of a store behind it, however deep.
    pub(crate) fn state_error(&self) -> Option<&StateError> {
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = error.source();
        }
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let c = &*self.context;
        let mut separator = " (";
        let mut part = |f: &mut fmt::Formatter<'_>, name: &str, value: Option<&dyn fmt::Display>| match value {
            Some(value) => {
                let s = std::mem::replace(&mut separator, ", ");
                write!(f, "{s}{name} {value}")
            }
            None => Ok(()),
        };
        part(f, "task", c.task.as_ref().map(|v| v as _))?;
        part(f, "operator", c.operator.as_ref().map(|v| v as _))?;
        part(f, "topic", c.topic.as_ref().map(|v| v as _))?;
        part(f, "partition", c.partition.as_ref().map(|v| v as _))?;
        part(f, "offset", c.offset.as_ref().map(|v| v as _))?;
        part(f, "store", c.store.as_ref().map(|v| v as _))?;
        if separator == ", " {
            f.write_str(")")?;
        }
        write!(f, "; what to do: {}", self.kind.advice())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        let kind = match error.class {
            ErrorClass::Retry => ErrorKind::Retry,
            ErrorClass::Migrated => ErrorKind::Migrated,
            ErrorClass::Corrupted => ErrorKind::State,
            // Kafka's UNSUPPORTED_VERSION: the group coordinator has no streams groups.
            ErrorClass::Fatal if error.code == 35 => ErrorKind::UnsupportedBroker,
            ErrorClass::AbortTransaction | ErrorClass::Unknown | ErrorClass::Fatal => ErrorKind::Fatal,
        };
        let mut own = Self::new(kind, error.message.clone());
        if let Some(p) = &error.partition {
            own = own.at(p.topic.clone(), p.partition);
        }
        own.caused_by(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_a_sentence_with_the_place_and_what_to_do() {
        let e = Error::new(ErrorKind::Processing, "the value cannot be read")
            .task("0_1")
            .at("payments", 1)
            .offset(42);
        assert_eq!(
            e.to_string(),
            "the value cannot be read (task 0_1, topic payments, partition 1, offset 42); what to do: correct the \
             topology or the record, or install a handler that skips it"
        );
        let bare = Error::new(ErrorKind::Timeout, "close took longer than 5 s");
        assert_eq!(
            bare.to_string(),
            "close took longer than 5 s; what to do: try again with a longer time limit"
        );
    }

    #[test]
    fn the_innermost_place_wins() {
        let e = Error::new(ErrorKind::Processing, "x").at("inner", 1).at("outer", 2);
        assert_eq!(e.context().topic.as_deref(), Some("inner"));
        assert_eq!(e.context().partition, Some(1));
    }

    #[test]
    fn a_broker_without_streams_groups_has_its_own_kind() {
        let e = Error::from(ClusterError {
            class: ErrorClass::Fatal,
            code: 35,
            message: "no streams groups".into(),
            partition: None,
        });
        assert_eq!(e.kind(), ErrorKind::UnsupportedBroker);
    }
}
