//! How a stream or table is grouped.
use std::sync::Arc;

use crate::{
    serde::{Serde, SharedSerde},
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
    /// Serdes of key and value.
    #[must_use]
    pub fn with(mut self, key: impl Serde<K> + 'static, value: impl Serde<V> + 'static) -> Self {
        self.key = Some(Arc::new(key));
        self.value = Some(Arc::new(value));
        self
    }
    /// Serde of the key.
    #[must_use]
    pub fn key_serde(mut self, serde: impl Serde<K> + 'static) -> Self {
        self.key = Some(Arc::new(serde));
        self
    }
    /// Serde of the value.
    #[must_use]
    pub fn value_serde(mut self, serde: impl Serde<V> + 'static) -> Self {
        self.value = Some(Arc::new(serde));
        self
    }
}
impl<K: 'static, V: 'static> From<&str> for Grouped<K, V> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}
