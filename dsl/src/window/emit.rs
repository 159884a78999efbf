//! When does a windowed aggregation show a result?

/// When a windowed aggregation forwards a result. Kafka Streams: `EmitStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmitStrategy {
    /// At every update (or, with caching, at every commit).
    #[default]
    #[doc(alias = "onWindowUpdate")]
    OnWindowUpdate,
    /// Once, when the window has closed: its end and the grace have passed in stream time.
    #[doc(alias = "onWindowClose")]
    OnWindowClose,
}
