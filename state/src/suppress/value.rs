//! What a buffered row looks like in bytes: format 3 of Kafka Streams' suppression changelog.
//!
//! `time(8) ++ offset(8) ++ topic ++ partition(4) ++ headers ++ prior ++ old ++ new ++ buffer time(8)`. Texts and values
//! carry their length in 4 bytes, -1 for null; an old value equal to the prior one is the length -2 alone.
use crate::{Headers, RecordContext};

const NULL: i32 = -1;
const SAME_AS_PRIOR: i32 = -2;
/// Times, offset and partition count 8 + 8 + 8 + 4.
const FIXED_BYTES: usize = 28;

/// Where a record came from, as bytes: most rows are read for something else.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    timestamp: i64,
    offset: i64,
    topic: &'a str,
    partition: i32,
    /// Names and values, and how many there are.
    headers: (i32, &'a [u8]),
}

impl<'a> Origin<'a> {
    fn parse(rest: &mut &'a [u8]) -> Option<Self> {
        let (timestamp, offset) = (long(rest)?, long(rest)?);
        let topic = text(sized(rest)??)?;
        let (partition, count) = (int(rest)?, int(rest)?);
        let mut origin = Self {
            timestamp,
            offset,
            topic,
            partition,
            headers: (count, rest),
        };
        let after = origin.each_header(|_, _| ())?;
        let length = rest.len() - after.len();
        origin.headers.1 = rest.get(..length)?;
        *rest = after;
        Some(origin)
    }

    /// Lends names and values to `f`; gives what is behind them.
    fn each_header(&self, mut f: impl FnMut(&'a str, Option<&'a [u8]>)) -> Option<&'a [u8]> {
        let (count, mut rest) = self.headers;
        for _ in 0..count {
            let name = text(sized(&mut rest)??)?;
            f(name, sized(&mut rest)?);
        }
        Some(rest)
    }

    /// The record's context, with everything copied.
    pub(crate) fn context(&self) -> RecordContext {
        let headers = Headers::new();
        self.each_header(|name, value| headers.add(name, value));
        RecordContext {
            topic: self.topic.into(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            headers,
            source: None,
        }
    }
}

/// The values of a buffered row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values<'a> {
    /// Before the first update that was buffered.
    pub(crate) prior: Option<&'a [u8]>,
    /// Before the last update.
    pub(crate) old: Option<&'a [u8]>,
    pub(crate) new: Option<&'a [u8]>,
}

impl Values<'_> {
    /// The old value, unless it is the prior one, which stands there already.
    fn another_old(&self) -> Option<&[u8]> {
        self.old.filter(|_| self.old != self.prior)
    }

    /// What the values count in a buffer that is bounded by bytes.
    fn size(&self) -> usize {
        let values = [self.prior, self.another_old(), self.new];
        values.iter().map(|value| value.map_or(0, <[u8]>::len)).sum()
    }

    /// What a row with these values counts, as [`BufferValue::size`] says when it is read again.
    pub(crate) fn size_with(&self, key: &[u8], context: &RecordContext) -> u64 {
        let mut bytes = FIXED_BYTES + key.len() + utf16(&context.topic) + self.size();
        context
            .headers
            .for_each(|name, value| bytes += header_size(name, value));
        bytes as u64
    }
}

/// A buffered row, taken apart.
pub(crate) struct BufferValue<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) values: Values<'a>,
    /// Moment by which rows leave the buffer.
    pub(crate) time: i64,
}

impl<'a> BufferValue<'a> {
    /// None: these are not bytes of this format.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let origin = Origin::parse(&mut rest)?;
        let prior = sized(&mut rest)?;
        let old = match int(&mut rest)? {
            SAME_AS_PRIOR => prior,
            length => part(&mut rest, length)?,
        };
        let new = sized(&mut rest)?;
        let time = long(&mut rest)?;
        rest.is_empty().then_some(Self {
            origin,
            values: Values { prior, old, new },
            time,
        })
    }

    /// What the row counts in a buffer that is bounded by bytes: the estimate of Kafka Streams.
    pub(crate) fn size(&self, key: &[u8]) -> u64 {
        let mut bytes = FIXED_BYTES + key.len() + utf16(self.origin.topic) + self.values.size();
        self.origin.each_header(|name, value| bytes += header_size(name, value));
        bytes as u64
    }
}

