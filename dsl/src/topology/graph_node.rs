//! The logical graph that the DSL makes: written to the topology only at build, so that later calls can still change it.
use std::sync::Arc;

use super::{TopologyWriter, optimize::RepartitionRole};

/// Index of a node of the logical graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GraphId(pub(crate) usize);

/// How a logical node becomes nodes of the topology.
pub(crate) trait WriteNode {
    /// Adds nodes, stores and topics. `parents`: names of the nodes whose output this one takes.
    fn write(&self, name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter);
}
impl<F: Fn(&Arc<str>, &[Arc<str>], &mut TopologyWriter) + 'static> WriteNode for F {
    fn write(&self, name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter) {
        self(name, parents, writer);
    }
}

/// What the optimiser must know of a node beside its edges.
pub(crate) enum Role {
    /// Nothing.
    Plain,
    /// Sink, repartition topic and source.
    Repartition(RepartitionRole),
    /// A stream-stream join; the node that keeps the records of its other side.
    StreamJoin { other_windowed: GraphId },
}

/// A node of the logical graph.
pub(crate) struct GraphNode {
    /// Name of the topology node whose output children take.
    pub(crate) name: Arc<str>,
    /// Whether it may change the key.
    pub(crate) key_changing: bool,
    /// Whether the values behind it are others than those in front.
    pub(crate) value_changing: bool,
    /// Whether it merges streams.
    pub(crate) merge: bool,
    /// Whether it is a join that has results for records without a key: repartition topics above must not drop them.
    pub(crate) joins_null_keys: bool,
    /// Windowed aggregations: how long after its end a window still changes, in milliseconds.
    pub(crate) grace_ms: Option<i64>,
    pub(crate) parents: Vec<GraphId>,
    pub(crate) children: Vec<GraphId>,
    pub(crate) write: Box<dyn WriteNode>,
    pub(crate) removed: bool,
    /// Nodes are written in this order, once their parents are.
    pub(crate) priority: usize,
    pub(crate) role: Role,
}
impl GraphNode {
    /// A node that neither changes keys nor merges.
    pub(crate) fn new(name: Arc<str>, write: impl WriteNode + 'static) -> Self {
        Self {
            name,
            key_changing: false,
            value_changing: false,
            merge: false,
            joins_null_keys: false,
            grace_ms: None,
            parents: Vec::new(),
            children: Vec::new(),
            write: Box::new(write),
            removed: false,
            priority: 0,
            role: Role::Plain,
        }
    }
}
