//! `windowedBy`, and when windowed results are emitted.
use millstream_dsl::window::{EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows};

use super::{BuildFailure, stores::millis};
use crate::arguments::Args;

/// The windows of a step.
pub(crate) enum Cut {
    Time(TimeWindows),
    Unlimited(UnlimitedWindows),
    Sliding(SlidingWindows),
    Session(SessionWindows),
}

/// Cuts something grouped, whatever the windows are.
macro_rules! cut {
    ($grouped:expr, $args:expr) => {
        match super::windows::parse($args)? {
            super::windows::Cut::Time(windows) => Ok(Outcome::one($grouped.windowed_by(windows))),
            super::windows::Cut::Unlimited(windows) => Ok(Outcome::one($grouped.windowed_by(windows))),
            super::windows::Cut::Sliding(windows) => Ok(Outcome::one($grouped.windowed_by(windows))),
            super::windows::Cut::Session(windows) => Ok(Outcome::one($grouped.windowed_by(windows))),
        }
    };
}
pub(crate) use cut;

pub(crate) fn parse(a: Args<'_>) -> Result<Cut, BuildFailure> {
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
    if a.long_or("grace_ms", 0) < 0 {
        return Err(BuildFailure::Refused {
            category: "invalid-argument",
            message: "a Duration cannot be negative".into(),
        });
    }
    let span = |field: &str| millis(a.long_or(field, 0));
    Ok(match a.text_or("type", "") {
        kind @ ("tumbling" | "hopping") => {
            let mut windows = TimeWindows::of(span("size_ms"));
            if kind == "hopping" {
                windows = windows.advance_by(span("advance_ms"));
            }
            if a.has("grace_ms") {
                windows = windows.grace(span("grace_ms"));
            }
            Cut::Time(windows)
        }
        "unlimited" => Cut::Unlimited(UnlimitedWindows::of().start_on(a.long_or("start_ms", 0))),
        "sliding" => Cut::Sliding(SlidingWindows::of(span("size_ms")).grace(span("grace_ms"))),
        "session" => Cut::Session(SessionWindows::of(span("size_ms")).grace(span("grace_ms"))),
        other => return Err(BuildFailure::Unsupported(format!("windowedBy {other}"))),
    })
}

/// When results are emitted.
pub(super) fn strategy(a: Args<'_>) -> Result<EmitStrategy, BuildFailure> {
    match a.text("emit") {
        None | Some("on-update") => Ok(EmitStrategy::OnWindowUpdate),
        Some("on-close") => Ok(EmitStrategy::OnWindowClose),
        Some(other) => Err(format!("unknown emit strategy {other}").into()),
    }
}