/// Appends the bytes of a row.
pub(crate) fn encode(context: &RecordContext, values: Values<'_>, time: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&context.timestamp.to_be_bytes());
    out.extend_from_slice(&context.offset.to_be_bytes());
    put_sized(Some(context.topic.as_bytes()), out);
    out.extend_from_slice(&context.partition.to_be_bytes());
    out.extend_from_slice(&length_of(context.headers.len()).to_be_bytes());
    context.headers.for_each(|key, value| {
        put_sized(Some(key.as_bytes()), out);
        put_sized(value, out);
    });
    put_sized(values.prior, out);
    if values.old.is_some() && values.another_old().is_none() {
        out.extend_from_slice(&SAME_AS_PRIOR.to_be_bytes());
    } else {
        put_sized(values.old, out);
    }
    put_sized(values.new, out);
    out.extend_from_slice(&time.to_be_bytes());
}

fn length_of(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}
fn put_sized(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        None => out.extend_from_slice(&NULL.to_be_bytes()),
        Some(value) => {
            out.extend_from_slice(&length_of(value.len()).to_be_bytes());
            out.extend_from_slice(value);
        }
    }
}

fn long(rest: &mut &[u8]) -> Option<i64> {
    let (bytes, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(i64::from_be_bytes(*bytes))
}
fn int(rest: &mut &[u8]) -> Option<i32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(i32::from_be_bytes(*bytes))
}
/// Outer None: too short. Inner None: null.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = int(rest)?;
    part(rest, length)
}
#[expect(
    clippy::option_option,
    reason = "null is a value of the format, and so is being too short"
)]
fn part<'a>(rest: &mut &'a [u8], length: i32) -> Option<Option<&'a [u8]>> {
    if length == NULL {
        return Some(None);
    }
    let (value, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(Some(value))
}
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
fn header_size(name: &str, value: Option<&[u8]>) -> usize {
    utf16(name) + value.map_or(0, <[u8]>::len)
}
fn utf16(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> RecordContext {
        let headers = Headers::new();
        headers.add("h", Some(b"1"));
        headers.add("n", None);
        RecordContext {
            topic: "in".into(),
            partition: 3,
            offset: 7,
            timestamp: 5,
            headers,
            source: None,
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let cases = [
            (None, None, Some(&b"new"[..])),
            (Some(&b"p"[..]), Some(&b"p"[..]), None),
            (Some(b"p"), Some(b"o"), Some(b"")),
            (None, Some(b"o"), Some(b"n")),
        ];
        for (prior, old, new) in cases {
            let mut bytes = Vec::new();
            let values = Values { prior, old, new };
            encode(&context(), values, -9, &mut bytes);
            let read = BufferValue::parse(&bytes);
            let parts = read.as_ref().map(|r| (r.values, r.time, r.size(b"key")));
            assert_eq!(parts, Some((values, -9, values.size_with(b"key", &context()))));
            let origin = read.map(|r| r.origin.context());
            let origin = origin.map(|context| (context.topic, context.partition, context.offset, context.headers));
            assert_eq!(origin, Some(("in".into(), 3, 7, context().headers)));
            for end in 0..bytes.len() {
                assert!(BufferValue::parse(&bytes[..end]).is_none(), "cut at {end}");
            }
        }
    }

    #[test]
    fn a_value_that_stands_twice_counts_once() {
        let mut bytes = Vec::new();
        let (prior, new) = (Some(&b"xy"[..]), Some(&b"z"[..]));
        let values = Values { prior, old: prior, new };
        encode(&context(), values, 0, &mut bytes);
        // 28, key 1, topic 2, header names and values 3, values 3.
        assert_eq!(BufferValue::parse(&bytes).map(|r| r.size(b"k")), Some(37));
    }
}
