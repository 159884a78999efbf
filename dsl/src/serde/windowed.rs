//! Windowed keys as Kafka Streams writes them to user topics.
use super::{IntoSerde, Serde, SerdeError, SharedSerde};
use crate::window::{Window, Windowed};

/// `key ++ start(8)`; the end is not written, so the size of the windows must be known.
/// Kafka Streams: `TimeWindowedSerializer`.
#[derive(Clone)]
pub struct TimeWindowedSerde<K> {
    inner: SharedSerde<K>,
    size_ms: i64,
}
impl<K> TimeWindowedSerde<K> {
    /// Windowed keys of windows of `size_ms` milliseconds.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::serde::TimeWindowedSerde;
    /// let serde = TimeWindowedSerde::new(StringSerde, 60_000);
    /// let key = Windowed { key: "a".to_owned(), window: Window { start: 120_000, end: 180_000 } };
    /// let mut bytes = Vec::new();
    /// serde.serialize(&key, &mut bytes)?;
    /// assert_eq!(bytes, b"a\x00\x00\x00\x00\x00\x01\xd4\xc0");
    /// assert_eq!(serde.deserialize(&bytes)?, key);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(inner: impl IntoSerde<K>, size_ms: i64) -> Self {
        Self {
            inner: inner.into_serde(),
            size_ms,
        }
    }
}
impl<K> Serde<Windowed<K>> for TimeWindowedSerde<K> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.inner.serialize(&value.key, out)?;
        out.extend_from_slice(&value.window.start.to_be_bytes());
        Ok(())
    }
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        Some(split_time(bytes).ok()?.0)
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let (key, start) = split_time(bytes)?;
        let end = start.checked_add(self.size_ms).unwrap_or(i64::MAX);
        Ok(Windowed {
            key: self.inner.deserialize(key)?,
            window: Window { start, end },
        })
    }
}

/// `key ++ end(8) ++ start(8)`. Kafka Streams: `SessionWindowedSerializer`.
#[derive(Clone)]
pub struct SessionWindowedSerde<K> {
    inner: SharedSerde<K>,
}
impl<K> SessionWindowedSerde<K> {
    /// Windowed keys of sessions.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::serde::SessionWindowedSerde;
    /// let serde = SessionWindowedSerde::new(StringSerde);
    /// let key = Windowed { key: "a".to_owned(), window: Window { start: 1, end: 2 } };
    /// let mut bytes = Vec::new();
    /// serde.serialize(&key, &mut bytes)?;
    /// assert_eq!(bytes, b"a\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01");
    /// assert_eq!(serde.deserialize(&bytes)?, key);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(inner: impl IntoSerde<K>) -> Self {
        Self {
            inner: inner.into_serde(),
        }
    }
}
impl<K> Serde<Windowed<K>> for SessionWindowedSerde<K> {
    fn serialize(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        self.inner.serialize(&value.key, out)?;
        out.extend_from_slice(&value.window.end.to_be_bytes());
        out.extend_from_slice(&value.window.start.to_be_bytes());
        Ok(())
    }
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        Some(split_time(split_time(bytes).ok()?.0).ok()?.0)
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Windowed<K>, SerdeError> {
        let (rest, start) = split_time(bytes)?;
        let (key, end) = split_time(rest)?;
        Ok(Windowed {
            key: self.inner.deserialize(key)?,
            window: Window { start, end },
        })
    }
}

fn split_time(bytes: &[u8]) -> Result<(&[u8], i64), SerdeError> {
    match bytes.split_last_chunk::<8>() {
        Some((rest, time)) => Ok((rest, i64::from_be_bytes(*time))),
        None => Err(SerdeError::new(format!(
            "{} bytes are too short for a windowed key",
            bytes.len()
        ))),
    }
}
