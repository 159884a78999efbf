//! A table while a topology is made: the latest value of each key, and the updates that lead there.
pub(crate) mod faults;
pub(crate) mod getter;
mod global;
pub(crate) mod output;
pub(crate) mod store;
pub(crate) mod view;

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use crate::{
    options::Materialized,
    serde::SharedSerde,
    stream::Named,
    topology::{BuilderRef, GraphId},
};

pub use global::GlobalKTable;
use view::TableView;

/// A table: the latest value of each key. Values are never null: a null deletes the row.
/// Kafka Streams: `KTable`. Cheap to clone; independent of the builder's life.
pub struct KTable<K, V> {
    pub(crate) builder: BuilderRef,
    pub(crate) node: GraphId,
    pub(crate) name: Arc<str>,
    pub(crate) key_serde: Option<SharedSerde<K>>,
    pub(crate) value_serde: Option<SharedSerde<V>>,
    pub(crate) sources: Arc<BTreeSet<Arc<str>>>,
    pub(crate) queryable: Option<Arc<str>>,
    pub(crate) view: Rc<dyn TableView<K, V>>,
}

impl<K, V> Clone for KTable<K, V> {
    fn clone(&self) -> Self {
        Self {
            builder: self.builder.clone(),
            node: self.node,
            name: self.name.clone(),
            key_serde: self.key_serde.clone(),
            value_serde: self.value_serde.clone(),
            sources: self.sources.clone(),
            queryable: self.queryable.clone(),
            view: self.view.clone(),
        }
    }
}
impl<K, V> std::fmt::Debug for KTable<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KTable")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<K: 'static, V: 'static> KTable<K, V> {
    /// Name of the operator whose output this is.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let counts = builder.stream::<String, i64>("in").group_by_key().count();
    /// assert_eq!(counts.name(), "KSTREAM-AGGREGATE-0000000002");
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }
    /// The store under which the table can be queried; None: it cannot.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// assert_eq!(
    ///     builder
    ///         .stream::<String, i64>("in")
    ///         .group_by_key()
    ///         .count_with("counts")
    ///         .queryable_store_name(),
    ///     Some("counts")
    /// );
    /// assert_eq!(
    ///     builder
    ///         .stream::<String, i64>("in")
    ///         .group_by_key()
    ///         .count()
    ///         .queryable_store_name(),
    ///     None
    /// );
    /// ```
    #[doc(alias = "queryableStoreName")]
    pub fn queryable_store_name(&self) -> Option<&str> {
        self.queryable.as_deref()
    }
    /// The table that an operator makes of this one, with the same keys.
    pub(crate) fn derived<V2>(
        &self,
        (node, name): (GraphId, Arc<str>),
        (key_serde, value_serde): (Option<SharedSerde<K>>, Option<SharedSerde<V2>>),
        materialized: &Materialized<K, V2>,
        view: Rc<dyn TableView<K, V2>>,
    ) -> KTable<K, V2> {
        KTable {
            builder: self.builder.clone(),
            node,
            name,
            key_serde,
            value_serde,
            sources: self.sources.clone(),
            queryable: materialized.name.clone(),
            view,
        }
    }
    /// The name given, or one with `prefix`; the counter moves in both cases, as in Kafka Streams.
    pub(crate) fn next_name(&self, named: &Named, prefix: &str) -> Arc<str> {
        self.builder.borrow_mut().name_burning(named.name(), prefix)
    }
}
