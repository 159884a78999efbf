//! Rows of windows and sessions in memory: those of one key side by side in the order of their times, so that a put is one
//! look-up, and a read sees no rows of other keys.
use std::collections::HashMap;
use std::ops::Bound;

use super::family::{Hasher, SHARDS, shard_of};
use crate::database::{KeyRange, RawRow};
use crate::keys::{Suffix, place, split};
use crate::packed::{Key, Value};

/// Row keys of a group differ in their ends only, which are the times of windows and sessions. In order.
type Group = Vec<(Suffix, Value)>;

/// Rows whose keys all end with equally many bytes of time, by what is before that.
#[derive(Clone)]
pub(super) struct Grouped {
    suffix_bytes: usize,
    shards: Vec<HashMap<Key, Group, Hasher>>,
    rows: usize,
}

fn end_of((end, _): &(Suffix, Value)) -> &Suffix {
    end
}

impl Grouped {
    /// None: the ends of row keys are too long, or there are none.
    pub(super) fn new(suffix_bytes: usize) -> Option<Self> {
        (1..=size_of::<Suffix>()).contains(&suffix_bytes).then(|| Self {
            suffix_bytes,
            shards: vec![HashMap::default(); SHARDS],
            rows: 0,
        })
    }

    pub(super) fn suffix_bytes(&self) -> usize {
        self.suffix_bytes
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    fn group(&self, group: &[u8]) -> Option<&Group> {
        self.shards.get(shard_of(group))?.get(group)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (group, suffix) = split(key, self.suffix_bytes)?;
        let group = self.group(group)?;
        let at = place(group, &suffix, end_of).ok()?;
        group.get(at).map(|(_, value)| &**value)
    }

    /// True: the row is new.
    pub(super) fn put(&mut self, key: &[u8], value: Value) -> bool {
        let Some((group, suffix)) = split(key, self.suffix_bytes) else {
            return false;
        };
        let Some(shard) = self.shards.get_mut(shard_of(group)) else {
            return false;
        };
        let Some(rows) = shard.get_mut(group) else {
            shard.insert(group.into(), vec![(suffix, value)]);
            self.rows += 1;
            return true;
        };
        match place(rows, &suffix, end_of) {
            Ok(at) => {
                if let Some((_, old)) = rows.get_mut(at) {
                    *old = value;
                }
                false
            }
            Err(at) => {
                rows.insert(at, (suffix, value));
                self.rows += 1;
                true
            }
        }
    }

    /// True: there was such a row.
    pub(super) fn remove(&mut self, key: &[u8]) -> bool {
        let Some((group, suffix)) = split(key, self.suffix_bytes) else {
            return false;
        };
        // An empty group stays until its segment goes: a session that grows is taken out and put in again.
        let rows = self
            .shards
            .get_mut(shard_of(group))
            .and_then(|shard| shard.get_mut(group));
        if let Some(rows) = rows
            && let Ok(at) = place(rows, &suffix, end_of)
        {
            rows.remove(at);
            self.rows -= 1;
            return true;
        }
        false
    }

    pub(super) fn remove_below(&mut self, end: &[u8]) {
        let mut left = 0;
        for shard in &mut self.shards {
            shard.retain(|group, rows| {
                match end.strip_prefix(&**group) {
                    Some(rest) => {
                        let first = rows.partition_point(|(suffix, _)| *suffix < Suffix::of(rest));
                        rows.drain(..first);
                    }
                    None if **group < *end => return false,
                    None => {}
                }
                left += rows.len();
                !rows.is_empty()
            });
        }
        self.rows = left;
    }

    /// All keys, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        let groups = self.shards.iter().flat_map(HashMap::iter);
        groups.flat_map(|(group, rows)| {
            rows.iter()
                .map(|(suffix, _)| Key::of_both(group, self.end(&suffix.bytes())))
        })
    }

    fn end<'s>(&self, suffix: &'s [u8; 16]) -> &'s [u8] {
        suffix.get(..self.suffix_bytes).unwrap_or_default()
    }

    /// Rows of a group, in order. The bounds begin with the group.
    pub(super) fn page(&self, group: &[u8], range: KeyRange<'_>, max_rows: usize) -> Vec<RawRow> {
        let Some(rows) = self.group(group) else {
            return Vec::new();
        };
        let end = |key: &[u8]| Suffix::of(key.get(group.len()..).unwrap_or_default());
        let first = match range.0 {
            Bound::Included(lo) => rows.partition_point(|(row, _)| *row < end(lo)),
            Bound::Excluded(lo) => rows.partition_point(|(row, _)| *row <= end(lo)),
            Bound::Unbounded => 0,
        };
        let last = match range.1 {
            Bound::Included(hi) => rows.partition_point(|(row, _)| *row <= end(hi)),
            Bound::Excluded(hi) => rows.partition_point(|(row, _)| *row < end(hi)),
            Bound::Unbounded => rows.len(),
        };
        let rows = rows.get(first..last).unwrap_or_default().iter().take(max_rows);
        rows.map(|(suffix, value)| ([group, self.end(&suffix.bytes())].concat().into(), Box::from(&**value)))
            .collect()
    }
}
