//! Records of a left or outer join that have not met a partner: kept until their window closes.
//!
//! Rows are `time(8) ++ side(1: 1 = left, 0 = right) ++ key` to a list of `side(1) ++ value`, as Kafka Streams has them:
//! `0x01 ++ count(4) ++ { length(4) ++ element }`.
use std::{cell::Cell, rc::Rc, sync::Arc};

use millstream_state::{KeyValueStore, RowList, UpdateContext};

use crate::{
    engine::ProcessError,
    serde::{Serde, SerdeError},
    table::faults,
};

/// Which stream of a join a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinSide {
    Left,
    Right,
}
impl JoinSide {
    fn byte(self) -> u8 {
        u8::from(self == Self::Left)
    }
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// Time that both sides of a join see.
pub(crate) struct JoinTime {
    pub(crate) stream_time: Cell<i64>,
    /// Not later than the earliest waiting record; `i64::MAX`: none is known.
    pub(crate) earliest: Cell<i64>,
    /// Whether the store was seen to be empty. Unknown at the start: rows may have survived a restart.
    pub(crate) empty: Cell<bool>,
    pub(crate) next_emission: Cell<i64>,
    /// Where waiting rows begin, as their keys are ordered: no row has an earlier time. What has been emitted lies before it,
    /// and the database may still have to skip it.
    pub(crate) rows_from: Cell<u64>,
}
impl Default for JoinTime {
    fn default() -> Self {
        Self {
            stream_time: Cell::new(-1),
            earliest: Cell::new(i64::MAX),
            empty: Cell::new(false),
            next_emission: Cell::new(i64::MIN),
            rows_from: Cell::new(0),
        }
    }
}

impl JoinTime {
    /// A record begins to wait.
    fn waits(&self, timestamp: i64) {
        self.earliest.set(self.earliest.get().min(timestamp));
        self.empty.set(false);
        self.rows_from.set(self.rows_from.get().min(in_key_order(timestamp)));
    }
}

/// Times before the epoch come behind the others.
pub(crate) fn in_key_order(time: i64) -> u64 {
    u64::from_be_bytes(time.to_be_bytes())
}

/// The store of the waiting records.
pub(crate) struct Waiting {
    pub(crate) node: Arc<str>,
    pub(crate) store: Rc<KeyValueStore>,
}

/// A waiting row, taken apart.
pub(crate) struct WaitingRow<'a> {
    pub(crate) time: i64,
    pub(crate) side: JoinSide,
    pub(crate) key: &'a [u8],
}

const LIST_OF_VARIABLE_SIZE: u8 = 1;

fn row_key(time: i64, side: JoinSide, key: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&time.to_be_bytes());
    out.push(side.byte());
    out.extend_from_slice(key);
}
fn short() -> SerdeError {
    SerdeError::new("a row of an outer join is too short")
}
pub(crate) fn split_row(row: &[u8]) -> Result<WaitingRow<'_>, SerdeError> {
    let (time, rest) = row.split_first_chunk::<8>().ok_or_else(short)?;
    let (side, key) = rest.split_first().ok_or_else(short)?;
    let side = if *side == 1 { JoinSide::Left } else { JoinSide::Right };
    Ok(WaitingRow {
        time: i64::from_be_bytes(*time),
        side,
        key,
    })
}
/// The number of values in a list, and where they begin.
fn split_count(list: &[u8]) -> Result<(u32, &[u8]), SerdeError> {
    let (_, rest) = list.split_first().ok_or_else(short)?;
    let (count, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    Ok((u32::from_be_bytes(*count), rest))
}
/// How many values are in a list.
pub(crate) fn count(list: &[u8]) -> Result<u32, SerdeError> {
    Ok(split_count(list)?.0)
}
/// The values in a list.
pub(crate) fn values(list: &[u8]) -> Result<impl Iterator<Item = Result<&[u8], SerdeError>>, SerdeError> {
    let (count, mut rest) = split_count(list)?;
    Ok((0..count).map(move |_| {
        let (value, after) = split_value(rest).ok_or_else(short)?;
        rest = after;
        Ok(value)
    }))
}
/// The first value of a list, and what comes behind it.
fn split_value(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = list.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (element, after) = rest.split_at_checked(length)?;
    Some((element.get(1..)?, after))
}
fn append<V>(list: &mut Vec<u8>, side: JoinSide, value: &V, serde: &dyn Serde<V>) -> Result<(), SerdeError> {
    if list.is_empty() {
        list.push(LIST_OF_VARIABLE_SIZE);
        list.extend_from_slice(&0u32.to_be_bytes());
    }
    let count = list
        .get_mut(1..)
        .and_then(|rest| rest.first_chunk_mut::<4>())
        .ok_or_else(short)?;
    *count = u32::from_be_bytes(*count).wrapping_add(1).to_be_bytes();
    let at = list.len();
    list.extend_from_slice(&[0; 4]);
    list.push(side.byte());
    serde.serialize(value, list)?;
    let length = u32::try_from(list.len() - at - 4).map_err(|_| SerdeError::new("a value is longer than 4 GiB"))?;
    if let Some(slot) = list.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *slot = length.to_be_bytes();
    }
    Ok(())
}

