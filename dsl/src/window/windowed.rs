//! A key within a window of time.

/// A window of time, milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// First millisecond.
    pub start: i64,
    /// End: exclusive for tumbling and hopping windows, inclusive for sliding windows and sessions.
    pub end: i64,
}

/// A key within a window: the key of windowed tables.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Windowed<K> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: Window,
}
