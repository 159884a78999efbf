//! By what may RocksDB skip tables in which a key has no windows or sessions? By the heads of their rows, which are in the
//! filters beside whole rows.
//!
//! IMPORTANT: rows with the same head must lie side by side, with no others between. Where a filter tells it to skip a table,
//! RocksDB does not go on to the next one if that begins with another head: rows behind would be lost. What is before the
//! last so many bytes of a row is no such head, as rows of longer keys lie between those of shorter ones. So a row is read
//! from its start: its head ends with the first bytes that look like a time. That may be too early, within a key that looks
//! so itself: then other keys share the head, and the filters skip less.
use std::ops::Bound;

use rocksdb::SliceTransform;

use crate::database::KeyRange;
use crate::segments::PREFIX_BYTES;

/// Filters that were made by another rule have another name: RocksDB does not use them.
const NAME: &str = "millstream.heads.1";
/// What times from November 2004 to September 2039 begin with, as milliseconds.
const TIME: [u8; 3] = [0, 0, 1];
/// What times of the first segment begin with.
const FIRST_TIME: [u8; 3] = [0, 0, 0];

/// Segment, key and the first bytes of the time; `None`: nothing looks like one.
pub(super) fn head(row_key: &[u8]) -> Option<&[u8]> {
    let (segment, rest) = row_key.split_first_chunk::<PREFIX_BYTES>()?;
    let time = if *segment == [0; PREFIX_BYTES] {
        FIRST_TIME
    } else {
        TIME
    };
    let at = rest.windows(time.len()).position(|bytes| bytes == time)?;
    row_key.get(..PREFIX_BYTES + at + time.len())
}

pub(super) fn extractor() -> SliceTransform {
    SliceTransform::create(
        NAME,
        |row_key| head(row_key).unwrap_or(row_key),
        Some(|row_key| head(row_key).is_some()),
    )
}

/// Whether all rows of a range have the same head.
pub(super) fn is_shared(range: KeyRange<'_>) -> bool {
    match range {
        (Bound::Included(lo), Bound::Included(hi)) => head(lo).is_some_and(|of_lo| head(hi) == Some(of_lo)),
        _ => false,
    }
}
