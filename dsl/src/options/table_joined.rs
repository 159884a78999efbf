//! How tables are joined by a foreign key.
use std::sync::Arc;

use crate::stream::Named;

/// Chooses the partition of a key: topic, key, number of partitions. None: the default partitioner.
type ChoosePartition<K> = Arc<dyn Fn(&str, &K, i32) -> Option<i32> + Send + Sync>;

/// Options of a foreign-key join of tables. `K`: key of the left table, `KO`: key of the other one.
/// Kafka Streams: `TableJoined`.
///
/// ```
/// use millstream_dsl::options::TableJoined;
/// let joined = TableJoined::<String, i64>::named("orders-customers")
///     .other_partitioner(|_, customer, partitions| Some((customer % i64::from(partitions)) as i32));
/// # let _ = joined;
/// ```
pub struct TableJoined<K, KO> {
    pub(crate) name: Named,
    pub(crate) partitioner: Option<ChoosePartition<K>>,
    pub(crate) other_partitioner: Option<ChoosePartition<KO>>,
}
impl<K, KO> Default for TableJoined<K, KO> {
    fn default() -> Self {
        Self {
            name: Named::default(),
            partitioner: None,
            other_partitioner: None,
        }
    }
}
impl<K: 'static, KO: 'static> TableJoined<K, KO> {
    /// Nothing special: generated names, and topics that are partitioned by the default partitioner.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let customer = |_: &String, customer: &i64| *customer;
    /// # let name = |_: &i64, name: &String| name.clone();
    /// let orders = builder.table::<String, i64>("orders"); // to the number of the customer
    /// let customers = builder.table::<i64, String>("customers");
    /// orders.join_on_with(&customers, customer, name, TableJoined::new(), Materialized::named("names-of-orders"));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// driver.input("customers", I64Serde, StringSerde)?.pipe(7, "Ann")?;
    /// driver.input("orders", StringSerde, I64Serde)?.pipe("o1", 7)?;
    /// let names = driver.key_value_store("names-of-orders", StringSerde, StringSerde)?;
    /// assert_eq!(names.get(&"o1".into())?.as_deref(), Some("Ann"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
    /// Name from which operators, topics and the store of the join get theirs. Without one they have numbers, which
    /// change with the topology.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let customer = |_: &String, customer: &i64| *customer;
    /// # let name = |_: &i64, name: &String| name.clone();
    /// # let orders = builder.table::<String, i64>("orders");
    /// # let customers = builder.table::<i64, String>("customers");
    /// orders.join_on_with(&customers, customer, name, TableJoined::named("names"), Materialized::new());
    /// let text = builder.build()?.describe();
    /// assert!(text.contains("(topic: names-subscription-registration-topic)"), "{text}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "as")]
    #[doc(alias = "withName")]
    pub fn named(name: impl Into<Named>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
    /// How the topic of the left table is partitioned, where it is not by the default partitioner: topic, key, number
    /// of partitions. Answers of the join go to the partition of their row. None: the default partitioner.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let customer = |_: &String, customer: &i64| *customer;
    /// # let name = |_: &i64, name: &String| name.clone();
    /// # let orders = builder.table::<String, i64>("orders");
    /// # let customers = builder.table::<i64, String>("customers");
    /// let by_length = |_: &str, order: &String, partitions: i32| Some(order.len() as i32 % partitions);
    /// let joined = TableJoined::named("names").partitioner(by_length);
    /// orders.join_on_with(&customers, customer, name, joined, Materialized::new());
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("customers", 7i64, Some("Ann".to_owned()))?;
    /// runner.pipe("orders", "o17".to_owned(), Some(7i64))?;
    /// let answer = runner.written().into_iter().find(|r| r.topic.ends_with("response-topic")).ok_or("none")?;
    /// assert_eq!(answer.partition, Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withPartitioner")]
    #[must_use]
    pub fn partitioner(mut self, choose: impl Fn(&str, &K, i32) -> Option<i32> + Send + Sync + 'static) -> Self {
        self.partitioner = Some(Arc::new(choose));
        self
    }
    /// How the topic of the other table is partitioned, where it is not by the default partitioner: topic, key, number
    /// of partitions. Rows of the left table ask there for the row they refer to. None: the default partitioner.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let customer = |_: &String, customer: &i64| *customer;
    /// # let name = |_: &i64, name: &String| name.clone();
    /// # let orders = builder.table::<String, i64>("orders");
    /// # let customers = builder.table::<i64, String>("customers");
    /// let by_number = |_: &str, customer: &i64, partitions: i32| Some((customer % i64::from(partitions)) as i32);
    /// let joined = TableJoined::named("names").other_partitioner(by_number);
    /// orders.join_on_with(&customers, customer, name, joined, Materialized::new());
    /// # let runner = millstream_dsl::testing::Runner::new(&builder.build()?)?;
    /// runner.pipe("orders", "o17".to_owned(), Some(6i64))?;
    /// let question = runner.written().into_iter().find(|r| r.topic.ends_with("registration-topic")).ok_or("none")?;
    /// assert_eq!(question.partition, Some(2), "of four");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withOtherPartitioner")]
    #[must_use]
    pub fn other_partitioner(mut self, choose: impl Fn(&str, &KO, i32) -> Option<i32> + Send + Sync + 'static) -> Self {
        self.other_partitioner = Some(Arc::new(choose));
        self
    }
}
impl<K: 'static, KO: 'static> From<&str> for TableJoined<K, KO> {
    fn from(name: &str) -> Self {
        Self::named(name)
    }
}
