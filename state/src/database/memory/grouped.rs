//! Which rows begin with the same key? Windows and sessions of a key, without a look at those of other keys.
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Bound;

use rustc_hash::FxHasher;

use crate::database::KeyRange;
use crate::keys::{Suffix, place, split};
use crate::packed::Key;

/// Keys of rows that all end with equally many bytes of time, by what is before that.
#[derive(Clone)]
pub(super) struct Grouped {
    suffix_bytes: usize,
    groups: HashMap<Key, Vec<Suffix>, BuildHasherDefault<FxHasher>>,
}

/// Of a bound, which may be longer.
fn padded(end: &[u8]) -> Suffix {
    let mut suffix = Suffix::default();
    suffix.iter_mut().zip(end).for_each(|(to, from)| *to = *from);
    suffix
}

impl Grouped {
    /// None: the ends of row keys are too long.
    pub(super) fn new<'k>(suffix_bytes: usize, keys: impl Iterator<Item = &'k [u8]>) -> Option<Self> {
        if suffix_bytes > size_of::<Suffix>() {
            return None;
        }
        let mut grouped = Self {
            suffix_bytes,
            groups: HashMap::default(),
        };
        keys.for_each(|key| grouped.insert(key));
        Some(grouped)
    }

    pub(super) fn suffix_bytes(&self) -> usize {
        self.suffix_bytes
    }

    pub(super) fn insert(&mut self, key: &[u8]) {
        let Some((group, suffix)) = split(key, self.suffix_bytes) else {
            return;
        };
        let Some(rows) = self.groups.get_mut(group) else {
            self.groups.insert(group.into(), vec![suffix]);
            return;
        };
        if let Err(at) = place(rows, &suffix) {
            rows.insert(at, suffix);
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let Some((group, suffix)) = split(key, self.suffix_bytes) else {
            return;
        };
        // An empty group stays until its segment goes: a session that grows is taken out and put in again.
        if let Some(rows) = self.groups.get_mut(group)
            && let Ok(at) = place(rows, &suffix)
        {
            rows.remove(at);
        }
    }

    pub(super) fn remove_below(&mut self, end: &[u8]) {
        self.groups.retain(|group, rows| {
            match end.strip_prefix(&**group) {
                Some(rest) => rows.retain(|suffix| suffix[..] >= *rest),
                None if **group < *end => rows.clear(),
                None => {}
            }
            !rows.is_empty()
        });
    }

    /// Keys of a group, in order. The bounds begin with the group.
    pub(super) fn range(&self, group: &[u8], range: KeyRange<'_>) -> impl Iterator<Item = Vec<u8>> {
        let rows = self.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        let end = |key: &[u8]| padded(key.get(group.len()..).unwrap_or_default());
        let first = match range.0 {
            Bound::Included(lo) => rows.partition_point(|row| *row < end(lo)),
            Bound::Excluded(lo) => rows.partition_point(|row| *row <= end(lo)),
            Bound::Unbounded => 0,
        };
        let last = match range.1 {
            Bound::Included(hi) => rows.partition_point(|row| *row <= end(hi)),
            Bound::Excluded(hi) => rows.partition_point(|row| *row < end(hi)),
            Bound::Unbounded => rows.len(),
        };
        let rows = rows.get(first..last).unwrap_or_default();
        rows.iter()
            .map(move |suffix| [group, suffix.get(..self.suffix_bytes).unwrap_or_default()].concat())
    }
}
