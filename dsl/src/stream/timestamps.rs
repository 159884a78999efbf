//! Where the timestamp of a record comes from.
use std::sync::Arc;

/// What a custom extractor sees.
pub struct ExtractInput<'a, K, V> {
    /// The key.
    pub key: &'a K,
    /// The value.
    pub value: &'a V,
    /// Timestamp of the record, milliseconds since the epoch; may be negative.
    pub timestamp: i64,
    /// Highest timestamp seen on the partition; -1 if none.
    pub partition_time: i64,
}

type Custom<K, V> = Arc<dyn Fn(ExtractInput<'_, K, V>) -> i64 + Send + Sync>;

/// Where the timestamp of a record comes from. Kafka Streams: `TimestampExtractor`.
#[derive(Default)]
pub enum TimestampExtractor<K, V> {
    /// The record's timestamp; a negative one stops the task. The default. Kafka Streams: `FailOnInvalidTimestamp`.
    #[default]
    Record,
    /// The record's timestamp; a record with a negative one is dropped. Kafka Streams: `LogAndSkipOnInvalidTimestamp`.
    LogAndSkip,
    /// The record's timestamp, or the partition's time. Kafka Streams: `UsePartitionTimeOnInvalidTimestamp`.
    PartitionTime,
    /// The clock of the machine. Kafka Streams: `WallclockTimestampExtractor`.
    WallClock,
    /// From key and value; negative: the record is dropped.
    Custom(Custom<K, V>),
}
impl<K, V> TimestampExtractor<K, V> {
    /// From key, value and what is known of the time; a negative result drops the record.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # let builder = StreamsBuilder::new();
    /// // Without a time of its own a record counts as one of the latest moment of its partition.
    /// let known = TimestampExtractor::<String, i64>::custom(|record| match record.timestamp {
    ///     0 => record.partition_time,
    ///     time => time,
    /// });
    /// builder.stream(Consumed::topic("in").timestamps(known)).to("out");
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// for time in [5_000, 0] {
    ///     input.at_ms(time).pipe("a", 1)?;
    /// }
    /// let out = driver.output("out", StringSerde, I64Serde)?.read_all()?;
    /// let times: Vec<i64> = out.iter().map(|record| record.timestamp_ms).collect();
    /// assert_eq!(times, [5_000, 5_000]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "TimestampExtractor")]
    pub fn custom(f: impl Fn(ExtractInput<'_, K, V>) -> i64 + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(f))
    }
}
impl<K, V> Clone for TimestampExtractor<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::Record => Self::Record,
            Self::LogAndSkip => Self::LogAndSkip,
            Self::PartitionTime => Self::PartitionTime,
            Self::WallClock => Self::WallClock,
            Self::Custom(f) => Self::Custom(f.clone()),
        }
    }
}
