//! Joins of two streams in a window.
use millstream_dsl::{options::StreamJoined, stream::KStream, window::JoinWindows};

use super::{
    BuildFailure, Object, Outcome, serde,
    stores::millis,
    types::{Key, Value},
    unsupported,
};
use crate::{
    arguments::Args,
    functions::Joiner,
    like::{Nullable, nullable},
    value::Dyn,
};

/// None if the other side is no stream of these keys.
pub(crate) fn join<K: Key, V: Value>(
    stream: &KStream<K, V>,
    other: &Object,
    a: Args<'_>,
) -> Option<Result<Outcome, BuildFailure>> {
    let other = other.as_any();
    if let Some(other) = other.downcast_ref::<KStream<K, Nullable>>() {
        return Some(join_streams(stream, other, a));
    }
    other
        .downcast_ref::<KStream<K, Option<i64>>>()
        .map(|other| join_streams(stream, other, a))
}

fn windows(w: Args<'_>) -> Result<JoinWindows, BuildFailure> {
    w.only(&["difference_ms", "grace_ms", "before_ms", "after_ms", "legacy"])?;
    let difference = millis(w.long_or("difference_ms", 0));
    let mut windows = match w.flag("legacy") {
        Some(true) => JoinWindows::legacy(difference),
        _ => JoinWindows::of(difference),
    };
    if let Some(grace) = w.long("grace_ms") {
        windows = windows.grace(millis(grace));
    }
    // A negative length moves the other end of the window beyond the record.
    windows = match w.long("before_ms") {
        None => windows,
        Some(before @ 0..) => windows.before(millis(before)),
        Some(before) => windows.starts_after(millis(-before)),
    };
    Ok(match w.long("after_ms") {
        None => windows,
        Some(after @ 0..) => windows.after(millis(after)),
        Some(after) => windows.ends_before(millis(-after)),
    })
}

fn join_streams<K: Key, V: Value, O: Value>(
    stream: &KStream<K, V>,
    other: &KStream<K, O>,
    a: Args<'_>,
) -> Result<Outcome, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "joiner",
        "name",
        "window",
        "store_name",
        "kind",
        "logging",
        "key_serde",
        "value_serde",
        "other_serde",
    ])?;
    let joiner = Joiner::parse(a.text_or("joiner", "concat"))?;
    let windows = windows(
        a.part("window")
            .ok_or_else(|| "a join of streams without window".to_owned())?,
    )?;
    let mut joined = a.text("name").map_or_else(StreamJoined::new, StreamJoined::named);
    joined = joined.with(
        serde::<K>(a, "key_serde")?,
        serde::<V>(a, "value_serde")?,
        serde::<O>(a, "other_serde")?,
    );
    if let Some(name) = a.text("store_name") {
        joined = joined.store_named(name);
    }
    if a.text("kind") == Some("in-memory") {
        joined = joined.in_memory();
    }
    if let Some(logging) = a.flag("logging") {
        joined = joined.logging(logging);
    }
    let or_null = |side: Option<Dyn>| side.unwrap_or(Dyn::Null);
    Ok(match a.text_or("op", "") {
        "join" => Outcome::one(stream.try_join_stream_with(
            other,
            move |k: &K, l: &V, r: &O| joiner.apply(&k.to_dyn(), &l.to_dyn(), &r.to_dyn()).map(nullable),
            windows,
            joined,
        )),
        "leftJoin" => Outcome::one(stream.try_left_join_stream_with(
            other,
            move |k: &K, l: &V, r: Option<&O>| {
                joiner
                    .apply(&k.to_dyn(), &l.to_dyn(), &or_null(r.map(O::to_dyn)))
                    .map(nullable)
            },
            windows,
            joined,
        )),
        "outerJoin" => Outcome::one(stream.try_outer_join_stream_with(
            other,
            move |k: &K, l: Option<&V>, r: Option<&O>| {
                joiner
                    .apply(&k.to_dyn(), &or_null(l.map(V::to_dyn)), &or_null(r.map(O::to_dyn)))
                    .map(nullable)
            },
            windows,
            joined,
        )),
        _ => return Err(unsupported(a)),
    })
}
