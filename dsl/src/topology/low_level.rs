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
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, topology::TopologyBuilder};
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, String>("source", "in");
    /// builder.add_sink::<String, String>("sink", "copies", &["source"]);
    /// let text = builder.build()?.describe();
    /// assert!(text.contains("Source: source (topics: [in])") && text.contains("Sink: sink (topic: copies)"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// The serde of `T` wherever none is given, instead of the default of the type. Kafka Streams: `default.key.serde`
    /// and `default.value.serde`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner, topology::TopologyBuilder};
    /// let mut builder = TopologyBuilder::new();
    /// builder.default_serde::<i64>(json()); // as text
    /// builder.add_source::<String, i64>("source", "in");
    /// builder.add_sink::<String, i64>("sink", "out", &["source"]);
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe_bytes("in", Some(b"a"), Some(b" 7"), 0)?;
    /// assert_eq!(runner.written()[0].value.as_deref(), Some(&b"7"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "default.value.serde")]
    pub fn default_serde<T: 'static>(&mut self, serde: impl Serde<T> + 'static) {
        self.serdes.set_default_serde(Arc::new(serde));
    }
    /// Puts something around every processor that is added behind the call; see
    /// [`StreamsBuilder::wrap_processors`](crate::stream::StreamsBuilder::wrap_processors).
    ///
    /// ```
    /// # use std::{rc::Rc, sync::{Arc, atomic::{AtomicUsize, Ordering}}};
    /// # use millstream_dsl::{engine::{Around, ProcessResult, TaskContext, WrappedRecord}, prelude::*};
    /// # use millstream_dsl::{testing::Runner, topology::TopologyBuilder};
    /// # struct Pass;
    /// # impl Processor<String, i64, String, i64> for Pass {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, String, i64>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(ctx.forward(record)?)
    /// #     }
    /// # }
    /// # struct Counts(Arc<AtomicUsize>);
    /// impl Around for Counts {
    ///     fn around(
    ///         &self,
    ///         _: &TaskContext,
    ///         _: &WrappedRecord<'_>,
    ///         process: &mut dyn FnMut() -> ProcessResult,
    ///     ) -> ProcessResult {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///         process()
    ///     }
    /// }
    /// # let calls = Arc::new(AtomicUsize::new(0));
    /// # let counter = calls.clone();
    /// let mut builder = TopologyBuilder::new();
    /// builder.wrap_processors(move |_: &Arc<str>, _: &str| Some(Rc::new(Counts(counter.clone())) as Rc<dyn Around>));
    /// # builder.add_source::<String, i64>("source", "in");
    /// # builder.add_processor("pass", || Pass, &["source"]);
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(calls.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "processor.wrapper.class")]
    pub fn wrap_processors(&mut self, wrapper: impl ProcessorWrapper + 'static) {
        self.writer.wrapper = Some(Arc::new(wrapper));
    }
    /// A source of one or more topics.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner, topology::TopologyBuilder};
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, i64>("orders", Consumed::topics(["web-orders", "shop-orders"]));
    /// # builder.add_sink::<String, i64>("sink", "out", &["orders"]);
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("shop-orders", "a".to_owned(), 7i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addSource")]
    pub fn add_source<K: 'static, V: 'static>(&mut self, name: &str, consumed: impl Into<Consumed<K, V>>) {
        let (name, consumed): (Arc<str>, _) = (name.into(), consumed.into());
        if let Some(source) = consumed.source(&name, &mut self.serdes) {
            self.writer.add_source(&name, consumed.topics, consumed.reset, source);
        }
    }
    /// A processor behind `parents`, sources or processors; `supplier` makes one per task. What it forwards goes to the
    /// nodes that name it as their parent.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner, topology::TopologyBuilder};
    /// # struct Double;
    /// # impl Processor<String, i64, String, i64> for Double {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, String, i64>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(ctx.forward(record.with_value(&(record.value * 2)))?)
    /// #     }
    /// # }
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, i64>("source", "in");
    /// builder.add_processor("double", || Double, &["source"]);
    /// builder.add_processor("double-again", || Double, &["double"]);
    /// builder.add_sink::<String, i64>("sink", "out", &["double", "double-again"]);
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// let mut values: Vec<i64> = runner.read::<String, i64>("out").into_iter().map(|(_, n)| n).collect();
    /// values.sort();
    /// assert_eq!(values, [2, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addProcessor")]
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
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner, topology::TopologyBuilder};
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, i64>("one", "in");
    /// builder.add_source::<String, i64>("two", "more");
    /// builder.add_sink::<String, i64>("sink", "all", &["one", "two"]);
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("more", "a".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("all"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addSink")]
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
    /// A sink behind `parents` that chooses the topic of each record. Kafka Streams: `addSink` with a
    /// `TopicNameExtractor`.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::Runner, topology::TopologyBuilder};
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, i64>("source", "in");
    /// let of_shop = |shop: &String, _: &i64| format!("orders-of-{shop}");
    /// builder.add_dynamic_sink("sink", of_shop, Produced::options(), &["source"]);
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "kiosk".to_owned(), 7i64)?;
    /// assert_eq!(runner.read::<String, i64>("orders-of-kiosk"), [("kiosk".to_owned(), 7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "TopicNameExtractor")]
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
    /// A store, connected to `processors`. A second one of the same name is an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, topology::TopologyBuilder};
    /// # struct Nothing;
    /// # impl Processor<String, i64, String, i64> for Nothing {
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         _: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    /// # }
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, i64>("source", "in");
    /// builder.add_processor("count", || Nothing, &["source"]);
    /// builder.add_state_store(Store::<String, i64>::key_value("counts"), &["count"]);
    /// assert!(builder.build()?.describe().contains("Processor: count (stores: [counts])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addStateStore")]
    pub fn add_state_store<K: 'static, V: 'static>(&mut self, store: Store<K, V>, processors: &[&str]) {
        if self.writer.stores.iter().any(|s| s.spec.name == *store.name()) {
            self.writer
                .violation(store.name(), "there is already a store of this name");
            return;
        }
        let store = store.resolve(&mut self.serdes);
        self.writer.add_store(store, &shared(processors));
    }
    /// Lets a processor use stores. Processors that share a store belong to one sub-topology.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, topology::TopologyBuilder};
    /// # struct Nothing;
    /// # impl Processor<String, i64, String, i64> for Nothing {
    /// #     fn process(
    /// #         &mut self,
    /// #         _: &ProcessorContext<'_, String, i64>,
    /// #         _: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let mut builder = TopologyBuilder::new();
    /// # builder.add_source::<String, i64>("source", "in");
    /// builder.add_processor("count", || Nothing, &["source"]);
    /// builder.add_state_store(Store::<String, i64>::key_value("counts"), &["count"]);
    /// # builder.add_source::<String, i64>("source-2", "other");
    /// builder.add_processor("report", || Nothing, &["source-2"]);
    /// builder.connect("report", &["counts"]);
    /// let topology = builder.build()?;
    /// assert!(topology.describe().contains("Processor: report (stores: [counts])"));
    /// assert_eq!(topology.subtopologies().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "connectProcessorAndStateStores")]
    pub fn connect(&mut self, processor: &str, stores: &[&str]) {
        for store in shared(stores) {
            self.writer.connect(&processor.into(), &store);
        }
    }
    /// A store that every instance fills from a whole topic, by the processor; all other processors may read it.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*, topology::TopologyBuilder};
    /// # struct Fill;
    /// # impl Processor<String, i64, (), ()> for Fill {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, (), ()>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         ctx.store::<KeyValueStore<String, i64>>("rates")?.put(record.key, record.value)?;
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let mut builder = TopologyBuilder::new();
    /// let rates = Store::<String, i64>::key_value("rates").in_memory().logging(false);
    /// // `Fill` puts the records of the topic into the store.
    /// builder.add_global_store::<String, i64, _, _, _>(rates, "rates-source", "rates", "fill", || Fill);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("rates", StringSerde, I64Serde)?.pipe("EUR", 7)?;
    /// assert_eq!(driver.key_value_store("rates", StringSerde, I64Serde)?.get(&"EUR".into())?, Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "addGlobalStore")]
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
        let consumed = consumed.into().with_times_of_records();
        if let Some(filled) = self.filled_store(store, source, &consumed) {
            let source = (&filled.source, filled.factory);
            self.writer
                .add_global(filled.store, &filled.topic, source, (&processor.into(), node));
        }
    }
    /// A store filled from a topic that also serves as its changelog. Only `processor` may write it.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*, topology::TopologyBuilder};
    /// # struct Fill;
    /// # impl Processor<String, i64, (), ()> for Fill {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, (), ()>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         ctx.store::<KeyValueStore<String, i64>>("prices")?.put(record.key, record.value)?;
    /// #         Ok(())
    /// #     }
    /// # }
    /// # let mut builder = TopologyBuilder::new();
    /// let prices = Store::<String, i64>::key_value("prices");
    /// // `Fill` puts the records of the topic into the store.
    /// builder.add_read_only_store::<String, i64, _, _, _>(prices, "prices-source", "prices", "fill", || Fill);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("prices", StringSerde, I64Serde)?.pipe("tea", 7)?;
    /// assert_eq!(driver.key_value_store("prices", StringSerde, I64Serde)?.get(&"tea".into())?, Some(7));
    /// assert_eq!(driver.produced(), [], "no other changelog");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// ```
    /// # use millstream_dsl::{prelude::*, topology::TopologyBuilder};
    /// let mut builder = TopologyBuilder::new();
    /// builder.add_source::<String, i64>("source", "in");
    /// builder.add_sink::<String, i64>("sink", "out", &["sorce"]);
    /// let error = builder.build().err().ok_or("a parent is missing")?;
    /// assert!(error.to_string().contains("sorce"), "{error}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
