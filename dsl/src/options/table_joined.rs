//! How tables are joined by a foreign key.
use std::sync::Arc;

use crate::stream::Named;

/// Chooses the partition of a key: topic, key, number of partitions. None: the default partitioner.
type ChoosePartition<K> = Arc<dyn Fn(&str, &K, i32) -> Option<i32> + Send + Sync>;

/// Options of a foreign-key join of tables. `K`: key of the left table, `KO`: key of the other one.
/// Kafka Streams: `TableJoined`.
///
/// ```
/// use millstream_dsl::options::TableJoined;
/// let joined = TableJoined::<String, i64>::named("orders-customers")
///     .other_partitioner(|_, customer, partitions| Some((customer % i64::from(partitions)) as i32));
/// # let _ = joined;
/// ```
pub struct TableJoined<K, KO> {
    pub(crate) name: Named,
    pub(crate) partitioner: Option<ChoosePartition<K>>,
    pub(crate) other_partitioner: Option<ChoosePartition<KO>>,
}
impl<K, KO> Default for TableJoined<K, KO> {
    fn default() -> Self {
        Self {
            name: Named::default(),
            partitioner: None,
            other_partitioner: None,
        }
    }
}
impl<K: 'static, KO: 'static> TableJoined<K, KO> {
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }
    /// Name from which operators, topics and the store of the join get theirs.
    pub fn named(name: impl Into<Named>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
    /// How the topic of the left table is partitioned, where it is not by the default partitioner: topic, key, number of
    /// partitions.
    #[must_use]
    pub fn partitioner(mut self, choose: impl Fn(&str, &K, i32) -> Option<i32> + Send + Sync + 'static) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
    /// How the topic of the other table is partitioned, where it is not by the default partitioner.
    #[must_use]
    pub fn other_partitioner(mut self, choose: impl Fn(&str, &KO, i32) -> Option<i32> + Send + Sync + 'static) -> Self {
        self.other_partitioner = Some(Arc::new(choose));
        self
    }
}
impl<K: 'static, KO: 'static> From<&str> for TableJoined<K, KO> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}
