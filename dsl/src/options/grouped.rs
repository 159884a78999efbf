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
    /// Nothing special.
    pub fn new() -> Self {
        Self::default()
    }
    /// A repartition topic `<application>-<name>-repartition`, if one is needed.
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
