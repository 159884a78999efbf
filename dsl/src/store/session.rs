//! Session stores for processors.
use millstream_state::Headers;

use crate::window::Window;

use super::{
    AggregationWithHeaders, Handle, StoreAccess, StoreFailure,
    access::{Keeps, Row, Typed},
};

/// Key and session to aggregate. Kafka Streams: `SessionStore`.
///
/// ```
/// # use millstream_dsl::{prelude::*, testing::with_store};
/// # with_store(Store::<String, i64>::session("visits", minutes(1)), |visits: &SessionStore<String, i64>| {
/// let [a, b] = ["a", "b"].map(str::to_owned);
/// let (first, second) = (Window { start: 10, end: 20 }, Window { start: 50, end: 80 });
/// assert!(visits.put(&a, first, Some(&1))?);
/// visits.put(&a, second, Some(&2))?;
/// visits.put(&b, second, Some(&3))?;
/// assert_eq!(visits.get(&a, first)?, Some(1));
/// assert_eq!(visits.fetch(&a)?.collect::<Result<Vec<_>, _>>()?, [(first, 1), (second, 2)]);
/// assert_eq!(visits.find(&a, 30, 100)?.collect::<Result<Vec<_>, _>>()?, [(second, 2)]);
/// let of_both = visits.find_range((None, None), 30, 100, true)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(of_both, [(b, second, 3), (a.clone(), second, 2)]);
/// visits.remove(&a, first)?;
/// assert_eq!(visits.get(&a, first)?, None);
/// # Ok(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionStore<K, V>(Sessions<K, V>);

/// Key and session to aggregate and headers. Kafka Streams: `SessionStoreWithHeaders`.
///
/// ```
/// use std::time::Duration;
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// /// Keeps a session of one second for each record, and tells all of the key with their headers.
/// #[derive(Default)]
/// struct Visits(Option<SessionStoreWithHeaders<String, i64>>);
/// impl FixedKeyProcessor<String, i64, String> for Visits {
///     fn init(&mut self, ctx: &FixedKeyContext<'_, '_, String, String>) -> Result<(), BoxError> {
///         self.0 = Some(ctx.store("visits")?);
///         Ok(())
///     }
///     fn process(
///         &mut self,
///         ctx: &FixedKeyContext<'_, '_, String, String>,
///         record: FixedKeyRecord<'_, String, i64>,
///     ) -> Result<(), BoxError> {
///         let store = self.0.as_ref().ok_or("no store")?;
///         let end = record.timestamp();
///         let session = Window { start: end - 1_000, end };
///         store.put(record.key(), session, record.value(), record.headers())?;
///         let mut visits = Vec::new();
///         for row in store.fetch(record.key())? {
///             let (session, visit) = row?;
///             let names: Vec<String> = visit.headers.to_vec().iter().map(|h| h.key.to_string()).collect();
///             visits.push(format!("{}-{}: {} {names:?}", session.start, session.end, visit.aggregation));
///         }
///         ctx.forward(record.with_value(&visits.join(", ")))?;
///         Ok(())
///     }
/// }
/// let builder = StreamsBuilder::new();
/// let visits = Store::<String, i64>::session_with_headers("visits", Duration::from_secs(60));
/// builder
///     .stream::<String, i64>("in")
///     .process_values_with(Visits::default, Processing::new().with_store(visits))
///     .to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?;
/// input.at_ms(1_000).header("first", "").pipe("a", 3)?;
/// input.at_ms(5_000).header("second", "").pipe("a", 4)?;
/// let out = driver.output("out", StringSerde, StringSerde)?;
/// assert_eq!(out.read_values()?, [r#"0-1000: 3 ["first"]"#, r#"0-1000: 3 ["first"], 4000-5000: 4 ["second"]"#]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionStoreWithHeaders<K, V>(Sessions<K, V>);

/// Reads and writes shared by both; `shape` makes of a row what its store gives out.
struct Sessions<K, V>(Typed<K, V, millstream_state::SessionStore>);

impl<K: 'static, V: 'static> Sessions<K, V> {
    fn open(access: &StoreAccess, keeps: Keeps) -> Result<Self, String> {
        access.check(keeps)?;
        access
            .typed(access.context.state().session(&access.name), "session")
            .map(Self)
    }
}

