//! How a stream or table is grouped.
use crate::{
    serde::{SharedSerde, serde_options},
    stream::Named,
};

/// Serdes of a grouped stream or table, and the name of its repartition topic. Kafka Streams: `Grouped`.
pub struct Grouped<K, V> {
    pub(crate) name: Named,
    pub(crate) key: Option<SharedSerde<K>>,
    pub(crate) value: Option<SharedSerde<V>>,
}
impl<K, V> Default for Grouped<K, V> {
    fn default() -> Self {
        Self {
            name: Named::default(),
            key: None,
            value: None,
        }
    }
}
impl<K, V> Clone for Grouped<K, V> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
        }
    }
}
impl<K: 'static, V: 'static> Grouped<K, V> {
    /// Nothing special: serdes and names are found as without options.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let grouped = Grouped::<String, i64>::new().with(StringSerde, I64Serde);
    /// builder.stream("in").group_by_key_with(grouped).count().to_stream().to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// A repartition topic `<application>-<name>-repartition`, if one is needed. Without a name it has a number, which
    /// changes with the topology.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.select_key(|_, n| *n).group_by_key_with(Grouped::named("by-amount")).count();
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 7)?;
    /// assert_eq!(driver.produced_to("app-by-amount-repartition").len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    pub fn named(name: impl Into<Named>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}
serde_options!(Grouped);
impl<K: 'static, V: 'static> From<&str> for Grouped<K, V> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}
