//! Options of the stores that an operator makes, for types with the fields `backend`, `logging` and `topic_config`.

/// Methods that say where rows live and what goes to the changelog.
macro_rules! store_options {
    ($options:ident<$($type:ident),+>) => {
        impl<$($type: 'static),+> $options<$($type),+> {
            /// Rows in memory only; restored from the changelog.
            #[must_use]
            pub fn in_memory(mut self) -> Self {
                self.backend = Some(millstream_state::StoreBackend::InMemory);
                self
            }
            /// Rows on disk, also where the application keeps them in memory by default.
            #[must_use]
            pub fn persistent(mut self) -> Self {
                self.backend = Some(millstream_state::StoreBackend::Persistent);
                self
            }
            /// Whether there is a changelog. Default: true.
            #[must_use]
            pub fn logging(mut self, logging: bool) -> Self {
                self.logging = logging;
                self
            }
            /// A config of the changelog topic.
            #[must_use]
            pub fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                self.topic_config.push((key.into(), value.into()));
                self
            }
        }
    };
}
pub(crate) use store_options;
