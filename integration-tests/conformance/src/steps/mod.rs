//! Builds the topology of a case through the public DSL: case format, sections 3 and 5.
use std::{any::Any, collections::HashMap, sync::Arc};

use millstream_dsl::{
    engine::{Handlers, LogAndContinue, Topology},
    stream::{Named, StreamsBuilder},
    topology::{BuildError, Optimizations, StoreFormat, TopologyConfig, UpgradeFrom, ViolationKind},
};
use millstream_state::StoreBackend;
use serde_json::{Value as Json, json};

use crate::{
    arguments::Args,
    like::{Like, LikeSerde},
    recorder::Recorder,
    serdes::SerdeKind,
    value::Dyn,
};

mod catalogue;
mod cogrouped;
mod grouped;
mod joins;
mod low_level;
mod options;
mod sources;
mod stock;
mod stock_stores;
mod stock_values;
mod stores;
mod streams;
mod tables;
mod types;
mod windows;
pub(crate) use catalogue::{Catalogue, StoreSerdes};

/// Why a case has no topology.
pub(crate) enum BuildFailure {
    /// The runner or the DSL does not know a step: the case fails.
    Unsupported(String),
    /// The DSL refuses the topology, as a case may expect.
    Refused { category: &'static str, message: String },
}

impl From<String> for BuildFailure {
    fn from(why: String) -> Self {
        Self::Unsupported(why)
    }
}

/// What a step has made: a handle of the DSL whose types only its own step knows.
pub(crate) trait Handle: Any {
    /// A step that starts from this handle.
    fn step(&self, a: Args<'_>, maker: &mut Maker<'_>) -> Result<Outcome, BuildFailure>;
    fn as_any(&self) -> &dyn Any;
}

/// Shared, because several steps may start from one handle.
pub(crate) type Object = std::rc::Rc<dyn Handle>;

/// What comes of a step.
pub(crate) enum Outcome {
    Nothing,
    One(Object),
    /// Branches, with their ids.
    Several(Vec<(String, Object)>),
}

impl Outcome {
    pub(crate) fn one(handle: impl Handle) -> Self {
        Self::One(std::rc::Rc::new(handle))
    }
}

/// A topology in the making.
pub(crate) struct Maker<'a> {
    pub(crate) case: &'a Json,
    pub(crate) builder: StreamsBuilder,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) catalogue: Catalogue,
    objects: HashMap<String, Object>,
}

/// The topology of a case, and what is known about its parts.
pub(crate) struct Built {
    pub(crate) topology: Topology,
    pub(crate) catalogue: Catalogue,
}

/// Builds the topology of a case.
pub(crate) fn build(case: &Json, recorder: &Arc<Recorder>) -> Result<Built, BuildFailure> {
    let config = topology_config(Args(&case["config"]))?;
    if case["api"] == "topology" {
        let mut catalogue = Catalogue::default();
        let topology = low_level::build(case, &mut catalogue)?;
        return Ok(Built { topology, catalogue });
    }
    let mut maker = Maker {
        case,
        builder: StreamsBuilder::with_config(config),
        recorder: recorder.clone(),
        catalogue: Catalogue::default(),
        objects: HashMap::new(),
    };
    // The default serdes of the application are those of text.
    let text = SerdeKind::parse("string")?;
    maker.builder.default_serde(LikeSerde::<Dyn>::new(text.clone()));
    maker.builder.default_serde(LikeSerde::<Option<Dyn>>::new(text));
    for step in case["topology"].as_array().into_iter().flatten() {
        maker.step(Args(step))?;
    }
    let topology = maker.builder.build().map_err(|e| refused(&e))?;
    maker.catalogue.resolve(&topology);
    Ok(Built {
        topology,
        catalogue: maker.catalogue,
    })
}

/// What the DSL says when it refuses a topology.
fn refused(error: &BuildError) -> BuildFailure {
    // Java stops at the first fault.
    let category = match error.violations.first().map(|v| v.kind) {
        Some(ViolationKind::Argument) => "invalid-argument",
        Some(ViolationKind::State) => "illegal-state",
        _ => "invalid-topology",
    };
    BuildFailure::Refused {
        category,
        message: error.to_string(),
    }
}

