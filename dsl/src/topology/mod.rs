//! The immutable topology: nodes, stores, sub-topologies, internal topics, co-partition groups.
mod build;
mod config;
mod describe;
mod draw;
mod error;
mod fingerprint;
mod graph_node;
mod group;
mod instantiate;
mod internal;
pub(crate) mod java_hash;
mod java_tree;
mod low_level;
mod naming;
mod node;
mod optimize;
mod store;
mod topic;
mod writer;

use std::sync::Arc;

use crate::engine::{ProcessError, ProcessorWrapper, TaskEnvironment, TaskGraph};

pub use config::{Optimizations, StoreFormat, TopologyConfig, UpgradeFrom};
pub use error::{BuildError, Violation, ViolationKind};
pub(crate) use graph_node::{GraphId, GraphNode, Role};
pub(crate) use internal::{Builder, BuilderRef, JoinTopic, StreamSource};
pub use low_level::TopologyBuilder;
pub use node::{SinkTarget, SourceTopics};
pub(crate) use optimize::{MergeRepartition, RepartitionRole};
pub(crate) use store::StoreBuilder;
pub use store::StoreDefinition;
pub use topic::{InternalTopic, OffsetReset, TopicRef};
pub(crate) use writer::TopologyWriter;

use node::Node;

/// One connected part of the topology; one task per partition.
#[derive(Debug)]
pub struct Subtopology {
    /// Number, as Kafka Streams gives it.
    pub id: u32,
    /// Source topics in sorted order; repartition topics are `<application>-<name>-repartition`, see `TopicRef::full_name`.
    pub sources: Vec<TopicRef>,
    /// Where to start without a committed offset, one per source; None: the application's default (earliest).
    pub resets: Vec<Option<OffsetReset>>,
    /// Topics written to (fixed ones).
    pub sinks: Vec<TopicRef>,
    /// Stores of its tasks, in opening order, with the changelog of each (None: logging off, or the source topic serves as changelog).
    pub stores: Vec<StoreDefinition>,
    /// Groups of indices into `sources` that must have equal partition counts.
    pub copartition_groups: Vec<Vec<usize>>,
    pub(crate) nodes: Vec<usize>,
}

pub(crate) struct TopologyData {
    pub(crate) nodes: Vec<Node>,
    pub(crate) subtopologies: Vec<Subtopology>,
    /// Group id and nodes of each global table.
    pub(crate) globals: Vec<(u32, Vec<usize>)>,
    /// Topics of each rule.
    pub(crate) asked_copartitions: Vec<Vec<TopicRef>>,
    pub(crate) global_stores: Vec<StoreDefinition>,
    pub(crate) stores: Vec<StoreBuilder>,
    pub(crate) global_stores_built: Vec<StoreBuilder>,
    pub(crate) description: String,
    pub(crate) fingerprint: u64,
    pub(crate) wrapper: Option<Arc<dyn ProcessorWrapper>>,
}

/// The immutable result of `StreamsBuilder::build`: `Send + Sync`, cheap to clone.
#[derive(Clone)]
pub struct Topology {
    pub(crate) inner: Arc<TopologyData>,
}
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Topology>();
};

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.inner.description)
    }
}
impl std::fmt::Display for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.inner.description)
    }
}

