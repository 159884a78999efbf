//! An update of a table on its way through the repartition topic of a grouped table.
//!
//! The flag is the last byte: `old ++ 0`, `new ++ 1`, `varint(len of new) ++ new ++ old ++ 2`. Readers also take the
//! forms with an `is_latest` byte before the flag: 3, 4 and 5. `varint` is Kafka's signed one (zig-zag).
use super::{Serde, SerdeError, SharedSerde, read_into};

/// A value taken out of a group, one put into it, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupedChange<V> {
    pub(crate) new: Option<V>,
    pub(crate) old: Option<V>,
}

impl<V> GroupedChange<V> {
    pub(crate) fn of(new: Option<V>, old: Option<V>) -> Self {
        Self { new, old }
    }
}

pub(crate) struct GroupedChangeSerde<V>(SharedSerde<V>);
impl<V> GroupedChangeSerde<V> {
    pub(crate) fn new(value: SharedSerde<V>) -> Self {
        Self(value)
    }
}

impl<V> Serde<GroupedChange<V>> for GroupedChangeSerde<V> {
    fn serialize(&self, change: &GroupedChange<V>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        match (&change.new, &change.old) {
            (None, None) => return Err(SerdeError::new("an update with neither an old nor a new value")),
            (None, Some(old)) => {
                self.0.serialize(old, out)?;
                out.push(0);
            }
            (Some(new), None) => {
                self.0.serialize(new, out)?;
                out.push(1);
            }
            (Some(new), Some(old)) => {
                let start = out.len();
                self.0.serialize(new, out)?;
                let length = out.len() - start;
                // The length goes before what was just written, which spares a second buffer.
                out.extend(varint(length)?);
                let written = out.len() - start;
                if let Some(change) = out.get_mut(start..) {
                    change.rotate_right(written - length);
                }
                self.0.serialize(old, out)?;
                out.push(2);
            }
        }
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<GroupedChange<V>, SerdeError> {
        let mut change = GroupedChange::of(None, None);
        self.deserialize_into(bytes, &mut change)?;
        Ok(change)
    }

    fn deserialize_into(&self, bytes: &[u8], into: &mut GroupedChange<V>) -> Result<(), SerdeError> {
        let short = || SerdeError::new("too short for an update of a grouped table");
        let (flag, rest) = bytes.split_last().ok_or_else(short)?;
        let without_latest = |rest: &[u8]| -> Result<usize, SerdeError> { rest.len().checked_sub(1).ok_or_else(short) };
        let cut = |rest, flag| {
            if flag >= 3 {
                without_latest(rest)
            } else {
                Ok(rest.len())
            }
        };
        let body = rest.get(..cut(rest, *flag)?).ok_or_else(short)?;
        let (new, old) = match flag {
            0 | 3 => (None, Some(body)),
            1 | 4 => (Some(body), None),
            2 | 5 => {
                let (length, body) = read_varint(body).ok_or_else(short)?;
                let (new, old) = body.split_at_checked(length).ok_or_else(short)?;
                (Some(new), Some(old))
            }
            other => {
                return Err(SerdeError::new(format!(
                    "unknown form {other} of an update of a grouped table"
                )));
            }
        };
        self.read_part(new, &mut into.new)?;
        self.read_part(old, &mut into.old)
    }
}

impl<V> GroupedChangeSerde<V> {
    /// Bytes that are not there are no value, whatever the serde takes null for.
    fn read_part(&self, bytes: Option<&[u8]>, into: &mut Option<V>) -> Result<(), SerdeError> {
        if bytes.is_some() {
            return read_into(&*self.0, bytes, into);
        }
        *into = None;
        Ok(())
    }
}

fn varint(length: usize) -> Result<impl Iterator<Item = u8>, SerdeError> {
    let length = i32::try_from(length).map_err(|_| SerdeError::new("a value is longer than 2 GiB"))?;
    let mut rest = Some((length as u32) << 1);
    Ok(std::iter::from_fn(move || {
        let left = rest?;
        let more = left >> 7;
        rest = (more > 0).then_some(more);
        let seven = (left & 0x7f) as u8;
        Some(if more > 0 { seven | 0x80 } else { seven })
    }))
}

fn read_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            // An odd value is a negative number.
            if value & 1 == 1 {
                return None;
            }
            return Some((usize::try_from(value >> 1).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::serde::StringSerde;

    fn serde() -> GroupedChangeSerde<String> {
        GroupedChangeSerde::new(Arc::new(StringSerde))
    }
    fn change(new: Option<&str>, old: Option<&str>) -> GroupedChange<String> {
        GroupedChange::of(new.map(Into::into), old.map(Into::into))
    }

    #[test]
    fn bytes_are_those_of_kafka_streams() {
        let cases = [
            (change(None, Some("o")), b"o\x00".to_vec()),
            (change(Some("n"), None), b"n\x01".to_vec()),
            (change(Some("new"), Some("o")), b"\x06newo\x02".to_vec()),
        ];
        for (value, bytes) in cases {
            let mut out = Vec::new();
            assert!(serde().serialize(&value, &mut out).is_ok());
            assert_eq!(out, bytes);
            assert_eq!(serde().deserialize(&bytes).ok().as_ref(), Some(&value));
            let mut last = change(Some("some value"), Some("before"));
            assert!(serde().deserialize_into(&bytes, &mut last).is_ok());
            assert_eq!(last, value, "nothing is left of the one before");
        }
    }

    #[test]
    fn a_long_new_value_has_a_length_of_several_bytes() {
        let value = change(Some(&"x".repeat(70_000)), Some("old"));
        let mut out = Vec::new();
        assert!(serde().serialize(&value, &mut out).is_ok());
        assert_eq!(serde().deserialize(&out).ok(), Some(value));
    }

    #[test]
    fn forms_with_is_latest_are_read() {
        assert_eq!(serde().deserialize(b"o\x01\x03").ok(), Some(change(None, Some("o"))));
        assert_eq!(serde().deserialize(b"n\x00\x04").ok(), Some(change(Some("n"), None)));
        assert_eq!(
            serde().deserialize(b"\x02no\x01\x05").ok(),
            Some(change(Some("n"), Some("o")))
        );
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x03",
            b"x\x09",
            b"\x08no\x02",
            b"\x01no\x02",
            b"\xff\xff\xff\xff\xff\x02",
        ] {
            assert!(serde().deserialize(bytes).is_err(), "{bytes:?}");
        }
    }
}
