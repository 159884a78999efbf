//! Typed output of a driver.
use std::rc::Rc;

use millstream_state::{Header, Headers};

use super::{
    capture::ProducedRef,
    core::Core,
    error::{DriverError, Result},
};
use crate::serde::{self, SharedSerde};

/// A record the topology wrote to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRecord<K, V> {
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// In the order in which they were added.
    pub headers: Vec<Header>,
}

/// A topic whose records are read one after the other, each once. Handles of one topic share the position.
///
/// ```
/// use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
/// let builder = StreamsBuilder::new();
/// builder.stream::<String, i64>("in").to("out");
/// let driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (input, output) = (driver.input("in", StringSerde, I64Serde)?, driver.output("out", StringSerde, I64Serde)?);
/// for n in [1, 2, 3, 4] {
///     input.at_ms(n).pipe("a", n)?;
/// }
/// assert_eq!(output.len(), 4);
/// let first = output.read_record()?.ok_or("nothing there")?;
/// assert_eq!((first.key.as_str(), first.value, first.timestamp_ms), ("a", 1, 1));
/// assert_eq!(output.read_values()?, [2, 3, 4]);
/// assert!(output.is_empty());
/// input.pipe("b", 5)?;
/// assert_eq!(output.read_key_values()?, [("b".to_owned(), 5)]);
/// assert!(output.read_all()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "TestOutputTopic")]
pub struct TestOutput<K, V> {
    core: Rc<Core>,
    topic: usize,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
}

impl<K, V> TestOutput<K, V> {
    pub(super) fn new(core: Rc<Core>, topic: &str, key: SharedSerde<K>, value: SharedSerde<V>) -> Result<Self> {
        let topic = core.output(topic)?;
        Ok(Self {
            core,
            topic,
            key,
            value,
        })
    }

    /// Whether everything has been read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").filter(|_, n| *n > 0).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// input.pipe("a", -1)?;
    /// assert!(out.is_empty());
    /// input.pipe("a", 1)?;
    /// assert!(!out.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many records have not been read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// input.pipe("a", 2)?;
    /// assert_eq!(out.len(), 2);
    /// out.read_record()?;
    /// assert_eq!(out.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "getQueueSize")]
    pub fn len(&self) -> usize {
        self.core.capture.unread(self.topic)
    }

    /// The next record with its time and headers; `None` when all have been read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.at_ms(1_000).pipe("a", 1)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// let record = out.read_record()?.ok_or("nothing there")?;
    /// assert_eq!((record.key.as_str(), record.value, record.timestamp_ms), ("a", 1, 1_000));
    /// assert_eq!(out.read_record()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When key or value are not what the serdes expect.
    #[doc(alias = "readRecord")]
    pub fn read_record(&self) -> Result<Option<OutputRecord<K, V>>> {
        self.core
            .capture
            .read(self.topic, |record| self.decode(record))
            .transpose()
    }

    fn decode(&self, record: ProducedRef<'_>) -> Result<OutputRecord<K, V>> {
        let wrong = |part, e: serde::SerdeError| DriverError::Deserialize {
            name: record.topic.to_owned(),
            part,
            source: e.into(),
        };
        Ok(OutputRecord {
            key: serde::read(&*self.key, record.key).map_err(|e| wrong("key", e))?,
            value: serde::read(&*self.value, record.value).map_err(|e| wrong("value", e))?,
            timestamp_ms: record.timestamp.unwrap_or(-1),
            headers: record.headers.map(Headers::to_vec).unwrap_or_default(),
        })
    }

    /// All records that have not been read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [1_000, 2_000] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// assert_eq!(out.read_all()?.iter().map(|r| r.timestamp_ms).collect::<Vec<_>>(), [1_000, 2_000]);
    /// assert_eq!(out.read_all()?, [], "each is read once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_record`](Self::read_record).
    #[doc(alias = "readRecordsToList")]
    pub fn read_all(&self) -> Result<Vec<OutputRecord<K, V>>> {
        std::iter::from_fn(|| self.read_record().transpose()).collect()
    }

    /// Keys and values of all records that have not been read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// input.pipe("b", 2)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?.read_key_values()?;
    /// assert_eq!(out, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_record`](Self::read_record).
    #[doc(alias = "readKeyValuesToList")]
    pub fn read_key_values(&self) -> Result<Vec<(K, V)>> {
        Ok(self.read_all()?.into_iter().map(|r| (r.key, r.value)).collect())
    }

    /// Values of all records that have not been read.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// # builder.stream::<String, i64>("in").to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// let out = driver.output("out", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// assert_eq!(out.read_values()?, [1]);
    /// input.pipe("a", 2)?;
    /// assert_eq!(out.read_values()?, [2], "what came since");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_record`](Self::read_record).
    #[doc(alias = "readValuesToList")]
    pub fn read_values(&self) -> Result<Vec<V>> {
        Ok(self.read_all()?.into_iter().map(|r| r.value).collect())
    }
}
