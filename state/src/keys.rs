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

/// The end of a row key: the times of a window or session, behind its segment and key, which are its group. Filled up with zeros: all
/// of a store are equally long.
pub(crate) type Suffix = [u8; 16];

/// The group and the end of a row key; `None`: it is too short, or its end too long.
pub(crate) fn split(key: &[u8], suffix_bytes: usize) -> Option<(&[u8], Suffix)> {
    let (group, end) = key.split_at_checked(key.len().checked_sub(suffix_bytes)?)?;
    let mut suffix = Suffix::default();
    suffix.get_mut(..end.len())?.copy_from_slice(end);
    Some((group, suffix))
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

/// The end of a row key of this time; what is behind it is filled with a byte.
pub(crate) fn time_suffix(time: i64, fill: u8) -> Suffix {
    let mut suffix = [fill; size_of::<Suffix>()];
    suffix[..8].copy_from_slice(&time.to_be_bytes());
    suffix
}

/// At most eight bytes, the highest first.
pub(crate) fn number(bytes: Option<&[u8]>) -> i64 {
    let bytes = bytes.unwrap_or_default();
    match bytes.first_chunk::<8>() {
        Some(all) => i64::from_be_bytes(*all),
        None => bytes.iter().fold(0, |number, byte| (number << 8) | i64::from(*byte)),
    }
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
        let suffix = |time: i64| time_suffix(time, 0);
        for length in 0..12 {
            // Odd times are there.
            let rows: Vec<Suffix> = (0..length).map(|n| suffix(2 * n + 1)).collect();
            for time in 0..=2 * length {
                let wanted = rows.binary_search(&suffix(time));
                assert_eq!(
                    place(&rows, &suffix(time), |row| row),
                    wanted,
                    "{time} of {length} rows"
                );
            }
        }
    }
}
