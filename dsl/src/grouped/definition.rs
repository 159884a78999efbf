//! What `windowed_by` takes, and what it gives for each kind of windows.
use crate::window::{SessionWindows, SharedWindows, SlidingWindows, Windows};

use super::{
    CogroupedKStream, KGroupedStream, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    TimeWindowedCogroupedKStream, TimeWindowedKStream, cut::TimeCut,
};

/// Windows that a grouped stream can be cut into: those that are [`Windows`], [`SlidingWindows`], [`SessionWindows`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what windows are wanted",
    label = "no definition of windows",
    note = "give `TimeWindows`, `SlidingWindows`, `SessionWindows` or `UnlimitedWindows`, or implement `Windows`"
)]
pub trait WindowDefinition {
    /// A grouped stream in such windows.
    type Stream<K: 'static, V: 'static>;
    /// Several grouped streams in such windows.
    type Cogrouped<K: 'static, A: 'static>;
    /// See [`KGroupedStream::windowed_by`].
    #[doc(hidden)]
    fn cut_stream<K: 'static, V: 'static>(self, grouped: KGroupedStream<K, V>) -> Self::Stream<K, V>;
    /// See [`CogroupedKStream::windowed_by`].
    #[doc(hidden)]
    fn cut_cogrouped<K: 'static, A: 'static>(self, cogrouped: CogroupedKStream<K, A>) -> Self::Cogrouped<K, A>;
}

impl<W: Windows> WindowDefinition for W {
    type Stream<K: 'static, V: 'static> = TimeWindowedKStream<K, V>;
    type Cogrouped<K: 'static, A: 'static> = TimeWindowedCogroupedKStream<K, A>;
    fn cut_stream<K: 'static, V: 'static>(self, grouped: KGroupedStream<K, V>) -> Self::Stream<K, V> {
        TimeWindowedKStream::new(grouped, TimeCut::Aligned(SharedWindows::new(self)))
    }
    fn cut_cogrouped<K: 'static, A: 'static>(self, cogrouped: CogroupedKStream<K, A>) -> Self::Cogrouped<K, A> {
        TimeWindowedCogroupedKStream::new(cogrouped, TimeCut::Aligned(SharedWindows::new(self)))
    }
}

impl WindowDefinition for SlidingWindows {
    type Stream<K: 'static, V: 'static> = TimeWindowedKStream<K, V>;
    type Cogrouped<K: 'static, A: 'static> = TimeWindowedCogroupedKStream<K, A>;
    fn cut_stream<K: 'static, V: 'static>(self, grouped: KGroupedStream<K, V>) -> Self::Stream<K, V> {
        TimeWindowedKStream::new(grouped, TimeCut::Sliding(self))
    }
    fn cut_cogrouped<K: 'static, A: 'static>(self, cogrouped: CogroupedKStream<K, A>) -> Self::Cogrouped<K, A> {
        TimeWindowedCogroupedKStream::new(cogrouped, TimeCut::Sliding(self))
    }
}

impl WindowDefinition for SessionWindows {
    type Stream<K: 'static, V: 'static> = SessionWindowedKStream<K, V>;
    type Cogrouped<K: 'static, A: 'static> = SessionWindowedCogroupedKStream<K, A>;
    fn cut_stream<K: 'static, V: 'static>(self, grouped: KGroupedStream<K, V>) -> Self::Stream<K, V> {
        SessionWindowedKStream::new(grouped, self)
    }
    fn cut_cogrouped<K: 'static, A: 'static>(self, cogrouped: CogroupedKStream<K, A>) -> Self::Cogrouped<K, A> {
        SessionWindowedCogroupedKStream::new(cogrouped, self)
    }
}

impl<K: 'static, V: 'static> KGroupedStream<K, V> {
    /// Aggregates per key and window.
    ///
    /// Windows of time:
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .count()
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("counts");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("counts"), [("a@0".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Windows that end with each record, and those that start behind one:
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(SlidingWindows::of(millis(10)).grace(millis(5)))
    ///     .reduce(|a, b| a + b)
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}-{}", w.window.start, w.window.end), n.unwrap_or(0)))
    ///     .to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 20)?;
    /// runner.pipe_at("in", "a".to_owned(), 2i64, 25)?;
    /// let sums = [("10-20".to_owned(), 1), ("21-31".to_owned(), 2), ("15-25".to_owned(), 3)];
    /// assert_eq!(runner.read::<String, i64>("sums"), sums);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Sessions of activity:
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .group_by_key()
    ///     .windowed_by(SessionWindows::of(seconds(10)))
    ///     .count()
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}-{}", w.window.start, w.window.end), n.unwrap_or(0)))
    ///     .to("visits");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 0)?;
    /// runner.pipe_at("in", "a".to_owned(), 1i64, 9_000)?;
    /// let visits = [("0-0".to_owned(), 1), ("0-0".to_owned(), 0), ("0-9000".to_owned(), 2)];
    /// assert_eq!(runner.read::<String, i64>("visits"), visits);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A stream has to be grouped first:
    ///
    /// ```compile_fail,E0599
    /// use millstream_dsl::prelude::*;
    /// StreamsBuilder::new().stream::<String, i64>("in").windowed_by(TimeWindows::of(seconds(10)));
    /// ```
    #[doc(alias = "windowedBy")]
    #[must_use]
    pub fn windowed_by<W: WindowDefinition>(&self, windows: W) -> W::Stream<K, V> {
        windows.cut_stream(self.clone())
    }
}

impl<K: 'static, A: 'static> CogroupedKStream<K, A> {
    /// Aggregates all streams per key and window.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let words = builder.stream::<String, String>("words").group_by_key();
    /// clicks
    ///     .cogroup(|_, n, sum: i64| sum + n)
    ///     .cogroup(&words, |_, word, sum| sum + word.len() as i64)
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .aggregate(|| 0)
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("clicks", "a".to_owned(), 5i64, 1)?;
    /// runner.pipe_at("words", "a".to_owned(), "xy".to_owned(), 2)?;
    /// assert_eq!(runner.read::<String, i64>("sums"), [("a@0".to_owned(), 5), ("a@0".to_owned(), 7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "windowedBy")]
    #[must_use]
    pub fn windowed_by<W: WindowDefinition>(&self, windows: W) -> W::Cogrouped<K, A> {
        windows.cut_cogrouped(self.clone())
    }
}
