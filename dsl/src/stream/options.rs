//! Options of sources, sinks and operators: plain builders.
use std::sync::Arc;

use crate::{
    engine::{OffsetReset, SourceFactory},
    serde::{DefaultSerde, SharedSerde, serde_options},
    topology::{Builder, SourceTopics},
};

use super::{Partitioner, TimestampExtractor, source_factory};

/// The name of an operator; without one a name is generated as Kafka Streams does.
#[derive(Clone, Debug, Default)]
pub struct Named(Option<Arc<str>>);
impl Named {
    /// This name: it stands in `describe()`, in metrics and in the names of topics and stores behind the operator, and
    /// stays when operators in front of it are added or removed.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("orders");
    /// orders.filter_with(|_, n| *n > 0, Named::new("paid")).to("out");
    /// assert!(builder.build()?.describe().contains("Processor: paid (stores: [])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Some(name.into()))
    }
    /// A generated name: a word for the operator and a number that counts the operators. The default.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("orders");
    /// let paid = orders.filter_with(|_, n| *n > 0, Named::generated());
    /// assert_eq!(paid.name(), "KSTREAM-FILTER-0000000001");
    /// ```
    pub fn generated() -> Self {
        Self(None)
    }
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }
}
impl<S: Into<Arc<str>>> From<S> for Named {
    fn from(name: S) -> Self {
        Self::new(name)
    }
}

