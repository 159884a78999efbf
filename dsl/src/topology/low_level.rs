//! Topologies node by node, without the DSL.
use std::sync::Arc;

use crate::{
    engine::{ProcessorWrapper, SourceFactory},
    operators::process_node,
    processor::Processor,
    serde::Serde,
    store::Store,
    stream::{Consumed, Produced, SinkOptions, TopicFn, sink_factory, topic_of_pair},
};

use super::{BuildError, Builder, SinkTarget, StoreBuilder, Topology, TopologyWriter};

/// Makes a topology node by node. Kafka Streams: `Topology` (the low-level API). Nodes are named by the caller.
///
/// ```
/// use millstream_dsl::{prelude::*, testing::Runner, topology::TopologyBuilder};
/// struct Upper;
/// impl Processor<String, String, String, String> for Upper {
///     fn process(
///         &mut self,
///         ctx: &ProcessorContext<'_, String, String>,
///         record: Record<'_, String, String>,
///     ) -> Result<(), BoxError> {
///         ctx.forward(record.with_value(&record.value.to_uppercase()))?;
///         Ok(())
///     }
/// }
/// let mut builder = TopologyBuilder::new();
/// builder.add_source::<String, String>("source", "in");
/// builder.add_processor("upper", || Upper, &["source"]);
/// builder.add_sink::<String, String>("sink", "out", &["upper"]);
/// let runner = Runner::new(&builder.build()?)?;
/// runner.pipe("in", "a".to_owned(), "x".to_owned())?;
/// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "X".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct TopologyBuilder {
    writer: TopologyWriter,
    serdes: Builder,
}

struct FilledStore {
    store: StoreBuilder,
    source: Arc<str>,
    topic: Arc<str>,
    factory: Arc<dyn SourceFactory>,
}

