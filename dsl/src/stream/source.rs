//! The source of a stream: bytes to key and value, once.
use std::{cell::Cell, rc::Rc, sync::Arc};

use millstream_state::Headers;

use crate::{
    engine::{
        Children, NodeScope, ProcessError, ProcessErrorKind, ProcessResult, RawRecord, Record, SourceFactory,
        SourcePort, TaskContext,
    },
    serde::{SharedSerde, read_into},
};

use super::timestamps::{ExtractInput, TimestampExtractor};

struct Source<K, V> {
    name: Arc<str>,
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    extractor: TimestampExtractor<K, V>,
    children: Children<K, V>,
    /// Whether what comes behind may use the key's bytes.
    lend_key_bytes: bool,
    /// Key and value of the last record: their buffers serve the next one.
    last: Cell<Option<Box<Pair<K, V>>>>,
}

/// What was decoded. On the heap, because it is taken and put back with each record.
struct Pair<K, V> {
    key: Option<K>,
    value: Option<V>,
}

impl<K, V> Source<K, V> {
    /// A serde is the user's code too: a panic in it is an error like any other.
    fn decode(&self, cx: &TaskContext, raw: &RawRecord<'_>) -> Result<Box<Pair<K, V>>, Box<ProcessError>> {
        let nothing = || Box::new(Pair { key: None, value: None });
        let mut pair = self.last.take().unwrap_or_else(nothing);
        cx.call(&self.name, || self.read(raw, &mut pair))??;
        Ok(pair)
    }

    #[cold]
    fn nothing_decoded(&self) -> Box<ProcessError> {
        let message = "a serde gave nothing".to_owned();
        ProcessError::new(ProcessErrorKind::Deserialization, &self.name, message)
    }

    fn read(&self, raw: &RawRecord<'_>, pair: &mut Pair<K, V>) -> Result<(), Box<ProcessError>> {
        let fail = |what: &str, error: crate::serde::SerdeError| {
            let mut error = ProcessError::caused(ProcessErrorKind::Deserialization, &self.name, error);
            error.message = format!("{what}: {}", error.message);
            error
        };
        read_into(&*self.key, raw.key, &mut pair.key).map_err(|e| fail("key", e))?;
        read_into(&*self.value, raw.value, &mut pair.value).map_err(|e| fail("value", e))
    }
}

impl<K: 'static, V: 'static> SourcePort for Source<K, V> {
    fn extract_timestamp(
        &self,
        cx: &TaskContext,
        raw: &RawRecord<'_>,
        partition_time: i64,
    ) -> Result<i64, Box<ProcessError>> {
        match &self.extractor {
            TimestampExtractor::Record if raw.timestamp < 0 => {
                // Bytes that cannot be read come first, as in Kafka Streams: their handler decides in `process`.
                if self.decode(cx, raw).is_err() {
                    return Ok(-1);
                }
                let message = format!("offset {} has the timestamp {}", raw.offset, raw.timestamp);
                Err(ProcessError::new(
                    ProcessErrorKind::InvalidTimestamp,
                    &self.name,
                    message,
                ))
            }
            TimestampExtractor::PartitionTime if raw.timestamp < 0 => {
                if partition_time >= 0 {
                    return Ok(partition_time);
                }
                let message = format!(
                    "offset {} has the timestamp {}, no earlier one",
                    raw.offset, raw.timestamp
                );
                Err(ProcessError::new(
                    ProcessErrorKind::InvalidTimestamp,
                    &self.name,
                    message,
                ))
            }
            TimestampExtractor::Record | TimestampExtractor::LogAndSkip | TimestampExtractor::PartitionTime => {
                Ok(raw.timestamp)
            }
            TimestampExtractor::WallClock => Ok(cx.wall_clock_ms()),
            TimestampExtractor::Custom(f) => match self.decode(cx, raw) {
                Err(_) => Ok(-1),
                Ok(pair) => {
                    let (Some(key), Some(value)) = (&pair.key, &pair.value) else {
                        return Ok(-1);
                    };
                    let input = ExtractInput {
                        key,
                        value,
                        timestamp: raw.timestamp,
                        partition_time,
                    };
                    let extracted = cx.call(&self.name, || f(input));
                    self.last.set(Some(pair));
                    extracted
                }
            },
        }
    }

    fn can_read(&self, cx: &TaskContext, raw: &RawRecord<'_>) -> bool {
        self.decode(cx, raw).is_ok()
    }

    fn process(&self, cx: &TaskContext, raw: &RawRecord<'_>, timestamp: i64, headers: &Headers) -> ProcessResult {
        let pair = match self.decode(cx, raw) {
            Ok(pair) => pair,
            Err(error) => return cx.deserialization_failed(error, raw, headers),
        };
        let (Some(key), Some(value)) = (&pair.key, &pair.value) else {
            return cx.deserialization_failed(self.nothing_decoded(), raw, headers);
        };
        if timestamp < 0 {
            tracing::warn!(
                topic = cx.topic().as_deref(),
                offset = raw.offset,
                "record without a valid timestamp dropped"
            );
            cx.count_dropped();
            return Ok(());
        }
        cx.advance_stream_time(timestamp);
        let record = Record {
            key,
            value,
            timestamp,
            headers,
            key_bytes: raw.key.filter(|_| self.lend_key_bytes),
            is_copy: false,
        };
        let result = self.children.forward(cx, record);
        self.last.set(Some(pair));
        result
    }
}

/// A source that decodes with these serdes.
pub(crate) fn source_factory<K: 'static, V: 'static>(
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    extractor: TimestampExtractor<K, V>,
) -> Arc<dyn SourceFactory> {
    new_source(key, value, extractor, true)
}

/// A source whose readers may have other key serdes than it has.
pub(crate) fn source_factory_without_key_bytes<K: 'static, V: 'static>(
    key: SharedSerde<K>,
    value: SharedSerde<V>,
) -> Arc<dyn SourceFactory> {
    new_source(key, value, TimestampExtractor::Record, false)
}

fn new_source<K: 'static, V: 'static>(
    key: SharedSerde<K>,
    value: SharedSerde<V>,
    extractor: TimestampExtractor<K, V>,
    lend_key_bytes: bool,
) -> Arc<dyn SourceFactory> {
    Arc::new(move |scope: &mut NodeScope<'_>| {
        let source: Rc<dyn SourcePort> = Rc::new(Source {
            name: scope.name().clone(),
            key: key.clone(),
            value: value.clone(),
            extractor: extractor.clone(),
            children: scope.children()?,
            lend_key_bytes,
            last: Cell::default(),
        });
        Ok(source)
    })
}
