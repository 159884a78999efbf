//! Stores that cases add for processors.
use std::time::Duration;

use millstream_dsl::store::Store;

use super::{BuildFailure, Maker, Outcome, StoreSerdes, serde};
use crate::{arguments::Args, value::Dyn};

pub(crate) fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The store of a step.
pub(crate) fn store(a: Args<'_>) -> Result<Store<Dyn, Dyn>, BuildFailure> {
    let st = a.part("store").ok_or_else(|| "a step without store".to_owned())?;
    st.only(&[
        "name",
        "type",
        "kind",
        "caching",
        "logging",
        "retention_ms",
        "size_ms",
        "duplicates",
        "history_ms",
        "segment_ms",
        "max_entries",
    ])?;
    let name = st.need("name")?;
    let span = |field: &str| millis(st.long_or(field, 0));
    let max_entries = usize::try_from(st.long_or("max_entries", 10)).unwrap_or(0);
    let mut store = match st.text_or("type", "kv") {
        "kv" if st.text("kind") == Some("lru") => Store::lru(name, max_entries),
        "kv" => Store::key_value(name),
        "timestamped-kv" => Store::timestamped_key_value(name),
        "versioned-kv" => Store::versioned(name, span("history_ms")),
        "headers-kv" => Store::key_value_with_headers(name),
        kind @ ("window" | "timestamped-window" | "headers-window") => {
            let make = match kind {
                "window" => Store::window,
                "timestamped-window" => Store::timestamped_window,
                _ => Store::window_with_headers,
            };
            let duplicates = st.flag("duplicates").unwrap_or(false);
            make(name, span("retention_ms"), span("size_ms"), duplicates)
        }
        "headers-session" => Store::session_with_headers(name, span("retention_ms")),
        "session" => Store::session(name, span("retention_ms")),
        other => return Err(format!("unknown store type: {other}").into()),
    };
    if st.text("kind") == Some("in-memory") {
        store = store.in_memory();
    }
    if st.has("segment_ms") {
        store = store.segments(span("segment_ms"));
    }
    if let Some(caching) = st.flag("caching") {
        store = store.caching(caching);
    }
    if let Some(logging) = st.flag("logging") {
        store = store.logging(logging);
    }
    Ok(store.with(serde::<Dyn>(a, "key_serde")?, serde::<Dyn>(a, "value_serde")?))
}

impl Maker<'_> {
    /// `addStore`.
    pub(crate) fn add_store(&mut self, a: Args<'_>) -> Result<Outcome, BuildFailure> {
        a.only(&["id", "op", "store", "key_serde", "value_serde"])?;
        let store = store(a)?;
        let serdes = StoreSerdes::parse(a.text_or("key_serde", "string"), a.text_or("value_serde", "string"))?;
        self.catalogue.note_named(store.name(), serdes);
        self.builder.add_state_store(store);
        Ok(Outcome::Nothing)
    }
}