/// The settings a topology is made with; refuses those that nobody knows.
fn topology_config(config: Args<'_>) -> Result<TopologyConfig, BuildFailure> {
    config.only(&[
        "application_id",
        "cache_bytes",
        "optimization",
        "max_task_idle_ms",
        "timestamp_extractor",
        "deserialization_handler",
        "processing_handler",
        "production_handler",
        "dlq_topic",
        "wall_clock_ms",
        "emit_interval_ms",
        "explicit_names",
        "processing_handler_global",
        "store_kind",
        "store_format",
        "upgrade_from",
    ])?;
    Ok(TopologyConfig {
        optimizations: Optimizations::parse(config.text_or("optimization", "none"))?,
        require_explicit_names: config.flag("explicit_names").unwrap_or(false),
        default_backend: match config.text_or("store_kind", "persistent") {
            "persistent" => StoreBackend::Persistent,
            "in-memory" => StoreBackend::InMemory,
            other => return Err(format!("unknown kind of stores {other}").into()),
        },
        store_format: match config.text_or("store_format", "DEFAULT") {
            "DEFAULT" => StoreFormat::Default,
            "HEADERS" => StoreFormat::Headers,
            other => return Err(format!("unknown format of stores {other}").into()),
        },
        upgrade_from: config.text("upgrade_from").map(UpgradeFrom::parse).transpose()?,
    })
}

/// The error handlers of a case.
pub(crate) fn handlers(config: Args<'_>) -> Result<Handlers, String> {
    let mut handlers = Handlers::default();
    let goes_on = |field: &str| match config.text_or(field, "fail") {
        "fail" => Ok(false),
        "continue" => Ok(true),
        other => Err(format!("unknown handler {other}")),
    };
    if goes_on("deserialization_handler")? {
        handlers.deserialization = Arc::new(LogAndContinue);
    }
    if goes_on("processing_handler")? {
        handlers.processing = Arc::new(LogAndContinue);
    }
    if goes_on("production_handler")? {
        handlers.production = Arc::new(LogAndContinue);
    }
    handlers.processing_of_global_tables = config.flag("processing_handler_global").unwrap_or(false);
    handlers.dead_letter_topic = config.text("dlq_topic").map(Into::into);
    Ok(handlers)
}

/// The serde of a topic of the case: `part` is `key` or `value`.
pub(crate) fn topic_serde<'a>(case: &'a Json, topic: &str, part: &str) -> &'a str {
    Args(&case["topics"])
        .part(topic)
        .map_or("string", |t| t.text_or(part, "string"))
}

/// The name of an operator.
pub(crate) fn named(a: Args<'_>) -> Named {
    a.text("name").map_or_else(Named::generated, Named::new)
}

/// A serde of a step, text by default.
pub(crate) fn serde<T: Like>(a: Args<'_>, field: &str) -> Result<LikeSerde<T>, String> {
    SerdeKind::parse(a.text_or(field, "string")).map(LikeSerde::new)
}

/// The serde of a topic, unless the step says otherwise.
pub(crate) fn serde_of<T: Like>(case: &Json, a: Args<'_>, topic: &str, part: &str) -> Result<LikeSerde<T>, String> {
    let name = a
        .text(&format!("{part}_serde"))
        .unwrap_or_else(|| topic_serde(case, topic, part));
    SerdeKind::parse(name).map(LikeSerde::new)
}

impl Maker<'_> {
    /// The handle of an earlier step.
    pub(crate) fn object(&self, id: &str) -> Result<Object, BuildFailure> {
        self.objects
            .get(id)
            .cloned()
            .ok_or_else(|| BuildFailure::Unsupported(format!("no such step: {id}")))
    }

    fn step(&mut self, a: Args<'_>) -> Result<(), BuildFailure> {
        let outcome = match a.list("from").first() {
            Some(from) => self.object(from)?.step(a, self)?,
            None => self.start(a)?,
        };
        match outcome {
            Outcome::Nothing => {}
            Outcome::One(object) => {
                if let Some(id) = a.text("id") {
                    self.objects.insert(id.to_owned(), object);
                }
            }
            Outcome::Several(objects) => self.objects.extend(objects),
        }
        Ok(())
    }

    /// Notes the names of the branches of a split.
    pub(crate) fn note_branches(&mut self, a: Args<'_>, mut names: Vec<String>) {
        names.sort();
        self.recorder.note_branches(a.text_or("id", "split"), json!(names));
    }
}

/// A step that the runner or the DSL does not have.
pub(crate) fn unsupported(a: Args<'_>) -> BuildFailure {
    BuildFailure::Unsupported(a.text_or("op", "a step without op").to_owned())
}
