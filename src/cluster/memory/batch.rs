//! How are records kept? As one shared block per produced batch: readers lend slices of it, nothing is copied.
use std::{cell::Cell, sync::Arc};

use millstream_dsl::engine::{HeaderSource, RawHeaders, RawRecord};
use millstream_state::Headers;

use super::super::{ProducerRecord, RecordBatch};

/// A length or index that stands for "null".
const NULL: u32 = u32::MAX;

/// Records of one partition, immutable once shared. Offsets are relative, so the block does not change when the
/// log gives it a place.
pub(super) struct Batch {
    /// Keys and values, one after the other.
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    headers: Vec<StoredHeaders>,
    max_timestamp: i64,
    has_null_key: bool,
}

#[derive(Clone, Copy)]
struct Slot {
    timestamp: i64,
    start: u32,
    key_len: u32,
    value_len: u32,
    offset_delta: u32,
    headers: u32,
}

struct StoredHeaders(Vec<(String, Option<Vec<u8>>)>);

impl HeaderSource for StoredHeaders {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read_into(&self, headers: &Headers) {
        for (key, value) in &self.0 {
            headers.add(key, value.as_deref());
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Batch::with_capacity(0, 0)
    }
}

impl Batch {
    pub(super) fn with_capacity(bytes: usize, records: usize) -> Self {
        Batch {
            bytes: Vec::with_capacity(bytes),
            slots: Vec::with_capacity(records),
            headers: Vec::new(),
            max_timestamp: i64::MIN,
            has_null_key: false,
        }
    }

    /// Relative offset and timestamp of each record.
    pub(super) fn times(&self) -> impl Iterator<Item = (i64, i64)> {
        self.slots
            .iter()
            .map(|slot| (i64::from(slot.offset_delta), slot.timestamp))
    }

    /// Appends a record behind the others; the caller keeps a batch far below 4 GiB.
    pub(super) fn push(&mut self, record: &ProducerRecord<'_>, timestamp: i64) {
        let headers = match record.headers {
            Some(headers) if !headers.is_empty() => {
                let mut stored = Vec::with_capacity(headers.len());
                headers.for_each(|key, value| stored.push((key.to_owned(), value.map(<[u8]>::to_vec))));
                self.headers.push(StoredHeaders(stored));
                self.headers.len() as u32 - 1
            }
            _ => NULL,
        };
        let slot = Slot {
            timestamp,
            start: self.bytes.len() as u32,
            key_len: record.key.map_or(NULL, |k| k.len() as u32),
            value_len: record.value.map_or(NULL, |v| v.len() as u32),
            offset_delta: self.slots.len() as u32,
            headers,
        };
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        self.slots.push(slot);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.has_null_key |= record.key.is_none();
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn capacity(&self) -> (usize, usize) {
        (self.bytes.len(), self.slots.len())
    }

    pub(super) fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    pub(super) fn has_null_key(&self) -> bool {
        self.has_null_key
    }

    /// Index of the first record at or after the relative offset.
    fn index_of(&self, offset_delta: i64) -> usize {
        if offset_delta <= 0 {
            return 0;
        }
        self.slots.partition_point(|s| i64::from(s.offset_delta) < offset_delta)
    }

    pub(super) fn key(&self, index: usize) -> Option<&[u8]> {
        let slot = self.slots.get(index)?;
        let start = slot.start as usize;
        (slot.key_len != NULL).then(|| &self.bytes[start..start + slot.key_len as usize])
    }

    pub(super) fn has_value(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|s| s.value_len != NULL)
    }

    pub(super) fn offset_delta(&self, index: usize) -> i64 {
        self.slots.get(index).map_or(0, |s| i64::from(s.offset_delta))
    }

    /// The records that compaction keeps, with their old relative offsets.
    pub(super) fn retain(&self, keep: impl Fn(usize) -> bool) -> Batch {
        let mut kept = Batch::with_capacity(0, 0);
        for (index, slot) in self.slots.iter().enumerate().filter(|(i, _)| keep(*i)) {
            let mut copy = *slot;
            copy.start = kept.bytes.len() as u32;
            let length = |len: u32| if len == NULL { 0 } else { len as usize };
            let end = slot.start as usize + length(slot.key_len) + length(slot.value_len);
            kept.bytes.extend_from_slice(&self.bytes[slot.start as usize..end]);
            if let Some(headers) = self.headers.get(slot.headers as usize) {
                copy.headers = kept.headers.len() as u32;
                kept.headers.push(StoredHeaders(headers.0.clone()));
            }
            kept.has_null_key |= self.key(index).is_none();
            kept.max_timestamp = kept.max_timestamp.max(slot.timestamp);
            kept.slots.push(copy);
        }
        kept
    }

    fn record(&self, index: usize, base_offset: i64) -> RawRecord<'_> {
        let slot = self.slots[index];
        let start = slot.start as usize;
        let (key, value_start) = match slot.key_len {
            NULL => (None, start),
            len => (Some(&self.bytes[start..start + len as usize]), start + len as usize),
        };
        let value = match slot.value_len {
            NULL => None,
            len => Some(&self.bytes[value_start..value_start + len as usize]),
        };
        RawRecord {
            topic: None,
            key,
            value,
            timestamp: slot.timestamp,
            offset: base_offset + i64::from(slot.offset_delta),
            headers: match slot.headers {
                NULL => RawHeaders::None,
                at => RawHeaders::Lazy(&self.headers[at as usize]),
            },
        }
    }
}

/// Part of one batch as a fetch lends it.
struct Part {
    batch: Arc<Batch>,
    base_offset: i64,
    /// Index inside the batch of the part's first record.
    skip: usize,
    /// Index inside the fetched records of the part's first record.
    first: usize,
}

/// What one fetch gives: parts of shared batches, in offset order.
#[derive(Default)]
pub(super) struct FetchedBatch {
    parts: Vec<Part>,
    len: usize,
    /// The part that was asked for last: records are read in order, so the next one is nearly always in it too.
    hint: Cell<usize>,
}

impl FetchedBatch {
    /// Adds the records of `batch` from `position` on, at most `room`; returns the offset after the last one taken.
    pub(super) fn take(&mut self, batch: &Arc<Batch>, base_offset: i64, position: i64, room: usize) -> Option<i64> {
        let skip = batch.index_of(position - base_offset);
        let count = room.min(batch.len().saturating_sub(skip));
        if count == 0 {
            return None;
        }
        self.parts.push(Part {
            batch: Arc::clone(batch),
            base_offset,
            skip,
            first: self.len,
        });
        self.len += count;
        Some(base_offset + batch.offset_delta(skip + count - 1) + 1)
    }

    fn part_of(&self, index: usize) -> usize {
        let hint = self.hint.get();
        let holds = |at: usize| {
            self.parts.get(at).is_some_and(|p| p.first <= index)
                && self.parts.get(at + 1).is_none_or(|next| index < next.first)
        };
        if holds(hint) {
            return hint;
        }
        let at = self.parts.partition_point(|p| p.first <= index) - 1;
        self.hint.set(at);
        at
    }
}

impl RecordBatch for FetchedBatch {
    fn len(&self) -> usize {
        self.len
    }

    /// # Panics
    /// If `index` is not below [`len`](RecordBatch::len), as a slice does.
    fn get(&self, index: usize) -> RawRecord<'_> {
        assert!(index < self.len, "record {index} of a batch of {}", self.len);
        let part = &self.parts[self.part_of(index)];
        part.batch.record(part.skip + index - part.first, part.base_offset)
    }
}
