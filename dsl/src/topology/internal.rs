//! What the handles of the DSL share while a topology is made.
use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use crate::{
    engine::{OffsetReset, ProcessorWrapper},
    serde::{SharedSerde, default_serde_of},
};

use super::{
    BuildError, GraphId, GraphNode, SourceTopics, Topology, TopologyConfig, TopologyWriter, Violation, ViolationKind,
    build,
};

/// Shared by the builder and all handles.
pub(crate) type BuilderRef = Rc<RefCell<Builder>>;

/// A source made by `stream`.
pub(crate) struct StreamSource {
    pub(crate) node: GraphId,
    pub(crate) topics: SourceTopics,
    pub(crate) reset: Option<OffsetReset>,
    pub(crate) types: &'static str,
}

/// The repartition topic that joins of one stream share.
pub(crate) struct JoinTopic<K, V> {
    pub(crate) node: GraphId,
    pub(crate) source: Arc<str>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
}
impl<K, V> Clone for JoinTopic<K, V> {
    fn clone(&self) -> Self {
        Self {
            node: self.node,
            source: self.source.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}

/// The logical graph while the DSL is used.
pub(crate) struct Builder {
    pub(crate) counter: u32,
    pub(crate) nodes: Vec<GraphNode>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) config: TopologyConfig,
    pub(crate) wrapper: Option<Arc<dyn ProcessorWrapper>>,
    serdes: HashMap<TypeId, Box<dyn Any>>,
    /// A `JoinTopic` for each stream that was joined by a new key.
    join_topics: HashMap<GraphId, Box<dyn Any>>,
    /// Generated names of stores, also of those that may never be made.
    pub(crate) generated_names: Vec<Arc<str>>,
    /// Names that Kafka Streams takes for sources, and the sources they stand for.
    pub(crate) stand_ins: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Source streams by topics, so that two streams of one topic become one source.
    pub(crate) stream_sources: Vec<StreamSource>,
}

impl Default for Builder {
    fn default() -> Self {
        let root = GraphNode::new("root".into(), |_: &Arc<str>, _: &[Arc<str>], _: &mut TopologyWriter| {});
        Self {
            counter: 0,
            nodes: vec![root],
            violations: Vec::new(),
            config: TopologyConfig::default(),
            wrapper: None,
            serdes: HashMap::new(),
            join_topics: HashMap::new(),
            generated_names: Vec::new(),
            stand_ins: HashMap::new(),
            stream_sources: Vec::new(),
        }
    }
}

impl Builder {
    /// The parent of all sources.
    pub(crate) const ROOT: GraphId = GraphId(0);

    /// Adds a node behind `parents`.
    pub(crate) fn add(&mut self, parents: &[GraphId], mut node: GraphNode) -> GraphId {
        let id = GraphId(self.nodes.len());
        node.priority = id.0;
        // A stream merged with itself is one edge, as in Kafka Streams.
        for parent in parents {
            if !node.parents.contains(parent) {
                node.parents.push(*parent);
            }
        }
        let parents = node.parents.clone();
        self.nodes.push(node);
        for parent in &parents {
            if let Some(parent) = self.nodes.get_mut(parent.0) {
                parent.children.push(id);
            }
        }
        id
    }
    /// The grace of the windowed aggregations in front of a node, the longest where there are several.
    pub(crate) fn window_grace_ms(&self, node: GraphId) -> Option<i64> {
        let node = self.nodes.get(node.0)?;
        node.grace_ms.or_else(|| {
            let parents = node.parents.iter();
            parents.filter_map(|parent| self.window_grace_ms(*parent)).max()
        })
    }
    /// The topic that was made last for a join of this stream.
    pub(crate) fn join_topic<K: 'static, V: 'static>(&self, stream: GraphId) -> Option<JoinTopic<K, V>> {
        self.join_topics.get(&stream)?.downcast_ref().cloned()
    }
    pub(crate) fn keep_join_topic<K: 'static, V: 'static>(&mut self, stream: GraphId, topic: JoinTopic<K, V>) {
        self.join_topics.insert(stream, Box::new(topic));
    }
    /// An edge, once.
    pub(super) fn link(&mut self, parent: GraphId, child: GraphId) {
        if let Some(node) = self.nodes.get_mut(parent.0)
            && !node.children.contains(&child)
        {
            node.children.push(child);
        }
        if let Some(node) = self.nodes.get_mut(child.0)
            && !node.parents.contains(&parent)
        {
            node.parents.push(parent);
        }
    }
    /// Takes an edge away.
    pub(super) fn unlink(&mut self, parent: GraphId, child: GraphId) {
        if let Some(node) = self.nodes.get_mut(parent.0) {
            node.children.retain(|c| *c != child);
        }
        if let Some(node) = self.nodes.get_mut(child.0) {
            node.parents.retain(|p| *p != parent);
        }
    }
    /// Notes a broken rule; `build` reports all of them.
    pub(crate) fn violation(&mut self, name: &Arc<str>, message: impl Into<String>) {
        self.violates(ViolationKind::Topology, name, message.into());
    }
    /// Notes an option with a value it cannot have; `build` reports all of them.
    pub(crate) fn argument(&mut self, name: &Arc<str>, message: impl Into<String>) {
        self.violates(ViolationKind::Argument, name, message.into());
    }
    /// Notes an option that the thing it was given to does not have; `build` reports all of them.
    pub(crate) fn illegal_state(&mut self, name: &Arc<str>, message: impl Into<String>) {
        self.violates(ViolationKind::State, name, message.into());
    }
    fn violates(&mut self, kind: ViolationKind, name: &Arc<str>, message: String) {
        self.violations.push(Violation {
            kind,
            name: name.clone(),
            message,
        });
    }
    /// Registers the serde used for `T` where none is given or inherited. Replaces the default of the type.
    pub(crate) fn set_default_serde<T: 'static>(&mut self, serde: SharedSerde<T>) {
        self.serdes.insert(TypeId::of::<T>(), Box::new(serde));
    }
    /// The serde of a type that is neither given nor inherited.
    pub(crate) fn default_serde<T: 'static>(&self) -> Option<SharedSerde<T>> {
        let registered = self
            .serdes
            .get(&TypeId::of::<T>())
            .and_then(|s| s.downcast_ref::<SharedSerde<T>>());
        registered.cloned().or_else(default_serde_of::<T>)
    }
    /// The serde to use: given, inherited, or the default of the type; else a violation that names operator and type.
    pub(crate) fn resolve_serde<T: 'static>(
        &mut self,
        name: &Arc<str>,
        given: Option<&SharedSerde<T>>,
        inherited: Option<&SharedSerde<T>>,
    ) -> Option<SharedSerde<T>> {
        let found = given.or(inherited).cloned().or_else(|| self.default_serde::<T>());
        if found.is_none() {
            let message = format!("no serde for `{}`: give one", std::any::type_name::<T>());
            self.violation(name, message);
        }
        found
    }
    /// Writes the logical graph and checks every rule.
    pub(crate) fn build(&mut self) -> Result<Topology, BuildError> {
        build::build(self)
    }
}
