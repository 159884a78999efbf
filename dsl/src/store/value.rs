//! What stores keep beside a value.
use millstream_state::Headers;

/// What reads of a store with timestamps give: [`ValueAndTimestamp`] or [`ValueTimestampHeaders`].
pub trait TimedRow<V> {
    /// Whether its store keeps headers.
    const HAS_HEADERS: bool;

    /// The row, of what its store keeps.
    fn of_row(value: V, timestamp: i64, headers: Headers) -> Self;
}

/// A value and when it was valid from. Kafka Streams: `ValueAndTimestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

impl<V> TimedRow<V> for ValueAndTimestamp<V> {
    const HAS_HEADERS: bool = false;

    fn of_row(value: V, timestamp: i64, _: Headers) -> Self {
        Self { value, timestamp }
    }
}

/// A value, when it was valid from, and the headers it was put with. Kafka Streams: `ValueTimestampHeaders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueTimestampHeaders<V> {
    /// The value.
    pub value: V,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Its headers.
    pub headers: Headers,
}

impl<V> TimedRow<V> for ValueTimestampHeaders<V> {
    const HAS_HEADERS: bool = true;

    fn of_row(value: V, timestamp: i64, headers: Headers) -> Self {
        Self {
            value,
            timestamp,
            headers,
        }
    }
}

/// The aggregate of a session and the headers it was put with. Kafka Streams: `AggregationWithHeaders`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregationWithHeaders<V> {
    /// The aggregate.
    pub aggregation: V,
    /// Its headers.
    pub headers: Headers,
}

impl<V> AggregationWithHeaders<V> {
    pub(super) fn of_row(aggregation: V, headers: Headers) -> Self {
        Self { aggregation, headers }
    }
}
