//! How records move through a task: typed edges, the context of a task, the graph built from a topology, handlers.
mod collector;
mod context;
mod environment;
mod error;
pub(crate) mod factory;
pub(crate) mod graph;
mod handlers;
pub(crate) mod heap;
mod punctuation;
mod raw;
pub(crate) mod receiver;
mod record;
mod shared;
mod source;
mod wrapper;

pub use crate::topology::{InternalTopic, OffsetReset, StoreDefinition, Subtopology, TopicRef, Topology};
pub use collector::{Collector, CollectorError, OutgoingRecord, SinkIndex, SinkTopic};
pub use context::TaskContext;
pub use environment::TaskEnvironment;
pub use error::{BoxError, ProcessError, ProcessErrorKind, ProcessResult};
pub use factory::{AnyPort, NodeFactory, NodeScope, port, table_port};
pub use graph::{SourceIndex, TaskGraph};
pub use handlers::{
    DeserializationHandler, ErrorContext, Handlers, LogAndContinue, LogAndFail, ProcessingHandler, ProductionHandler,
    Response,
};
pub use punctuation::{Cancellable, PunctuationType, Punctuator};
pub use raw::{HeaderSource, RawHeaders, RawRecord};
pub use receiver::{Children, Receiver, StreamPort, TableChildren, TablePort, TableReceiver};
pub use record::{Change, Record};
pub use source::{SourceFactory, SourcePort};
pub use wrapper::{Around, ProcessorWrapper, WrappedPunctuation, WrappedRecord};
