//! Takes nodes, stores and topics while a topology is written, and checks the rules that need all of them.
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use millstream_state::{LoggedHeaders, StoreBackend, StoreKind};

use crate::engine::{NodeFactory, OffsetReset, ProcessorWrapper, SourceFactory};

use super::{
    BuildError, InternalTopic, SinkTarget, SourceTopics, StoreBuilder, StoreFormat, Topology, TopologyConfig,
    Violation, group,
    naming::name_problem,
    node::{Node, NodeKind},
};

/// Sources (by node name) that must have equal partition counts, and those of which Kafka Streams asks it.
#[derive(Clone)]
pub(crate) struct Copartition {
    pub(crate) sources: Vec<Arc<str>>,
    pub(crate) asked: Vec<Arc<str>>,
}

/// Takes nodes, stores and topics.
#[derive(Default)]
pub(crate) struct TopologyWriter {
    pub(crate) nodes: Vec<Node>,
    pub(crate) by_name: HashMap<Arc<str>, usize>,
    pub(crate) stores: Vec<StoreBuilder>,
    pub(crate) global_stores: Vec<StoreBuilder>,
    pub(crate) copartitioned: Vec<Copartition>,
    pub(crate) config: TopologyConfig,
    pub(crate) violations: Vec<Violation>,
    pub(crate) wrapper: Option<Arc<dyn ProcessorWrapper>>,
    /// Stream-stream joins, by name, whose sides are one stream.
    pub(crate) self_joins: HashSet<Arc<str>>,
    /// Sources of repartition topics that keep records without a key.
    pub(crate) kept_null_keys: HashSet<Arc<str>>,
    /// Generated names of stores, also of those that were not made, and names of topics that nobody has chosen for them.
    pub(crate) generated_names: Vec<Arc<str>>,
    /// Names that Kafka Streams takes for sources, and the sources they stand for.
    pub(crate) stand_ins: HashMap<Arc<str>, Vec<Arc<str>>>,
    /// Sources of repartition topics that have become one, and its source.
    pub(crate) replaced_sources: HashMap<Arc<str>, Arc<str>>,
}

