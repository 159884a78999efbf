//! How do windows leave? In segments: a row key begins with the number of its segment, so that a segment goes at once.
//!
//! The rules are those of Kafka Streams: a put into a segment that is still alive is accepted, one into a segment that
//! has left is dropped; reads are clipped exactly at `observed time - retention + 1`.
use crate::StoreKind;

/// Which part of a changelog key is the time a row is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeAt {
    /// `key ++ start(8) ++ seq(4)`
    WindowStart,
    /// `key ++ end(8) ++ start(8)`
    SessionEnd,
}

/// The segments of a store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments {
    retention_ms: i64,
    interval_ms: i64,
    time_at: TimeAt,
}

pub(crate) const PREFIX_BYTES: usize = 8;

impl Segments {
    pub(crate) fn of(kind: &StoreKind) -> Option<Self> {
        let (retention_ms, interval_ms, time_at) = match *kind {
            StoreKind::Window {
                retention_ms,
                segment_interval_ms,
                ..
            } => (retention_ms, segment_interval_ms, TimeAt::WindowStart),
            StoreKind::Session {
                retention_ms,
                segment_interval_ms,
            } => (retention_ms, segment_interval_ms, TimeAt::SessionEnd),
            _ => return None,
        };
        Some(Self {
            retention_ms,
            interval_ms: interval_ms.max(1),
            time_at,
        })
    }

    /// The time in a changelog key.
    pub(crate) fn time_of(&self, key: &[u8]) -> Option<i64> {
        let behind = match self.time_at {
            TimeAt::WindowStart => 4,
            TimeAt::SessionEnd => 8,
        };
        let time = key.get(..key.len().checked_sub(behind)?)?.last_chunk::<8>()?;
        Some(i64::from_be_bytes(*time))
    }

    pub(crate) fn id(&self, time: i64) -> i64 {
        time.max(0) / self.interval_ms
    }

    /// `segment(8) ++ key`
    pub(crate) fn row_key(&self, key: &[u8], time: i64) -> Vec<u8> {
        [&self.id(time).to_be_bytes()[..], key].concat()
    }

    /// The first segment that is alive at an observed time.
    pub(crate) fn first_alive(&self, observed: i64) -> i64 {
        self.id(observed.saturating_sub(self.retention_ms))
    }

    /// The first time of the first segment that is alive.
    pub(crate) fn kept_from(&self, observed: i64) -> i64 {
        self.first_alive(observed).saturating_mul(self.interval_ms)
    }

    /// The first time that can still be read.
    pub(crate) fn readable_from(&self, observed: i64) -> i64 {
        observed.saturating_sub(self.retention_ms).saturating_add(1)
    }
}
