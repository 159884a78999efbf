//! The rows of one store in this process: found by a hash of their key, and in the order of their keys once somebody has
//! asked for a range.
//!
//! An update of a row costs a look-up whatever the number of keys; only new and deleted keys touch the order, and only
//! if there is one. The hash table is in shards that grow by themselves, so that no put waits for all rows to move.
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault};
use std::ops::Bound;
use std::sync::OnceLock;

use rustc_hash::FxHasher;

use super::grouped::Grouped;
use crate::database::{KeyRange, Mark, RawRow};
use crate::packed::{Key, Value};

pub(super) const SHARDS: usize = 64;
/// The hash bits that choose a shard: neither the lowest nor the highest, which find the place in it.
const SHARD_SHIFT: u32 = 40;

pub(super) type Hasher = BuildHasherDefault<FxHasher>;
type Shard = HashMap<Key, Value, Hasher>;

#[derive(Clone)]
enum Rows {
    /// Each by its key.
    Single(Vec<Shard>),
    /// Windows and sessions.
    Grouped(Grouped),
}

#[derive(Clone)]
pub(super) struct Family {
    rows: Rows,
    /// All keys, from the first range on.
    order: OnceLock<BTreeSet<Key>>,
    pub(super) mark: Mark,
}

pub(super) fn shard_of(key: &[u8]) -> usize {
    let hash = Hasher::default().hash_one(key) >> SHARD_SHIFT;
    usize::try_from(hash).unwrap_or(0) % SHARDS
}

impl Family {
    /// `suffix_bytes`: of row keys behind the key of a record; 0: nothing.
    pub(super) fn new(suffix_bytes: usize) -> Self {
        Self {
            rows: match Grouped::new(suffix_bytes) {
                Some(grouped) => Rows::Grouped(grouped),
                None => Rows::Single(vec![Shard::default(); SHARDS]),
            },
            order: OnceLock::new(),
            mark: Mark::default(),
        }
    }

    /// Forgets all rows and the mark.
    pub(super) fn wipe(&mut self) {
        *self = Self::new(match &self.rows {
            Rows::Grouped(grouped) => grouped.suffix_bytes(),
            Rows::Single(_) => 0,
        });
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match &self.rows {
            Rows::Grouped(grouped) => grouped.get(key),
            Rows::Single(shards) => shards.get(shard_of(key))?.get(key).map(|value| &**value),
        }
    }

    pub(super) fn put(&mut self, key: Key, value: Value) {
        let shards = match &mut self.rows {
            Rows::Grouped(grouped) => {
                if grouped.put(&key, value)
                    && let Some(order) = self.order.get_mut()
                {
                    order.insert(key);
                }
                return;
            }
            Rows::Single(shards) => shards,
        };
        let Some(shard) = shards.get_mut(shard_of(&key)) else {
            return;
        };
        if let Some(old) = shard.get_mut(&*key) {
            *old = value;
            return;
        }
        if let Some(order) = self.order.get_mut() {
            order.insert(key.clone());
        }
        shard.insert(key, value);
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        let removed = match &mut self.rows {
            Rows::Grouped(grouped) => grouped.remove(key),
            Rows::Single(shards) => shards
                .get_mut(shard_of(key))
                .and_then(|shard| shard.remove(key))
                .is_some(),
        };
        if removed && let Some(order) = self.order.get_mut() {
            order.remove(key);
        }
    }

