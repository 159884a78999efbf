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
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }
    /// Name of the operator, and of the repartition topic if one is needed.
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
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }
    /// Name from which the operators, and repartition topics if needed, get theirs.
    pub fn named(name: impl Into<Named>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
    /// Name from which the stores and their changelogs get theirs.
    #[must_use]
    pub fn store_named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.store_name = Some(name.into());
        self
    }
    /// Serdes of the key and of both values.
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
store_options!(StreamJoined<K, V1, V2>);
impl<K: 'static, V1: 'static, V2: 'static> From<&str> for StreamJoined<K, V1, V2> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}
