//! A table that every instance holds whole, while a topology is made.
use std::{fmt, sync::Arc};

use crate::serde::SharedSerde;

use super::getter::GetterFactory;

/// A table that every instance holds whole, whatever partitions it reads: to be joined with, by any key.
/// Kafka Streams: `GlobalKTable`. Cheap to clone; independent of the builder's life.
///
/// Made by [`StreamsBuilder::global_table`](crate::stream::StreamsBuilder::global_table).
pub struct GlobalKTable<K, V> {
    pub(crate) store: Arc<str>,
    pub(crate) key_serde: Option<SharedSerde<K>>,
    /// None: serdes are missing, which has been noted.
    pub(crate) getter: Option<GetterFactory<K, V>>,
    pub(crate) queryable: Option<Arc<str>>,
}

impl<K, V> Clone for GlobalKTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            key_serde: self.key_serde.clone(),
            getter: self.getter.clone(),
            queryable: self.queryable.clone(),
        }
    }
}
impl<K, V> fmt::Debug for GlobalKTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalKTable")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl<K: 'static, V: 'static> GlobalKTable<K, V> {
    /// The store under which the table can be queried; None: it was not named.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// let rates = builder.global_table_with::<String, i64>("rates", Materialized::named("all-rates"));
    /// assert_eq!(rates.queryable_store_name(), Some("all-rates"));
    /// assert_eq!(builder.global_table::<String, i64>("names").queryable_store_name(), None);
    /// ```
    #[doc(alias = "queryableStoreName")]
    pub fn queryable_store_name(&self) -> Option<&str> {
        self.queryable.as_deref()
    }
    /// The store that holds the rows: every processor reads it under this name without connecting. A generated name
    /// where the table was not named.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// let rates = builder.global_table_with::<String, i64>("rates", Materialized::named("all-rates"));
    /// assert_eq!(rates.store_name(), "all-rates");
    /// assert!(!builder.global_table::<String, i64>("names").store_name().is_empty());
    /// ```
    pub fn store_name(&self) -> &str {
        &self.store
    }
}
