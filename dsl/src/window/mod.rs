//! Which windows does a moment belong to, and until when may a window still change?
//!
//! All lengths are given as [`Duration`](std::time::Duration) (see [`millis`], [`seconds`], [`minutes`], [`hours`],
//! [`days`]) and kept as whole milliseconds. Rules a definition breaks are reported by the build of the topology.
mod duration;
mod emit;
mod join;
mod session;
mod shared;
mod sliding;
mod time;
mod unlimited;
mod windowed;

pub use duration::{days, hours, millis, minutes, seconds};
pub use emit::EmitStrategy;
pub use join::JoinWindows;
pub use session::SessionWindows;
pub use sliding::SlidingWindows;
pub use time::TimeWindows;
pub use unlimited::UnlimitedWindows;
pub use windowed::{Window, Windowed};

pub(crate) use duration::whole_millis;
pub(crate) use shared::SharedWindows;

/// Windows that are known from the time of a record alone: tumbling, hopping and unlimited ones.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what windows are wanted",
    label = "no definition of windows",
    note = "give `TimeWindows`, `SlidingWindows`, `SessionWindows` or `UnlimitedWindows`, or implement `Windows`"
)]
pub trait Windows: Clone + Send + Sync + 'static {
    /// Calls `f` for each window that holds `timestamp`, earliest start first, until `f` fails.
    fn each<E>(&self, timestamp: i64, f: impl FnMut(Window) -> Result<(), E>) -> Result<(), E>;
    /// Length of a window in milliseconds.
    fn size_ms(&self) -> i64;
    /// How long after its end a window still takes records, in milliseconds.
    fn grace_ms(&self) -> i64;
    /// Whether a window ever closes, so that results can wait for it.
    fn closes(&self) -> bool;
    /// The first rule the definition breaks.
    fn problem(&self) -> Option<String>;
}
