//! The updates of a table as a stream: `to_stream`.
use std::sync::Arc;

use crate::{
    engine::{Change, Children, ProcessResult, Record, TableReceiver, TaskContext, table_port},
    serde::{OptionSerde, SharedSerde},
    stream::{KStream, Named, factory},
    table::KTable,
    topology::{GraphNode, TopologyWriter},
};

struct ToStream<K, V> {
    children: Children<K, Option<V>>,
    /// Makes the owned null-or-value that a stream carries.
    owned: Arc<dyn Fn(&V) -> V + Send + Sync>,
}
impl<K, V> TableReceiver<K, V> for ToStream<K, V> {
    fn receive_change(&self, cx: &TaskContext, change: Change<'_, K, V>) -> ProcessResult {
        let value = change.new.map(|value| (self.owned)(value));
        self.children.forward(
            cx,
            Record {
                key: change.key,
                value: &value,
                timestamp: change.timestamp,
                headers: change.headers,
                key_bytes: change.key_bytes,
                is_copy: true,
            },
        )
    }
}

impl<K: 'static, V: Clone + 'static> KTable<K, V> {
    /// The updates as a stream; None says that the row was deleted.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.table::<String, i64>("in").to_stream().to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// runner.pipe("in", "a".to_owned(), None::<i64>)?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1)), ("a".to_owned(), None)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "toStream")]
    #[must_use]
    pub fn to_stream(&self) -> KStream<K, Option<V>> {
        self.to_stream_with(Named::default())
    }
    /// [`to_stream`](Self::to_stream) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let table = builder.table::<String, i64>("in");
    /// let updates = table.to_stream_with("updates");
    /// assert_eq!(updates.name(), "updates");
    /// updates.to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), Some(1i64))?;
    /// assert_eq!(runner.read::<String, Option<i64>>("out"), [("a".to_owned(), Some(1))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_stream_with(&self, named: impl Into<Named>) -> KStream<K, Option<V>> {
        let name = self.next_name(&named.into(), "KTABLE-TOSTREAM-");
        let factory = factory(|scope| {
            let owned: Arc<dyn Fn(&V) -> V + Send + Sync> = Arc::new(V::clone);
            Ok(table_port(ToStream::<K, V> {
                children: scope.children()?,
                owned,
            }))
        });
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.add_processor(name, parents, factory.clone());
        };
        let node = self
            .builder
            .borrow_mut()
            .add(&[self.node], GraphNode::new(name.clone(), write));
        let value = self
            .value_serde
            .clone()
            .or_else(|| self.builder.borrow().default_serde::<V>());
        KStream {
            builder: self.builder.clone(),
            node,
            name,
            key_serde: self.key_serde.clone(),
            value_serde: value.map(|value| -> SharedSerde<Option<V>> { Arc::new(OptionSerde::new(value)) }),
            sources: self.sources.clone(),
            repartition_required: false,
        }
    }
}
