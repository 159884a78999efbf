//! How does a row keep the headers of a record?
//!
//! In front of its value: `bytes of headers(4) ++ headers ++ value`, where a header is `length(4) ++ name ++ length(4) ++
//! value`, and the length -1 stands for null. The changelog has them as headers of the record, as in Kafka Streams.
use crate::Headers;

const NULL: u32 = u32::MAX;

fn put_part(out: &mut Vec<u8>, part: Option<&[u8]>) {
    // A record with headers of 4 GiB does not exist: its broker would have refused it.
    let length = part.map_or(NULL, |part| u32::try_from(part.len()).unwrap_or(NULL));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(part.unwrap_or_default());
}

/// Puts the headers in front of the bytes of a value: a row of a store that keeps headers.
pub fn keep_headers(headers: &Headers, value: &mut Vec<u8>) {
    let mut kept = Vec::new();
    headers.for_each(|name, value| {
        put_part(&mut kept, Some(name.as_bytes()));
        put_part(&mut kept, value);
    });
    let mut front = Vec::with_capacity(4 + kept.len());
    put_part(&mut front, Some(&kept));
    value.splice(..0, front);
}

fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    let length = u32::from_be_bytes(*length);
    if length == NULL {
        return Some(None);
    }
    let (part, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(part))
}

/// The headers of a row and the bytes of its value; `None`: no such row.
pub(crate) fn split_headers(row: &[u8]) -> Option<(Headers, &[u8])> {
    let mut value = row;
    let mut kept = take_part(&mut value)??;
    let headers = Headers::new();
    while !kept.is_empty() {
        let name = take_part(&mut kept)??;
        headers.add(std::str::from_utf8(name).ok()?, take_part(&mut kept)?);
    }
    Some((headers, value))
}

/// Leaves the value of a row, and gives its headers.
pub(crate) fn take_headers(row: &mut Vec<u8>) -> Option<Headers> {
    let (headers, value) = split_headers(row)?;
    let front = row.len() - value.len();
    row.drain(..front);
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_back_the_headers_it_was_given() {
        let headers = Headers::new();
        headers.add("trace", Some(b"42"));
        headers.add("", None);
        headers.add("trace", Some(b""));
        let mut row = b"value".to_vec();
        keep_headers(&headers, &mut row);
        assert_eq!(split_headers(&row), Some((headers.clone(), &b"value"[..])));
        assert_eq!(take_headers(&mut row), Some(headers));
        assert_eq!(row, b"value");
    }

    #[test]
    fn a_row_without_headers_has_four_bytes_in_front() {
        let mut row = b"v".to_vec();
        keep_headers(&Headers::new(), &mut row);
        assert_eq!(row, [0, 0, 0, 0, b'v']);
        assert_eq!(split_headers(&row), Some((Headers::new(), &b"v"[..])));
    }

    #[test]
    fn what_is_no_row_is_noticed() {
        for bytes in [
            &b""[..],
            b"abc",
            b"\0\0\0\x05abc",
            b"\0\0\0\x04\0\0\0\x01",
            b"\xff\xff\xff\xffabc",
        ] {
            assert_eq!(split_headers(bytes), None, "{bytes:?}");
        }
    }
}
