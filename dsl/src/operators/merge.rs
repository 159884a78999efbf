//! Two streams as one: `merge`.
use std::{collections::BTreeSet, sync::Arc};

use crate::{
    engine::{Children, ProcessResult, Receiver, Record, TaskContext, port},
    stream::{KStream, Named, factory},
    topology::{GraphNode, TopologyWriter},
};

/// Passes every record on: joins several inputs, or stands for a branch.
pub(crate) struct PassThrough<K, V> {
    pub(crate) children: Children<K, V>,
}
impl<K, V> Receiver<K, V> for PassThrough<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        self.children.forward(cx, record)
    }
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// The records of both streams, in no particular order between them.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let left = builder.stream::<String, i64>("left");
    /// left.merge(&builder.stream("right")).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("left", "a".to_owned(), 1i64)?;
    /// runner.pipe("right", "b".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        self.merge_with(other, Named::default())
    }
    /// [`merge`](Self::merge) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let more = builder.stream::<String, i64>("more");
    /// builder.stream::<String, i64>("in").merge_with(&more, "all").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("more", "b".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn merge_with(&self, other: &Self, named: impl Into<Named>) -> Self {
        let name = self.next_name(&named.into(), "KSTREAM-MERGE-");
        let factory = factory(|scope| {
            Ok(port(PassThrough::<K, V> {
                children: scope.children()?,
            }))
        });
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            writer.add_processor(name, parents, factory.clone());
        };
        let mut node = GraphNode::new(name.clone(), write);
        node.merge = true;
        let sources: BTreeSet<_> = self.sources.union(&other.sources).cloned().collect();
        let node = self.builder.borrow_mut().add(&[self.node, other.node], node);
        Self {
            builder: self.builder.clone(),
            node,
            name,
            // The two may come with different serdes, so neither is inherited.
            key_serde: None,
            value_serde: None,
            sources: Arc::new(sources),
            repartition_required: self.repartition_required || other.repartition_required,
        }
    }
}
