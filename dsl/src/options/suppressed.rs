//! How long updates of a table are held back, and what happens when too many are.
use std::{marker::PhantomData, sync::Arc, time::Duration};

use crate::{
    stream::Named,
    window::{Windowed, whole_millis},
};

/// A full buffer ends the task, or it is never full: nothing leaves before its time.
#[derive(Clone, Copy, Debug)]
pub struct Strict(());
/// A full buffer lets its oldest update go before its time.
#[derive(Clone, Copy, Debug)]
pub struct Eager(());

/// What a full buffer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenFull {
    Emit,
    ShutDown,
}

/// How much a suppressed table may hold back, and its changelog. Kafka Streams: `Suppressed.BufferConfig`.
///
/// Sizes are those of Kafka Streams' estimate: bytes of key, values and where the record came from.
///
/// ```
/// use millstream_dsl::options::BufferConfig;
/// let everything = BufferConfig::unbounded();
/// let early = BufferConfig::max_records(10_000).with_max_bytes(64 << 20);
/// let strict = BufferConfig::max_bytes(64 << 20).shut_down_when_full();
/// # let _ = (everything, early, strict);
/// ```
#[derive(Clone, Debug)]
pub struct BufferConfig<F> {
    pub(crate) bounds: Bounds,
    full: PhantomData<fn() -> F>,
}

/// The same, whatever its type says.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_records: u64,
    pub(crate) max_bytes: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) logging: bool,
    pub(crate) topic_config: Vec<(String, String)>,
}

impl BufferConfig<Strict> {
    /// As much as there is: rows live in the state of the task, not on the heap.
    pub fn unbounded() -> Self {
        Self::of(WhenFull::ShutDown)
    }
}
impl BufferConfig<Eager> {
    /// At most so many keys; what is more leaves early, the oldest first.
    #[doc(alias = "maxRecords")]
    pub fn max_records(records: u64) -> Self {
        Self::of(WhenFull::Emit).with_max_records(records)
    }
    /// At most so many bytes; what is more leaves early, the oldest first.
    #[doc(alias = "maxBytes")]
    pub fn max_bytes(bytes: u64) -> Self {
        Self::of(WhenFull::Emit).with_max_bytes(bytes)
    }
}
impl<F> BufferConfig<F> {
    fn of(when_full: WhenFull) -> Self {
        Self {
            bounds: Bounds {
                max_records: u64::MAX,
                max_bytes: u64::MAX,
                when_full,
                logging: true,
                topic_config: Vec::new(),
            },
            full: PhantomData,
        }
    }
    fn when_full<F2>(mut self, when_full: WhenFull) -> BufferConfig<F2> {
        self.bounds.when_full = when_full;
        BufferConfig {
            bounds: self.bounds,
            full: PhantomData,
        }
    }
    /// At most so many keys.
    #[doc(alias = "withMaxRecords")]
    #[must_use]
    pub fn with_max_records(mut self, records: u64) -> Self {
        self.bounds.max_records = records;
        self
    }
    /// At most so many bytes.
    #[doc(alias = "withMaxBytes")]
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.bounds.max_bytes = bytes;
        self
    }
    /// No bound after all.
    #[doc(alias = "withNoBound")]
    #[must_use]
    pub fn with_no_bound(self) -> BufferConfig<Strict> {
        self.with_max_records(u64::MAX)
            .with_max_bytes(u64::MAX)
            .when_full(WhenFull::ShutDown)
    }
    /// A full buffer is an error of the operator ([`BufferFull`](crate::engine::ProcessErrorKind::BufferFull)).
    #[doc(alias = "shutDownWhenFull")]
    #[must_use]
    pub fn shut_down_when_full(self) -> BufferConfig<Strict> {
        self.when_full(WhenFull::ShutDown)
    }
    /// A full buffer lets its oldest update go before its time.
    #[doc(alias = "emitEarlyWhenFull")]
    #[must_use]
    pub fn emit_early_when_full(self) -> BufferConfig<Eager> {
        self.when_full(WhenFull::Emit)
    }
    /// Whether the buffer has a changelog. Without one it is lost with the disk. Default: true.
    #[doc(alias = "withLoggingDisabled")]
    #[must_use]
    pub fn logging(mut self, logging: bool) -> Self {
        self.bounds.logging = logging;
        self
    }
    /// A config of the changelog topic.
    #[doc(alias = "withLoggingEnabled")]
    #[must_use]
    pub fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.bounds.topic_config.push((key.into(), value.into()));
        self
    }
}

/// Until when updates of a table are held back. Kafka Streams: `Suppressed`.
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// let buffer = BufferConfig::max_records(2).with_max_bytes(1 << 20).emit_early_when_full().logging(false);
/// let last = Suppressed::until_time_limit(seconds(1), buffer).named("last");
/// builder.table::<String, i64>("in").suppress(last).to_stream().to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// for (key, n, time) in [("a", 1, 0), ("a", 2, 10), ("b", 3, 20), ("c", 4, 30), ("a", 5, 2_000)] {
///     input.at_ms(time).pipe(key, n)?;
/// }
/// let out = driver.output("out", StringSerde, OptionSerde::new(I64Serde))?.read_key_values()?;
/// let out: Vec<_> = out.iter().map(|(key, n)| (key.as_str(), n.unwrap_or(0))).collect();
/// assert_eq!(out, [("a", 2), ("b", 3), ("c", 4)], "a when c came, as there was no room; b and c in time");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Suppressed<K> {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) bounds: Bounds,
    pub(crate) until: Until<K>,
}

/// When an update is due.
pub(crate) enum Until<K> {
    /// The end of its window has passed by the grace; the function tells the end.
    WindowCloses(fn(&K) -> i64),
    /// So many milliseconds after the first update that waits.
    TimeLimit(i64),
}
impl<K> Clone for Until<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Until<K> {}

impl<K> Suppressed<Windowed<K>> {
    /// One result for each window, the last one, when the window has closed: its end and its grace have passed in stream
    /// time. Only for tables with windowed keys, and only with a buffer that lets nothing go early.
    #[doc(alias = "untilWindowCloses")]
    pub fn until_window_closes(buffer: BufferConfig<Strict>) -> Self {
        Self {
            name: None,
            bounds: buffer.bounds,
            until: Until::WindowCloses(|key| key.window.end),
        }
    }
}
impl<K> Suppressed<K> {
    /// The last update of each key within `wait` of its first one, in stream time.
    #[doc(alias = "untilTimeLimit")]
    pub fn until_time_limit<F>(wait: Duration, buffer: BufferConfig<F>) -> Self {
        Self {
            name: None,
            bounds: buffer.bounds,
            until: Until::TimeLimit(whole_millis(wait)),
        }
    }
    /// Name of the operator; its store is `<name>-store`.
    #[doc(alias = "withName")]
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into().name().cloned();
        self
    }
}
