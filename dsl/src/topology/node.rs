//! Nodes of a topology: sources, processors, sinks.
use std::sync::Arc;

use crate::engine::{NodeFactory, SourceFactory};

use super::{InternalTopic, OffsetReset, TopicRef};

/// What a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceTopics {
    /// Topics by name, in the order given.
    Names(Vec<Arc<str>>),
    /// A repartition topic.
    Internal(InternalTopic),
    /// Every topic that matches a regular expression.
    Pattern(Arc<str>),
}
impl SourceTopics {
    pub(crate) fn refs(&self) -> Vec<TopicRef> {
        match self {
            Self::Names(names) => names.iter().cloned().map(TopicRef::External).collect(),
            Self::Internal(topic) => vec![TopicRef::Internal(topic.clone())],
            Self::Pattern(pattern) => vec![TopicRef::Pattern(pattern.clone())],
        }
    }
}

/// What a sink writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTarget {
    /// A topic of the user.
    Topic(Arc<str>),
    /// A repartition topic.
    Internal(InternalTopic),
    /// Chosen per record; the text shown by `describe`.
    Dynamic(Arc<str>),
}
impl SinkTarget {
    pub(crate) fn topic(&self) -> Option<TopicRef> {
        match self {
            Self::Topic(name) => Some(TopicRef::External(name.clone())),
            Self::Internal(topic) => Some(TopicRef::Internal(topic.clone())),
            Self::Dynamic(_) => None,
        }
    }
}

#[derive(Clone)]
pub(crate) enum NodeKind {
    Source {
        topics: SourceTopics,
        reset: Option<OffsetReset>,
        factory: Arc<dyn SourceFactory>,
        global: bool,
    },
    Processor {
        factory: Arc<dyn NodeFactory>,
    },
    Sink {
        target: SinkTarget,
        factory: Arc<dyn NodeFactory>,
    },
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) kind: NodeKind,
    pub(crate) parents: Vec<usize>,
    pub(crate) children: Vec<usize>,
    pub(crate) stores: Vec<Arc<str>>,
}
impl Node {
    pub(crate) fn is_dynamic_sink(&self) -> bool {
        matches!(
            &self.kind,
            NodeKind::Sink {
                target: SinkTarget::Dynamic(_),
                ..
            }
        )
    }
    pub(crate) fn is_processor(&self) -> bool {
        matches!(&self.kind, NodeKind::Processor { .. })
    }
    pub(crate) fn is_global_source(&self) -> bool {
        matches!(&self.kind, NodeKind::Source { global: true, .. })
    }
}
