//! Stores of tables, and serdes of groupings.
use millstream_dsl::options::{BufferConfig, Eager, Grouped, Materialized, Strict, Suppressed};

use super::{BuildFailure, Maker, StoreSerdes, serde, stores::millis, types::Key};
use crate::{
    arguments::Args,
    like::{Like, LikeSerde},
    serdes::SerdeKind,
};

impl Maker<'_> {
    /// The store of a step, with serdes by name.
    pub(crate) fn materialized<K: Like, V: Like>(
        &mut self,
        a: Args<'_>,
        prefix: &str,
        key: &str,
        value: &str,
    ) -> Result<Materialized<K, V>, BuildFailure> {
        self.catalogue.note(a, prefix, StoreSerdes::parse(key, value)?);
        let st = a.part("store");
        let mut made = st
            .and_then(|s| s.text("name"))
            .map_or_else(Materialized::new, Materialized::named);
        if let Some(st) = st {
            st.only(&[
                "name",
                "kind",
                "caching",
                "logging",
                "topic_config",
                "retention_ms",
                "history_ms",
                "segment_ms",
                "max_entries",
            ])?;
            if let Some(history) = st.long("history_ms") {
                made = made.versioned(millis(history));
            }
            if let Some(segment) = st.long("segment_ms") {
                made = made.segments(millis(segment));
            }
            match st.text("kind") {
                Some("in-memory") => made = made.in_memory(),
                Some("lru") => made = made.lru(usize::try_from(st.long_or("max_entries", 10)).unwrap_or(0)),
                Some("persistent") | None => {}
                Some(other) => return Err(format!("unknown store kind {other}").into()),
            }
            if let Some(caching) = st.flag("caching") {
                made = made.caching(caching);
            }
            if let Some(logging) = st.flag("logging") {
                made = made.logging(logging);
            }
            // Cases give the configs of the topic together with the wish for one.
            if st.flag("logging") == Some(true) {
                for (name, value) in st.get("topic_config").and_then(|c| c.as_object()).into_iter().flatten() {
                    made = made.topic_config(name.clone(), value.as_str().unwrap_or_default());
                }
            }
            if let Some(retention) = st.long("retention_ms") {
                made = made.retention(millis(retention));
            }
        }
        if let Some(name) = a.text("name") {
            made = made.operator(name);
        }
        if st.is_none() {
            made = made.not_stored();
        }
        let serdes = (SerdeKind::parse(key)?, SerdeKind::parse(value)?);
        Ok(made.with(LikeSerde::<K>::new(serdes.0), LikeSerde::<V>::new(serdes.1)))
    }
}

/// How a step groups.
pub(crate) fn grouped<K: Like, V: Like>(a: Args<'_>) -> Result<Grouped<K, V>, BuildFailure> {
    let grouped = a.text("name").map_or_else(Grouped::new, Grouped::named);
    Ok(grouped.with(serde::<K>(a, "key_serde")?, serde::<V>(a, "value_serde")?))
}

/// Until when a step holds updates back.
pub(crate) fn suppressed<K: Key>(a: Args<'_>) -> Result<Suppressed<K>, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "mode",
        "wait_ms",
        "max_records",
        "max_bytes",
        "full",
        "logging",
        "name",
    ])?;
    let strict = match a.text_or("full", "unbounded") {
        "unbounded" => Ok(BufferConfig::unbounded()),
        "shut-down" => Ok(bounded(a, BufferConfig::unbounded())),
        "emit-early" => Err(bounded(a, BufferConfig::unbounded().emit_early_when_full())),
        other => return Err(format!("unknown rule for a full buffer: {other}").into()),
    };
    let logging = a.flag("logging").unwrap_or(true);
    let made = match (a.need("mode")?, strict) {
        ("until-window-closes", Ok(strict)) => K::until_window_closes(strict.logging(logging))?,
        ("until-time-limit", Ok(strict)) => limited::<K, Strict>(a, strict.logging(logging)),
        ("until-time-limit", Err(eager)) => limited::<K, Eager>(a, eager.logging(logging)),
        (mode, _) => return Err(format!("no suppression {mode} with such a buffer").into()),
    };
    Ok(match a.text("name") {
        Some(name) => made.named(name),
        None => made,
    })
}

fn bounded<F>(a: Args<'_>, mut buffer: BufferConfig<F>) -> BufferConfig<F> {
    let bound = |field: &str| a.long(field).and_then(|n| u64::try_from(n).ok());
    if let Some(records) = bound("max_records") {
        buffer = buffer.with_max_records(records);
    }
    if let Some(bytes) = bound("max_bytes") {
        buffer = buffer.with_max_bytes(bytes);
    }
    buffer
}

fn limited<K: Key, F>(a: Args<'_>, buffer: BufferConfig<F>) -> Suppressed<K> {
    Suppressed::until_time_limit(millis(a.long_or("wait_ms", 0)), buffer)
}
