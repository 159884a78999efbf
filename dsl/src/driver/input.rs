//! Typed input of a driver.
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use millstream_state::Headers;

use super::{
    core::{Core, Piped},
    error::{DriverError, Result},
    feeds::Feed,
};
use crate::serde::{self, SharedSerde};

/// A source topic that records of one type are piped into. Cheap to make, independent of other handles.
///
/// ```
/// use std::time::Duration;
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let input = driver.input("in", StringSerde, I64Serde)?.auto_advance(100, Duration::from_millis(10));
/// input.pipe("a", 1)?;
/// input.pipe_ref(&"a".to_owned(), &2)?;
/// input.at_ms(7).header("trace", "x").pipe("a", 3)?;
/// input.header("trace", "y").pipe_ref(&"a".to_owned(), &4)?;
/// let out = driver.output("out", StringSerde, I64Serde)?.read_all()?;
/// assert_eq!(out.iter().map(|r| r.timestamp_ms).collect::<Vec<_>>(), [100, 110, 7, 120]);
/// assert_eq!(out[3].headers[0].value.as_deref(), Some(&b"y"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "TestInputTopic")]
pub struct TestInput<K, V> {
    core: Rc<Core>,
    topic: Rc<str>,
    feed: Feed,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    /// Time of the next record without one; None: what the wall clock of the driver shows.
    clock_ms: Cell<Option<i64>>,
    advance_ms: i64,
    buffers: RefCell<(Vec<u8>, Vec<u8>)>,
    no_headers: Headers,
}

impl<K, V> TestInput<K, V> {
    pub(super) fn new(core: Rc<Core>, topic: &str, key: SharedSerde<K>, value: SharedSerde<V>) -> Result<Self> {
        let feed = core.feed(topic)?;
        Ok(Self {
            core,
            topic: topic.into(),
            feed,
            key,
            value,
            clock_ms: Cell::new(None),
            advance_ms: 0,
            buffers: RefCell::default(),
            no_headers: Headers::new(),
        })
    }

