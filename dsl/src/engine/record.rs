//! What travels along an edge: a record of a stream or a change of a table, all by reference.
use millstream_state::Headers;

/// A record on its way between operators: everything by reference, `Copy`.
#[derive(Debug)]
pub struct Record<'a, K: ?Sized, V: ?Sized> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: &'a V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers, shared by everybody who holds this record.
    pub headers: &'a Headers,
    /// The serialized key, as long as nobody has changed the key.
    pub key_bytes: Option<&'a [u8]>,
    /// Whether this is a changed copy of another record: what happens to its headers must not be seen by those who hold
    /// the other one. They are copied when somebody may change them, and not before.
    pub(crate) is_copy: bool,
}

impl<K: ?Sized, V: ?Sized> Clone for Record<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: ?Sized, V: ?Sized> Copy for Record<'_, K, V> {}

impl<'a, K: ?Sized, V: ?Sized> Record<'a, K, V> {
    /// A record that does not stem from another one; its time is in milliseconds since the epoch. Headers:
    /// [`no_headers`](crate::processor::ProcessorContext::no_headers), or some of its own.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`:
    /// let (key, value) = ("total".to_owned(), 3);
    /// ctx.forward(Record::new(&key, &value, record.timestamp + 1, ctx.no_headers()))?;
    /// # Ok(())
    /// # })?;
    /// let written = &runner.written()[0];
    /// assert_eq!((written.key.as_deref(), written.timestamp), (Some(&b"total"[..]), 1_001));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(key: &'a K, value: &'a V, timestamp: i64, headers: &'a Headers) -> Self {
        Self {
            key,
            value,
            timestamp,
            headers,
            key_bytes: None,
            is_copy: true,
        }
    }
    /// The same record with another value; the serialized key stays valid.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_value(&(record.value * 10)))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 10), ("a".to_owned(), 20)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withValue")]
    pub fn with_value<'b, V2: ?Sized>(self, value: &'b V2) -> Record<'b, K, V2>
    where
        'a: 'b,
    {
        Record {
            key: self.key,
            value,
            timestamp: self.timestamp,
            headers: self.headers,
            key_bytes: self.key_bytes,
            is_copy: true,
        }
    }
    /// The same record with another key.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`:
    /// ctx.forward(record.with_key(&format!("{}-{}", record.key, record.value)))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a-1".to_owned(), 1), ("a-2".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withKey")]
    pub fn with_key<'b, K2: ?Sized>(self, key: &'b K2) -> Record<'b, K2, V>
    where
        'a: 'b,
    {
        Record {
            key,
            value: self.value,
            timestamp: self.timestamp,
            headers: self.headers,
            key_bytes: None,
            is_copy: true,
        }
    }
    /// The same record at another time, in milliseconds since the epoch. A negative one is refused where it is
    /// forwarded.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`: due in a minute.
    /// ctx.forward(record.with_timestamp(record.timestamp + 60_000))?;
    /// assert!(ctx.forward(record.with_timestamp(-1)).is_err());
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.written()[0].timestamp, 61_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withTimestamp")]
    #[must_use]
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self {
            timestamp,
            is_copy: true,
            ..self
        }
    }
    /// The same record with other headers.
    ///
    /// ```
    /// # use millstream_dsl::{prelude::*, testing::with_context};
    /// # let runner = with_context(|ctx, record| {
    /// // In `process`:
    /// let headers = Headers::new();
    /// headers.add("seen-by", Some(b"step"));
    /// ctx.forward(record.with_headers(&headers))?;
    /// # Ok(())
    /// # })?;
    /// assert_eq!(runner.written()[0].headers, [("seen-by".to_owned(), Some(b"step".to_vec()))]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withHeaders")]
    #[must_use]
    pub fn with_headers<'b>(self, headers: &'b Headers) -> Record<'b, K, V>
    where
        'a: 'b,
    {
        Record {
            key: self.key,
            value: self.value,
            timestamp: self.timestamp,
            headers,
            key_bytes: self.key_bytes,
            is_copy: true,
        }
    }
    /// Lets whoever holds the record that this one was made of see what happens to its headers. A changed record has
    /// headers of its own, as in Kafka Streams; one that is forwarded as it came shares them.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # struct Marks;
    /// # impl Processor<String, i64, String, i64> for Marks {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, String, i64>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         record.headers.add("marked", None);
    /// #         Ok(ctx.forward(record)?)
    /// #     }
    /// # }
    /// # struct Twice(bool);
    /// # impl Processor<String, i64, String, i64> for Twice {
    /// #     fn process(
    /// #         &mut self,
    /// #         ctx: &ProcessorContext<'_, String, i64>,
    /// #         record: Record<'_, String, i64>,
    /// #     ) -> Result<(), BoxError> {
    /// #         let record = Record::new(record.key, record.value, record.timestamp, record.headers);
    /// // In `process`, in front of a processor that adds a header to each record:
    /// let record = if self.0 { record.sharing_headers() } else { record };
    /// ctx.forward(record)?;
    /// ctx.forward(record)?; // has the header that was added to the first one, if they are shared
    /// #         Ok(())
    /// #     }
    /// # }
    /// # builder.stream("in").process(|| Twice(true)).process(|| Marks).to("shared");
    /// # builder.stream("more").process(|| Twice(false)).process(|| Marks).to("own");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// # input.pipe("a", 1)?;
    /// # driver.input("more", StringSerde, I64Serde)?.pipe("a", 1)?;
    /// assert_eq!(driver.produced_to("shared")[1].headers.len(), 2);
    /// assert_eq!(driver.produced_to("own")[1].headers.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sharing_headers(self) -> Self {
        Self { is_copy: false, ..self }
    }
    /// The same record with headers of its own.
    pub(crate) fn with_own_headers<'b>(self, headers: &'b Headers) -> Record<'b, K, V>
    where
        'a: 'b,
    {
        Record {
            is_copy: false,
            ..self.with_headers(headers)
        }
    }
}

/// An update of a table on its way.
#[derive(Debug)]
pub struct Change<'a, K: ?Sized, V: ?Sized> {
    /// The key.
    pub key: &'a K,
    /// The value after the update; None deletes.
    pub new: Option<&'a V>,
    /// Only filled in when somebody downstream asked for old values.
    pub old: Option<&'a V>,
    /// False for an out-of-order update of a versioned table.
    pub is_latest: bool,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers of the record that caused the update.
    pub headers: &'a Headers,
    /// The serialized key, as long as nobody has changed the key.
    pub key_bytes: Option<&'a [u8]>,
}

impl<K: ?Sized, V: ?Sized> Clone for Change<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: ?Sized, V: ?Sized> Copy for Change<'_, K, V> {}

impl<'a, K: ?Sized, V: ?Sized> Change<'a, K, V> {
    /// The same update with other values.
    pub fn with_values<'b, V2: ?Sized>(self, new: Option<&'b V2>, old: Option<&'b V2>) -> Change<'b, K, V2>
    where
        'a: 'b,
    {
        Change {
            key: self.key,
            new,
            old,
            is_latest: self.is_latest,
            timestamp: self.timestamp,
            headers: self.headers,
            key_bytes: self.key_bytes,
        }
    }
    /// The same update at another time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: i64) -> Self {
        Self { timestamp, ..self }
    }
}
