//! A key whose order is mostly decided by a comparison of two numbers.
use std::cmp::Ordering;

use crate::packed::Key;

/// Where a row is among the others: the order is that of its key's bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Place {
    start: u128,
    key: Key,
}

/// The first bytes of a key, filled up with zeros.
pub(super) fn start_of(key: &[u8]) -> u128 {
    if let Some(start) = key.first_chunk::<16>() {
        return u128::from_be_bytes(*start);
    }
    let mut start = [0; 16];
    start.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    u128::from_be_bytes(start)
}

impl Place {
    pub(super) fn of(key: &[u8]) -> Self {
        Self {
            start: start_of(key),
            key: key.into(),
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// With a key and its start.
    pub(super) fn compare(&self, start: u128, key: &[u8]) -> Ordering {
        self.start.cmp(&start).then_with(|| (*self.key).cmp(key))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other.start, &other.key)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_ordered_as_the_bytes_of_their_keys(
            a in proptest::collection::vec(0..3_u8, 0..24),
            b in proptest::collection::vec(0..3_u8, 0..24),
        ) {
            prop_assert_eq!(Place::of(&a).cmp(&Place::of(&b)), a.cmp(&b));
        }
    }
}
