//! How streams and tables are joined.
use std::{sync::Arc, time::Duration};

use millstream_state::StoreBackend;

use super::store_options::store_options;
use crate::{
    serde::{Serde, SharedSerde, serde_options},
    stream::Named,
    window::whole_millis,
};

/// Options of a stream-table join. Kafka Streams: `Joined`.
pub struct Joined<K, V> {
    pub(crate) name: Named,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
    /// How long records wait for the table, in milliseconds.
    pub(crate) grace_ms: Option<i64>,
}
impl<K, V> Default for Joined<K, V> {
    fn default() -> Self {
        Self {
            name: Named::default(),
            key: None,
            value: None,
            grace_ms: None,
        }
    }
}
impl<K: 'static, V: 'static> Joined<K, V> {
    /// Nothing special: the record is joined at once, serdes and names are found as without options.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let prices = builder.table::<String, i64>("prices");
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.join_with(&prices, |_, n, price| n * price, Joined::new()).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// driver.input("prices", StringSerde, I64Serde)?.pipe("tea", 3)?;
    /// input.pipe("tea", 10)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [30]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// Name of the operator, and of the repartition topic if one is needed.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let prices = builder.table::<String, i64>("prices");
    /// # let orders = builder.stream::<String, i64>("in");
    /// let tea = orders.select_key(|_, _| "tea".to_owned());
    /// tea.join_with(&prices, |_, n, price| n * price, Joined::named("at-its-price")).to("out");
    /// let text = builder.build()?.describe();
    /// assert!(text.contains("Processor: at-its-price (stores: ["));
    /// assert!(text.contains("(topic: at-its-price-repartition)"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    #[doc(alias = "withName")]
    pub fn named(name: impl Into<Named>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
    /// Records wait until the stream is this much further, so that rows of the table that come late are still found. The
    /// table must keep history for at least as long, see [`Materialized::versioned`](crate::options::Materialized::versioned).
    /// Without it a record is joined at once. Kafka Streams: `Joined.withGracePeriod`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let prices = builder.table_with("prices", Materialized::<String, i64>::named("prices").versioned(hours(1)));
    /// builder
    ///     .stream::<String, i64>("orders")
    ///     .join_with(&prices, |_, n, price| n * price, Joined::new().grace(seconds(5)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("orders", "tea".to_owned(), 10i64, 2_000)?; // before its price
    /// runner.pipe_at("prices", "tea".to_owned(), Some(3i64), 1_500)?;
    /// assert_eq!(runner.read::<String, i64>("out"), []);
    /// runner.pipe_at("orders", "tea".to_owned(), 1i64, 7_000)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("tea".to_owned(), 30)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withGracePeriod")]
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace_ms = Some(whole_millis(grace));
        self
    }
}
serde_options!(Joined);
impl<K: 'static, V: 'static> From<&str> for Joined<K, V> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}

/// Options of a stream-stream join. Kafka Streams: `StreamJoined`.
/// ```
/// use millstream_dsl::prelude::*;
/// let builder = StreamsBuilder::new();
/// let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
/// let options = StreamJoined::named("sums")
///     .store_named("kept")
///     .with(StringSerde, I64Serde, I64Serde)
///     .in_memory()
///     .topic_config("segment.bytes", "1000000");
/// left.try_join_stream_with(&right, |_, l, r| Ok::<_, BoxError>(l + r), JoinWindows::of(seconds(5)), options).to("out");
/// let topology = builder.build()?;
/// let stores = &topology.subtopologies()[0].stores;
/// let names: Vec<&str> = stores.iter().map(|store| &*store.spec.name).collect();
/// assert_eq!(names, ["kept-this-join-store", "kept-other-join-store"]);
/// # Ok::<(), BuildError>(())
/// ```
pub struct StreamJoined<K, V1, V2> {
    pub(crate) name: Named,
    pub(crate) store_name: Option<Arc<str>>,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V1>>,
    pub(crate) other_value: Option<SharedSerde<V2>>,
    /// None: the default of the application.
    pub(crate) backend: Option<StoreBackend>,
    pub(crate) logging: bool,
    pub(crate) topic_config: Vec<(String, String)>,
}
impl<K, V1, V2> Default for StreamJoined<K, V1, V2> {
    fn default() -> Self {
        Self {
            name: Named::default(),
            store_name: None,
            key: None,
            value: None,
            other_value: None,
            backend: None,
            logging: true,
            topic_config: Vec::new(),
        }
    }
}
impl<K: 'static, V1: 'static, V2: 'static> StreamJoined<K, V1, V2> {
    /// Nothing special: serdes and names are found as without options.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
    /// let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
    /// left.try_join_stream_with(&right, sum, JoinWindows::of(seconds(5)), StreamJoined::new().in_memory()).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("left", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// driver.input("right", StringSerde, I64Serde)?.pipe("a", 2)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// Name from which the operators, and repartition topics if needed, get theirs.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
    /// # let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
    /// left.try_join_stream_with(&right, sum, JoinWindows::of(seconds(5)), StreamJoined::named("sums")).to("out");
    /// assert!(builder.build()?.describe().contains("Processor: sums-this-join (stores: ["));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    #[doc(alias = "withName")]
    pub fn named(name: impl Into<Named>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
    /// Name from which the stores and their changelogs get theirs. Without one they have numbers, which change with the
    /// topology.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
    /// # let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
    /// let options = StreamJoined::new().store_named("kept");
    /// left.try_join_stream_with(&right, sum, JoinWindows::of(seconds(5)), options).to("out");
    /// let text = builder.build()?.describe();
    /// assert!(text.contains("(stores: [kept-this-join-store])"));
    /// assert!(text.contains("(stores: [kept-other-join-store])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withStoreName")]
    #[must_use]
    pub fn store_named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.store_name = Some(name.into());
        self
    }
    /// Serdes of the key and of both values: the records wait in stores, as bytes. Default: those the streams were read
    /// with.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let left = builder.stream::<String, i64>("left").map_values(|n| vec![*n]); // no serde is known for lists
    /// let right = builder.stream::<String, i64>("right");
    /// let append = |_: &String, l: &Vec<i64>, r: &i64| Ok::<_, BoxError>(l.iter().sum::<i64>() + r);
    /// let options = StreamJoined::new().with(StringSerde, json(), I64Serde);
    /// left.try_join_stream_with(&right, append, JoinWindows::of(seconds(5)), options).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("left", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// driver.input("right", StringSerde, I64Serde)?.pipe("a", 2)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withKeySerde")]
    #[doc(alias = "withValueSerde")]
    #[doc(alias = "withOtherValueSerde")]
    #[must_use]
    pub fn with(
        mut self,
        key: impl Serde<K> + 'static,
        value: impl Serde<V1> + 'static,
        other_value: impl Serde<V2> + 'static,
    ) -> Self {
        self.key = Some(Arc::new(key));
        self.value = Some(Arc::new(value));
        self.other_value = Some(Arc::new(other_value));
        self
    }
}
store_options!(
    StreamJoined<K, V1, V2>,
    r#"left.try_join_stream_with(&right, sum, JoinWindows::of(seconds(5)), StreamJoined::new()"#,
    ");"
);
impl<K: 'static, V1: 'static, V2: 'static> From<&str> for StreamJoined<K, V1, V2> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}
