//! Runs one case through the driver and gives its result object: case format, sections 6 and 7.
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use millstream_dsl::{
    driver::{DriverError, ProducedRef, TopologyTestDriver},
    engine::{ProcessErrorKind, Topology},
};
use millstream_state::Headers;
use serde_json::{Map, Value as Json, json};

use crate::{
    arguments::Args,
    reads,
    recorder::Recorder,
    serdes::SerdeKind,
    steps::{self, BuildFailure, Catalogue},
    topics,
    value::{Dyn, base64, unbase64},
};

/// The result object, or why the case cannot be interpreted.
pub(crate) fn run(case: &Json) -> Result<Json, String> {
    let recorder = Arc::new(Recorder::default());
    let mut out = Map::new();
    let built = match steps::build(case, &recorder) {
        Ok(built) => built,
        Err(BuildFailure::Unsupported(why)) => return Err(why),
        Err(BuildFailure::Refused { category, message }) => {
            out.insert(
                "error".into(),
                json!({"phase": "build", "category": category, "message": message}),
            );
            finish(&mut out, Vec::new(), case, &recorder, &BTreeSet::new());
            out.insert("dropped".into(), json!([]));
            return Ok(Json::Object(out));
        }
    };
    let describe = built.topology.describe();
    out.insert("describe".into(), json!(describe.split('\n').collect::<Vec<_>>()));
    let config = Args(&case["config"]);
    let application_id = config.text_or("application_id", "app");
    let mut run = Run {
        case,
        recorder: recorder.clone(),
        catalogue: built.catalogue,
        produced: Vec::new(),
        dropped: Vec::new(),
        reads: Vec::new(),
    };
    let driver = match start(&built.topology, case) {
        Ok(driver) => driver,
        Err(Failure::Unsupported(why)) => return Err(why),
        Err(Failure::Driver(error)) => {
            out.insert("error".into(), json!({"phase": "start", "category": category(&error)}));
            finish(&mut out, Vec::new(), case, &recorder, &BTreeSet::new());
            out.insert("dropped".into(), json!([]));
            return Ok(Json::Object(out));
        }
    };
    let subtopologies = topics::subtopologies(&built.topology, application_id);
    let internal = topics::internal(&subtopologies);
    out.insert("subtopologies".into(), subtopologies);
    out.insert(
        "copartition".into(),
        topics::copartition(&built.topology, application_id),
    );
    match run.drive(&driver) {
        Ok(()) => {
            out.insert(
                "stores".into(),
                reads::stores(&driver, &built.topology, &run.catalogue)?,
            );
        }
        Err(Failure::Unsupported(why)) => return Err(why),
        Err(Failure::Driver(error)) => {
            let error = json!({
                "phase": "run", "at": recorder.at(), "category": category(&error), "message": error.to_string(),
            });
            out.insert("error".into(), error);
        }
    }
    finish(&mut out, run.produced, case, &recorder, &internal);
    if !run.reads.is_empty() {
        out.insert("reads".into(), Json::Array(run.reads));
    }
    out.insert("dropped".into(), json!(run.dropped));
    Ok(Json::Object(out))
}

enum Failure {
    Unsupported(String),
    Driver(DriverError),
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Unsupported(why)
    }
}

fn start(topology: &Topology, case: &Json) -> Result<TopologyTestDriver, Failure> {
    let config = Args(&case["config"]);
    let millis = |field: &str| Duration::from_millis(u64::try_from(config.long_or(field, 0)).unwrap_or(0));
    Ok(TopologyTestDriver::builder(topology)
        .application_id(config.text_or("application_id", "app"))
        .cache_bytes(usize::try_from(config.long_or("cache_bytes", 0)).unwrap_or(0))
        .initial_wall_clock_ms(config.long_or("wall_clock_ms", 0))
        .max_task_idle(millis("max_task_idle_ms"))
        .emit_interval(millis("emit_interval_ms"))
        .handlers(steps::handlers(config)?)
        .build()?)
}

struct Run<'a> {
    case: &'a Json,
    recorder: Arc<Recorder>,
    catalogue: Catalogue,
    produced: Vec<Json>,
    dropped: Vec<i64>,
    reads: Vec<Json>,
}

