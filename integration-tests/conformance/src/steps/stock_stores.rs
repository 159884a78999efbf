//! Stores of stock processors whose rows keep more than a value: what is put, and how a row is shown.
use millstream_dsl::{
    engine::BoxError,
    store::{
        KeyValueStore, SessionStore, SessionStoreWithHeaders, TimestampedKeyValueStore,
        TimestampedKeyValueStoreWithHeaders, TimestampedWindowStore, TimestampedWindowStoreWithHeaders, WindowStore,
    },
    window::Window,
};
use millstream_state::Headers;

use super::stock::{Context, Done};
use crate::value::Dyn;

/// A row to be put; a store takes of it what it keeps.
pub(super) struct Kept<'a> {
    pub(super) key: &'a Dyn,
    /// None deletes.
    pub(super) value: Option<&'a Dyn>,
    pub(super) timestamp: i64,
    pub(super) headers: &'a Headers,
}

fn headers_text(headers: &Headers) -> String {
    let mut parts = Vec::new();
    headers.for_each(|name, value| {
        let value = value.map_or("null".into(), String::from_utf8_lossy);
        parts.push(format!("{name}={value}"));
    });
    format!("{{{}}}", parts.join(","))
}

/// What `lookup` adds: the stored value, with its time and headers where the store has some.
pub(super) fn stored(ctx: &Context<'_>, store: &str, key: &Dyn) -> Result<String, BoxError> {
    let shown = |text: Option<String>| text.unwrap_or_else(|| "null".to_owned());
    if let Ok(store) = ctx.store::<TimestampedKeyValueStoreWithHeaders<Dyn, Dyn>>(store) {
        let row = store.get(key)?;
        let text = row.map(|r| format!("{}@{}{}", r.value.text(), r.timestamp, headers_text(&r.headers)));
        return Ok(shown(text));
    }
    if let Ok(store) = ctx.store::<TimestampedKeyValueStore<Dyn, Dyn>>(store) {
        return Ok(shown(
            store.get(key)?.map(|r| format!("{}@{}", r.value.text(), r.timestamp)),
        ));
    }
    if let Ok(store) = ctx.store::<TimestampedKeyValueStore<Dyn, i64>>(store) {
        return Ok(shown(store.get(key)?.map(|r| format!("{}@{}", r.value, r.timestamp))));
    }
    let store = ctx.store::<KeyValueStore<Dyn, Dyn>>(store)?;
    Ok(store.get(key)?.unwrap_or(Dyn::Null).text())
}

/// `store-put-timestamped`.
pub(super) fn put_timestamped(ctx: &Context<'_>, store: &str, row: &Kept<'_>) -> Done {
    if let Ok(store) = ctx.store::<TimestampedKeyValueStoreWithHeaders<Dyn, Dyn>>(store) {
        match row.value {
            Some(value) => store.put(row.key, value, row.timestamp, row.headers)?,
            None => drop(store.delete(row.key)?),
        }
        return Ok(());
    }
    let store = ctx.store::<TimestampedKeyValueStore<Dyn, Dyn>>(store)?;
    match row.value {
        Some(value) => store.put(row.key, value, row.timestamp)?,
        None => drop(store.delete(row.key)?),
    }
    Ok(())
}

/// `window-put`: puts the row and shows those of its key with a start in the range.
pub(super) fn put_window(
    ctx: &Context<'_>,
    store: &str,
    row: &Kept<'_>,
    start: i64,
    (from, to): (i64, i64),
) -> Result<Vec<String>, BoxError> {
    if let Ok(store) = ctx.store::<TimestampedWindowStoreWithHeaders<Dyn, Dyn>>(store) {
        match row.value {
            Some(value) => store.put(row.key, value, start, row.timestamp, row.headers)?,
            None => store.delete(row.key, start)?,
        };
        let rows = store.fetch(row.key, from, to, false)?.map(|found| {
            let (start, r) = found?;
            let headers = headers_text(&r.headers);
            Ok(format!("{start}={}@{}{headers}", r.value.text(), r.timestamp))
        });
        return rows.collect();
    }
    if let Ok(store) = ctx.store::<TimestampedWindowStore<Dyn, Dyn>>(store) {
        match row.value {
            Some(value) => store.put(row.key, value, start, row.timestamp)?,
            None => store.delete(row.key, start)?,
        };
        let rows = store.fetch(row.key, from, to, false)?.map(|found| {
            let (start, r) = found?;
            Ok(format!("{start}={}@{}", r.value.text(), r.timestamp))
        });
        return rows.collect();
    }
    let store = ctx.store::<WindowStore<Dyn, Dyn>>(store)?;
    store.put(row.key, row.value, start)?;
    let rows = store.fetch(row.key, from, to, false)?.map(|found| {
        let (start, value) = found?;
        Ok(format!("{start}={}", value.text()))
    });
    rows.collect()
}

/// `session-put`: puts the row and shows all of its key.
pub(super) fn put_session(
    ctx: &Context<'_>,
    store: &str,
    row: &Kept<'_>,
    session: Window,
) -> Result<Vec<String>, BoxError> {
    let shown = |w: Window, value: &Dyn, headers: &str| format!("{}/{}={}{headers}", w.start, w.end, value.text());
    if let Ok(store) = ctx.store::<SessionStoreWithHeaders<Dyn, Dyn>>(store) {
        match row.value {
            Some(value) => store.put(row.key, session, value, row.headers)?,
            None => store.remove(row.key, session)?,
        };
        let rows = store.fetch(row.key)?.map(|found| {
            let (window, r) = found?;
            Ok(shown(window, &r.aggregation, &headers_text(&r.headers)))
        });
        return rows.collect();
    }
    let store = ctx.store::<SessionStore<Dyn, Dyn>>(store)?;
    store.put(row.key, session, row.value)?;
    let rows = store.fetch(row.key)?.map(|found| {
        let (window, value) = found?;
        Ok(shown(window, &value, ""))
    });
    rows.collect()
}
