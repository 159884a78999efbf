//! `windowedBy`, and when windowed results are emitted.
use millstream_dsl::{
    grouped::{KGroupedStream, TimeWindowedKStream},
    window::{EmitStrategy, SessionWindows, TimeWindows, UnlimitedWindows, Windows},
};

use super::{BuildFailure, Outcome, stores::millis, types::Value};
use crate::{arguments::Args, value::Dyn};

pub(crate) fn windowed_by<V: Value>(grouped: &KGroupedStream<Dyn, V>, a: Args<'_>) -> Result<Outcome, BuildFailure> {
    a.only(&[
        "id",
        "op",
        "from",
        "type",
        "size_ms",
        "advance_ms",
        "grace_ms",
        "start_ms",
    ])?;
    let span = |field: &str| millis(a.long_or(field, 0));
    match a.text_or("type", "") {
        kind @ ("tumbling" | "hopping") => {
            if a.long_or("grace_ms", 0) < 0 {
                return Err(BuildFailure::Refused {
                    category: "invalid-argument",
                    message: "a Duration cannot be negative".into(),
                });
            }
            let mut windows = TimeWindows::of(span("size_ms"));
            if kind == "hopping" {
                windows = windows.advance_by(span("advance_ms"));
            }
            if a.has("grace_ms") {
                windows = windows.grace(span("grace_ms"));
            }
            Ok(Outcome::one(grouped.windowed_by(windows)))
        }
        "unlimited" => {
            let windows = UnlimitedWindows::of().start_on(a.long_or("start_ms", 0));
            Ok(Outcome::one(grouped.windowed_by(windows)))
        }
        "session" => {
            let windows = SessionWindows::of(span("size_ms")).grace(span("grace_ms"));
            Ok(Outcome::one(grouped.session_windowed_by(windows)))
        }
        other => Err(BuildFailure::Unsupported(format!("windowedBy {other}"))),
    }
}

pub(crate) fn emitting<V: Value, W: Windows>(
    windowed: TimeWindowedKStream<Dyn, V, W>,
    a: Args<'_>,
) -> Result<TimeWindowedKStream<Dyn, V, W>, BuildFailure> {
    Ok(windowed.emit(strategy(a)?))
}

/// When results are emitted.
pub(super) fn strategy(a: Args<'_>) -> Result<EmitStrategy, BuildFailure> {
    match a.text("emit") {
        None | Some("on-update") => Ok(EmitStrategy::OnWindowUpdate),
        Some("on-close") => Ok(EmitStrategy::OnWindowClose),
        Some(other) => Err(format!("unknown emit strategy {other}").into()),
    }
}