impl Topology {
    /// The connected parts, in order of their ids (ids of global tables are left out). There is a task for each
    /// partition of each part.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// let words = builder.stream::<String, String>("lines").select_key(|_, word| word.clone());
    /// words.group_by_key().count_with("counts");
    /// let topology = builder.build()?;
    /// let [before, behind] = topology.subtopologies() else { return Err("a repartition topic makes two".into()) };
    /// assert_eq!(before.sinks[0].name(), behind.sources[0].name());
    /// assert_eq!(&*behind.stores[0].spec.name, "counts");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subtopologies(&self) -> &[Subtopology] {
        &self.inner.subtopologies
    }
    /// Topics of which Kafka Streams asks equal partition counts, to compare with it: for a cogrouped stream those in front
    /// of repartition topics, and not always all that belong together. What joins and tables need is in
    /// [`Subtopology::copartition_groups`].
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # let left = builder.stream::<String, i64>("left");
    /// # let right = builder.stream::<String, i64>("right");
    /// left.join_stream(&right, |l, r| l + r, JoinWindows::of(seconds(5)));
    /// let groups = builder.build()?.asked_copartition_groups("app");
    /// let mut names: Vec<&str> = groups[0].iter().map(|topic| &**topic.name()).collect();
    /// names.sort();
    /// assert_eq!(names, ["left", "right"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn asked_copartition_groups(&self, application_id: &str) -> Vec<Vec<TopicRef>> {
        group::asked_groups(&self.inner.asked_copartitions, application_id)
    }
    /// The text of Java's `Topology.describe()`, character by character: to compare with an application in Java, and to
    /// see what a change does to the names of topics and stores.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").to("out");
    /// let expected = "\
    /// Topologies:
    ///    Sub-topology: 0
    ///     Source: KSTREAM-SOURCE-0000000000 (topics: [in])
    ///       --> KSTREAM-SINK-0000000001
    ///     Sink: KSTREAM-SINK-0000000001 (topic: out)
    ///       <-- KSTREAM-SOURCE-0000000000
    ///
    /// ";
    /// assert_eq!(builder.build()?.describe(), expected);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn describe(&self) -> String {
        self.inner.description.clone()
    }
    /// The topology as JSON: sub-topologies with their nodes in the order in which they were written, and the stores.
    /// Names of internal topics are without the application id, as in [`describe`](Self::describe).
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").to("out");
    /// assert_eq!(
    ///     builder.build()?.describe_json(),
    ///     concat!(
    ///         r#"{"stores":[],"subtopologies":[{"global":false,"id":0,"nodes":["#,
    ///         r#"{"name":"KSTREAM-SOURCE-0000000000","predecessors":[],"successors":["KSTREAM-SINK-0000000001"],"#,
    ///         r#""topics":["in"],"type":"source"},"#,
    ///         r#"{"name":"KSTREAM-SINK-0000000001","predecessors":["KSTREAM-SOURCE-0000000000"],"successors":[],"#,
    ///         r#""topic":"out","type":"sink"}]}]}"#,
    ///     )
    /// );
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn describe_json(&self) -> String {
        draw::json(&self.inner)
    }
    /// The topology as a [Mermaid](https://mermaid.js.org) flowchart: operators in their sub-topologies, topics and stores
    /// beside them.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("in").to("out");
    /// let expected = "\
    /// flowchart TD
    ///   subgraph s0[\"Sub-topology 0\"]
    ///     n0[\"KSTREAM-SOURCE-0000000000\"]
    ///     n1[\"KSTREAM-SINK-0000000001\"]
    ///   end
    ///   t0([\"in\"])
    ///   t1([\"out\"])
    ///   n0 --> n1
    ///   t0 --> n0
    ///   n1 --> t1
    /// ";
    /// assert_eq!(builder.build()?.describe_mermaid(), expected);
    /// # Ok::<(), BuildError>(())
    /// ```
    pub fn describe_mermaid(&self) -> String {
        draw::mermaid(&self.inner)
    }
    /// Global stores: restored by every instance before it runs; `source_changelog` is the topic.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// builder.global_table_with::<String, i64>("rates", Materialized::named("all-rates"));
    /// let topology = builder.build()?;
    /// let store = &topology.global_stores()[0];
    /// assert_eq!((&*store.spec.name, store.source_changelog.as_deref()), ("all-rates", Some("rates")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn global_stores(&self) -> &[StoreDefinition] {
        &self.inner.global_stores
    }
    /// A hash of structure and names, kept beside the state: state of another topology is not taken for its own.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let fingerprint = |store: &str| {
    ///     let builder = StreamsBuilder::new();
    ///     builder.table_with::<String, i64>("in", store);
    ///     builder.build().map(|topology| topology.fingerprint())
    /// };
    /// assert_eq!(fingerprint("rows")?, fingerprint("rows")?);
    /// assert_ne!(fingerprint("rows")?, fingerprint("other-rows")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fingerprint(&self) -> u64 {
        self.inner.fingerprint
    }
    /// Whether some sink chooses its topic per record, so that the topics are not known before.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, i64>("in");
    /// stream.to("out");
    /// assert!(!builder.build()?.has_dynamic_sinks());
    /// stream.to_dynamic(|key: &String, _: &i64| format!("of-{key}"));
    /// assert!(builder.build()?.has_dynamic_sinks());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_dynamic_sinks(&self) -> bool {
        self.inner.nodes.iter().any(Node::is_dynamic_sink)
    }
    /// Builds the operators of one task.
    pub fn build_task(&self, subtopology: u32, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
        instantiate::build_task(self, subtopology, environment)
    }
    /// The operators that fill the global stores, for the one thread of an instance that does so. Its stores are
    /// [`global_stores`](Self::global_stores); its sources are their topics, see `TaskGraph::sources`.
    pub fn build_global(&self, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
        instantiate::build_global(self, environment)
    }
    /// One graph with the nodes of all subtopologies and global tables (test driver): sources, sinks and stores are
    /// concatenated in subtopology order, global ones last.
    pub(crate) fn build_all(&self, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
        instantiate::build_all(self, environment)
    }
}
