//! Cases of the processor topology API: case format, section 5.
use millstream_dsl::{
    engine::BoxError,
    engine::Record,
    processor::{Processor, ProcessorContext},
    store::{KeyValueStore, TimestampedKeyValueStore},
    stream::{Consumed, Produced},
    topology::TopologyBuilder,
};

use super::{
    BuildFailure, Catalogue, StoreSerdes, refused, sources::consumed, stock::Stock, stores::store, topic_serde,
    unsupported,
};
use crate::{
    arguments::Args,
    expression::Expr,
    like::{Like, LikeSerde, Nullable},
    serdes::SerdeKind,
    value::{Dyn, FunctionFailed},
};
use millstream_dsl::engine::Topology;
use serde_json::Value as Json;

/// A stock processor that fills a global or read-only store.
pub(crate) struct Filler {
    store: String,
    kind: FillerKind,
}

#[derive(Clone)]
enum FillerKind {
    Put,
    PutTimestamped(i64),
    FailIf(String),
}

impl Filler {
    pub(crate) fn supplier(a: Args<'_>) -> Result<impl Fn() -> Self + Send + Sync + 'static, String> {
        let kind = match a.need("processor")? {
            "store-put" => FillerKind::Put,
            "store-put-timestamped" => FillerKind::PutTimestamped(a.long_or("delta", 0)),
            "fail-if" => FillerKind::FailIf(a.need("text")?.to_owned()),
            other => return Err(format!("the processor {other} on a global store")),
        };
        let named = a.text_or("store_name", "");
        let store = a.list("stores").first().copied().unwrap_or(named).to_owned();
        Ok(move || Self {
            store: store.clone(),
            kind: kind.clone(),
        })
    }
}

impl Processor<Dyn, Dyn, (), ()> for Filler {
    fn process(&mut self, ctx: &ProcessorContext<'_, (), ()>, r: Record<'_, Dyn, Dyn>) -> Result<(), BoxError> {
        match &self.kind {
            FillerKind::Put => Ok(ctx.store::<KeyValueStore<Dyn, Dyn>>(&self.store)?.put(r.key, r.value)?),
            FillerKind::PutTimestamped(delta) => {
                let store = ctx.store::<TimestampedKeyValueStore<Dyn, Dyn>>(&self.store)?;
                if r.value.is_null() {
                    store.delete(r.key)?;
                } else {
                    store.put(r.key, r.value, r.timestamp + delta)?;
                }
                Ok(())
            }
            FillerKind::FailIf(text) if *text == r.value.text() => Err(FunctionFailed("fail-if".into()).into()),
            FillerKind::FailIf(_) => Ok(()),
        }
    }
}

fn topic_serdes<V: Like>(case: &Json, topic: &str) -> Result<(LikeSerde<Dyn>, LikeSerde<V>), String> {
    let kind = |part| SerdeKind::parse(topic_serde(case, topic, part));
    Ok((LikeSerde::new(kind("key")?), LikeSerde::new(kind("value")?)))
}

/// Builds the topology of a case of the processor topology API.
pub(crate) fn build(case: &Json, catalogue: &mut Catalogue) -> Result<Topology, BuildFailure> {
    let mut builder = TopologyBuilder::new();
    for step in case["topology"].as_array().into_iter().flatten() {
        add(case, &mut builder, Args(step), catalogue)?;
    }
    builder.build().map_err(|e| refused(&e))
}

fn add(case: &Json, builder: &mut TopologyBuilder, a: Args<'_>, catalogue: &mut Catalogue) -> Result<(), BuildFailure> {
    if let Some(name) = a.part("store").and_then(|s| s.text("name")) {
        let serdes = StoreSerdes::parse(a.text_or("key_serde", "string"), a.text_or("value_serde", "string"))?;
        catalogue.note_named(name, serdes);
    }
    let parents = a.list("parents");
    match a.text_or("op", "") {
        "addSource" => builder.add_source(a.need("name")?, consumed::<Nullable>(case, a, false)?),
        "addProcessor" => builder.add_processor(a.need("name")?, Stock::<Dyn, Nullable>::supplier(a)?, &parents),
        "addSink" => match a.text("topic_fn") {
            Some(topic_fn) => {
                let expr = Expr::parse(topic_fn)?;
                let choose = move |k: &Dyn, v: &Nullable| {
                    // Null is no topic.
                    let topic = expr.apply(k, &v.to_dyn()).ok().filter(|topic| !topic.is_null());
                    topic.map_or_else(String::new, |topic| topic.text())
                };
                let (key, value) = (
                    super::serde::<Dyn>(a, "key_serde")?,
                    super::serde::<Nullable>(a, "value_serde")?,
                );
                builder.add_dynamic_sink(a.need("name")?, choose, Produced::options().with(key, value), &parents);
            }
            None => {
                let topic = a.need("topic")?;
                let (key, value) = topic_serdes::<Nullable>(case, topic)?;
                builder.add_sink(a.need("name")?, Produced::topic(topic).with(key, value), &parents);
            }
        },
        "addStateStore" => builder.add_state_store(store(a)?, &a.list("processors")),
        "connect" => builder.connect(a.need("name")?, &a.list("stores")),
        "addGlobalStore" | "addReadOnlyStore" => {
            let topic = a.need("topic")?;
            let (store, source, name) = (store(a)?.logging(false), a.need("source")?, a.need("name")?);
            if a.text("op") == Some("addGlobalStore") {
                let (key, value) = topic_serdes(case, topic)?;
                let consumed = Consumed::topic(topic).with(key, value);
                builder.add_global_store(store, source, consumed, name, Filler::supplier(a)?);
            } else {
                builder.add_read_only_store(store, source, consumed(case, a, false)?, name, Filler::supplier(a)?);
            }
        }
        _ => return Err(unsupported(a)),
    }
    Ok(())
}
