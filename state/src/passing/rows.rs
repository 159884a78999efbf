//! Rows in the order of their keys. Most keys are behind all others when they come, and before all others when they go: those
//! that come in order lie side by side, the others in a tree.
use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::ops::Bound;

use super::Row;
use super::place::{Place, start_of};
use crate::database::KeyRange;

/// Where a row is; holds until a row is taken out.
#[derive(Clone, Copy)]
pub(super) enum At {
    InOrder(usize),
    Early,
}

#[derive(Default)]
pub(super) struct Rows {
    /// None: it has gone.
    in_order: VecDeque<(Place, Option<Row>)>,
    /// How many of them have gone; the first one has not.
    gone: usize,
    /// How many there were at most since the last time that memory could go back.
    most: usize,
    /// Came when there was a later one.
    early: BTreeMap<Place, Row>,
}

impl Rows {
    pub(super) fn find(&self, key: &[u8]) -> Option<At> {
        if let Some(position) = self.find_in_order(key) {
            return Some(At::InOrder(position));
        }
        let is_early = !self.early.is_empty() && self.early.contains_key(&Place::of(key));
        is_early.then_some(At::Early)
    }

    fn find_in_order(&self, key: &[u8]) -> Option<usize> {
        let start = start_of(key);
        let (first, _) = self.in_order.front()?;
        let (last, _) = self.in_order.back()?;
        let position = match (first.compare(start, key), last.compare(start, key)) {
            (Ordering::Greater, _) | (_, Ordering::Less) => return None,
            (Ordering::Equal, _) => 0,
            (_, Ordering::Equal) => self.in_order.len() - 1,
            _ => {
                let search = |(place, _): &(Place, _)| place.compare(start, key);
                self.in_order.binary_search_by(search).ok()?
            }
        };
        let (_, row) = self.in_order.get(position)?;
        row.is_some().then_some(position)
    }

    pub(super) fn get(&self, at: At, key: &[u8]) -> Option<&Row> {
        match at {
            At::InOrder(position) => self.in_order.get(position)?.1.as_ref(),
            At::Early => self.early.get(&Place::of(key)),
        }
    }

    pub(super) fn get_mut(&mut self, at: At, key: &[u8]) -> Option<&mut Row> {
        match at {
            At::InOrder(position) => self.in_order.get_mut(position)?.1.as_mut(),
            At::Early => self.early.get_mut(&Place::of(key)),
        }
    }

    /// Takes a row of a key that is not there.
    pub(super) fn insert(&mut self, place: Place, row: Row) {
        match self.in_order.back() {
            Some((last, _)) if *last >= place => {
                self.early.insert(place, row);
            }
            _ => {
                self.in_order.push_back((place, Some(row)));
                self.most = self.most.max(self.in_order.len());
            }
        }
    }

    pub(super) fn remove(&mut self, at: At, key: &[u8]) {
        match at {
            At::Early => {
                self.early.remove(&Place::of(key));
            }
            At::InOrder(position) => {
                if let Some((_, row)) = self.in_order.get_mut(position)
                    && row.take().is_some()
                {
                    self.gone += 1;
                }
                self.clean();
            }
        }
    }

    /// The first row is one that is there, and at most half of them have gone.
    fn clean(&mut self) {
        while let Some((_, None)) = self.in_order.front() {
            self.in_order.pop_front();
            self.gone -= 1;
        }
        if self.gone > self.in_order.len() / 2 {
            self.in_order.retain(|(_, row)| row.is_some());
            self.gone = 0;
        }
    }

    pub(super) fn pop_first(&mut self) -> Option<(Place, Row)> {
        let early = self.early.first_key_value();
        let is_early = match (early, self.in_order.front()) {
            (Some((early, _)), Some((first, _))) => early < first,
            (early, _) => early.is_some(),
        };
        if is_early {
            return self.early.pop_first();
        }
        let (place, row) = self.in_order.pop_front()?;
        self.clean();
        Some((place, row?))
    }

