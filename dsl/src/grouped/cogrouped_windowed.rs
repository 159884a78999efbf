//! Several grouped streams that build one result per key and window.
use std::sync::Arc;

use crate::{
    engine::BoxError,
    operators::session_aggregate::Merge,
    options::Materialized,
    table::KTable,
    window::{SessionWindows, Windowed},
};

use super::{
    CogroupedKStream,
    cut::{Cut, TimeCut},
};

/// Several grouped streams in windows of time. Kafka Streams: `TimeWindowedCogroupedKStream`.
pub struct TimeWindowedCogroupedKStream<K, A> {
    cogrouped: CogroupedKStream<K, A>,
    cut: TimeCut,
}
impl<K, A> Clone for TimeWindowedCogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        Self {
            cogrouped: self.cogrouped.clone(),
            cut: self.cut.clone(),
        }
    }
}
impl<K: 'static, A: 'static> TimeWindowedCogroupedKStream<K, A> {
    pub(super) fn new(cogrouped: CogroupedKStream<K, A>, cut: TimeCut) -> Self {
        Self { cogrouped, cut }
    }
    /// Builds a result per key and window; each starts with `initial`.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let words = builder.stream::<String, String>("words").group_by_key();
    /// clicks
    ///     .cogroup(|_, n, sum: i64| sum + n)
    ///     .cogroup(&words, |_, word, sum| sum + word.len() as i64)
    ///     .windowed_by(TimeWindows::of(millis(10)))
    ///     .aggregate(|| 0)
    ///     .to_stream()
    ///     .map(|w, n| (w.key.clone(), n.unwrap_or(0)))
    ///     .to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("clicks", "a".to_owned(), 5i64, 1)?;
    /// runner.pipe_at("words", "a".to_owned(), "xy".to_owned(), 2)?;
    /// assert_eq!(runner.read::<String, i64>("sums"), [("a".to_owned(), 5), ("a".to_owned(), 7)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate(&self, initial: impl Fn() -> A + Send + Sync + 'static) -> KTable<Windowed<K>, A> {
        self.aggregate_with(initial, Materialized::new())
    }
    /// [`aggregate`](Self::aggregate) with options.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// clicks
    ///     .cogroup(|_, n, sum: i64| sum + n)
    ///     .windowed_by(TimeWindows::of(seconds(10)))
    ///     .aggregate_with(|| 0, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a@0".to_owned(), 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate_with(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A> {
        let cut = Cut::Time(self.cut.clone());
        self.cogrouped.aggregate_in(initial, &materialized.into(), cut)
    }
}

/// Several grouped streams in sessions. Kafka Streams: `SessionWindowedCogroupedKStream`.
pub struct SessionWindowedCogroupedKStream<K, A> {
    cogrouped: CogroupedKStream<K, A>,
    windows: SessionWindows,
}
impl<K, A> Clone for SessionWindowedCogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        Self {
            cogrouped: self.cogrouped.clone(),
            windows: self.windows,
        }
    }
}
impl<K: 'static, A: 'static> SessionWindowedCogroupedKStream<K, A> {
    pub(super) fn new(cogrouped: CogroupedKStream<K, A>, windows: SessionWindows) -> Self {
        Self { cogrouped, windows }
    }
    /// Builds a result per session; `merge` joins the results of two sessions that a record has connected.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let words = builder.stream::<String, String>("words").group_by_key();
    /// clicks
    ///     .cogroup(|_, n, sum: i64| sum + n)
    ///     .cogroup(&words, |_, word, sum| sum + word.len() as i64)
    ///     .windowed_by(SessionWindows::of(millis(10)))
    ///     .aggregate(|| 0, |_, one, two| one + two)
    ///     .to_stream()
    ///     .map(|w, n| (w.key.clone(), n.unwrap_or(0)))
    ///     .to("sums");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe_at("clicks", "a".to_owned(), 5i64, 1)?;
    /// runner.pipe_at("words", "a".to_owned(), "xy".to_owned(), 2)?;
    /// assert_eq!(runner.read::<String, i64>("sums").pop(), Some(("a".to_owned(), 7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn aggregate(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A> {
        let merge = move |key: &K, one, two| Ok::<_, BoxError>(Some(merge(key, one, two)));
        self.try_aggregate_with(initial, merge, Materialized::new())
    }
    /// [`aggregate`](Self::aggregate) with options, by a function that can fail, or delete the row with None.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let clicks = builder.stream::<String, i64>("clicks").group_by_key();
    /// let merge = |_: &String, one: i64, two: i64| one.checked_add(two).map(Some).ok_or("too much");
    /// clicks
    ///     .cogroup(|_, n, sum: i64| sum + n)
    ///     .windowed_by(SessionWindows::of(seconds(10)))
    ///     .try_aggregate_with(|| 0, merge, "sums")
    ///     .to_stream()
    ///     .map(|w, n| (format!("{}@{}", w.key, w.window.start), n.unwrap_or(0)))
    ///     .to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("clicks", "a".to_owned(), 5i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a@0".to_owned(), 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn try_aggregate_with<E: Into<BoxError>>(
        &self,
        initial: impl Fn() -> A + Send + Sync + 'static,
        merge: impl Fn(&K, A, A) -> Result<Option<A>, E> + Send + Sync + 'static,
        materialized: impl Into<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A> {
        let merge: Merge<K, A> = Arc::new(move |key: &K, one: Option<A>, two: A| match one {
            None => Ok(Some(two)),
            Some(one) => merge(key, one, two).map_err(Into::into),
        });
        let cut = Cut::Session(self.windows, merge);
        self.cogrouped.aggregate_in(initial, &materialized.into(), cut)
    }
}