/// How to read a topic. Made from a topic name where both types have a default serde.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let lines = Consumed::<String, String>::topics(["old", "new"])
///     .with(StringSerde, StringSerde)
///     .named("lines")
///     .offset_reset(OffsetReset::Latest)
///     .timestamps(TimestampExtractor::<String, String>::custom(|line| line.value.parse().unwrap_or(-1)));
/// builder.stream(lines).to("out");
/// builder.stream(Consumed::<String, String>::pattern("log-.*")).to("logs");
/// builder.stream(Consumed::<String, String>::topic("other")).to("others");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// for (topic, value) in [("old", "17"), ("new", "no time: dropped"), ("new", "18"), ("log-3", "x")] {
///     driver.input(topic, StringSerde, StringSerde)?.pipe("a", value)?;
/// }
/// let times: Vec<_> = driver.produced_to("out").iter().map(|record| record.timestamp).collect();
/// assert_eq!(times, [Some(17), Some(18)]);
/// assert_eq!(driver.produced_to("logs").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumed<K, V> {
    pub(crate) topics: SourceTopics,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    pub(crate) extractor: TimestampExtractor<K, V>,
    pub(crate) reset: Option<OffsetReset>,
    pub(crate) name: Named,
}
impl<K: 'static, V: 'static> Consumed<K, V> {
    fn of(topics: SourceTopics) -> Self {
        Self {
            topics,
            key: None,
            value: None,
            extractor: TimestampExtractor::default(),
            reset: None,
            name: Named::default(),
        }
    }
    /// One topic.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let orders = Consumed::<String, i64>::topic("orders").named("all-orders");
    /// builder.stream(orders).to("out");
    /// assert!(builder.build()?.describe().contains("Source: all-orders (topics: [orders])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self::of(SourceTopics::Names(vec![name.into()]))
    }
    /// Several topics as one stream. There is no order between records of different topics.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream(Consumed::<String, i64>::topics(["web-orders", "shop-orders"])).to("orders");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("web-orders", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// driver.input("shop-orders", StringSerde, I64Serde)?.pipe("b", 2)?;
    /// assert_eq!(driver.output("orders", StringSerde, I64Serde)?.read_values()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn topics<S: Into<Arc<str>>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::of(SourceTopics::Names(names.into_iter().map(Into::into).collect()))
    }
    /// Every topic whose whole name matches a regular expression, also those that are created later. Needs the classic
    /// group protocol.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream(Consumed::<String, i64>::pattern("orders-.*")).to("orders");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("orders-uk", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// driver.input("orders-fr", StringSerde, I64Serde)?.pipe("b", 2)?;
    /// assert!(driver.input("old-orders-fr", StringSerde, I64Serde).is_err(), "the whole name must match");
    /// assert_eq!(driver.output("orders", StringSerde, I64Serde)?.read_values()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pattern(pattern: impl Into<Arc<str>>) -> Self {
        Self::of(SourceTopics::Pattern(pattern.into()))
    }
    /// Where the timestamp comes from, by which windows and joins go. Default: the record's own, negative ones are an
    /// error. Not asked for global tables and stores.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// // The value says when it was measured, in seconds.
    /// let measured = TimestampExtractor::<String, i64>::custom(|record| record.value * 1_000);
    /// builder.stream(Consumed::topic("in").timestamps(measured)).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(99).pipe("a", 7)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?.read_all()?;
    /// assert_eq!(out[0].timestamp_ms, 7_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withTimestampExtractor")]
    #[must_use]
    pub fn timestamps(mut self, extractor: TimestampExtractor<K, V>) -> Self {
        self.extractor = extractor;
        self
    }
    /// Where to start without a committed offset. Default: what the configuration says, else earliest.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let live = Consumed::<String, i64>::topic("prices").offset_reset(OffsetReset::Latest);
    /// builder.stream(live).to("out");
    /// let topology = builder.build()?;
    /// assert_eq!(topology.subtopologies()[0].resets, [Some(OffsetReset::Latest)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withOffsetResetPolicy")]
    #[must_use]
    pub fn offset_reset(mut self, reset: OffsetReset) -> Self {
        self.reset = Some(reset);
        self
    }
    /// Name of the source. Default: a generated one.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream(Consumed::<String, i64>::topic("in").named("orders")).to("out");
    /// assert!(builder.build()?.describe().contains("Source: orders (topics: [in])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withName")]
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into();
        self
    }
}
impl<K: 'static, V: 'static> Consumed<K, V> {
    /// Without the extractor: Kafka Streams asks none for records of global stores.
    pub(crate) fn with_times_of_records(self) -> Self {
        self.timestamps(TimestampExtractor::default())
    }
    /// The source of exactly one topic; anything else is a violation.
    pub(crate) fn single(&self, name: &Arc<str>, builder: &mut Builder) -> Option<(Arc<str>, Arc<dyn SourceFactory>)> {
        let topic = match &self.topics {
            SourceTopics::Names(names) if names.len() == 1 => names.first().cloned(),
            _ => None,
        };
        if topic.is_none() {
            builder.violation(name, "it reads exactly one topic, by name");
        }
        let source = self.source(name, builder)?;
        Some((topic?, source))
    }
    /// The source with the serdes found for its types.
    pub(crate) fn source(&self, name: &Arc<str>, builder: &mut Builder) -> Option<Arc<dyn SourceFactory>> {
        let key = builder.resolve_serde(name, self.key.as_ref(), None);
        let value = builder.resolve_serde(name, self.value.as_ref(), None);
        Some(source_factory(key?, value?, self.extractor.clone()))
    }
}
impl<K: DefaultSerde, V: DefaultSerde> From<&str> for Consumed<K, V> {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

/// How to write a topic. Made from a topic name where the serdes are known.
/// ```
/// use millstream_dsl::{prelude::*, testing::Runner};
/// let builder = StreamsBuilder::new();
/// let stream = builder.stream::<String, i64>("in");
/// let by_value = |_: &str, _: &String, n: &i64, _: i32| Some(vec![i32::try_from(*n).unwrap_or(0)]);
/// stream.to(Produced::topic("out").with(StringSerde, I64Serde).partitioner(by_value).named("sink"));
/// stream.to_dynamic_with(|key: &String, _: &i64| format!("of-{key}"), Produced::options().named("dynamic"));
/// let runner = Runner::new(&builder.build()?)?;
/// runner.pipe("in", "a".to_owned(), 3i64)?;
/// let written: Vec<_> = runner.written().into_iter().map(|record| (record.topic, record.partition)).collect();
/// assert_eq!(written, [("out".to_owned(), Some(3)), ("of-a".to_owned(), None)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Produced<K, V> {
    pub(crate) topic: Arc<str>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    pub(crate) partitioner: Option<Arc<dyn Partitioner<K, V>>>,
    pub(crate) name: Named,
}
impl<K: 'static, V: 'static> Produced<K, V> {
    /// One topic.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.to(Produced::topic("copies").named("copy"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(driver.output("copies", StringSerde, I64Serde)?.read_key_values()?, [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self {
            topic: name.into(),
            key: None,
            value: None,
            partitioner: None,
            name: Named::default(),
        }
    }
    /// Options for a topic chosen per record; see [`KStream::to_dynamic_with`](super::KStream::to_dynamic_with).
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// let by_shop = |shop: &String, _: &i64| format!("orders-of-{shop}");
    /// orders.to_dynamic_with(by_shop, Produced::options().named("by-shop"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("kiosk", 1)?;
    /// assert_eq!(driver.produced_to("orders-of-kiosk").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn options() -> Self {
        Self::topic("")
    }
    /// Chooses partitions, several of them if a record is to be in each. Default: murmur2 of the key bytes, as Kafka's
    /// own producers do.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// let large_ones_apart = |_: &str, _: &String, n: &i64, _: i32| Some(vec![if *n > 100 { 1 } else { 0 }]);
    /// orders.to(Produced::topic("out").partitioner(large_ones_apart));
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// for n in [7i64, 700] {
    ///     runner.pipe("in", "a".to_owned(), n)?;
    /// }
    /// let partitions: Vec<_> = runner.written().iter().map(|record| record.partition).collect();
    /// assert_eq!(partitions, [Some(0), Some(1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withStreamPartitioner")]
    #[doc(alias = "StreamPartitioner")]
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<K, V> + 'static) -> Self {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }
    /// Name of the sink. Default: a generated one.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.to(Produced::topic("out").named("shipped"));
    /// assert!(builder.build()?.describe().contains("Sink: shipped (topic: out)"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withName")]
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into();
        self
    }
}
impl<K: 'static, V: 'static> From<&str> for Produced<K, V> {
    fn from(topic: &str) -> Self {
        Self::topic(topic)
    }
}

