//! The rows of one segment: the groups of its keys side by side, found by a hash of the key.
use super::group::{At, Group};
use super::stored::Stored;
use crate::keyed::Keyed;
use crate::keys::{hash_of, sort_by_keys};
use crate::packed::Value;

pub(super) struct Segment {
    groups: Keyed<Group>,
    /// Positions of the groups with dirty rows.
    dirty: Vec<usize>,
    /// All rows of whatever key from here on are here.
    from: At,
    /// The keys that the database may have rows of; `None`: it may have any.
    stored: Option<Stored>,
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
            groups: Keyed::default(),
            dirty: Vec::new(),
            from: if is_new { At::FIRST } else { At::NOWHERE },
            stored: is_new.then(Stored::default),
        }
    }

    pub(super) fn group(&self, key: &[u8]) -> Option<&Group> {
        self.groups.get(key)
    }

    fn lacks(&self, hash: u64) -> bool {
        self.stored.as_ref().is_some_and(|stored| !stored.may_have(hash))
    }

    /// What is known about the rows of a key from a time on.
    pub(super) fn known(&self, key: &[u8], from: At) -> Known<'_> {
        match self.groups.look_up(key) {
            Err(hash) if self.from <= from || self.lacks(hash) => Known::Nothing,
            Err(_) => Known::TooLittle,
            Ok(position) => match self.groups.at(position) {
                Some((_, group)) if group.from <= from => Known::Group(group),
                _ => Known::TooLittle,
            },
        }
    }

    /// The position of a key's group, which comes into being if need be, and the bytes that it takes then.
    fn enter(&mut self, key: &[u8]) -> (usize, usize) {
        match self.groups.look_up(key) {
            Ok(position) => (position, 0),
            Err(hash) => {
                let from = if self.lacks(hash) { At::FIRST } else { self.from };
                let position = self.groups.insert((key, hash), Group::new(from));
                (position, Group::bytes_without_rows(key))
            }
        }
    }

    /// Takes rows that the database has of a key: all from a time on. Gives the bytes that they take.
    pub(super) fn learn(&mut self, key: &[u8], from: At, rows: Vec<(At, Value)>) -> usize {
        let (position, bytes) = self.enter(key);
        let Some(group) = self.groups.at_mut(position) else {
            return bytes;
        };
        group.from = group.from.min(from);
        let rows = rows.into_iter().map(|(at, value)| group.learn(at, value));
        bytes + rows.sum::<usize>()
    }

    /// Takes a row that the database does not have yet; the bytes that it takes.
    pub(super) fn put(&mut self, key: &[u8], at: At, value: &[u8]) -> usize {
        let (position, bytes) = self.enter(key);
        let Some(group) = self.groups.at_mut(position) else {
            return bytes;
        };
        if !group.is_dirty() {
            self.dirty.push(position);
        }
        bytes + group.put(at, value)
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Lends the groups with dirty rows and the beginnings of their row keys, in the order of these if that is wanted.
    pub(super) fn each_dirty_group(&mut self, id: i64, in_order: bool, f: &mut dyn FnMut(&mut Vec<u8>, &Group)) {
        let groups = &self.groups;
        if in_order {
            sort_by_keys(&mut self.dirty, |position| {
                groups.at(position).map_or(&[], |(key, _)| key)
            });
        }
        let mut row_key = Vec::new();
        for position in &self.dirty {
            let Some((key, group)) = groups.at(*position) else {
                continue;
            };
            row_key.clear();
            row_key.extend_from_slice(&id.to_be_bytes());
            row_key.extend_from_slice(key);
            f(&mut row_key, group);
        }
    }

    /// The database has all rows. Gives the memory that knowing so takes.
    pub(super) fn settle(&mut self) -> usize {
        let mut bytes = 0;
        for position in self.dirty.drain(..) {
            if let Some(group) = self.groups.at_mut(position) {
                group.settle();
            }
            if let (Some(stored), Some((key, _))) = (&mut self.stored, self.groups.at(position)) {
                bytes += stored.add(hash_of(key));
            }
        }
        bytes
    }

    /// Forgets the earlier half of its rows, or, when there are none, which keys the database has. No row is dirty. False:
    /// there is nothing left to forget.
    pub(super) fn forget_half(&mut self) -> bool {
        let mut times: Vec<u64> = self.groups.iter().flat_map(|(_, group)| group.times()).collect();
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

    fn retain(&mut self, mut keep: impl FnMut(&mut Group) -> bool) {
        let before = self.groups.len();
        self.groups.retain(|_, group| keep(group));
        if self.groups.len() < before {
            self.groups.shrink();
        }
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.groups.iter().map(|(key, group)| group.bytes(key)).sum();
        rows + self.stored.as_ref().map_or(0, Stored::bytes)
    }
}
