//! The metadata string of a committed offset: partition time, and what operators must remember over a restart.
//!
//! Format of Kafka Streams: base64 of `2 ++ partition time(8) ++ [count(4) {key length(4) key value(8)}]`; version 1 ends
//! after the time. Text that is none of this means "nothing known", as there.

use base64::{Engine, engine::general_purpose::STANDARD};

const LATEST: u8 = 2;

/// What a committed offset remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedMetadata {
    /// Highest timestamp seen on the partition, -1 if none.
    pub(crate) partition_time: i64,
    /// Name and value, sorted by name.
    pub(crate) processors: Vec<(String, i64)>,
}

impl Default for CommittedMetadata {
    fn default() -> Self {
        Self {
            partition_time: -1,
            processors: Vec::new(),
        }
    }
}

impl CommittedMetadata {
    pub(crate) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(16);
        bytes.push(LATEST);
        bytes.extend(self.partition_time.to_be_bytes());
        // Lengths are bounded by the metadata limit of the broker (4096 bytes) long before they reach an i32.
        if let (false, Ok(count)) = (self.processors.is_empty(), i32::try_from(self.processors.len())) {
            bytes.extend(count.to_be_bytes());
            for (key, value) in &self.processors {
                bytes.extend((key.len() as i32).to_be_bytes());
                bytes.extend(key.as_bytes());
                bytes.extend(value.to_be_bytes());
            }
        }
        STANDARD.encode(bytes)
    }

    pub(crate) fn decode(text: &str) -> Self {
        STANDARD.decode(text).ok().and_then(|b| parse(&b)).unwrap_or_default()
    }
}

fn parse(bytes: &[u8]) -> Option<CommittedMetadata> {
    let (version, mut rest) = bytes.split_first()?;
    let partition_time = i64::from_be_bytes(take(&mut rest)?);
    let mut processors = Vec::new();
    match version {
        1 => {}
        &LATEST if rest.is_empty() => {}
        &LATEST => {
            let count = i32::from_be_bytes(take(&mut rest)?);
            for _ in 0..count {
                let length = usize::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
                let (key, tail) = rest.split_at_checked(length)?;
                rest = tail;
                processors.push((
                    String::from_utf8(key.to_vec()).ok()?,
                    i64::from_be_bytes(take(&mut rest)?),
                ));
            }
        }
        _ => return None,
    }
    processors.sort();
    Some(CommittedMetadata {
        partition_time,
        processors,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_time_alone_has_the_bytes_of_kafka_streams() {
        let m = CommittedMetadata {
            partition_time: 5,
            processors: vec![],
        };
        assert_eq!(m.encode(), "AgAAAAAAAAAF");
        assert_eq!(CommittedMetadata::decode("AgAAAAAAAAAF"), m);
    }

    #[test]
    fn processor_values_survive() {
        let m = CommittedMetadata {
            partition_time: i64::MAX,
            processors: vec![("a".into(), -1), ("store".into(), 77)],
        };
        assert_eq!(CommittedMetadata::decode(&m.encode()), m);
    }

    #[test]
    fn version_one_is_understood() {
        assert_eq!(
            CommittedMetadata::decode(&STANDARD.encode([1, 0, 0, 0, 0, 0, 0, 0, 9])).partition_time,
            9
        );
    }

    #[test]
    fn anything_else_means_nothing_known() {
        let whole = CommittedMetadata {
            partition_time: 3,
            processors: vec![("k".into(), 1)],
        }
        .encode();
        let bytes = STANDARD.decode(&whole).unwrap();
        for cut in (0..bytes.len()).filter(|n| *n != 9) {
            assert_eq!(
                CommittedMetadata::decode(&STANDARD.encode(&bytes[..cut])),
                CommittedMetadata::default(),
                "{cut}"
            );
        }
        for text in ["", "!", "AwAAAAAAAAAF", "hello"] {
            assert_eq!(CommittedMetadata::decode(text), CommittedMetadata::default(), "{text}");
        }
        // A count beyond what follows must not allocate for it.
        let mut greedy = vec![2; 9];
        greedy.extend([0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(
            CommittedMetadata::decode(&STANDARD.encode(greedy)),
            CommittedMetadata::default()
        );
    }
}
