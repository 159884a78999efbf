//! What travels between the two sides of a foreign-key join: subscriptions, answers, and the keys of the subscription store.
//!
//! Formats of Kafka Streams, big endian. Subscription: `version(1, top bit: no hash) ++ instruction(1) ++ hash(16) ++
//! primary key ++ partition(4, since version 1)`. Answer: `version(1, top bit: no hash) ++ hash(16) ++ foreign value`.
//! Row of the subscription store: `length(4) ++ foreign key ++ primary key` to the subscription.
//!
//! The primary key and the foreign value stay bytes: the side that carries them never looks into them.
use std::sync::Arc;

use crate::serde::{Serde, SerdeError, SharedSerde};

use super::hash::Hash;

const NO_HASH: u8 = 0x80;
const SUBSCRIPTION_VERSION: u8 = 1;
const ANSWER_VERSION: u8 = 0;

/// What the side of the foreign keys is to do with a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Forget it, say nothing: the row has another foreign key now, and the answer to that is on its way.
    #[default]
    Forget,
    /// Forget it and say that there is no row.
    ForgetAndAnswer,
    /// Keep it, and answer even if there is no foreign row.
    KeepAndAnswer,
    /// Keep it, and answer if there is a foreign row.
    KeepAndAnswerIfFound,
}
impl Instruction {
    fn byte(self) -> u8 {
        match self {
            Self::Forget => 0,
            Self::ForgetAndAnswer => 1,
            Self::KeepAndAnswer => 2,
            Self::KeepAndAnswerIfFound => 3,
        }
    }
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Forget,
            1 => Self::ForgetAndAnswer,
            2 => Self::KeepAndAnswer,
            3 => Self::KeepAndAnswerIfFound,
            _ => return None,
        })
    }
}

/// A row of the primary table that wants to hear of a foreign key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) hash: Option<Hash>,
    pub(super) instruction: Instruction,
    pub(super) primary_key: Vec<u8>,
    /// Where the row lives; None: in version 0, before 3.4.
    pub(super) partition: Option<i32>,
}

pub(super) struct SubscriptionSerde;
impl Serde<Subscription> for SubscriptionSerde {
    fn serialize(&self, subscription: &Subscription, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        let version = u8::from(subscription.partition.is_some());
        put_version(version, subscription.hash.is_some(), out);
        out.push(subscription.instruction.byte());
        put_hash(subscription.hash.as_ref(), out);
        out.extend_from_slice(&subscription.primary_key);
        if let Some(partition) = subscription.partition {
            out.extend_from_slice(&partition.to_be_bytes());
        }
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Subscription, SerdeError> {
        let mut subscription = Subscription::default();
        self.deserialize_into(bytes, &mut subscription)?;
        Ok(subscription)
    }

    fn deserialize_into(&self, bytes: &[u8], into: &mut Subscription) -> Result<(), SerdeError> {
        let short = || SerdeError::new("too short for a subscription of a foreign-key join");
        let (first, rest) = bytes.split_first().ok_or_else(short)?;
        let version = first & !NO_HASH;
        if version > SUBSCRIPTION_VERSION {
            return Err(SerdeError::new(format!(
                "version {version} of a subscription is not known"
            )));
        }
        let (instruction, rest) = rest.split_first().ok_or_else(short)?;
        into.instruction = Instruction::of(*instruction)
            .ok_or_else(|| SerdeError::new(format!("instruction {instruction} of a subscription is not known")))?;
        let (hash, rest) = take_hash(*first, rest).ok_or_else(short)?;
        into.hash = hash;
        let (key, partition) = if version == 0 {
            (rest, None)
        } else {
            let (key, partition) = rest.split_last_chunk::<4>().ok_or_else(short)?;
            (key, Some(i32::from_be_bytes(*partition)))
        };
        into.partition = partition;
        into.primary_key.clear();
        into.primary_key.extend_from_slice(key);
        Ok(())
    }
}

/// The foreign value for a row, if the row is still the one that asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) hash: Option<Hash>,
    /// Bytes of the foreign value. Empty: none, as Kafka Streams cannot tell a value without bytes from none.
    pub(super) foreign: Vec<u8>,
    /// Where to send it; not part of the bytes.
    pub(super) partition: Option<i32>,
}

