//! The serdes that options values carry.

/// `with`, `key_serde` and `value_serde` for options with fields `key` and `value`, each an `Option<SharedSerde<_>>`.
macro_rules! serde_options {
    ($options:ident) => {
        impl<K: 'static, V: 'static> $options<K, V> {
            /// Serdes of key and value.
            #[must_use]
            pub fn with(
                self,
                key: impl crate::serde::Serde<K> + 'static,
                value: impl crate::serde::Serde<V> + 'static,
            ) -> Self {
                self.key_serde(key).value_serde(value)
            }
            /// Serde of the key.
            #[must_use]
            pub fn key_serde(mut self, serde: impl crate::serde::Serde<K> + 'static) -> Self {
                self.key = Some(std::sync::Arc::new(serde));
                self
            }
            /// Serde of the value.
            #[must_use]
            pub fn value_serde(mut self, serde: impl crate::serde::Serde<V> + 'static) -> Self {
                self.value = Some(std::sync::Arc::new(serde));
                self
            }
        }
    };
}
pub(crate) use serde_options;