impl<K: 'static, V: 'static> Handle for SessionStore<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        Sessions::open(access, Keeps::Value).map(Self)
    }
}
impl<K: 'static, V: 'static> Handle for SessionStoreWithHeaders<K, V> {
    fn open(access: &StoreAccess) -> Result<Self, String> {
        Sessions::open(access, Keeps::Headers).map(Self)
    }
}

impl<K, V> Sessions<K, V> {
    fn put(
        &self,
        key: &K,
        session: Window,
        value: Option<&V>,
        headers: Option<&Headers>,
    ) -> Result<bool, StoreFailure> {
        self.0.check_time(session.start)?;
        let context = self.0.context();
        let taken = self.0.with_row(key, value, headers, |key, value| {
            self.0.raw.put(key, session.start, session.end, value, &context)
        })?;
        Ok(self.0.count_late(taken))
    }
    fn get<T>(&self, key: &K, session: Window, shape: fn(V, Headers) -> T) -> Result<Option<T>, StoreFailure> {
        let found = self.0.read(key, |key, out| {
            self.0.raw.get_with_headers(key, session.start, session.end, out)
        })?;
        Ok(found.map(|(value, headers)| shape(value, headers)))
    }
    fn find<T>(
        &self,
        key: &K,
        earliest_end: i64,
        latest_start: i64,
        shape: fn(V, Headers) -> T,
    ) -> Result<impl Iterator<Item = Result<(Window, T), StoreFailure>> + use<'_, K, V, T>, StoreFailure> {
        let rows = self.0.with_key(key, |key| {
            Ok(self.0.raw.find(Some(key), Some(key), earliest_end, latest_start, false))
        })?;
        Ok(rows.map(move |row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            Ok((session_of(&row), shape(self.0.value(&row.value)?, row.headers)))
        }))
    }
    fn find_range<T>(
        &self,
        keys: (Option<&K>, Option<&K>),
        (earliest_end, latest_start): (i64, i64),
        reverse: bool,
        shape: fn(V, Headers) -> T,
    ) -> Result<impl Iterator<Item = Result<(K, Window, T), StoreFailure>> + use<'_, K, V, T>, StoreFailure> {
        let (lo, hi) = (self.0.bytes(keys.0)?, self.0.bytes(keys.1)?);
        let rows = self
            .0
            .raw
            .find(lo.as_deref(), hi.as_deref(), earliest_end, latest_start, reverse);
        Ok(rows.map(move |row| {
            let row = row.map_err(|e| self.0.failed(e))?;
            let value = shape(self.0.value(&row.value)?, row.headers.clone());
            Ok((self.0.key(&row.key)?, session_of(&row), value))
        }))
    }
}

fn session_of(row: &millstream_state::SessionRow) -> Window {
    Window {
        start: row.start,
        end: row.end,
    }
}

fn only_value<V>(value: V, _: Headers) -> V {
    value
}

