//! The rows of one segment: the groups of its keys side by side, found by a hash of the key.
use hashbrown::HashTable;

use super::group::{At, Group};
use super::stored::Stored;
use crate::keys::{hash_of, sort_by_keys};
use crate::packed::Value;
use crate::segments::PREFIX_BYTES;

pub(super) struct Segment {
    positions: HashTable<u32>,
    groups: Vec<Group>,
    /// Positions of the groups with dirty rows.
    dirty: Vec<u32>,
    /// All rows of whatever key from here on are here.
    from: At,
    /// The keys that the database may have rows of; `None`: it may have any.
    stored: Option<Stored>,
}

fn key_at(groups: &[Group], position: u32) -> &[u8] {
    groups.get(position as usize).map_or(&[], |group| &group.key)
}

/// What is known about the rows of a key.
pub(super) enum Known<'a> {
    /// All there are, from the time that was asked for on.
    Group(&'a Group),
    /// There are none.
    Nothing,
    /// What the database has must be read.
    TooLittle,
}

impl Segment {
    /// `is_new`: the database has no rows of this segment.
    pub(super) fn new(is_new: bool) -> Self {
        Self {
            positions: HashTable::new(),
            groups: Vec::new(),
            dirty: Vec::new(),
            from: if is_new { At::FIRST } else { At::NOWHERE },
            stored: is_new.then(Stored::default),
        }
    }

    fn position(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let is_it = |position: &u32| key_at(&self.groups, *position) == key;
        self.positions.find(hash, is_it).map(|position| *position as usize)
    }

    pub(super) fn group(&self, key: &[u8]) -> Option<&Group> {
        self.groups.get(self.position(hash_of(key), key)?)
    }

    fn lacks(&self, hash: u64) -> bool {
        self.stored.as_ref().is_some_and(|stored| !stored.may_have(hash))
    }

    /// What is known about the rows of a key from a time on.
    pub(super) fn known(&self, key: &[u8], from: At) -> Known<'_> {
        let hash = hash_of(key);
        let Some(position) = self.position(hash, key) else {
            return if self.from <= from || self.lacks(hash) {
                Known::Nothing
            } else {
                Known::TooLittle
            };
        };
        let group = self.groups.get(position).filter(|group| group.from <= from);
        group.map_or(Known::TooLittle, Known::Group)
    }

    /// The position of a key's group, which comes into being if need be, and the bytes that it takes then.
    fn enter(&mut self, key: &[u8]) -> (usize, usize) {
        let hash = hash_of(key);
        if let Some(position) = self.position(hash, key) {
            return (position, 0);
        }
        let from = if self.lacks(hash) { At::FIRST } else { self.from };
        let position = self.groups.len();
        self.groups.push(Group::new(key, from));
        self.list(hash, position);
        (position, Group::bytes_without_rows(key))
    }

    /// Takes rows that the database has of a key: all from a time on. Gives the bytes that they take.
    pub(super) fn learn<'r>(&mut self, key: &[u8], from: At, rows: impl Iterator<Item = (At, &'r [u8])>) -> usize {
        let (position, bytes) = self.enter(key);
        let Some(group) = self.groups.get_mut(position) else {
            return bytes;
        };
        group.from = group.from.min(from);
        bytes + rows.map(|(at, value)| group.learn(at, value)).sum::<usize>()
    }

    fn list(&mut self, hash: u64, position: usize) {
        let groups = &self.groups;
        let hash_at = |position: &u32| hash_of(key_at(groups, *position));
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        self.positions.insert_unique(hash, position, hash_at);
    }

    /// Takes a row that the database does not have yet; the bytes that it takes.
    pub(super) fn put(&mut self, key: &[u8], at: At, value: &[u8]) -> usize {
        let (position, bytes) = self.enter(key);
        let Some(group) = self.groups.get_mut(position) else {
            return bytes;
        };
        if !group.is_dirty() {
            self.dirty.push(u32::try_from(position).unwrap_or(u32::MAX));
        }
        bytes + group.put(at, value)
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Lends keys and values of the dirty rows, in the order of their groups' keys if that is wanted.
    pub(super) fn each_dirty_row(&mut self, id: i64, in_order: bool, f: &mut dyn FnMut(&[u8], &Value)) {
        let groups = &self.groups;
        if in_order {
            sort_by_keys(&mut self.dirty, |position| key_at(groups, position));
        }
        let mut row_key = id.to_be_bytes().to_vec();
        for position in &self.dirty {
            let Some(group) = groups.get(*position as usize) else {
                continue;
            };
            row_key.truncate(PREFIX_BYTES);
            row_key.extend_from_slice(&group.key);
            let group_ends = row_key.len();
            for row in group.dirty_rows() {
                row_key.truncate(group_ends);
                row_key.extend_from_slice(&row.at.suffix());
                f(&row_key, &row.value);
            }
        }
    }

    /// The database has all rows. Gives the memory that knowing so takes.
    pub(super) fn settle(&mut self) -> usize {
        let mut bytes = 0;
        for position in self.dirty.drain(..) {
            let Some(group) = self.groups.get_mut(position as usize) else {
                continue;
            };
            group.settle();
            if let Some(stored) = &mut self.stored {
                bytes += stored.add(hash_of(&group.key));
            }
        }
        bytes
    }

    /// Forgets the earlier half of its rows, or, when there are none, which keys the database has. No row is dirty. False:
    /// there is nothing left to forget.
    pub(super) fn forget_half(&mut self) -> bool {
        let mut times: Vec<u64> = self.groups.iter().flat_map(Group::times).collect();
        let middle = times.len() / 2;
        if times.is_empty() {
            self.retain(|_| false);
            return self.stored.take().is_some();
        }
        let from = At::behind(*times.select_nth_unstable(middle).1);
        self.from = self.from.max(from);
        self.retain(|group| group.forget_before(from));
        true
    }

    fn retain(&mut self, keep: impl FnMut(&mut Group) -> bool) {
        let before = self.groups.len();
        self.groups.retain_mut(keep);
        if self.groups.len() == before {
            return;
        }
        self.groups.shrink_to(self.groups.len() * 2);
        self.positions = HashTable::with_capacity(self.groups.len());
        for position in 0..self.groups.len() {
            let hash = self.groups.get(position).map_or(0, |group| hash_of(&group.key));
            self.list(hash, position);
        }
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.groups.iter().map(Group::bytes).sum();
        rows + self.stored.as_ref().map_or(0, Stored::bytes)
    }
}
