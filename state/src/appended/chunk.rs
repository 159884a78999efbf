//! Rows of a key that are committed together lie in one row of the database, a chunk: most of what a row costs there is
//! the same however long it is.
//!
//! A chunk has rows of one group, in order, whose times are not far apart. Its key is what that of its last row would be, but for
//! the highest bit of the number, which no row has: so a chunk is never taken for a row, and lies behind all rows that
//! it has, but not far behind. Its value is the time of its first row (8 bytes) and then, for each row, how much later it is (4), its
//! number (4), the length of its value (4) and the value; all numbers with their highest byte first. A chunk of one row is
//! that row.
use super::group::{At, Row, SUFFIX_BYTES};
use super::{parts, suits};
use crate::StoreSpec;
use crate::keys::Suffix;
use crate::segments::{PREFIX_BYTES, Segments};

const MAX_ROWS: usize = 64;
const MAX_BYTES: usize = 4_096;
/// Of the length of a segment: how far apart times in a chunk may be, and how far behind a row its chunk.
const SPANS_PER_SEGMENT: u64 = 64;
/// Of the number at the end of a key.
const CHUNK_BIT: u32 = 1 << 31;
const HEAD_BYTES: usize = 8;
/// What a row has before its value.
const ROW_HEAD_BYTES: usize = 12;

/// How the rows of a store are put in chunks.
#[derive(Clone, Copy)]
pub(super) struct Chunks {
    segments: Segments,
    span_ms: u64,
    max_rows: usize,
}

impl Chunks {
    /// `None`: such a store has none.
    pub(super) fn of(spec: &StoreSpec) -> Option<Self> {
        let segments = Segments::of(&spec.kind).filter(|_| suits(&spec.kind))?;
        let length = segments.last_time(0).cast_unsigned().saturating_add(1);
        Some(Self {
            segments,
            span_ms: (length / SPANS_PER_SEGMENT).min(u32::MAX.into()),
            // Without a changelog numbers come again after a restart, and a row may replace another: it would not replace
            // one in a chunk.
            max_rows: if spec.logging { MAX_ROWS } else { 1 },
        })
    }

    /// Lends rows of one group, which are in order, to `put` in chunks. `key` is the group; keys are made in it, chunks in
    /// `chunk`.
    pub(super) fn pack<'r>(
        self,
        chunk: &mut Chunk,
        key: &mut Vec<u8>,
        rows: impl Iterator<Item = &'r Row>,
        put: &mut dyn FnMut(&[u8], &[u8]),
    ) {
        let group_bytes = key.len();
        let mut write = |chunk: &mut Chunk| {
            let (end, value) = chunk.end_and_value();
            key.truncate(group_bytes);
            key.extend_from_slice(&end.suffix());
            put(key, value);
            chunk.rows = 0;
        };
        for row in rows {
            if chunk.rows > 0 && !self.may_add(chunk, row) {
                write(chunk);
            }
            chunk.add(row);
        }
        if chunk.rows > 0 {
            write(chunk);
        }
    }

    fn may_add(self, chunk: &Chunk, row: &Row) -> bool {
        let time = row.at.time();
        chunk.rows < self.max_rows
            && chunk.bytes.len() + ROW_HEAD_BYTES + row.value.len() <= MAX_BYTES
            && time.saturating_sub(chunk.first_time) <= self.span_ms
            // Times before the epoch are behind all others, and not in the order of the segments.
            && time <= i64::MAX.cast_unsigned()
    }

    /// Behind which end of a key there is no chunk with rows up to that end.
    pub(super) fn reach_in_group(self, end: At) -> At {
        At::last_of(end.time().saturating_add(self.span_ms))
    }

    /// Behind which key there is no chunk with rows up to that key.
    pub(super) fn reach(self, key: &[u8]) -> Vec<u8> {
        let mut reach = key.to_vec();
        let Some((segment, _)) = parts(key) else { return reach };
        let first_time = self.segments.last_time(segment.saturating_sub(1)).saturating_add(1);
        let times = first_time.cast_unsigned()..=self.segments.last_time(segment).cast_unsigned();
        // Wherever the record's key ends in it: what is behind that must be a time.
        for at in PREFIX_BYTES..key.len() {
            let (group, end) = key.split_at(at);
            let time = Suffix::of(end).time();
            if times.contains(&time) {
                let last = time.saturating_add(self.span_ms).min(*times.end());
                reach = reach.max([group, &At::last_of(last).suffix()].concat());
            }
        }
        reach
    }
}

/// The rows that `key` and `value` stand for, with their keys; `None`: they are malformed.
pub(super) fn unpack<'v>(key: &[u8], value: &'v [u8], f: &mut dyn FnMut(At, &'v [u8])) -> Option<()> {
    let end = At::of(key.last_chunk::<SUFFIX_BYTES>()?);
    if !is_chunk(end) {
        f(end, value);
        return Some(());
    }
    let (first, mut rest) = value.split_first_chunk::<HEAD_BYTES>()?;
    let first = u64::from_be_bytes(*first);
    while !rest.is_empty() {
        let (later, number, length);
        (later, rest) = take_number(rest)?;
        (number, rest) = take_number(rest)?;
        (length, rest) = take_number(rest)?;
        let value;
        (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        f(At::new(first.checked_add(later.into())?, number), value);
    }
    Some(())
}

fn take_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// Whether such an end of a key is that of a chunk; no row has it.
pub(super) fn is_chunk(end: At) -> bool {
    end.number() & CHUNK_BIT != 0
}

/// One that is being made.
#[derive(Default)]
pub(super) struct Chunk {
    rows: usize,
    first_time: u64,
    last: At,
    bytes: Vec<u8>,
}

impl Chunk {
    fn add(&mut self, row: &Row) {
        let time = row.at.time();
        if self.rows == 0 {
            self.bytes.clear();
            self.bytes.extend_from_slice(&time.to_be_bytes());
            self.first_time = time;
        }
        // Both fit: a span is shorter, and so is what a message of the changelog can have.
        let later = u32::try_from(time.saturating_sub(self.first_time)).unwrap_or(u32::MAX);
        let length = u32::try_from(row.value.len()).unwrap_or(u32::MAX);
        for number in [later, row.at.number(), length] {
            self.bytes.extend_from_slice(&number.to_be_bytes());
        }
        self.bytes.extend_from_slice(&row.value);
        self.last = row.at;
        self.rows += 1;
    }

    fn end_and_value(&self) -> (At, &[u8]) {
        if self.rows > 1 {
            return (At::new(self.last.time(), self.last.number() | CHUNK_BIT), &self.bytes);
        }
        let value = self.bytes.get(HEAD_BYTES + ROW_HEAD_BYTES..);
        (self.last, value.unwrap_or_default())
    }
}