impl TopologyWriter {
    /// Notes a broken rule.
    pub(crate) fn violation(&mut self, name: &Arc<str>, message: impl Into<String>) {
        self.violations.push(Violation {
            kind: super::ViolationKind::Topology,
            name: name.clone(),
            message: message.into(),
        });
    }
    /// Notes an option with a value it cannot have.
    pub(crate) fn argument(&mut self, name: &Arc<str>, message: impl Into<String>) {
        self.violations.push(Violation {
            kind: super::ViolationKind::Argument,
            name: name.clone(),
            message: message.into(),
        });
    }
    /// A source.
    pub(crate) fn add_source(
        &mut self,
        name: &Arc<str>,
        topics: SourceTopics,
        reset: Option<OffsetReset>,
        factory: Arc<dyn SourceFactory>,
    ) {
        for topic in topics.refs() {
            self.check_unread(name, topic.name());
        }
        self.add_node(
            name,
            NodeKind::Source {
                topics,
                reset,
                factory,
                global: false,
            },
            &[],
        );
    }
    fn check_unread(&mut self, name: &Arc<str>, topic: &Arc<str>) {
        let taken = self.nodes.iter().any(|n| match &n.kind {
            NodeKind::Source { topics, .. } => topics.refs().iter().any(|t| t.name() == topic),
            _ => false,
        });
        if taken {
            self.violation(name, format!("topic {topic} is already read by another source"));
        }
    }
    /// A processor behind `parents`.
    pub(crate) fn add_processor(&mut self, name: &Arc<str>, parents: &[Arc<str>], factory: Arc<dyn NodeFactory>) {
        self.add_node(name, NodeKind::Processor { factory }, parents);
    }
    /// A sink behind `parents`.
    pub(crate) fn add_sink(
        &mut self,
        name: &Arc<str>,
        target: SinkTarget,
        parents: &[Arc<str>],
        factory: Arc<dyn NodeFactory>,
    ) {
        if let SinkTarget::Topic(topic) = &target
            && let Some(problem) = name_problem(topic)
        {
            self.violation(name, format!("topic `{topic}`: {problem}"));
        }
        self.add_node(name, NodeKind::Sink { target, factory }, parents);
    }
    fn add_node(&mut self, name: &Arc<str>, kind: NodeKind, parents: &[Arc<str>]) {
        let index = self.nodes.len();
        if self.by_name.contains_key(name) {
            self.violation(name, "there is already an operator of this name: give another one");
            return;
        }
        let mut parent_indices = Vec::with_capacity(parents.len());
        for parent in parents {
            match self.by_name.get(parent).copied() {
                Some(p) if parent_indices.contains(&p) => {}
                Some(p) => {
                    parent_indices.push(p);
                    if let Some(node) = self.nodes.get_mut(p) {
                        node.children.push(index);
                    }
                }
                None => self.violation(name, format!("there is no operator {parent} to take records from")),
            }
        }
        self.by_name.insert(name.clone(), index);
        self.nodes.push(Node {
            name: name.clone(),
            kind,
            parents: parent_indices,
            children: vec![],
            stores: vec![],
        });
    }
    /// A store, connected to `processors`. The same store may be added again by the same builder value.
    pub(crate) fn add_store(&mut self, mut store: StoreBuilder, processors: &[Arc<str>]) {
        self.settle_backend(&mut store);
        let of_deletions = store.spec.logged_headers == LoggedHeaders::OfDeletions;
        // Kafka Streams has no stores in memory that know headers.
        let aware = self.config.store_format == StoreFormat::Headers && store.spec.backend == StoreBackend::Persistent;
        if of_deletions && !aware {
            store.spec.logged_headers = LoggedHeaders::Never;
        }
        let name = store.spec.name.clone();
        match self
            .stores
            .iter()
            .chain(&self.global_stores)
            .find(|s| s.spec.name == name)
        {
            Some(known) if !known.is(&store) => {
                self.violation(&name, "there is already another store of this name");
            }
            Some(_) => {}
            None => {
                if let Some(problem) = name_problem(&name) {
                    self.violation(&name, format!("store name: {problem}"));
                }
                self.stores.push(store);
            }
        }
        for processor in processors {
            self.connect(processor, &name);
        }
    }
    fn settle_backend(&self, store: &mut StoreBuilder) {
        if store.default_backend {
            store.spec.backend = self.config.default_backend;
        }
    }
    /// Lets a processor use a store; all processors of a store are one sub-topology.
    pub(crate) fn connect(&mut self, processor: &Arc<str>, store: &Arc<str>) {
        if self.global_stores.iter().any(|s| s.spec.name == *store) {
            self.violation(
                processor,
                format!("{store} is a global store: every processor reaches it without connecting"),
            );
            return;
        }
        if !self.stores.iter().any(|s| s.spec.name == *store) {
            self.violation(processor, format!("there is no store {store}: add it first"));
            return;
        }
        match self.by_name.get(processor).and_then(|i| self.nodes.get_mut(*i)) {
            Some(node) if !node.stores.contains(store) => node.stores.push(store.clone()),
            Some(_) => {}
            None => self.violation(processor, format!("there is no operator to connect store {store} to")),
        }
    }
    /// A table that every instance holds whole: its source, its store and the processor that fills it.
    pub(crate) fn add_global(
        &mut self,
        mut store: StoreBuilder,
        topic: &Arc<str>,
        source: (&Arc<str>, Arc<dyn SourceFactory>),
        processor: (&Arc<str>, Arc<dyn NodeFactory>),
    ) {
        self.settle_backend(&mut store);
        let store_name = store.spec.name.clone();
        self.check_unread(source.0, topic);
        if self
            .stores
            .iter()
            .chain(&self.global_stores)
            .any(|s| s.spec.name == store_name)
        {
            self.violation(&store_name, "there is already a store of this name");
        }
        let kind = NodeKind::Source {
            topics: SourceTopics::Names(vec![topic.clone()]),
            reset: None,
            factory: source.1,
            global: true,
        };
        self.add_node(source.0, kind, &[]);
        self.add_node(
            processor.0,
            NodeKind::Processor { factory: processor.1 },
            std::slice::from_ref(source.0),
        );
        if let Some(node) = self.by_name.get(processor.0).and_then(|i| self.nodes.get_mut(*i)) {
            node.stores.push(store_name);
        }
        self.global_stores.push(StoreBuilder {
            source_changelog: Some(topic.clone()),
            ..store
        });
    }
    /// The sources (by node name) must have equal partition counts.
    pub(crate) fn copartition(&mut self, sources: &[Arc<str>]) {
        self.copartition_as(sources, sources);
    }
    /// [`copartition`](Self::copartition) where Kafka Streams asks it of others, which stand in
    /// `Topology::asked_copartition_groups`.
    pub(crate) fn copartition_as(&mut self, sources: &[Arc<str>], asked: &[Arc<str>]) {
        let replaced = |sources: &[Arc<str>]| {
            let replaced = |source| self.replaced_sources.get(source).unwrap_or(source).clone();
            let mut sources: Vec<_> = sources.iter().map(replaced).collect();
            sources.sort();
            sources.dedup();
            sources
        };
        let mut there = Vec::new();
        sources.iter().for_each(|source| self.add_real(source, &mut there));
        let rule = Copartition {
            sources: replaced(&there),
            asked: replaced(asked),
        };
        self.copartitioned.push(rule);
    }
    /// The source, or those it stands for.
    fn add_real(&self, source: &Arc<str>, out: &mut Vec<Arc<str>>) {
        match self.stand_ins.get(source) {
            None => out.push(source.clone()),
            Some(sources) => sources.iter().for_each(|source| self.add_real(source, out)),
        }
    }
    /// Enforced partition counts must agree where topics are co-partitioned.
    fn check_copartitions(&mut self) {
        for Copartition { sources: group, .. } in self.copartitioned.clone() {
            let mut known: Vec<(Arc<str>, Option<i32>)> = Vec::new();
            for source in &group {
                let Some(NodeKind::Source { topics, .. }) = self
                    .by_name
                    .get(source)
                    .and_then(|i| self.nodes.get(*i))
                    .map(|n| &n.kind)
                else {
                    continue;
                };
                match topics {
                    SourceTopics::Internal(InternalTopic { name, partitions, .. }) => {
                        known.push((name.clone(), *partitions));
                    }
                    SourceTopics::Names(names) => known.extend(names.iter().map(|n| (n.clone(), None))),
                    SourceTopics::Pattern(_) => {}
                }
            }
            let counts: Vec<_> = known.iter().filter_map(|(n, c)| c.map(|c| (n.clone(), c))).collect();
            if let Some((first, count)) = counts.first()
                && counts.len() == known.len()
                && let Some((other, different)) = counts.iter().find(|(_, c)| c != count)
            {
                let message = format!("has {count} partitions and {other} has {different}, but they are joined");
                self.violation(first, message);
            }
        }
    }
    /// Generated names change when an operator is added in front of them, and with them the topics of the state.
    fn check_explicit_names(&mut self) {
        let message = "its name is generated, but explicit names are required: name it";
        let logged_or_joined = |store: &&StoreBuilder| {
            store.spec.logging || matches!(store.spec.kind, StoreKind::Window { .. } | StoreKind::Raw)
        };
        let stores = self.stores.iter().filter(logged_or_joined);
        let topics = self.nodes.iter().filter_map(|n| match &n.kind {
            NodeKind::Source {
                topics: SourceTopics::Internal(topic),
                ..
            } => Some(topic.name.clone()),
            _ => None,
        });
        let made = stores.map(|s| s.spec.name.clone()).chain(topics);
        // Those of foreign-key joins pass in Kafka Streams: the name of the join is not asked for, that of its store is.
        let made = made.filter(|name| has_index(name) && !name.starts_with("KTABLE-FK-JOIN-SUBSCRIPTION-"));
        let mut generated = self.generated_names.clone();
        for name in made {
            if !generated.contains(&name) {
                generated.push(name);
            }
        }
        for name in generated {
            self.violation(&name, message);
        }
    }
    /// A store filled from a topic that also serves as its changelog. Kafka Streams: `addReadOnlyStateStore`.
    pub(crate) fn add_read_only(
        &mut self,
        store: StoreBuilder,
        topic: &Arc<str>,
        source: (&Arc<str>, Arc<dyn SourceFactory>),
        processor: (&Arc<str>, Arc<dyn NodeFactory>),
    ) {
        self.add_source(source.0, SourceTopics::Names(vec![topic.clone()]), None, source.1);
        self.add_processor(processor.0, std::slice::from_ref(source.0), processor.1);
        let store = StoreBuilder {
            source_changelog: Some(topic.clone()),
            ..store
        };
        self.add_store(store, std::slice::from_ref(processor.0));
    }
    /// Checks the rules and makes the topology.
    pub(crate) fn finish(mut self) -> Result<Topology, BuildError> {
        self.check_copartitions();
        if self.config.require_explicit_names {
            self.check_explicit_names();
        }
        if self.violations.is_empty() && !self.nodes.iter().any(|n| matches!(n.kind, NodeKind::Source { .. })) {
            self.violation(&"topology".into(), "it reads no topic: add a stream or a table");
        }
        if !self.violations.is_empty() {
            return Err(BuildError {
                violations: self.violations,
            });
        }
        Ok(group::topology(self))
    }
}

/// Whether the name holds an index of the builder: ten digits behind a dash.
fn has_index(name: &str) -> bool {
    name.split('-')
        .any(|part| part.len() == 10 && part.bytes().all(|b| b.is_ascii_digit()))
}
