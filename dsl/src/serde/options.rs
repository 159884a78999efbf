//! The serdes that options values carry.

/// `with`, `key_serde` and `value_serde` for options with fields `key` and `value`, each an `Option<SharedSerde<_>>`.
/// For the examples: code that makes the options for records of `Key` and `Value`, up to where the methods are called, and
/// what is behind. There is a `builder`, and a `stream` of such records whose serdes nobody knows.
macro_rules! serde_options {
    // What surrounds the options in their examples stands here, so that a message of the compiler shows a single line of them.
    (Consumed) => {
        serde_options!(@ Consumed, r#"builder.stream(Consumed::<Key, Value>::topic("pairs")"#, ").for_each(|_, _| ());");
    };
    (Grouped) => {
        serde_options!(@ Grouped, "stream.group_by_key_with(Grouped::new()", ").count();");
    };
    (Joined) => {
        serde_options!(
            @ Joined,
            r#"# let table = builder.table_with(Consumed::<Key, i64>::topic("rows").key_serde(json()), "rows");
stream.join_with(&table, |_, _, n| *n, Joined::new()"#,
            ");"
        );
    };
    (Materialized) => {
        serde_options!(@ Materialized, r#"stream.to_table_with(Materialized::<Key, Value>::named("rows")"#, ");");
    };
    (Produced) => {
        serde_options!(@ Produced, r#"stream.to(Produced::topic("out")"#, ");");
    };
    (Repartitioned) => {
        serde_options!(
            @ Repartitioned,
            r#"stream.repartition_with(Repartitioned::named("spread")"#,
            ").for_each(|_, _| ());"
        );
    };
    (@ $options:ident, $before:literal, $after:literal) => {
        impl<K: 'static, V: 'static> $options<K, V> {
            /// Serdes of key and value. Needed where the types have no default serde, or another format is wanted. A missing
            /// one is an error of the build.
            ///
            /// ```
            /// # use millstream_dsl::{options::*, prelude::*};
            /// # type Key = (i64, i64);
            /// # type Value = Vec<i64>;
            /// # let builder = StreamsBuilder::new();
            /// # let stream = builder.stream::<String, i64>("in").map(|_, n| ((*n, *n), vec![*n]));
            #[doc = concat!($before, ".with(json::<Key>(), json::<Value>())", $after)]
            /// assert!(builder.build().is_ok(), "pairs and lists have no default serde");
            /// ```
            #[must_use]
            pub fn with(
                self,
                key: impl crate::serde::Serde<K> + 'static,
                value: impl crate::serde::Serde<V> + 'static,
            ) -> Self {
                self.key_serde(key).value_serde(value)
            }
            /// Serde of the key. Default: the one the key came with, else that of the type or of the application.
            ///
            /// ```
            /// # use millstream_dsl::{options::*, prelude::*};
            /// # type Key = (i64, i64);
            /// # type Value = i64;
            /// # let builder = StreamsBuilder::new();
            /// # let stream = builder.stream::<String, i64>("in").map(|_, n| ((*n, *n), *n));
            #[doc = concat!($before, ".key_serde(json::<Key>())", $after)]
            /// assert!(builder.build().is_ok(), "numbers have a default serde, pairs have none");
            /// ```
            #[doc(alias = "keySerde")]
            #[doc(alias = "withKeySerde")]
            #[must_use]
            pub fn key_serde(mut self, serde: impl crate::serde::Serde<K> + 'static) -> Self {
                self.key = Some(std::sync::Arc::new(serde));
                self
            }
            /// Serde of the value. Default: the one the value came with, else that of the type or of the application.
            ///
            /// ```
            /// # use millstream_dsl::{options::*, prelude::*};
            /// # type Key = String;
            /// # type Value = Vec<i64>;
            /// # let builder = StreamsBuilder::new();
            /// # let stream = builder.stream::<String, i64>("in").map(|key, n| (key.clone(), vec![*n]));
            #[doc = concat!($before, ".value_serde(json::<Value>())", $after)]
            /// assert!(builder.build().is_ok(), "text has a default serde, lists have none");
            /// ```
            #[doc(alias = "valueSerde")]
            #[doc(alias = "withValueSerde")]
            #[must_use]
            pub fn value_serde(mut self, serde: impl crate::serde::Serde<V> + 'static) -> Self {
                self.value = Some(std::sync::Arc::new(serde));
                self
            }
        }
    };
}
pub(crate) use serde_options;