    /// Deletes all keys below `end`.
    pub(super) fn delete_below(&mut self, end: &[u8]) {
        let gone = self.order.get_mut().map(|order| {
            let kept = order.split_off(end);
            std::mem::replace(order, kept)
        });
        match (&mut self.rows, gone) {
            (Rows::Grouped(grouped), _) => grouped.remove_below(end),
            (Rows::Single(shards), Some(gone)) => {
                for key in gone {
                    if let Some(shard) = shards.get_mut(shard_of(&key)) {
                        shard.remove(&*key);
                    }
                }
            }
            (Rows::Single(shards), None) => {
                for shard in shards {
                    shard.retain(|key, _| **key >= *end);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.rows {
            Rows::Grouped(grouped) => grouped.len(),
            Rows::Single(shards) => shards.iter().map(Shard::len).sum(),
        }
    }

    /// At most `max_rows` rows of a sound range, in order or in reverse.
    pub(super) fn page(&self, range: KeyRange<'_>, reverse: bool, max_rows: usize) -> Vec<RawRow> {
        let order = self.order.get_or_init(|| match &self.rows {
            Rows::Grouped(grouped) => grouped.keys().collect(),
            Rows::Single(shards) => shards.iter().flat_map(HashMap::keys).cloned().collect(),
        });
        let keys = order.range::<[u8], (Bound<&[u8]>, Bound<&[u8]>)>(range);
        let row = |key: &Key| Some((Box::from(&**key), Box::from(self.get(key)?)));
        if reverse {
            keys.rev().take(max_rows).filter_map(row).collect()
        } else {
            keys.take(max_rows).filter_map(row).collect()
        }
    }

    /// The first rows of a range that begin with `group` and are as long as it and `suffix_bytes` more.
    pub(super) fn page_of_group(
        &self,
        (group, suffix_bytes): (&[u8], usize),
        range: KeyRange<'_>,
        max_rows: usize,
    ) -> Vec<RawRow> {
        match &self.rows {
            Rows::Grouped(grouped) if grouped.suffix_bytes() == suffix_bytes => grouped.page(group, range, max_rows),
            _ => self.page(range, false, max_rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_group_has_its_rows_whenever_it_is_read() {
        let range = (Bound::Included(&b"a00"[..]), Bound::Included(&b"a99"[..]));
        let keys = |family: &Family| -> Vec<String> {
            let rows = family.page_of_group((b"a", 2), range, 100);
            let text = |(key, _): &RawRow| String::from_utf8_lossy(key).into_owned();
            rows.iter().map(text).collect()
        };
        for suffix_bytes in [0, 2] {
            let mut family = Family::new(suffix_bytes);
            for key in ["a05", "a01", "a03", "ab02", "b01", "a03"] {
                family.put(key.as_bytes().into(), b"v"[..].into());
            }
            family.delete(b"a05");
            assert_eq!(keys(&family), ["a01", "a03"]);
            family.put(b"a05"[..].into(), b"v"[..].into());
            family.delete_below(b"a03");
            assert_eq!(keys(&family), ["a03", "a05"]);
            family.delete_below(b"b");
            assert_eq!((keys(&family).len(), family.len()), (0, 1));
            assert_eq!((family.get(b"b01"), family.get(b"b02")), (Some(&b"v"[..]), None));
            family.wipe();
            assert_eq!((family.len(), family.get(b"b01")), (0, None));
        }
    }

    /// The same changes before and after the order was asked for, beside a map that is always in order.
    #[test]
    fn a_range_has_the_rows_of_a_sorted_map_whenever_it_is_read() {
        let everything = (Bound::Unbounded, Bound::Unbounded);
        for (asked_at, suffix_bytes) in [(0, 0), (250, 0), (999, 0), (0, 3), (250, 2), (999, 1)] {
            let (mut family, mut model) = (Family::new(suffix_bytes), BTreeMap::new());
            for n in 0..1_000_u32 {
                // A walk through 200 keys, some of them long.
                let number = n.wrapping_mul(7_919) % 200;
                let key = format!("{number:03}{}", "x".repeat(number as usize % 50));
                if n % 7 == 3 {
                    family.delete(key.as_bytes());
                    model.remove(key.as_bytes());
                } else if n % 331 == 330 {
                    family.delete_below(b"050");
                    model = model.split_off(&b"050"[..]);
                } else {
                    let value = n.to_string().repeat(n as usize % 9);
                    family.put(Key::from(key.as_bytes()), Value::from(value.as_bytes()));
                    model.insert(key.into_bytes(), value.into_bytes());
                }
                if n == asked_at {
                    assert_eq!(family.page(everything, false, usize::MAX).len(), model.len());
                }
            }
            let rows = family.page(everything, false, usize::MAX);
            assert_eq!(family.len(), model.len());
            assert!(
                rows.iter()
                    .map(|(k, v)| (&**k, &**v))
                    .eq(model.iter().map(|(k, v)| (&k[..], &v[..])))
            );
            let backwards = family.page((Bound::Excluded(b"100"), Bound::Included(b"150")), true, 5);
            let expected = model.range(b"100".to_vec()..=b"150".to_vec()).rev();
            let expected: Vec<&[u8]> = expected.map(|(k, _)| &k[..]).filter(|k| *k != b"100").take(5).collect();
            assert!(backwards.iter().map(|(k, _)| &**k).eq(expected));
            assert_eq!(family.get(b"none"), None);
        }
    }
}
