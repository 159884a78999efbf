//! From keys that may be null to keys that are there: `drop_null_keys`.
use crate::{
    engine::{Children, ProcessResult, Receiver, Record, TaskContext},
    stream::{Derived, KStream, Named},
};

struct DropNullKeys<K, V> {
    children: Children<K, V>,
}
impl<K, V> Receiver<Option<K>, V> for DropNullKeys<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, Option<K>, V>) -> ProcessResult {
        match record.key {
            Some(key) => self.children.forward(cx, record.with_key(key)),
            None => Ok(()),
        }
    }
}

impl<K: 'static, V: 'static> KStream<Option<K>, V> {
    /// The records that have a key, with a type that says so. The others are dropped, uncounted, as by a filter.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<Option<String>, i64>("in").drop_null_keys().map_values_with_key(|k, _| k.clone()).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", None::<String>, 1i64)?;
    /// runner.pipe("in", Some("a".to_owned()), 2i64)?;
    /// assert_eq!(runner.read::<String, String>("out"), [("a".to_owned(), "a".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn drop_null_keys(&self) -> KStream<K, V> {
        let name = self.next_name(&Named::default(), "KSTREAM-FILTER-");
        // The key is the same, so the partitioning stays.
        let derived = Derived {
            key_serde: None,
            value_serde: self.value_serde.clone(),
            key_changing: false,
            // Records in front have another type of key, which no repartition topic from behind has.
            value_changing: true,
        };
        self.chain(name, derived, |_, children| DropNullKeys { children })
    }
}
