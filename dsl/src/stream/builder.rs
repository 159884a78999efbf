//! Where a topology begins: sources and stores.
use std::{collections::BTreeSet, sync::Arc};

use crate::{
    engine::ProcessorWrapper,
    operators::{process_node, suffixed},
    processor::Processor,
    serde::Serde,
    store::Store,
    topology::{BuildError, Builder, BuilderRef, GraphNode, Topology, TopologyConfig, TopologyWriter},
};

use super::{Consumed, KStream, source_factory};

/// Makes a topology. Kafka Streams: `StreamsBuilder`.
///
/// ```
/// use millstream_dsl::prelude::*;
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, String>("in").filter(|_, v| !v.is_empty()).to("out");
/// let topology = builder.build()?;
/// assert_eq!(topology.subtopologies().len(), 1);
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct StreamsBuilder {
    pub(crate) inner: BuilderRef,
}

impl StreamsBuilder {
    /// An empty topology.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty topology with settings: optimizations, default stores, rolling upgrades. Kafka Streams:
    /// `new StreamsBuilder(TopologyConfig)` and `build(Properties)`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let config = TopologyConfig { optimizations: Optimizations::ALL, ..TopologyConfig::default() };
    /// let builder = StreamsBuilder::with_config(config);
    /// builder.table_with::<String, i64>("in", "rows").to_stream().to("out");
    /// // The source topic serves as changelog.
    /// assert!(builder.build()?.subtopologies()[0].stores[0].changelog.is_none());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn with_config(config: TopologyConfig) -> Self {
        let builder = Self::default();
        builder.inner.borrow_mut().config = config;
        builder
    }

    /// A stream of the records of a topic: `builder.stream("topic")`, or with options `Consumed::topic(..)`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let both = builder.stream::<String, i64>(Consumed::topics(["one", "two"]).named("numbers"));
    /// assert_eq!(both.name(), "numbers");
    /// both.to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("one", "a".to_owned(), 1i64)?;
    /// runner.pipe("two", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream<K: 'static, V: 'static>(&self, consumed: impl Into<Consumed<K, V>>) -> KStream<K, V> {
        let consumed = consumed.into();
        let mut inner = self.inner.borrow_mut();
        let name = inner.name_burning(consumed.name.name(), "KSTREAM-SOURCE-");
        let key = inner.resolve_serde(&name, consumed.key.as_ref(), None);
        let value = inner.resolve_serde(&name, consumed.value.as_ref(), None);
        let source = key
            .clone()
            .zip(value.clone())
            .map(|(k, v)| source_factory(k, v, consumed.extractor));
        let (topics, reset) = (consumed.topics.clone(), consumed.reset);
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            if let Some(source) = &source {
                writer.add_source(name, topics.clone(), reset, source.clone());
            }
        };
        let node = inner.add(&[Builder::ROOT], GraphNode::new(name.clone(), write));
        let types = std::any::type_name::<(K, V)>();
        inner.stream_sources.push(crate::topology::StreamSource {
            node,
            topics: consumed.topics,
            reset: consumed.reset,
            types,
        });
        KStream {
            builder: self.inner.clone(),
            node,
            name: name.clone(),
            key_serde: key,
            value_serde: value,
            sources: Arc::new(BTreeSet::from([name])),
            repartition_required: false,
        }
    }

    /// Adds a store that processors can connect to by name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// struct Count;
    /// impl Processor<String, i64, String, i64> for Count {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &ProcessorContext<'_, String, i64>,
    ///         record: Record<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         let store = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    ///         let count = store.get(record.key)?.unwrap_or(0) + 1;
    ///         store.put(record.key, &count)?;
    ///         Ok(ctx.forward(record.with_value(&count))?)
    ///     }
    /// }
    /// builder.add_state_store(Store::<String, i64>::key_value("counts"));
    /// builder.stream::<String, i64>("in").process_with(|| Count, Processing::new().store("counts")).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_state_store<K: 'static, V: 'static>(&self, store: Store<K, V>) {
        let mut inner = self.inner.borrow_mut();
        let name = store.name().clone();
        let store = store.resolve(&mut inner);
        let write = move |_: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            if writer.stores.iter().any(|s| s.spec.name == store.spec.name) {
                writer.violation(&store.spec.name, "there is already a store of this name");
            } else {
                writer.add_store(store.clone(), &[]);
            }
        };
        inner.add(&[Builder::ROOT], GraphNode::new(name, write));
    }

    /// A store that every instance fills from a whole topic with a processor of its own. It has no changelog; every
    /// processor reaches it without connecting.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// struct Fill;
    /// impl Processor<String, i64, (), ()> for Fill {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &ProcessorContext<'_, (), ()>,
    ///         record: Record<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         let store = ctx.store::<KeyValueStore<String, i64>>("limits")?;
    ///         Ok(store.put(record.key, record.value)?)
    ///     }
    /// }
    /// struct Check;
    /// impl Processor<String, i64, String, bool> for Check {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &ProcessorContext<'_, String, bool>,
    ///         record: Record<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         let limit = ctx
    ///             .store::<KeyValueStore<String, i64>>("limits")?
    ///             .get(record.key)?;
    ///         Ok(ctx.forward(record.with_value(&limit.is_some_and(|limit| *record.value > limit)))?)
    ///     }
    /// }
    /// builder.add_global_store(
    ///     Store::<String, i64>::key_value("limits"),
    ///     Consumed::<String, i64>::topic("limits"),
    ///     || Fill,
    /// );
    /// let over = builder
    ///     .stream::<String, i64>("in")
    ///     .process(|| Check)
    ///     .filter(|_, over| *over);
    /// over.map_values(|_| "over".to_owned()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("limits", "a".to_owned(), 5i64)?;
    /// runner.pipe("in", "a".to_owned(), 3i64)?;
    /// runner.pipe("in", "a".to_owned(), 7i64)?;
    /// assert_eq!(
    ///     runner.read::<String, String>("out"),
    ///     [("a".to_owned(), "over".to_owned())]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addGlobalStore")]
    pub fn add_global_store<K, V, SK, SV, P>(
        &self,
        store: Store<SK, SV>,
        consumed: impl Into<Consumed<K, V>>,
        supplier: impl Fn() -> P + Send + Sync + 'static,
    ) where
        K: 'static,
        V: 'static,
        SK: 'static,
        SV: 'static,
        P: Processor<K, V, (), ()> + 'static,
    {
        let consumed = consumed.into().with_times_of_records();
        let mut inner = self.inner.borrow_mut();
        let source_name = suffixed(&mut inner, consumed.name.name(), "-source", "KSTREAM-SOURCE-");
        let name = inner.name_burning(consumed.name.name(), "KTABLE-SOURCE-");
        let store = store.resolve(&mut inner);
        let Some((topic, source)) = consumed.single(&source_name, &mut inner) else {
            return;
        };
        let processor = process_node::<K, V, (), (), P>(supplier);
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            let source = (&source_name, source.clone());
            writer.add_global(store.clone(), &topic, source, (name, processor.clone()));
        };
        inner.add(&[Builder::ROOT], GraphNode::new(name, write));
    }

    /// Refuses generated names of stores and internal topics at `build`. Kafka Streams: `ensure.explicit.internal.resource.naming`.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// builder.require_explicit_names();
    /// let _ = builder.stream::<String, i64>("in").group_by_key().count();
    /// assert!(builder.build().is_err());
    /// ```
    pub fn require_explicit_names(&self) {
        self.inner.borrow_mut().config.require_explicit_names = true;
    }

    /// Puts something around every operator, those of the DSL included: to measure, trace or check them.
    ///
    /// ```
    /// use millstream_dsl::{
    ///     engine::{Around, ProcessResult, TaskContext, WrappedRecord},
    ///     prelude::*,
    ///     testing::Runner,
    /// };
    /// use std::{
    ///     rc::Rc,
    ///     sync::{Arc, Mutex},
    /// };
    /// struct Tell {
    ///     operator: Arc<str>,
    ///     told: Arc<Mutex<Vec<String>>>,
    /// }
    /// impl Around for Tell {
    ///     fn around(
    ///         &self,
    ///         _: &TaskContext,
    ///         record: &WrappedRecord<'_>,
    ///         process: &mut dyn FnMut() -> ProcessResult,
    ///     ) -> ProcessResult {
    ///         let value = record.value::<i64>().copied();
    ///         self.told
    ///             .lock()
    ///             .unwrap()
    ///             .push(format!("{} {value:?}", self.operator));
    ///         process()
    ///     }
    /// }
    /// let told = Arc::new(Mutex::new(Vec::new()));
    /// let builder = StreamsBuilder::new();
    /// let teller = told.clone();
    /// builder.wrap_processors(move |operator: &Arc<str>, _: &str| {
    ///     Some(Rc::new(Tell {
    ///         operator: operator.clone(),
    ///         told: teller.clone(),
    ///     }) as Rc<dyn Around>)
    /// });
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .map_values_with(|n| n * 2, "twice")
    ///     .filter_with(|_, n| *n > 2, "big")
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(*told.lock().unwrap(), ["twice Some(1)", "big Some(2)"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ProcessorWrapper")]
    pub fn wrap_processors(&self, wrapper: impl ProcessorWrapper + 'static) {
        self.inner.borrow_mut().wrapper = Some(Arc::new(wrapper));
    }

    /// The serde of `T` wherever none is given or inherited, instead of the default of the type.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// #[derive(Clone)]
    /// struct Upper;
    /// impl Serde<String> for Upper {
    ///     fn serialize(&self, text: &String, out: &mut Vec<u8>) -> Result<(), millstream_dsl::serde::SerdeError> {
    ///         StringSerde.serialize(&text.to_uppercase(), out)
    ///     }
    ///     fn deserialize(&self, bytes: &[u8]) -> Result<String, millstream_dsl::serde::SerdeError> {
    ///         StringSerde.deserialize(bytes)
    ///     }
    /// }
    /// builder.default_serde::<String>(Upper);
    /// builder.stream::<String, String>("in").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "x".to_owned())?;
    /// // The key is unchanged, so its bytes are.
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "X".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn default_serde<T: 'static>(&self, serde: impl Serde<T> + 'static) {
        self.inner.borrow_mut().set_default_serde(Arc::new(serde));
    }

    /// Checks every rule and gives the immutable topology.
    ///
    /// # Errors
    /// All violated rules at once, each with the operator's name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").to("out");
    /// let topology = builder.build()?;
    /// assert_eq!(topology.subtopologies().len(), 1);
    /// builder.stream::<String, i64>("in").filter_with(|_, _| true, "not a name").to("out");
    /// assert!(builder.build().is_err());
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn build(&self) -> Result<Topology, BuildError> {
        self.inner.borrow_mut().build()
    }
}
