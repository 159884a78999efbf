//! Topics as the topology names them, before the application id is known.
use std::{sync::Arc, time::Duration};

/// Where to start reading a topic without a committed offset. Kafka Streams: `AutoOffsetReset`.
#[doc(alias = "AutoOffsetReset")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetReset {
    /// From the first record.
    Earliest,
    /// From the next record.
    Latest,
    /// It is an error.
    None,
    /// From the first record that is not older than this, by the wall clock of the moment the partition is taken over;
    /// from the next record if all are older.
    #[doc(alias = "byDuration")]
    ByDuration(Duration),
}
impl OffsetReset {
    /// From the first record that is not older than `age`.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// let recent = Consumed::topic("clicks").offset_reset(OffsetReset::by_duration(hours(6)));
    /// builder.stream::<String, String>(recent).to("out");
    /// let resets = builder.build()?.subtopologies().iter().flat_map(|s| s.resets.clone()).collect::<Vec<_>>();
    /// assert_eq!(resets, [Some(OffsetReset::ByDuration(hours(6)))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_duration(age: Duration) -> Self {
        Self::ByDuration(age)
    }
}

/// A topic by name, or an internal one whose name gets the application id in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// A topic of the user.
    External(Arc<str>),
    /// A repartition topic.
    Internal(InternalTopic),
    /// All topics whose whole name matches a regular expression.
    Pattern(Arc<str>),
}
/// `name` without the application id: `<name>-repartition` or `<name>-changelog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Name without the application id.
    pub name: Arc<str>,
    /// Enforced number of partitions.
    pub partitions: Option<i32>,
    /// Topic configs.
    pub config: Vec<(String, String)>,
}
impl InternalTopic {
    /// A repartition topic with the configs Kafka Streams gives it.
    pub fn repartition(name: &str, partitions: Option<i32>) -> Self {
        let config = [
            ("cleanup.policy", "delete"),
            ("message.timestamp.type", "CreateTime"),
            ("retention.ms", "-1"),
            ("segment.bytes", "52428800"),
        ];
        Self {
            name: name.into(),
            partitions,
            config: config.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }
    /// The name on the cluster: with the application id in front.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let orders = builder.stream::<String, i64>("in");
    /// orders.group_by_key().count_with("counts");
    /// let changelog = builder.build()?.subtopologies()[0].stores[0].changelog.clone().ok_or("none")?;
    /// assert_eq!(changelog.full_name("shop"), "shop-counts-changelog");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn full_name(&self, application_id: &str) -> String {
        format!("{application_id}-{}", self.name)
    }
}
impl TopicRef {
    /// The name on the cluster: with the application id in front of internal topics.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").repartition_with(Repartitioned::named("spread")).to("out");
    /// let topology = builder.build()?;
    /// let names: Vec<String> = topology.subtopologies().iter().map(|s| s.sources[0].full_name("shop")).collect();
    /// assert_eq!(names, ["in", "shop-spread-repartition"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn full_name(&self, application_id: &str) -> String {
        match self {
            Self::External(name) | Self::Pattern(name) => name.to_string(),
            Self::Internal(topic) => topic.full_name(application_id),
        }
    }
    /// The name without the application id; for a pattern its text.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").repartition_with(Repartitioned::named("spread")).to("out");
    /// let topology = builder.build()?;
    /// let names: Vec<&str> = topology.subtopologies().iter().map(|s| &**s.sources[0].name()).collect();
    /// assert_eq!(names, ["in", "spread-repartition"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::External(name) | Self::Pattern(name) => name,
            Self::Internal(topic) => &topic.name,
        }
    }
    /// Whether it stands for all topics that match.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>(Consumed::pattern("orders-.*")).to("out");
    /// let topology = builder.build()?;
    /// assert!(topology.subtopologies()[0].sources[0].is_pattern());
    /// assert!(!topology.subtopologies()[0].sinks[0].is_pattern());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_pattern(&self) -> bool {
        matches!(self, Self::Pattern(_))
    }
}
