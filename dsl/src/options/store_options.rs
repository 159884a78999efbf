//! Options of the stores that an operator makes, for types with the fields `backend`, `logging` and `topic_config`.

/// Methods that say where rows live and what goes to the changelog. For the examples: code that makes an operator of the
/// streams `left` and `right`, up to where the methods are called, and what is behind.
macro_rules! store_options {
    ($options:ident<$($type:ident),+>, $before:literal, $after:literal) => {
        impl<$($type: 'static),+> $options<$($type),+> {
            /// Rows in memory only; restored from the changelog. Kafka Streams: `BuiltInDslStoreSuppliers.IN_MEMORY`.
            ///
            /// ```
            /// # use millstream_dsl::prelude::*;
            /// # let builder = StreamsBuilder::new();
            /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
            /// # let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
            #[doc = concat!($before, ".in_memory()", $after)]
            /// let topology = builder.build()?;
            /// let store = &topology.subtopologies()[0].stores[0].spec;
            /// assert_eq!(store.backend, millstream_state::StoreBackend::InMemory);
            /// # Ok::<(), BuildError>(())
            /// ```
            #[doc(alias = "inMemoryKeyValueStore")]
            #[doc(alias = "withStoreType")]
            #[must_use]
            pub fn in_memory(mut self) -> Self {
                self.backend = Some(millstream_state::StoreBackend::InMemory);
                self
            }
            /// Rows on disk, also where the application keeps them in memory by default.
            ///
            /// ```
            /// # use millstream_dsl::prelude::*;
            /// use millstream_state::StoreBackend;
            /// let in_memory = TopologyConfig { default_backend: StoreBackend::InMemory, ..TopologyConfig::default() };
            /// let builder = StreamsBuilder::with_config(in_memory);
            /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
            /// # let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
            #[doc = concat!($before, ".persistent()", $after)]
            /// assert_eq!(builder.build()?.subtopologies()[0].stores[0].spec.backend, StoreBackend::Persistent);
            /// # Ok::<(), BuildError>(())
            /// ```
            #[doc(alias = "persistentKeyValueStore")]
            #[must_use]
            pub fn persistent(mut self) -> Self {
                self.backend = Some(millstream_state::StoreBackend::Persistent);
                self
            }
            /// Whether there is a changelog. Without one, the rows are lost with the disk, and when the task moves. Default:
            /// true.
            ///
            /// ```
            /// # use millstream_dsl::prelude::*;
            /// # let builder = StreamsBuilder::new();
            /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
            /// # let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
            #[doc = concat!($before, ".logging(false)", $after)]
            /// assert!(builder.build()?.subtopologies()[0].stores[0].changelog.is_none());
            /// # Ok::<(), BuildError>(())
            /// ```
            #[doc(alias = "withLoggingDisabled")]
            #[must_use]
            pub fn logging(mut self, logging: bool) -> Self {
                self.logging = logging;
                self
            }
            /// A config of the changelog topic, which replaces the usual one of this name.
            ///
            /// ```
            /// # use millstream_dsl::prelude::*;
            /// # let builder = StreamsBuilder::new();
            /// # let (left, right) = (builder.stream::<String, i64>("left"), builder.stream::<String, i64>("right"));
            /// # let sum = |_: &String, l: &i64, r: &i64| Ok::<_, BoxError>(l + r);
            #[doc = concat!($before, r#".topic_config("segment.bytes", "1000000")"#, $after)]
            /// let changelog = builder.build()?.subtopologies()[0].stores[0].changelog.clone();
            /// let config = changelog.map(|topic| topic.config).unwrap_or_default();
            /// assert!(config.contains(&("segment.bytes".to_owned(), "1000000".to_owned())));
            /// # Ok::<(), BuildError>(())
            /// ```
            #[doc(alias = "withLoggingEnabled")]
            #[must_use]
            pub fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                self.topic_config.push((key.into(), value.into()));
                self
            }
        }
    };
}
pub(crate) use store_options;