impl Waiting {
    /// Adds a record.
    pub(crate) fn add<V>(
        &self,
        time: &JoinTime,
        place: (JoinSide, &[u8]),
        (value, serde): (&V, &dyn Serde<V>),
        context: &dyn UpdateContext,
        (row, list): &mut (Vec<u8>, Vec<u8>),
    ) -> Result<(), Box<ProcessError>> {
        let (side, key) = place;
        time.waits(context.timestamp());
        row_key(context.timestamp(), side, key, row);
        let fault = |e| faults::store(&self.node, e);
        if self.store.get(row, list).map_err(fault)?.is_none() {
            list.clear();
        }
        append(list, side, value, serde).map_err(|e| faults::write("value", &self.node, e))?;
        self.store
            .put(row, Some(list), context.timestamp(), context)
            .map_err(fault)
    }
    /// Forgets the records of a key and time, which have met a partner.
    pub(crate) fn met(
        &self,
        place: (i64, JoinSide, &[u8]),
        context: &dyn UpdateContext,
        buffers: &mut (Vec<u8>, Vec<u8>),
    ) -> Result<(), Box<ProcessError>> {
        let (time, side, key) = place;
        let (row, list) = buffers;
        row_key(time, side, key, row);
        let fault = |e| faults::store(&self.node, e);
        if self.store.get(row, list).map_err(fault)?.is_some() {
            self.remove(row, context)?;
        }
        Ok(())
    }
    /// At most so many rows from a row key on, by time; none only at the end.
    pub(crate) fn list(&self, from: &[u8], max_rows: usize, list: &mut RowList) -> Result<(), Box<ProcessError>> {
        self.store
            .list(from, max_rows, list)
            .map_err(|e| faults::store(&self.node, e))
    }
    /// Forgets a row.
    pub(crate) fn remove(&self, row: &[u8], context: &dyn UpdateContext) -> Result<(), Box<ProcessError>> {
        self.store
            .put(row, None, context.timestamp(), context)
            .map_err(|e| faults::store(&self.node, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serde::StringSerde;

    #[test]
    fn bytes_are_those_of_kafka_streams() {
        let mut row = Vec::new();
        row_key(5, JoinSide::Left, b"k", &mut row);
        assert_eq!(row, b"\0\0\0\0\0\0\0\x05\x01k");
        let mut list = Vec::new();
        for value in ["a", "bc"] {
            assert!(append(&mut list, JoinSide::Left, &value.to_owned(), &StringSerde).is_ok());
        }
        assert_eq!(list, b"\x01\0\0\0\x02\0\0\0\x02\x01a\0\0\0\x03\x01bc");
        let read: Result<Vec<_>, _> = values(&list).and_then(Iterator::collect);
        assert_eq!(read.ok(), Some(vec![&b"a"[..], b"bc"]));
        let row = split_row(&row).ok();
        assert_eq!(
            row.map(|r| (r.time, r.side, r.key.to_vec())),
            Some((5, JoinSide::Left, b"k".to_vec()))
        );
    }

    #[test]
    fn damaged_rows_are_errors() {
        assert!(split_row(b"\0\0\0").is_err());
        for list in [&b"\x01\0\0\0\x01\0\0\0\x09\x01a"[..], b"\x01\0\0\0\x01\0\0\0\0", b""] {
            assert!(values(list).and_then(Iterator::collect::<Result<Vec<_>, _>>).is_err());
        }
    }
}
