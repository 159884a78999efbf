//! Kafka's flexible encoding: compact strings and arrays, tagged fields, nullable structs.
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The bytes do not have the form they should have.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Malformed;
pub(super) type Decoded<T> = Result<T, Malformed>;

pub(super) fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

pub(super) fn put_string(out: &mut BytesMut, text: &str) {
    put_varint(out, text.len() as u32 + 1);
    out.put_slice(text.as_bytes());
}

pub(super) fn put_nullable_string(out: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => put_string(out, text),
        None => put_varint(out, 0),
    }
}

pub(super) fn put_array<T>(out: &mut BytesMut, items: &[T], mut put: impl FnMut(&mut BytesMut, &T)) {
    put_varint(out, items.len() as u32 + 1);
    items.iter().for_each(|item| put(out, item));
}

/// No tagged field is defined in version 0 of anything here.
pub(super) fn put_tags(out: &mut BytesMut) {
    out.put_u8(0);
}

pub(super) fn get_varint(from: &mut Bytes) -> Decoded<u32> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = get_u8(from)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

pub(super) fn get_u8(from: &mut Bytes) -> Decoded<u8> {
    from.try_get_u8().map_err(|_| Malformed)
}
pub(super) fn get_i8(from: &mut Bytes) -> Decoded<i8> {
    from.try_get_i8().map_err(|_| Malformed)
}
pub(super) fn get_i16(from: &mut Bytes) -> Decoded<i16> {
    from.try_get_i16().map_err(|_| Malformed)
}
pub(super) fn get_u16(from: &mut Bytes) -> Decoded<u16> {
    from.try_get_u16().map_err(|_| Malformed)
}
pub(super) fn get_i32(from: &mut Bytes) -> Decoded<i32> {
    from.try_get_i32().map_err(|_| Malformed)
}

pub(super) fn get_i64(from: &mut Bytes) -> Decoded<i64> {
    from.try_get_i64().map_err(|_| Malformed)
}

pub(super) fn get_nullable_string(from: &mut Bytes) -> Decoded<Option<String>> {
    let Some(length) = get_varint(from)?.checked_sub(1) else {
        return Ok(None);
    };
    let length = length as usize;
    if from.len() < length {
        return Err(Malformed);
    }
    String::from_utf8(from.split_to(length).to_vec())
        .map(Some)
        .map_err(|_| Malformed)
}

pub(super) fn get_string(from: &mut Bytes) -> Decoded<String> {
    get_nullable_string(from)?.ok_or(Malformed)
}

pub(super) fn get_nullable_array<T>(
    from: &mut Bytes,
    mut get: impl FnMut(&mut Bytes) -> Decoded<T>,
) -> Decoded<Option<Vec<T>>> {
    let Some(length) = get_varint(from)?.checked_sub(1) else {
        return Ok(None);
    };
    // Every element has at least a byte, so a length beyond the rest is damage, not a reason to allocate.
    if length as usize > from.len() {
        return Err(Malformed);
    }
    (0..length).map(|_| get(from)).collect::<Decoded<_>>().map(Some)
}

/// A struct that may be missing.
pub(super) fn get_nullable<T>(from: &mut Bytes, get: impl FnOnce(&mut Bytes) -> Decoded<T>) -> Decoded<Option<T>> {
    if get_i8(from)? < 0 {
        Ok(None)
    } else {
        get(from).map(Some)
    }
}

pub(super) fn get_array<T>(from: &mut Bytes, get: impl FnMut(&mut Bytes) -> Decoded<T>) -> Decoded<Vec<T>> {
    get_nullable_array(from, get)?.ok_or(Malformed)
}

/// Skips tagged fields: newer brokers may send some.
pub(super) fn skip_tags(from: &mut Bytes) -> Decoded<()> {
    for _ in 0..get_varint(from)? {
        get_varint(from)?;
        let size = get_varint(from)? as usize;
        if from.len() < size {
            return Err(Malformed);
        }
        from.advance(size);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;

    #[test]
    fn varints_round_trip_at_their_borders() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u32::MAX] {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(get_varint(&mut out.freeze()), Ok(value));
        }
    }

    #[test]
    fn impossible_lengths_are_damage() {
        assert_eq!(get_string(&mut Bytes::from_static(&[0x05, b'a'])), Err(Malformed));
        assert_eq!(
            get_array(&mut Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x0f]), get_u8),
            Err(Malformed)
        );
        assert_eq!(get_varint(&mut Bytes::from_static(&[0xff; 6])), Err(Malformed));
        assert_eq!(skip_tags(&mut Bytes::from_static(&[1, 0, 9])), Err(Malformed));
    }

    #[test]
    fn unknown_tags_are_skipped() {
        let mut bytes = Bytes::from_static(&[2, 0, 1, 7, 5, 2, 8, 9, 42]);
        assert_eq!(skip_tags(&mut bytes), Ok(()));
        assert_eq!(get_u8(&mut bytes), Ok(42));
    }
}
