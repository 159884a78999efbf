//! Parts of row keys that several kinds of stores have.
use std::cmp::Ordering;
use std::hash::BuildHasher;

use rustc_hash::FxBuildHasher;

/// Times before the epoch come first, hence the turned sign.
pub(crate) fn sortable(time: i64) -> [u8; 8] {
    (time ^ i64::MIN).to_be_bytes()
}

/// The time that [`sortable`] was given.
pub(crate) fn sorted_time(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

/// The end of a row key: the times of a window or session, behind its segment and key, which are its group. At most 16 bytes, filled
/// up with zeros, as a number, whose order is that of the bytes: all of a store are equally long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Suffix(u128);

impl Suffix {
    /// Before all.
    pub(crate) const FIRST: Self = Self(0);
    /// Behind all.
    pub(crate) const LAST: Self = Self(u128::MAX);

    /// Of these bytes; of a bound, which may be longer, the first ones.
    pub(crate) fn of(end: &[u8]) -> Self {
        let (time, rest) = end.split_at_checked(8).unwrap_or((end, &[]));
        Self(u128::from(left_aligned(time)) << 64 | u128::from(left_aligned(rest)))
    }

    /// The first one of a time.
    pub(crate) fn from_time(time: i64) -> Self {
        Self(u128::from(time.cast_unsigned()) << 64)
    }

    /// The last one of a time.
    pub(crate) fn to_time(time: i64) -> Self {
        Self(Self::from_time(time).0 | u128::from(u64::MAX))
    }

    /// The first one behind this one.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The bytes, filled up.
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The first eight bytes as a number.
    pub(crate) fn time(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The others, of which there are up to eight.
    pub(crate) fn behind_time(self, bytes: usize) -> u64 {
        (self.0 as u64) >> (64 - 8 * bytes.clamp(1, 8))
    }

    /// Both numbers of an end that is so long.
    pub(crate) fn times(self, suffix_bytes: usize) -> [i64; 2] {
        let behind = self.behind_time(suffix_bytes.saturating_sub(8));
        [self.time().cast_signed(), behind.cast_signed()]
    }
}

/// Up to eight bytes, the first one the highest.
fn left_aligned(bytes: &[u8]) -> u64 {
    if let Some(all) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*all);
    }
    if let Some((half, [])) = bytes.split_first_chunk::<4>() {
        return u64::from(u32::from_be_bytes(*half)) << 32;
    }
    let mut filled = [0; 8];
    filled.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(filled)
}

/// The group and the end of a row key; `None`: it is too short, or its end too long.
pub(crate) fn split(key: &[u8], suffix_bytes: usize) -> Option<(&[u8], Suffix)> {
    let (group, end) = key.split_at_checked(key.len().checked_sub(suffix_bytes)?)?;
    (end.len() <= size_of::<Suffix>()).then(|| (group, Suffix::of(end)))
}

/// How many of the last rows are looked at one by one.
const LAST_ROWS: usize = 4;

/// Where it is among rows in the order of their ends, or where it belongs. Most come in the order of time, or nearly so.
pub(crate) fn place<R>(rows: &[R], suffix: &Suffix, end: impl Fn(&R) -> &Suffix) -> Result<usize, usize> {
    let older = rows.len().saturating_sub(LAST_ROWS);
    for (at, row) in rows.iter().enumerate().skip(older).rev() {
        match end(row).cmp(suffix) {
            Ordering::Less => return Err(at + 1),
            Ordering::Equal => return Ok(at),
            Ordering::Greater => {}
        }
    }
    let older = rows.get(..older).unwrap_or_default();
    older.binary_search_by(|row| end(row).cmp(suffix))
}

/// By which a key is found.
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    FxBuildHasher.hash_one(key)
}

/// Puts positions in the order of their keys. Most comparisons are between numbers: of windows they hold the end of the key and
/// the time.
pub(crate) fn sort_by_keys<'k, P: Copy>(positions: &mut [P], key: impl Fn(P) -> &'k [u8]) {
    let Some(first) = positions.first().map(|position| key(*position)) else {
        return;
    };
    let common = |shared: usize, position: &P| {
        let pairs = first.iter().zip(key(*position)).take(shared);
        pairs.take_while(|(a, b)| a == b).count()
    };
    let shared = positions.iter().fold(first.len(), common);
    let start = |position: &P| {
        let mut start = [0; 16];
        let key = key(*position).get(shared..).unwrap_or_default();
        start.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        (u128::from_be_bytes(start), *position)
    };
    let mut order: Vec<(u128, P)> = positions.iter().map(start).collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
    positions.iter_mut().zip(order).for_each(|(to, (_, from))| *to = from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_however_far_from_the_end() {
        for length in 0..12 {
            // Odd times are there.
            let rows: Vec<Suffix> = (0..length).map(|n| Suffix::from_time(2 * n + 1)).collect();
            for time in 0..=2 * length {
                let wanted = rows.binary_search(&Suffix::from_time(time));
                assert_eq!(
                    place(&rows, &Suffix::from_time(time), |row| row),
                    wanted,
                    "{time} of {length} rows"
                );
            }
        }
    }

    #[test]
    fn ends_are_ordered_as_their_bytes_and_hold_both_times() {
        let ends: [&[u8]; 6] = [
            b"",
            b"\0\0\0\0\0\0\0\x01",
            b"\0\0\0\0\0\0\0\x01\0\0\0\x02",
            b"\x01",
            b"12345678abcd",
            b"12345678abcdefgh",
        ];
        for pair in ends.windows(2) {
            assert!(Suffix::of(pair[0]) < Suffix::of(pair[1]), "{pair:?}");
        }
        for end in ends {
            assert_eq!(Suffix::of(end).bytes().get(..end.len()), Some(end));
        }
        assert_eq!(Suffix::of(ends[2]).times(12), [1, 2]);
        let session = [7_i64.to_be_bytes(), (-3_i64).to_be_bytes()].concat();
        assert_eq!(Suffix::of(&session).times(16), [7, -3]);
        assert_eq!(
            Suffix::of(&[b"12345678abcdefgh", &b"more"[..]].concat()),
            Suffix::of(ends[5])
        );
        assert!(Suffix::from_time(5) <= Suffix::to_time(5) && Suffix::to_time(5).next() == Suffix::from_time(6));
        assert_eq!(Suffix::LAST.next(), Suffix::LAST);
    }
}