    /// Gives records without a time of their own `start_ms` (milliseconds since the epoch), and `advance` more each
    /// time. Default: what the wall clock of the driver shows.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let input = driver.input("in", StringSerde, I64Serde)?.auto_advance(1_000, seconds(1));
    /// for n in [1, 2, 3] {
    ///     input.pipe("a", n)?;
    /// }
    /// assert_eq!(driver.stream_time_ms(), 3_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn auto_advance(mut self, start_ms: i64, advance: Duration) -> Self {
        self.clock_ms = Cell::new(Some(start_ms));
        self.advance_ms = i64::try_from(advance.as_millis()).unwrap_or(i64::MAX);
        self
    }

    /// Pipes a record with the time of the handle: the wall clock of the driver, or as set by
    /// [`auto_advance`](Self::auto_advance). All its consequences have happened when the call returns.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").map_values(|n| n * 2).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 21)?;
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [42]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the key or value cannot be serialized, and when the topology stops at the record.
    #[doc(alias = "pipeInput")]
    pub fn pipe(&self, key: impl Into<K>, value: impl Into<V>) -> Result<()> {
        self.pipe_ref(&key.into(), &value.into())
    }

    /// As [`pipe`](Self::pipe), borrowing: nothing is allocated for a record that is there already.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let key = "a".to_owned();
    /// for n in &[1, 2, 3] {
    ///     input.pipe_ref(&key, n)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`pipe`](Self::pipe).
    pub fn pipe_ref(&self, key: &K, value: &V) -> Result<()> {
        let time = self.next_time();
        self.send(key, value, time, &self.no_headers)
    }

    /// A record with a time of its own, in milliseconds since the epoch: late ones, for example. The clock of the
    /// handle stays.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(2_000).pipe("a", 1)?;
    /// input.at_ms(1_000).pipe("a", 2)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?.read_all()?;
    /// assert_eq!((out[1].timestamp_ms, driver.stream_time_ms()), (1_000, 2_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_ms(&self, timestamp_ms: i64) -> InputRecord<'_, K, V> {
        InputRecord {
            input: self,
            timestamp_ms: Some(timestamp_ms),
            headers: Headers::new(),
        }
    }

    /// A record with a header; more are added with [`InputRecord::header`].
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.header("request", "r1").pipe("a", 1)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?.read_all()?;
    /// assert_eq!(out[0].headers[0].value.as_deref(), Some(&b"r1"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn header(&self, name: &str, value: impl AsRef<[u8]>) -> InputRecord<'_, K, V> {
        InputRecord {
            input: self,
            timestamp_ms: None,
            headers: Headers::new(),
        }
        .header(name, value)
    }

    fn next_time(&self) -> i64 {
        match self.clock_ms.get() {
            None => self.core.wall_clock_ms(),
            Some(now) => {
                self.clock_ms.set(Some(now.saturating_add(self.advance_ms)));
                now
            }
        }
    }

    fn send(&self, key: &K, value: &V, timestamp: i64, headers: &Headers) -> Result<()> {
        // A callback of the driver may pipe into the same handle: it finds the driver busy, and no buffers.
        let (mut key_bytes, mut value_bytes) = self.buffers.take();
        let write_part = |part, ok: std::result::Result<bool, serde::SerdeError>| {
            ok.map_err(|e| DriverError::Serialize {
                name: self.topic.to_string(),
                part,
                source: e.into(),
            })
        };
        let has_key = write_part("key", serde::write(&*self.key, key, &mut key_bytes))?;
        let has_value = write_part("value", serde::write(&*self.value, value, &mut value_bytes))?;
        let record = Piped {
            topic: self.feed.topic.as_deref(),
            key: has_key.then_some(key_bytes.as_slice()),
            value: has_value.then_some(value_bytes.as_slice()),
            timestamp,
            headers,
        };
        let result = self.core.pipe(&self.feed, record);
        self.buffers.replace((key_bytes, value_bytes));
        result
    }
}

/// A record about to be piped, with time and headers of its own.
#[must_use = "nothing happens before `pipe`"]
pub struct InputRecord<'a, K, V> {
    input: &'a TestInput<K, V>,
    timestamp_ms: Option<i64>,
    headers: Headers,
}

impl<K, V> InputRecord<'_, K, V> {
    /// Sets the time, in milliseconds since the epoch. Default: that of the handle.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.header("request", "r1").at_ms(2_000).pipe("a", 1)?;
    /// assert_eq!(driver.stream_time_ms(), 2_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// Adds a header.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(1_000).header("request", "r1").header("request", "r2").pipe("a", 1)?;
    /// let headers = driver.produced_to("out")[0].headers.clone();
    /// assert_eq!(headers.iter().map(|header| &*header.key).collect::<Vec<_>>(), ["request", "request"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.add(name, Some(value.as_ref()));
        self
    }

    /// Pipes the record; see [`TestInput::pipe`].
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let late = input.at_ms(1_000); // nothing has happened yet
    /// assert_eq!(driver.produced(), []);
    /// late.pipe("a", 1)?;
    /// assert_eq!(driver.produced()[0].timestamp, Some(1_000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TestInput::pipe`].
    pub fn pipe(self, key: impl Into<K>, value: impl Into<V>) -> Result<()> {
        self.pipe_ref(&key.into(), &value.into())
    }

    /// As [`pipe`](Self::pipe), borrowing.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let key = "a".to_owned();
    /// for (n, time) in [(1, 2_000), (2, 1_000)] {
    ///     input.at_ms(time).pipe_ref(&key, &n)?;
    /// }
    /// assert_eq!(driver.output("out", StringSerde, I64Serde)?.read_values()?, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TestInput::pipe`].
    pub fn pipe_ref(self, key: &K, value: &V) -> Result<()> {
        let time = self.timestamp_ms.unwrap_or_else(|| self.input.next_time());
        self.input.send(key, value, time, &self.headers)
    }
}
