//! Steps that start a topology: topics and stores.
use millstream_dsl::{
    engine::OffsetReset,
    stream::{Consumed, ExtractInput, Named, TimestampExtractor},
};

use serde_json::Value as Json;

use super::{
    BuildFailure, Maker, Outcome, StoreSerdes, low_level::Filler, named, serde_of, stores::store, unsupported,
};
use crate::{
    arguments::Args,
    like::{Like, Nullable},
    value::Dyn,
};

/// A timestamp extractor by name.
fn extractor<V: Like>(name: &str) -> Result<TimestampExtractor<Dyn, V>, String> {
    Ok(match name {
        "record" => TimestampExtractor::Record,
        "log-and-skip-on-invalid" => TimestampExtractor::LogAndSkip,
        "use-partition-time-on-invalid" => TimestampExtractor::PartitionTime,
        "from-value" => TimestampExtractor::custom(|input: ExtractInput<'_, Dyn, V>| match input.value.to_dyn() {
            Dyn::Text(text) => text.rsplit('@').next().and_then(|n| n.parse().ok()).unwrap_or(-1),
            _ => -1,
        }),
        "partition-time" => TimestampExtractor::custom(|input| {
            if input.partition_time < 0 {
                input.timestamp
            } else {
                input.partition_time
            }
        }),
        _ => return Err(format!("unknown extractor: {name}")),
    })
}

impl Maker<'_> {
    /// A step without `from`.
    pub(crate) fn start(&mut self, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        match a.text_or("op", "") {
            "stream" => {
                let known = [
                    "id",
                    "op",
                    "topic",
                    "topics",
                    "pattern",
                    "extractor",
                    "reset",
                    "name",
                    "key_serde",
                    "value_serde",
                ];
                a.only(&known)?;
                let consumed = consumed::<Nullable>(self.case, a, true)?;
                Ok(Outcome::one(self.builder.stream(consumed)))
            }
            "table" => self.table(a),
            "globalTable" => self.global_table(a),
            "addStore" => self.add_store(a),
            "addGlobalStore" => self.add_global_store(a),
            _ => Err(unsupported(a)),
        }
    }

    /// `addGlobalStore`.
    fn add_global_store(&mut self, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        let store = store(a)?.logging(false);
        let serdes = StoreSerdes::parse(a.text_or("key_serde", "string"), a.text_or("value_serde", "string"))?;
        self.catalogue.note_named(store.name(), serdes);
        let consumed = consumed(self.case, a, true)?;
        self.builder.add_global_store(store, consumed, Filler::supplier(a)?);
        Ok(Outcome::Nothing)
    }
}

/// How a step reads its topics. In the DSL its name is that of the source.
pub(crate) fn consumed<V: Like>(case: &Json, a: Args<'_>, with_name: bool) -> Result<Consumed<Dyn, V>, BuildFailure> {
    let topics = a.list("topics");
    let first = a.text("topic").or_else(|| topics.first().copied()).unwrap_or_default();
    let consumed = if let Some(pattern) = a.text("pattern") {
        Consumed::pattern(pattern)
    } else if topics.is_empty() {
        Consumed::topic(first)
    } else {
        Consumed::topics(topics.iter().copied())
    };
    let by_default = Args(&case["config"]).text_or("timestamp_extractor", "record");
    let consumed = consumed
        .with(
            serde_of::<Dyn>(case, a, first, "key")?,
            serde_of::<V>(case, a, first, "value")?,
        )
        .timestamps(extractor(a.text_or("extractor", by_default))?)
        .named(if with_name { named(a) } else { Named::generated() });
    Ok(match a.text("reset") {
        None => consumed,
        Some("earliest") => consumed.offset_reset(OffsetReset::Earliest),
        Some("latest") => consumed.offset_reset(OffsetReset::Latest),
        Some("none") => consumed.offset_reset(OffsetReset::None),
        Some(other) => return Err(format!("unknown reset {other}").into()),
    })
}
