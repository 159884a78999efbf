//! The stock processors of cases that keep the key.
use std::sync::Arc;

use millstream_dsl::{
    engine::BoxError,
    processor::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord},
    store::{KeyValueStore, TimestampedKeyValueStore},
};
use serde_json::Value as Json;

use super::stock::{header_text, place};
use crate::{
    arguments::Args,
    like::{Like, Nullable, nullable},
    value::{Dyn, FunctionFailed},
};

const KNOWN: [&str; 9] = [
    "forward",
    "duplicate",
    "count",
    "add-header",
    "read-header",
    "metadata",
    "shift-time",
    "lookup",
    "fail-if",
];

/// One stock processor of values of one task.
pub(crate) struct StockValues {
    step: Arc<Json>,
}

impl StockValues {
    /// Refuses unknown processors.
    pub(crate) fn supplier(a: Args<'_>) -> Result<impl Fn() -> Self + Send + Sync + 'static, String> {
        let name = a.need("processor")?;
        if !KNOWN.contains(&name) {
            return Err(format!("unknown fixed-key processor: {name}"));
        }
        let step = Arc::new(a.0.clone());
        Ok(move || Self { step: step.clone() })
    }
}

impl<K: Like, V: Like> FixedKeyProcessor<K, V, Nullable> for StockValues {
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, K, Nullable>,
        record: FixedKeyRecord<'_, K, V>,
    ) -> Result<(), BoxError> {
        let a = Args(&self.step);
        let store = a.list("stores").first().copied().unwrap_or_default();
        let value = record.value().to_dyn();
        let unchanged = nullable(value.clone());
        let same = record.with_value(&unchanged);
        let text = |text: String| Ok(ctx.forward(record.with_value(&nullable(Dyn::Text(text))))?);
        match a.text_or("processor", "") {
            "duplicate" => (0..a.long_or("times", 2)).try_for_each(|_| Ok(ctx.forward(same)?)),
            "count" => {
                let store = ctx.store::<KeyValueStore<Dyn, Dyn>>(store)?;
                let key = record.key().to_dyn();
                let next = Dyn::Long(store.get(&key)?.map_or(Ok(0), |n| n.number())? + 1);
                store.put(&key, &next)?;
                Ok(ctx.forward(record.with_value(&nullable(next)))?)
            }
            "add-header" => {
                record
                    .headers()
                    .add(a.text_or("header", ""), Some(a.text_or("header_value", "").as_bytes()));
                Ok(ctx.forward(same)?)
            }
            "read-header" => text(header_text(record.headers(), a.text_or("header", ""))),
            "metadata" => text(format!("{}/{}", place(ctx.record_metadata()), record.timestamp())),
            "shift-time" => Ok(ctx.forward(same.with_timestamp(record.timestamp() + a.long_or("delta", 0)))?),
            "lookup" => {
                let key = record.key().to_dyn();
                let found = match ctx.store::<TimestampedKeyValueStore<Dyn, Dyn>>(store) {
                    Ok(store) => store.get(&key)?.map(|v| format!("{}@{}", v.value.text(), v.timestamp)),
                    Err(_) => ctx
                        .store::<KeyValueStore<Dyn, Dyn>>(store)?
                        .get(&key)?
                        .map(|v| v.text()),
                };
                text(format!(
                    "{}+{}",
                    value.text(),
                    found.unwrap_or_else(|| "null".to_owned())
                ))
            }
            "fail-if" if a.text("text") == Some(&value.text()) => Err(FunctionFailed("fail-if".into()).into()),
            _ => Ok(ctx.forward(same)?),
        }
    }
}