    /// Keeps the rows that `keep` wants. There will be as many again as there were, so memory goes back only if that was few for
    /// it.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Place, &mut Row) -> bool) {
        self.in_order
            .retain_mut(|(place, row)| row.as_mut().is_some_and(|row| keep(place, row)));
        self.gone = 0;
        if self.most < self.in_order.capacity() / 4 {
            self.in_order.shrink_to(self.most);
        }
        self.most = self.in_order.len();
        self.early.retain(|place, row| keep(place, row));
    }

    /// Rows of a sound range.
    pub(super) fn range<'m>(
        &'m self,
        range: KeyRange<'_>,
        reverse: bool,
    ) -> impl Iterator<Item = (&'m Place, &'m Row)> + use<'m> {
        let is_before = |bound: Bound<&[u8]>, included: bool, nowhere: usize| match bound {
            Bound::Unbounded => nowhere,
            Bound::Included(key) => self.count_before(key, !included),
            Bound::Excluded(key) => self.count_before(key, included),
        };
        let (first, end) = (
            is_before(range.0, true, 0),
            is_before(range.1, false, self.in_order.len()),
        );
        let rows = self.in_order.range(first..end.max(first));
        let mut in_order = rows.filter_map(|(place, row)| Some((place, row.as_ref()?)));
        let mut early = self.early.range((range.0.map(Place::of), range.1.map(Place::of)));
        Merged {
            in_order: std::iter::from_fn(move || if reverse { in_order.next_back() } else { in_order.next() })
                .peekable(),
            early: std::iter::from_fn(move || if reverse { early.next_back() } else { early.next() }).peekable(),
            reverse,
        }
    }

    /// How many rows in order are before a key, or before it and of it.
    fn count_before(&self, key: &[u8], or_equal: bool) -> usize {
        let start = start_of(key);
        let is_before = |(place, _): &(Place, _)| match place.compare(start, key) {
            Ordering::Less => true,
            Ordering::Equal => or_equal,
            Ordering::Greater => false,
        };
        self.in_order.partition_point(is_before)
    }
}

/// Two iterators in the same direction.
struct Merged<A: Iterator, B: Iterator> {
    in_order: Peekable<A>,
    early: Peekable<B>,
    reverse: bool,
}

impl<'m, A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = (&'m Place, &'m Row)>,
    B: Iterator<Item = (&'m Place, &'m Row)>,
{
    type Item = (&'m Place, &'m Row);

    fn next(&mut self) -> Option<Self::Item> {
        let take_early = match (self.early.peek(), self.in_order.peek()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((early, _)), Some((place, _))) => (early < place) != self.reverse,
        };
        if take_early {
            self.early.next()
        } else {
            self.in_order.next()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            value: None,
            dirty: false,
            stored: false,
        }
    }

    #[test]
    fn memory_goes_back_when_few_rows_came_between_two_commits() {
        let mut rows = Rows::default();
        let key = |n: u32| n.to_be_bytes();
        for n in 0..1_000 {
            rows.insert(Place::of(&key(n)), row());
        }
        for n in 0..1_000 {
            let at = rows.find(&key(n)).unwrap();
            rows.remove(at, &key(n));
        }
        rows.retain(|_, _| true);
        assert!(rows.in_order.capacity() >= 1_000, "as many may come again");
        rows.insert(Place::of(&key(1)), row());
        rows.retain(|_, _| true);
        rows.retain(|_, _| true);
        assert!(rows.in_order.capacity() < 250);
        assert!(rows.find(&key(1)).is_some());
    }

    #[test]
    fn rows_that_have_gone_take_no_more_than_those_that_are_there() {
        let mut rows = Rows::default();
        let key = |n: u32| n.to_be_bytes();
        for n in 0..1_000 {
            rows.insert(Place::of(&key(n)), row());
        }
        // The first one stays.
        for n in 1..1_000 {
            let at = rows.find(&key(n)).unwrap();
            rows.remove(at, &key(n));
            assert!(rows.in_order.len() <= 2 * (1_000 - n as usize), "{n}");
        }
        assert_eq!(rows.range((Bound::Unbounded, Bound::Unbounded), false).count(), 1);
    }
}