pub(super) struct AnswerSerde;
impl Serde<Answer> for AnswerSerde {
    fn serialize(&self, answer: &Answer, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        put_version(ANSWER_VERSION, answer.hash.is_some(), out);
        put_hash(answer.hash.as_ref(), out);
        out.extend_from_slice(&answer.foreign);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<Answer, SerdeError> {
        let mut answer = Answer::default();
        self.deserialize_into(bytes, &mut answer)?;
        Ok(answer)
    }

    fn deserialize_into(&self, bytes: &[u8], into: &mut Answer) -> Result<(), SerdeError> {
        let short = || SerdeError::new("too short for an answer of a foreign-key join");
        let (first, rest) = bytes.split_first().ok_or_else(short)?;
        let version = first & !NO_HASH;
        if version != ANSWER_VERSION {
            return Err(SerdeError::new(format!("version {version} of an answer is not known")));
        }
        let (hash, foreign) = take_hash(*first, rest).ok_or_else(short)?;
        into.hash = hash;
        into.foreign.clear();
        into.foreign.extend_from_slice(foreign);
        into.partition = None;
        Ok(())
    }
}

fn put_version(version: u8, has_hash: bool, out: &mut Vec<u8>) {
    out.push(if has_hash { version } else { version | NO_HASH });
}

fn put_hash(hash: Option<&Hash>, out: &mut Vec<u8>) {
    for word in hash.into_iter().flatten() {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn take_hash(first: u8, rest: &[u8]) -> Option<(Option<Hash>, &[u8])> {
    if first & NO_HASH != 0 {
        return Some((None, rest));
    }
    let (high, rest) = rest.split_first_chunk::<8>()?;
    let (low, rest) = rest.split_first_chunk::<8>()?;
    Some((Some([u64::from_be_bytes(*high), u64::from_be_bytes(*low)]), rest))
}

/// A primary key that stays bytes. Its serde still knows what decides the partition of a windowed key.
pub(super) struct PrimaryKeySerde<K>(pub(super) SharedSerde<K>);
impl<K> Serde<Vec<u8>> for PrimaryKeySerde<K> {
    fn serialize(&self, key: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), SerdeError> {
        out.extend_from_slice(key);
        Ok(())
    }
    fn deserialize(&self, bytes: &[u8]) -> Result<Vec<u8>, SerdeError> {
        Ok(bytes.to_vec())
    }
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.0.partition_bytes(bytes)
    }
}

/// The beginning of all rows of a foreign key in the subscription store.
pub(super) fn put_prefix(foreign_key: &[u8], out: &mut Vec<u8>) -> Result<(), SerdeError> {
    let length = i32::try_from(foreign_key.len()).map_err(|_| SerdeError::new("a foreign key is longer than 2 GiB"))?;
    out.clear();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(foreign_key);
    Ok(())
}

/// Shares a serde of this file.
pub(super) fn shared<T>(serde: impl Serde<T> + 'static) -> SharedSerde<T> {
    Arc::new(serde)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T>(serde: &impl Serde<T>, value: &T) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(serde.serialize(value, &mut out).is_ok());
        out
    }

    #[test]
    fn a_subscription_has_the_bytes_of_kafka_streams() {
        let subscription = Subscription {
            hash: Some([1, 2]),
            instruction: Instruction::KeepAndAnswerIfFound,
            primary_key: b"a".to_vec(),
            partition: Some(3),
        };
        let bytes = b"\x01\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02a\0\0\0\x03";
        assert_eq!(written(&SubscriptionSerde, &subscription), bytes);
        assert_eq!(SubscriptionSerde.deserialize(bytes).ok(), Some(subscription));
    }

    #[test]
    fn a_subscription_of_a_deleted_row_has_no_hash() {
        let subscription = Subscription {
            hash: None,
            instruction: Instruction::ForgetAndAnswer,
            primary_key: b"b".to_vec(),
            partition: Some(0),
        };
        assert_eq!(written(&SubscriptionSerde, &subscription), b"\x81\x01b\0\0\0\0");
    }

    #[test]
    fn version_0_has_no_partition() {
        let subscription = Subscription {
            primary_key: b"a".to_vec(),
            ..Subscription::default()
        };
        let bytes = b"\x80\x00a";
        assert_eq!(written(&SubscriptionSerde, &subscription), bytes);
        assert_eq!(SubscriptionSerde.deserialize(bytes).ok(), Some(subscription));
    }

    #[test]
    fn an_answer_comes_back() {
        for (hash, foreign) in [(Some([7, 8]), &b"P1"[..]), (None, b""), (Some([0, 0]), b"")] {
            let answer = Answer {
                hash,
                foreign: foreign.to_vec(),
                partition: None,
            };
            let bytes = written(&AnswerSerde, &answer);
            assert_eq!(AnswerSerde.deserialize(&bytes).ok(), Some(answer));
        }
    }

    #[test]
    fn garbage_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x01",
            b"\x02\x00",
            b"\x01\x04",
            b"\x01\x00short",
            b"\x81\x00abc",
        ] {
            assert!(SubscriptionSerde.deserialize(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [&b""[..], b"\x01", b"\x00short"] {
            assert!(AnswerSerde.deserialize(bytes).is_err(), "{bytes:?}");
        }
    }
}