/// How to repartition a stream.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let by_length = |_: &str, key: &String, _: &i64, partitions: i32| Some(vec![key.len() as i32 % partitions]);
/// let lines = Repartitioned::named("lines").partitions(3).partitioner(by_length).with(StringSerde, I64Serde);
/// builder.stream::<String, i64>("in").repartition_with(lines).to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// driver.input("in", StringSerde, I64Serde)?.pipe("a", 1)?;
/// assert_eq!(driver.produced_to("app-lines-repartition").len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Repartitioned<K, V> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    pub(crate) partitions: Option<i32>,
    pub(crate) partitioner: Option<Arc<dyn Partitioner<K, V>>>,
}
impl<K, V> Default for Repartitioned<K, V> {
    fn default() -> Self {
        Self {
            name: None,
            key: None,
            value: None,
            partitions: None,
            partitioner: None,
        }
    }
}
impl<K: 'static, V: 'static> Repartitioned<K, V> {
    /// A topic `<application>-<name>-repartition`. Without a name it has a number, which changes with the topology.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.repartition_with(Repartitioned::named("orders")).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(driver.produced_to("app-orders-repartition").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
    /// Number of partitions, and so of tasks behind the topic; enforced. Default: as many as the sources have.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.repartition_with(Repartitioned::named("orders").partitions(24)).to("out");
    /// let text = format!("{:?}", builder.build()?.subtopologies()[1].sources);
    /// assert!(text.contains("partitions: Some(24)"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withNumberOfPartitions")]
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }
    /// Chooses partitions. Default: murmur2 of the key bytes.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// let by_length = |_: &str, key: &String, _: &i64, count: i32| Some(vec![key.len() as i32 % count]);
    /// orders.repartition_with(Repartitioned::named("orders").partitioner(by_length)).to("out");
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "abc".to_owned(), 1i64)?;
    /// assert_eq!(runner.written()[0].partition, Some(3), "one of four partitions");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withStreamPartitioner")]
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<K, V> + 'static) -> Self {
        self.partitioner = Some(Arc::new(partitioner));
        self
    }
}

serde_options!(Consumed);
serde_options!(Produced);
serde_options!(Repartitioned);
