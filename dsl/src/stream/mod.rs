//! A stream of records while a topology is made: cheap handles on nodes of the logical graph.
mod builder;
mod options;
mod sink;
mod source;
mod timestamps;

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    engine::{Children, NodeFactory, NodeScope, Receiver, port},
    serde::SharedSerde,
    topology::{BuilderRef, GraphId, GraphNode, TopologyWriter},
};

pub use builder::StreamsBuilder;
pub use options::{Consumed, Named, Produced, Repartitioned};
pub use sink::{Outgoing, Partitioner};
pub(crate) use sink::{SinkOptions, TopicFn, sink_factory, topic_of_pair};
pub(crate) use source::{source_factory, source_factory_without_key_bytes};
pub use timestamps::{ExtractInput, TimestampExtractor};

/// A stream of records. Kafka Streams: `KStream`. Cheap to clone; independent of the builder's life.
pub struct KStream<K, V> {
    /// Shared with the builder.
    pub(crate) builder: BuilderRef,
    /// The node whose output this is.
    pub(crate) node: GraphId,
    /// Name of that node.
    pub(crate) name: Arc<str>,
    /// The serde the key came with, while the key's type is unchanged. `Record::key_bytes` are bytes of this serde.
    pub(crate) key_serde: Option<SharedSerde<K>>,
    /// The serde the value came with, while the value's type is unchanged.
    pub(crate) value_serde: Option<SharedSerde<V>>,
    /// Sources of the sub-topology so far: what a join must co-partition.
    pub(crate) sources: Arc<BTreeSet<Arc<str>>>,
    /// Whether the key may have changed since the partitioning was made.
    pub(crate) repartition_required: bool,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            builder: self.builder.clone(),
            node: self.node,
            name: self.name.clone(),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            sources: self.sources.clone(),
            repartition_required: self.repartition_required,
        }
    }
}

impl<K, V> std::fmt::Debug for KStream<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KStream")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What an operator does to the handle.
pub(crate) struct Derived<K, V> {
    pub(crate) key_serde: Option<SharedSerde<K>>,
    pub(crate) value_serde: Option<SharedSerde<V>>,
    pub(crate) key_changing: bool,
    pub(crate) value_changing: bool,
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Name of the operator whose output this is.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// assert_eq!(builder.stream::<String, i64>("in").filter_with(|_, _| true, "all").name(), "all");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name given, or one with `prefix`; the counter moves in both cases, as in Kafka Streams.
    pub(crate) fn next_name(&self, named: &Named, prefix: &str) -> Arc<str> {
        self.builder.borrow_mut().name_burning(named.name(), prefix)
    }

    /// Adds an operator made by `make` behind this stream.
    pub(crate) fn chain<K2, V2, N>(
        &self,
        name: Arc<str>,
        derived: Derived<K2, V2>,
        make: impl Fn(&mut NodeScope<'_>, Children<K2, V2>) -> N + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K2: 'static,
        V2: 'static,
        N: Receiver<K, V> + 'static,
    {
        let factory = factory(move |scope| {
            let children = scope.children()?;
            Ok(port(make(scope, children)))
        });
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.add_processor(name, parents, factory.clone());
        };
        let mut node = GraphNode::new(name.clone(), write);
        node.key_changing = derived.key_changing;
        node.value_changing = derived.value_changing;
        let id = self.builder.borrow_mut().add(&[self.node], node);
        KStream {
            builder: self.builder.clone(),
            node: id,
            name,
            key_serde: derived.key_serde,
            value_serde: derived.value_serde,
            sources: self.sources.clone(),
            repartition_required: self.repartition_required || derived.key_changing,
        }
    }
    pub(crate) fn same(&self) -> Derived<K, V> {
        Derived {
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            key_changing: false,
            value_changing: false,
        }
    }
    pub(crate) fn new_value<V2>(&self) -> Derived<K, V2> {
        Derived {
            key_serde: self.key_serde.clone(),
            value_serde: None,
            key_changing: false,
            value_changing: true,
        }
    }
    pub(crate) fn new_key<K2>(&self) -> Derived<K2, V> {
        Derived {
            key_serde: None,
            value_serde: self.value_serde.clone(),
            key_changing: true,
            value_changing: false,
        }
    }
    pub(crate) fn new_both<K2, V2>() -> Derived<K2, V2> {
        Derived {
            key_serde: None,
            value_serde: None,
            key_changing: true,
            value_changing: false,
        }
    }
}

/// A closure as a shared factory.
pub(crate) fn factory(
    f: impl Fn(&mut NodeScope<'_>) -> Result<crate::engine::AnyPort, Box<crate::engine::ProcessError>>
    + Send
    + Sync
    + 'static,
) -> Arc<dyn NodeFactory> {
    Arc::new(f)
}