impl<K, V> SessionStore<K, V> {
    /// Sets (or with None removes) the aggregate of a session. False: the session has expired, and nothing is changed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// let (ann, visit) = ("ann".to_owned(), Window { start: 1_000, end: 5_000 });
    /// assert!(store.put(&ann, visit, Some(&3))?);
    /// assert_eq!(store.get(&ann, visit)?, Some(3));
    /// store.put(&ann, Window { start: 200_000, end: 200_000 }, Some(&1))?;
    /// assert!(!store.put(&ann, visit, Some(&4))?, "more than the retention behind");
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the session begins before the epoch, or the store or a serde refuses.
    pub fn put(&self, key: &K, session: Window, value: Option<&V>) -> Result<bool, StoreFailure> {
        self.0.put(key, session, value, None)
    }
    /// Removes a session: what grows is removed and put again with its new bounds. False: it has expired.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// let ann = "ann".to_owned();
    /// let (short, long) = (Window { start: 1_000, end: 5_000 }, Window { start: 1_000, end: 7_000 });
    /// store.put(&ann, short, Some(&3))?;
    /// assert!(store.remove(&ann, short)?);
    /// store.put(&ann, long, Some(&4))?;
    /// assert_eq!(store.fetch(&ann)?.collect::<Result<Vec<_>, _>>()?, [(long, 4)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, key: &K, session: Window) -> Result<bool, StoreFailure> {
        self.put(key, session, None)
    }
    /// The aggregate of exactly this session.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// let ann = "ann".to_owned();
    /// store.put(&ann, Window { start: 1_000, end: 5_000 }, Some(&3))?;
    /// assert_eq!(store.get(&ann, Window { start: 1_000, end: 5_000 })?, Some(3));
    /// assert_eq!(store.get(&ann, Window { start: 1_000, end: 6_000 })?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "fetchSession")]
    pub fn get(&self, key: &K, session: Window) -> Result<Option<V>, StoreFailure> {
        self.0.get(key, session, only_value)
    }
    /// Sessions of a key that end at or after `earliest_end` and start at or before `latest_start`: with the gap around
    /// the time of a record, those that the record belongs to.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// let ann = "ann".to_owned();
    /// let [first, second] = [(1_000, 5_000), (20_000, 20_000)].map(|(start, end)| Window { start, end });
    /// store.put(&ann, first, Some(&3))?;
    /// store.put(&ann, second, Some(&1))?;
    /// let (time, gap) = (12_000, 10_000);
    /// let joined = store.find(&ann, time - gap, time + gap)?.map(|row| row.map(|(_, clicks)| clicks));
    /// assert_eq!(joined.sum::<Result<i64, _>>()?, 4, "a record at 12 s connects both");
    /// assert_eq!(store.find(&ann, 6_000, i64::MAX)?.collect::<Result<Vec<_>, _>>()?, [(second, 1)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "findSessions")]
    pub fn find(
        &self,
        key: &K,
        earliest_end: i64,
        latest_start: i64,
    ) -> Result<impl Iterator<Item = Result<(Window, V), StoreFailure>>, StoreFailure> {
        self.0.find(key, earliest_end, latest_start, only_value)
    }
    /// Sessions of the keys `lo <= key <= hi` (None = open, by the bytes of the key) that end at or after
    /// `earliest_end` and start at or before `latest_start`, as (key, session, aggregate), or the last one first.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// for (user, end) in [("ann", 5_000), ("bob", 6_000), ("cleo", 9_000)] {
    ///     store.put(&user.to_owned(), Window { start: 1_000, end }, Some(&3))?;
    /// }
    /// let still_there = store.find_range((None, None), 6_000, i64::MAX, false)?;
    /// let users = still_there.map(|row| row.map(|(user, _, _)| user)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(users, ["bob", "cleo"]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "findSessions")]
    #[doc(alias = "backwardFindSessions")]
    pub fn find_range(
        &self,
        keys: (Option<&K>, Option<&K>),
        earliest_end: i64,
        latest_start: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Result<(K, Window, V), StoreFailure>>, StoreFailure> {
        self.0
            .find_range(keys, (earliest_end, latest_start), reverse, only_value)
    }
    /// All sessions of a key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # with_store(Store::<String, i64>::session("visits", minutes(1)), |store: &SessionStore<String, i64>| {
    /// let ann = "ann".to_owned();
    /// let [first, second] = [(1_000, 5_000), (20_000, 20_000)].map(|(start, end)| Window { start, end });
    /// store.put(&ann, first, Some(&3))?;
    /// store.put(&ann, second, Some(&1))?;
    /// assert_eq!(store.fetch(&ann)?.collect::<Result<Vec<_>, _>>()?, [(first, 3), (second, 1)]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch(&self, key: &K) -> Result<impl Iterator<Item = Result<(Window, V), StoreFailure>>, StoreFailure> {
        self.find(key, 0, i64::MAX)
    }
}

