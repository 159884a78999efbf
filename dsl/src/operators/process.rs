//! The processor API: `process`.
use std::{any::TypeId, sync::Arc};

use crate::{
    engine::{AnyPort, NodeScope, ProcessError, port},
    processor::{Connected, Processor, ProcessorNode},
    store::Store,
    stream::{Derived, KStream, Named, factory},
    topology::{Builder, GraphNode, StoreBuilder, TopologyWriter},
};

type AddStore = Box<dyn FnOnce(&mut Builder) -> StoreBuilder>;

/// Name and stores of a processor.
#[derive(Default)]
pub struct Processing {
    pub(crate) name: Named,
    pub(crate) stores: Vec<Arc<str>>,
    pub(crate) added: Vec<AddStore>,
}
impl Processing {
    /// A generated name, no stores.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Pass;
    /// # impl FixedKeyProcessor<String, i64, i64> for Pass {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         Ok(ctx.forward(record)?)
    /// #     }
    /// # }
    /// numbers.process_values_with(|| Pass, Processing::new());
    /// let text = builder.build()?.describe();
    /// assert!(text.contains("Processor: KSTREAM-PROCESSVALUES-0000000001 (stores: [])"), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// Name of the processor: what [`node_name`](crate::processor::ProcessorContext::node_name) gives, and errors and
    /// metrics say.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counting = Processing::new().named("count").with_store(Store::<String, i64>::key_value("counts"));
    /// numbers.process_values_with(|| Count, counting);
    /// assert!(builder.build()?.describe().contains("Processor: count (stores: [counts])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into();
        self
    }
    /// Connects a store that was added to the builder, or belongs to a table. A processor cannot reach any other.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// builder.add_state_store(Store::<String, i64>::key_value("counts")); // other processors may use it, too
    /// numbers.process_values_with(|| Count, Processing::new().store("counts")).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// input.pipe("a", 8)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "connectProcessorAndStateStores")]
    #[must_use]
    pub fn store(mut self, name: impl Into<Arc<str>>) -> Self {
        self.stores.push(name.into());
        self
    }
    /// Connects stores that were added to the builder.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// builder.add_state_store(Store::<String, i64>::key_value("counts"));
    /// builder.add_state_store(Store::<String, i64>::key_value("sums"));
    /// numbers.process_values_with(|| Count, Processing::new().named("count").stores(["counts", "sums"]));
    /// let text = builder.build()?.describe();
    /// assert!(text.contains("Processor: count (stores: [counts, sums])"), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn stores<S: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.stores.extend(names.into_iter().map(Into::into));
        self
    }
    /// Adds a store and connects it. Kafka Streams: `ConnectedStoreProvider`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// # struct Count;
    /// # impl FixedKeyProcessor<String, i64, i64> for Count {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &FixedKeyContext<'_, '_, String, i64>,
    /// #         record: FixedKeyRecord<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let counts = ctx.store::<KeyValueStore<String, i64>>("counts")?;
    /// #         let n = counts.get(record.key())?.unwrap_or(0) + 1;
    /// #         counts.put(record.key(), &n)?;
    /// #         Ok(ctx.forward(record.with_value(&n))?)
    /// #     }
    /// # }
    /// let counting = Processing::new().with_store(Store::<String, i64>::key_value("counts"));
    /// numbers.process_values_with(|| Count, counting).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// input.pipe("a", 8)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "ConnectedStoreProvider")]
    #[must_use]
    pub fn with_store<K: 'static, V: 'static>(mut self, store: Store<K, V>) -> Self {
        self.stores.push(store.name().clone());
        self.added.push(Box::new(move |builder| store.resolve(builder)));
        self
    }
    pub(crate) fn resolve(self, builder: &mut Builder) -> (Vec<Arc<str>>, Vec<StoreBuilder>) {
        (self.stores, self.added.into_iter().map(|f| f(builder)).collect())
    }
}

/// A node that runs a processor made by `supplier`.
pub(crate) fn process_node<K, V, K2, V2, P>(
    supplier: impl Fn() -> P + Send + Sync + 'static,
) -> Arc<dyn crate::engine::NodeFactory>
where
    K: 'static,
    V: 'static,
    K2: 'static,
    V2: 'static,
    P: Processor<K, V, K2, V2> + 'static,
{
    factory(move |scope: &mut NodeScope<'_>| -> Result<AnyPort, Box<ProcessError>> {
        let connected = Connected::<K2, V2>::new(scope)?;
        let node = ProcessorNode::<K, V, K2, V2, P>::start(supplier(), connected, scope);
        Ok(port(node))
    })
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Every record through a processor: state, time, any number of results. `supplier` makes one per task.
    /// Marks the stream as repartitioned by the next grouping or join.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// struct Twice;
    /// impl Processor<String, i64, String, i64> for Twice {
    ///     fn process(
    ///         &mut self,
    ///         ctx: &ProcessorContext<'_, String, i64>,
    ///         record: Record<'_, String, i64>,
    ///     ) -> Result<(), BoxError> {
    ///         ctx.forward(record)?;
    ///         ctx.forward(record.with_value(&(record.value * 10)))?;
    ///         Ok(())
    ///     }
    /// }
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").process(|| Twice).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 10)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process<K2, V2, P>(&self, supplier: impl Fn() -> P + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: 'static,
        V2: 'static,
        P: Processor<K, V, K2, V2> + 'static,
    {
        self.process_with(supplier, Processing::default())
    }
    /// [`process`](Self::process) with a name and stores.
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
    /// let processing = Processing::new().named("count").with_store(Store::<String, i64>::key_value("counts"));
    /// builder.stream::<String, i64>("in").process_with(|| Count, processing).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 7i64)?;
    /// runner.pipe("in", "a".to_owned(), 8i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn process_with<K2, V2, P>(
        &self,
        supplier: impl Fn() -> P + Send + Sync + 'static,
        processing: Processing,
    ) -> KStream<K2, V2>
    where
        K2: 'static,
        V2: 'static,
        P: Processor<K, V, K2, V2> + 'static,
    {
        let name = self
            .builder
            .borrow_mut()
            .name_or(processing.name.name(), "KSTREAM-PROCESSOR-");
        self.add_processor(
            name,
            Self::new_both(),
            process_node::<K, V, K2, V2, P>(supplier),
            processing,
        )
    }

    pub(crate) fn add_processor<K2: 'static, V2: 'static>(
        &self,
        name: Arc<str>,
        derived: Derived<K2, V2>,
        factory: Arc<dyn crate::engine::NodeFactory>,
        processing: Processing,
    ) -> KStream<K2, V2> {
        let mut builder = self.builder.borrow_mut();
        let (stores, added) = processing.resolve(&mut builder);
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.add_processor(name, parents, factory.clone());
            for store in &added {
                writer.add_store(store.clone(), &[]);
            }
            for store in &stores {
                writer.connect(name, store);
            }
        };
        let mut node = GraphNode::new(name.clone(), write);
        // A repartition topic behind it can move in front of it as in Kafka Streams, but not where keys may change in
        // it, which would put records into the wrong partition, nor where the topic's records have another type.
        node.value_changing = derived.key_changing || TypeId::of::<V>() != TypeId::of::<V2>();
        let node = builder.add(&[self.node], node);
        KStream {
            builder: self.builder.clone(),
            node,
            name,
            key_serde: derived.key_serde,
            value_serde: derived.value_serde,
            sources: self.sources.clone(),
            repartition_required: self.repartition_required || derived.key_changing,
        }
    }
}
