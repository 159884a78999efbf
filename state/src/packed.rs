//! Bytes that lie inside of what holds them if they are few: a row that is looked up costs no second miss of the cache.
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A key. Those of windows and sessions, too, are mostly that short: segment and times take 20 or 24 bytes.
pub(crate) type Key = Packed<38>;
/// A value: counters and sums, with or without a timestamp.
pub(crate) type Value = Packed<22>;

/// Bytes, up to `N` of them without an allocation. `N` must be below 256.
#[derive(Clone)]
pub(crate) enum Packed<const N: usize> {
    /// So many of the array.
    Inline(u8, [u8; N]),
    /// Longer ones.
    Heap(Box<[u8]>),
}

impl<const N: usize> Packed<N> {
    /// The concatenation of two parts.
    pub(crate) fn of_both(first: &[u8], second: &[u8]) -> Self {
        let length = first.len() + second.len();
        let mut bytes = [0; N];
        if let (Some(inside), Ok(short)) = (bytes.get_mut(..length), u8::try_from(length)) {
            let (head, tail) = inside.split_at_mut(first.len());
            head.copy_from_slice(first);
            tail.copy_from_slice(second);
            return Self::Inline(short, bytes);
        }
        Self::Heap([first, second].concat().into())
    }
}

impl<const N: usize> Packed<N> {
    /// Bytes of the allocation that so many bytes need beside it.
    pub(crate) fn beside(length: usize) -> usize {
        if length <= N { 0 } else { length }
    }

    /// Replaces the bytes; as many as before need no allocation.
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        match self {
            Self::Heap(old) if old.len() == bytes.len() => old.copy_from_slice(bytes),
            Self::Inline(length, inside) if bytes.len() <= N => {
                if let (Some(inside), Ok(short)) = (inside.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
                    inside.copy_from_slice(bytes);
                    *length = short;
                }
            }
            _ => *self = bytes.into(),
        }
    }
}

impl<const N: usize> From<&[u8]> for Packed<N> {
    fn from(bytes: &[u8]) -> Self {
        let mut inside = [0; N];
        if let (Some(start), Ok(short)) = (inside.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            start.copy_from_slice(bytes);
            return Self::Inline(short, inside);
        }
        Self::Heap(bytes.into())
    }
}

impl<const N: usize> std::ops::Deref for Packed<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl<const N: usize> Borrow<[u8]> for Packed<N> {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> Hash for Packed<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<const N: usize> PartialEq for Packed<N> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<const N: usize> Eq for Packed<N> {}

impl<const N: usize> PartialOrd for Packed<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Packed<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<const N: usize> fmt::Debug for Packed<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_inside_and_outside() {
        for length in 0..20_u8 {
            let bytes: Vec<u8> = (0..length).collect();
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            let packed = Packed::<8>::of_both(head, tail);
            assert_eq!(*packed, bytes[..]);
            assert_eq!(matches!(packed, Packed::Inline(..)), length <= 8);
            assert_eq!(packed, Packed::from(&bytes[..]));
            let mut other = Packed::<8>::from(&[9; 12][..]);
            other.set(&bytes);
            let beside = if length <= 8 { 0 } else { bytes.len() };
            assert_eq!((&other, Packed::<8>::beside(bytes.len())), (&packed, beside));
        }
        assert!(Packed::<8>::from(&b"ab"[..]) < Packed::from(&b"abcdefghi"[..]));
        assert_eq!(size_of::<Packed<30>>(), 32);
    }
}