impl<K, V> SessionStoreWithHeaders<K, V> {
    /// Sets aggregate and headers of a session. False: the session has expired, and nothing is changed.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", minutes(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// let (ann, visit) = ("ann".to_owned(), Window { start: 1_000, end: 5_000 });
    /// let headers = Headers::new();
    /// headers.add("browser", Some(b"lynx"));
    /// assert!(store.put(&ann, visit, &3, &headers)?);
    /// let row = store.get(&ann, visit)?.ok_or("not found")?;
    /// assert_eq!((row.aggregation, row.headers.last("browser").is_some()), (3, true));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the session begins before the epoch, or the store or a serde refuses.
    pub fn put(&self, key: &K, session: Window, aggregation: &V, headers: &Headers) -> Result<bool, StoreFailure> {
        self.0.put(key, session, Some(aggregation), Some(headers))
    }
    /// Removes a session. False: it has expired.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", minutes(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// let (ann, visit) = ("ann".to_owned(), Window { start: 1_000, end: 5_000 });
    /// store.put(&ann, visit, &3, &Headers::new())?;
    /// assert!(store.remove(&ann, visit)?);
    /// assert_eq!(store.get(&ann, visit)?, None);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, key: &K, session: Window) -> Result<bool, StoreFailure> {
        self.0.put(key, session, None, None)
    }
    /// The aggregate of exactly this session, with its headers.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", minutes(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// let (ann, visit) = ("ann".to_owned(), Window { start: 1_000, end: 5_000 });
    /// store.put(&ann, visit, &3, &Headers::new())?;
    /// assert_eq!(store.get(&ann, visit)?.map(|row| row.aggregation), Some(3));
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "fetchSession")]
    pub fn get(&self, key: &K, session: Window) -> Result<Option<AggregationWithHeaders<V>>, StoreFailure> {
        self.0.get(key, session, AggregationWithHeaders::of_row)
    }
    /// Sessions of a key that touch a stretch of time; see [`SessionStore::find`].
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", minutes(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// let ann = "ann".to_owned();
    /// for (start, end) in [(1_000, 5_000), (20_000, 20_000)] {
    ///     store.put(&ann, Window { start, end }, &1, &Headers::new())?;
    /// }
    /// let (session, _) = store.find(&ann, 6_000, i64::MAX)?.next().ok_or("none")??;
    /// assert_eq!(session, Window { start: 20_000, end: 20_000 });
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "findSessions")]
    pub fn find(
        &self,
        key: &K,
        earliest_end: i64,
        latest_start: i64,
    ) -> Result<impl Iterator<Item = Result<(Window, AggregationWithHeaders<V>), StoreFailure>>, StoreFailure> {
        self.0
            .find(key, earliest_end, latest_start, AggregationWithHeaders::of_row)
    }
    /// Sessions of several keys; see [`SessionStore::find_range`].
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", minutes(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// for user in ["ann", "bob"] {
    ///     store.put(&user.to_owned(), Window { start: 1_000, end: 5_000 }, &1, &Headers::new())?;
    /// }
    /// let users = store.find_range((None, None), 0, i64::MAX, true)?.map(|row| row.map(|(user, _, _)| user));
    /// assert_eq!(users.collect::<Result<Vec<_>, _>>()?, ["bob", "ann"]);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "findSessions")]
    pub fn find_range(
        &self,
        keys: (Option<&K>, Option<&K>),
        earliest_end: i64,
        latest_start: i64,
        reverse: bool,
    ) -> Result<impl Iterator<Item = Row<(K, Window, AggregationWithHeaders<V>)>>, StoreFailure> {
        let times = (earliest_end, latest_start);
        self.0.find_range(keys, times, reverse, AggregationWithHeaders::of_row)
    }
    /// All sessions of a key, with their headers.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_store};
    /// # let kind = Store::<String, i64>::session_with_headers("visits", minutes(1));
    /// # with_store(kind, |store: &SessionStoreWithHeaders<String, i64>| {
    /// let ann = "ann".to_owned();
    /// for (start, end) in [(1_000, 5_000), (20_000, 20_000)] {
    ///     store.put(&ann, Window { start, end }, &1, &Headers::new())?;
    /// }
    /// assert_eq!(store.fetch(&ann)?.count(), 2);
    /// # Ok(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fetch(
        &self,
        key: &K,
    ) -> Result<impl Iterator<Item = Result<(Window, AggregationWithHeaders<V>), StoreFailure>>, StoreFailure> {
        self.find(key, 0, i64::MAX)
    }
}