impl Run<'_> {
    fn drive(&mut self, driver: &TopologyTestDriver) -> Result<(), Failure> {
        self.collect(driver);
        let mut seen = driver.dropped_records();
        self.dropped.extend((0..seen).map(|_| -1));
        let no_events = Vec::new();
        let events = self.case["events"].as_array().unwrap_or(&no_events);
        for (at, event) in (0_i64..).zip(events) {
            self.recorder.set_at(at);
            let outcome = self.event(driver, event, at);
            self.collect(driver);
            outcome?;
            let now = driver.dropped_records();
            self.dropped.extend((seen..now).map(|_| at));
            seen = now;
        }
        Ok(())
    }

    fn event(&mut self, driver: &TopologyTestDriver, event: &Json, at: i64) -> Result<(), Failure> {
        let args = Args(event);
        if let Some(topic) = args.text("topic") {
            args.only(&["topic", "key", "value", "ts", "headers", "key64", "value64"])?;
            let key = self.bytes(args, topic, "key")?;
            let value = self.bytes(args, topic, "value")?;
            let headers = Headers::new();
            for pair in event["headers"].as_array().into_iter().flatten() {
                headers.add(
                    pair[0].as_str().unwrap_or_default(),
                    pair[1].as_str().map(str::as_bytes),
                );
            }
            driver.pipe_bytes(topic, key.as_deref(), value.as_deref(), args.long_or("ts", 0), &headers)?;
        } else if let Some(by) = args.long("advance_ms") {
            driver.advance_wall_clock(Duration::from_millis(u64::try_from(by).unwrap_or(0)))?;
        } else if let Some(read) = args.part("read") {
            let result = reads::read(driver, &self.catalogue, read)?;
            self.reads.push(json!({"at": at, "result": result}));
        } else {
            return Err(Failure::Unsupported(format!("unknown event {event}")));
        }
        Ok(())
    }

    fn bytes(&self, event: Args<'_>, topic: &str, part: &str) -> Result<Option<Vec<u8>>, String> {
        if let Some(raw) = event.text(&format!("{part}64")) {
            return unbase64(raw).map(Some);
        }
        let Some(json) = event.get(part) else { return Ok(None) };
        let serde = steps::topic_serde(self.case, topic, part);
        let value = Dyn::from_json(json, serde)?;
        let mut out = Vec::new();
        SerdeKind::parse(serde)?
            .lenient()
            .encode(&value, &mut out)
            .map_err(|e| e.to_string())?;
        Ok(Some(out))
    }

    /// Takes what was produced since the last event.
    fn collect(&mut self, driver: &TopologyTestDriver) {
        let at = self.recorder.at();
        driver.for_each_produced(|record| self.produced.push(record_json(at, record)));
        driver.clear_produced();
    }
}

fn record_json(at: i64, record: ProducedRef<'_>) -> Json {
    let mut out = json!({
        "at": at, "topic": record.topic, "ts": record.timestamp,
        "key64": record.key.map(base64), "value64": record.value.map(base64),
    });
    let mut headers = Vec::new();
    if let Some(all) = record.headers {
        all.for_each(|name, value| {
            let about_error = name.starts_with("__streams.errors.");
            let stable = ["topic", "partition", "offset"].iter().any(|end| name.ends_with(end));
            headers.push(if about_error && !stable {
                json!([name, "*"])
            } else {
                json!([name, value.map(base64)])
            });
        });
    }
    if !headers.is_empty() {
        out["headers"] = Json::Array(headers);
    }
    out
}

fn decode(case: &Json, topic: &str, part: &str, bytes: &Json) -> Json {
    let decoded = bytes.as_str().map(|text| {
        let serde = SerdeKind::parse(steps::topic_serde(case, topic, part))?.lenient();
        serde.decode(&unbase64(text)?).map_err(|e| e.to_string())
    });
    match decoded {
        None => Json::Null,
        Some(Ok(value)) => value.to_json(),
        Some(Err(_)) => json!("undecodable"),
    }
}

/// Sorts the records into those of users' topics and those of internal ones.
fn finish(
    out: &mut Map<String, Json>,
    produced: Vec<Json>,
    case: &Json,
    recorder: &Recorder,
    internal: &BTreeSet<String>,
) {
    let (mut outputs, mut inner) = (Vec::new(), Map::new());
    for mut record in produced {
        let topic = record["topic"].as_str().unwrap_or_default().to_owned();
        if internal.contains(&topic) && case["topics"].get(&topic).is_none() {
            if let Some(fields) = record.as_object_mut() {
                fields.remove("topic");
            }
            if let Some(list) = inner.entry(topic).or_insert_with(|| json!([])).as_array_mut() {
                list.push(record);
            }
        } else {
            record["key"] = decode(case, &topic, "key", &record["key64"]);
            record["value"] = decode(case, &topic, "value", &record["value64"]);
            outputs.push(record);
        }
    }
    out.insert("outputs".into(), Json::Array(outputs));
    out.insert("internal".into(), Json::Object(inner));
    let branches = recorder.branches();
    if !branches.is_empty() {
        out.insert("branches".into(), Json::Object(branches));
    }
    let peeks = recorder.take_peeks();
    if !peeks.is_empty() {
        out.insert("peeks".into(), Json::Array(peeks));
    }
}

fn category(error: &DriverError) -> &'static str {
    match error {
        DriverError::Process(e) => match e.kind {
            ProcessErrorKind::Deserialization => "deserialization",
            ProcessErrorKind::Serialization | ProcessErrorKind::Production => "serialization",
            ProcessErrorKind::UserFunction | ProcessErrorKind::Panic => "user-function",
            ProcessErrorKind::InvalidTimestamp => "invalid-timestamp",
            ProcessErrorKind::Store => "invalid-store",
            ProcessErrorKind::InvalidArgument => "invalid-argument",
            ProcessErrorKind::NullKey => "null-argument",
            ProcessErrorKind::BufferFull => "buffer-full",
            ProcessErrorKind::UnknownChild => "unknown-child",
            ProcessErrorKind::StoreNotConnected => "store-not-connected",
            _ => "other",
        },
        DriverError::State(_) => "invalid-store",
        DriverError::UnknownInputTopic { .. } => "invalid-argument",
        _ => "other",
    }
}
