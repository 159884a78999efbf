//! A topic that every instance holds whole as a table: `StreamsBuilder::global_table`.
//!
//! Its records belong to no task: they move no stream time and trigger nothing. A record without a key is dropped and
//! counted. The topic itself is what the store is restored from.
use std::sync::Arc;

use crate::{
    options::Materialized,
    stream::{Consumed, StreamsBuilder},
    table::{GlobalKTable, getter::store_view},
    topology::{Builder, GraphNode, SourceTopics, TopologyWriter},
};

use super::table_source::{TopicTable, topic_rows};

impl StreamsBuilder {
    /// A table of all rows of a topic in every instance, to be joined with by any key.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let cities = builder.global_table::<String, String>("cities");
    /// builder
    ///     .stream::<i64, String>("visits")
    ///     .join_global(&cities, |_, zip| zip.clone(), |zip, city| format!("{zip} {city}"))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("cities", "00100".to_owned(), Some("Rome".to_owned()))?;
    /// runner.pipe("visits", 1i64, "00100".to_owned())?;
    /// assert_eq!(runner.read::<i64, String>("out"), [(1, "00100 Rome".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "globalTable")]
    pub fn global_table<K: 'static, V: 'static>(&self, consumed: impl Into<Consumed<K, V>>) -> GlobalKTable<K, V> {
        self.global_table_with(consumed, Materialized::new())
    }
    /// [`global_table`](Self::global_table) with options of its store. It has no changelog and no record cache, whatever
    /// the options say, and it cannot be versioned. Its rows have the times of their records: as in Kafka Streams a
    /// timestamp extractor is not asked.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// let rates = builder.global_table_with::<String, f64>("rates", Materialized::named("rates").in_memory());
    /// assert_eq!(rates.queryable_store_name(), Some("rates"));
    /// ```
    pub fn global_table_with<K: 'static, V: 'static>(
        &self,
        consumed: impl Into<Consumed<K, V>>,
        materialized: impl Into<Materialized<K, V>>,
    ) -> GlobalKTable<K, V> {
        // Nobody listens to the rows one by one, so there is nothing that a cache could hold back.
        let materialized = materialized.into().caching(false).logging(false);
        let consumed = consumed.into().with_times_of_records();
        let mut builder = self.inner.borrow_mut();
        let table = TopicTable::new(&mut builder, &consumed, &materialized);
        if materialized.is_versioned() {
            builder.violation(&table.name, "a global table cannot be versioned");
        }
        let topic = match &consumed.topics {
            SourceTopics::Names(names) if names.len() == 1 => names.first().cloned(),
            _ => None,
        };
        if topic.is_none() {
            builder.violation(&table.name, "a global table is read from one topic");
        }
        let getter = table
            .planned
            .as_ref()
            .map(|p| store_view(table.store.clone(), p.plan.key.clone(), p.plan.value.clone()).factory);
        let (planned, source, make_source) = (table.planned, table.source, table.make_source);
        let write = move |name: &Arc<str>, _: &[Arc<str>], writer: &mut TopologyWriter| {
            if let (Some(planned), Some(topic), Some(make_source)) = (&planned, &topic, &make_source) {
                let rows = topic_rows(Some(planned.plan.clone()), false);
                writer.add_global(
                    planned.store.clone(),
                    topic,
                    (&source, make_source.clone()),
                    (name, rows),
                );
            }
        };
        builder.add(&[Builder::ROOT], GraphNode::new(table.name, write));
        GlobalKTable {
            store: table.store,
            key_serde: table.key,
            getter,
            queryable: materialized.name.clone(),
        }
    }
}
