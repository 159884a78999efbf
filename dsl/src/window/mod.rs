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
    /// Calls `f` for each window that holds `timestamp` (milliseconds since the epoch), earliest start first, until `f`
    /// fails.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::window::Windows;
    /// let mut starts = Vec::new();
    /// TimeWindows::of(millis(10)).advance_by(millis(5)).each(12, |window| {
    ///     starts.push(window.start);
    ///     Ok::<(), std::fmt::Error>(())
    /// })?;
    /// assert_eq!(starts, [5, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn each<E>(&self, timestamp: i64, f: impl FnMut(Window) -> Result<(), E>) -> Result<(), E>;
    /// Length of a window in milliseconds; `i64::MAX` without an end.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::window::Windows;
    /// assert_eq!(TimeWindows::of(seconds(10)).size_ms(), 10_000);
    /// assert_eq!(UnlimitedWindows::of().size_ms(), i64::MAX);
    /// ```
    fn size_ms(&self) -> i64;
    /// How long after its end a window still takes records, in milliseconds.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::window::Windows;
    /// assert_eq!(TimeWindows::of(seconds(10)).grace(seconds(5)).grace_ms(), 5_000);
    /// ```
    fn grace_ms(&self) -> i64;
    /// Whether a window ever closes, so that results can wait for it.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::window::Windows;
    /// assert!(TimeWindows::of(seconds(10)).closes());
    /// assert!(!UnlimitedWindows::of().closes());
    /// ```
    fn closes(&self) -> bool;
    /// The first rule the definition breaks: the text of an error of the build.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # use millstream_dsl::window::Windows;
    /// let windows = TimeWindows::of(seconds(10)).advance_by(seconds(20)); // what of the records between?
    /// let problem = windows.problem().ok_or("none")?;
    /// builder.stream::<String, i64>("in").group_by_key().windowed_by(windows).count();
    /// assert!(builder.build().is_err_and(|e| e.to_string().contains(&problem)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn problem(&self) -> Option<String>;
}