fn shared(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

impl TopologyBuilder {
    /// An empty topology.
    pub fn new() -> Self {
        Self::default()
    }
    /// The serde of `T` wherever none is given, instead of the default of the type.
    pub fn default_serde<T: 'static>(&mut self, serde: impl Serde<T> + 'static) {
        self.serdes.set_default_serde(Arc::new(serde));
    }
    /// Puts something around every processor; see
    /// [`StreamsBuilder::wrap_processors`](crate::stream::StreamsBuilder::wrap_processors).
    pub fn wrap_processors(&mut self, wrapper: impl ProcessorWrapper + 'static) {
        self.writer.wrapper = Some(Arc::new(wrapper));
    }
    /// A source of one or more topics.
    pub fn add_source<K: 'static, V: 'static>(&mut self, name: &str, consumed: impl Into<Consumed<K, V>>) {
        let (name, consumed): (Arc<str>, _) = (name.into(), consumed.into());
        if let Some(source) = consumed.source(&name, &mut self.serdes) {
            self.writer.add_source(&name, consumed.topics, consumed.reset, source);
        }
    }
    /// A processor behind `parents`; `supplier` makes one per task.
    pub fn add_processor<K, V, K2, V2, P>(
        &mut self,
        name: &str,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        parents: &[&str],
    ) where
        K: 'static,
        V: 'static,
        K2: 'static,
        V2: 'static,
        P: Processor<K, V, K2, V2> + 'static,
    {
        self.writer.add_processor(
            &name.into(),
            &shared(parents),
            process_node::<K, V, K2, V2, P>(supplier),
        );
    }
    /// A sink behind `parents`.
    pub fn add_sink<K: 'static, V: 'static>(
        &mut self,
        name: &str,
        produced: impl Into<Produced<K, V>>,
        parents: &[&str],
    ) {
        let produced = produced.into();
        let target = SinkTarget::Topic(produced.topic.clone());
        self.sink(name, produced, None, target, parents);
    }
    /// A sink behind `parents` that chooses the topic of each record.
    pub fn add_dynamic_sink<K: 'static, V: 'static>(
        &mut self,
        name: &str,
        topic: impl Fn(&K, &V) -> String + Send + Sync + 'static,
        produced: Produced<K, V>,
        parents: &[&str],
    ) {
        let shown: Arc<str> = if produced.topic.is_empty() {
            "topic-fn".into()
        } else {
            produced.topic.clone()
        };
        self.sink(
            name,
            produced,
            Some(topic_of_pair(topic)),
            SinkTarget::Dynamic(shown),
            parents,
        );
    }
    fn sink<K: 'static, V: 'static>(
        &mut self,
        name: &str,
        produced: Produced<K, V>,
        topic_fn: Option<TopicFn<K, V>>,
        target: SinkTarget,
        parents: &[&str],
    ) {
        let name: Arc<str> = name.into();
        let key = self.serdes.resolve_serde(&name, produced.key.as_ref(), None);
        let value = self.serdes.resolve_serde(&name, produced.value.as_ref(), None);
        let (Some(key), Some(value)) = (key, value) else { return };
        let options = SinkOptions {
            key,
            value,
            // What the source read with is not known here.
            reuse_key_bytes: false,
            topic: produced.topic,
            topic_fn,
            partitioner: produced.partitioner,
        };
        self.writer
            .add_sink(&name, target, &shared(parents), sink_factory(options));
    }
    /// A store, connected to `processors`.
    pub fn add_state_store<K: 'static, V: 'static>(&mut self, store: Store<K, V>, processors: &[&str]) {
        if self.writer.stores.iter().any(|s| s.spec.name == *store.name()) {
            self.writer
                .violation(store.name(), "there is already a store of this name");
            return;
        }
        let store = store.resolve(&mut self.serdes);
        self.writer.add_store(store, &shared(processors));
    }
    /// Lets a processor use stores.
    #[doc(alias = "connectProcessorAndStateStores")]
    pub fn connect(&mut self, processor: &str, stores: &[&str]) {
        for store in shared(stores) {
            self.writer.connect(&processor.into(), &store);
        }
    }
    /// A store that every instance fills from a whole topic.
    pub fn add_global_store<K, V, SK, SV, P>(
        &mut self,
        store: Store<SK, SV>,
        source: &str,
        consumed: impl Into<Consumed<K, V>>,
        processor: &str,
        supplier: impl Fn() -> P + Send + Sync + 'static,
    ) where
        K: 'static,
        V: 'static,
        SK: 'static,
        SV: 'static,
        P: Processor<K, V, (), ()> + 'static,
    {
        let node = process_node::<K, V, (), (), P>(supplier);
        if let Some(filled) = self.filled_store(store, source, &consumed.into()) {
            let source = (&filled.source, filled.factory);
            self.writer
                .add_global(filled.store, &filled.topic, source, (&processor.into(), node));
        }
    }
    /// A store filled from a topic that also serves as its changelog.
    #[doc(alias = "addReadOnlyStateStore")]
    pub fn add_read_only_store<K, V, SK, SV, P>(
        &mut self,
        store: Store<SK, SV>,
        source: &str,
        consumed: impl Into<Consumed<K, V>>,
        processor: &str,
        supplier: impl Fn() -> P + Send + Sync + 'static,
    ) where
        K: 'static,
        V: 'static,
        SK: 'static,
        SV: 'static,
        P: Processor<K, V, (), ()> + 'static,
    {
        let node = process_node::<K, V, (), (), P>(supplier);
        if let Some(filled) = self.filled_store(store, source, &consumed.into()) {
            let source = (&filled.source, filled.factory);
            self.writer
                .add_read_only(filled.store, &filled.topic, source, (&processor.into(), node));
        }
    }
    /// A store and the one topic that fills it.
    fn filled_store<K: 'static, V: 'static, SK: 'static, SV: 'static>(
        &mut self,
        store: Store<SK, SV>,
        source: &str,
        consumed: &Consumed<K, V>,
    ) -> Option<FilledStore> {
        let source: Arc<str> = source.into();
        let store = store.resolve(&mut self.serdes);
        let (topic, factory) = consumed.single(&source, &mut self.serdes)?;
        Some(FilledStore {
            store,
            source,
            topic,
            factory,
        })
    }
    /// Checks every rule and gives the immutable topology.
    ///
    /// # Errors
    /// All violated rules at once.
    pub fn build(mut self) -> Result<Topology, BuildError> {
        let mut violations = self.serdes.violations;
        if violations.is_empty() {
            return self.writer.finish();
        }
        violations.append(&mut self.writer.violations);
        Err(BuildError { violations })
    }
}
