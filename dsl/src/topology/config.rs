//! Settings that change what a topology looks like, and must therefore be known while it is made.
use millstream_state::StoreBackend;

/// Which rewrites of the logical graph are made at `build`. Kafka Streams: `topology.optimization`.
///
/// They change nodes, stores and internal topics, so an application that already has state keeps the setting it was
/// started with. Default: none, as in Kafka Streams.
#[doc(alias = "topology.optimization")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Optimizations {
    /// A table read from a topic uses that topic as the changelog of its store.
    #[doc(alias = "reuse.ktable.source.topics")]
    pub reuse_table_source_topics: bool,
    /// Repartition topics behind one change of the key become one topic.
    #[doc(alias = "merge.repartition.topics")]
    pub merge_repartition_topics: bool,
    /// A stream joined with itself has one store instead of two.
    #[doc(alias = "single.store.self.join")]
    pub single_store_self_join: bool,
}
impl Optimizations {
    /// None: the graph is written as it was made.
    pub const NONE: Self = Self {
        reuse_table_source_topics: false,
        merge_repartition_topics: false,
        single_store_self_join: false,
    };
    /// All of them.
    pub const ALL: Self = Self {
        reuse_table_source_topics: true,
        merge_repartition_topics: true,
        single_store_self_join: true,
    };
    /// Reads the setting of Kafka Streams: `none`, `all`, or names joined by commas.
    ///
    /// ```
    /// use millstream_dsl::topology::Optimizations;
    /// let two = Optimizations::parse("merge.repartition.topics, single.store.self.join")?;
    /// assert!(two.merge_repartition_topics && !two.reuse_table_source_topics);
    /// assert_eq!(Optimizations::parse("all")?, Optimizations::ALL);
    /// assert_eq!(Optimizations::parse("most").unwrap_err(), "there is no topology optimization `most`");
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// A name that is unknown, or `none` or `all` beside others.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => return Ok(Self::NONE),
            "all" => return Ok(Self::ALL),
            _ => {}
        }
        let mut found = Self::NONE;
        for name in text.split(',').map(str::trim) {
            match name {
                "reuse.ktable.source.topics" => found.reuse_table_source_topics = true,
                "merge.repartition.topics" => found.merge_repartition_topics = true,
                "single.store.self.join" => found.single_store_self_join = true,
                "none" | "all" => return Err(format!("`{name}` cannot stand beside other topology optimizations")),
                other => return Err(format!("there is no topology optimization `{other}`")),
            }
        }
        Ok(found)
    }
}

/// The version of the instances that still run during a rolling upgrade. Kafka Streams: `upgrade.from`.
///
/// Records of internal topics are then written as that version understands them; all forms are always read.
#[doc(alias = "upgrade.from")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpgradeFrom {
    /// The number before the point.
    pub major: u32,
    /// The number behind the point.
    pub minor: u32,
}
impl UpgradeFrom {
    /// A version like `3.4`.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// use millstream_dsl::topology::UpgradeFrom;
    /// assert_eq!(UpgradeFrom::parse("3.4"), Ok(UpgradeFrom { major: 3, minor: 4 }));
    /// assert!(UpgradeFrom::parse("3").is_err());
    /// ```
    ///
    /// # Errors
    /// When the text is not of the form `MAJOR.MINOR`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a version like `3.4`");
        let (major, minor) = text.split_once('.').ok_or_else(wrong)?;
        Ok(Self {
            major: major.parse().map_err(|_| wrong())?,
            minor: minor.parse().map_err(|_| wrong())?,
        })
    }
    /// Whether old and new value of a grouped table may be in one record: not before 3.5.
    pub(crate) fn knows_combined_changes(self) -> bool {
        self >= Self { major: 3, minor: 5 }
    }
}

/// What the rows of tables and aggregations hold. Kafka Streams: `dsl.store.format`.
#[doc(alias = "dsl.store.format")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreFormat {
    /// Value and timestamp.
    #[default]
    Default,
    /// Value, timestamp and headers. Deletions then carry the headers of their record to the changelog.
    Headers,
}

/// Settings that a topology is made with. Kafka Streams: `TopologyConfig`.
///
/// ```
/// use millstream_dsl::prelude::*;
/// let config = TopologyConfig { optimizations: Optimizations::ALL, ..TopologyConfig::default() };
/// let builder = StreamsBuilder::with_config(config);
/// let by_length = builder.stream::<String, String>("words").select_key(|_, word| word.len() as i64);
/// by_length.group_by_key().count().to_stream().to("counts");
/// by_length.group_by_key().reduce(|all, word| all + word).to_stream().to("texts");
/// // One repartition topic for both: a sub-topology in front of it and one behind.
/// assert_eq!(builder.build()?.subtopologies().len(), 2);
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyConfig {
    /// Rewrites of the logical graph.
    pub optimizations: Optimizations,
    /// Refuse generated names of stores and internal topics at `build`. Default: false.
    #[doc(alias = "ensure.explicit.internal.resource.naming")]
    pub require_explicit_names: bool,
    /// Where tables and joins that do not say keep their rows. Default: persistent.
    #[doc(alias = "dsl.store.suppliers.class")]
    #[doc(alias = "default.dsl.store")]
    pub default_backend: StoreBackend,
    /// What the rows of tables and aggregations hold.
    pub store_format: StoreFormat,
    /// The version of instances that still run during a rolling upgrade. Default: none.
    pub upgrade_from: Option<UpgradeFrom>,
}
impl Default for TopologyConfig {
    fn default() -> Self {
        Self {
            optimizations: Optimizations::NONE,
            require_explicit_names: false,
            default_backend: StoreBackend::Persistent,
            store_format: StoreFormat::Default,
            upgrade_from: None,
        }
    }
}
