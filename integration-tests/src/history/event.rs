//! The lines of a history.

use serde::{Deserialize, Serialize};

use crate::applications::Application;

/// The first line: what ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Decides the reference fold.
    pub application: Application,
    /// Where the history is from: a seed, or a row of the fault table with versions.
    pub source: String,
    /// Exactly once, or at least once.
    pub exactly_once: bool,
    /// From all faults cleared until everything is processed, in milliseconds; `None`: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_bound_ms: Option<u64>,
}

impl About {
    /// Without a bound for recovery.
    pub fn new(application: Application, source: impl Into<String>, exactly_once: bool) -> Self {
        Self {
            application,
            source: source.into(),
            exactly_once,
            recovery_bound_ms: None,
        }
    }
}

/// One line: when, on the clock of whoever wrote it, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed {
    /// Milliseconds since the beginning of the run.
    pub at_ms: u64,
    /// What was seen.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The cluster has acknowledged a record of the input. The offset may be unknown (-1).
    Produced(Record),
    /// A reader of committed records saw it while faults went on.
    Seen(Record),
    /// A reader of committed records found it when everything was over. All topics of the application, from their beginning.
    Found(Record),
    /// The group has committed an offset.
    Committed {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Offset of the next record.
        offset: i64,
    },
    /// Something was broken on purpose.
    Fault {
        /// Which process, broker or connection.
        who: String,
        /// What was done to it.
        what: String,
    },
    /// The last fault is over.
    Cleared,
    /// Nothing is left to process, and the group is stable.
    Recovered,
    /// A partition when everything was over.
    AtRest {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Its end.
        end: i64,
        /// The end for readers of committed records.
        stable: i64,
        /// What the group has committed, for topics the application reads.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        committed: Option<i64>,
        /// Records behind the committed offset that readers of committed records see; `None`: not counted, then the end must be
        /// committed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left: Option<u64>,
    },
    /// A row of a store of a process that has stopped.
    Row {
        /// Which process.
        who: String,
        /// Store.
        store: String,
        /// Task's partition.
        partition: i32,
        /// Key as bytes.
        key: Bytes,
        /// Value as bytes; of a timestamped store without the time.
        value: Bytes,
    },
    /// The changelog offset (next to read) a store of a process that has stopped claims to stand for.
    Mark {
        /// Which process.
        who: String,
        /// Store.
        store: String,
        /// Task's partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The end of the changelog for readers of committed records (at least once: of all records).
        end: i64,
    },
    /// A record of a store's changelog, as far as it counts: committed, or at least once any.
    Change {
        /// Store.
        store: String,
        /// Partition.
        partition: i32,
        /// Offset.
        offset: i64,
        /// Key.
        key: Bytes,
        /// Value; `None` deletes.
        value: Option<Bytes>,
        /// Producer id of who wrote it, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        writer: Option<i64>,
    },
    /// How often something happened in the whole run.
    Count {
        /// What.
        what: String,
        /// How often.
        times: u64,
    },
}

/// A record of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset; -1 if unknown.
    pub offset: i64,
    /// Milliseconds since the epoch; -1 if unknown.
    pub timestamp: i64,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Who wrote it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Writer>,
}

impl Record {
    /// Without time and writer.
    pub fn new(topic: &str, partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        Self {
            topic: topic.to_owned(),
            partition,
            offset,
            timestamp: -1,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            writer: None,
        }
    }

    /// With the time, in milliseconds since the epoch.
    #[must_use]
    pub fn at_ms(mut self, timestamp: i64) -> Self {
        self.timestamp = timestamp;
        self
    }
}

/// A producer as brokers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Producer id.
    pub id: i64,
    /// Epoch.
    pub epoch: i16,
}

/// Bytes, readable in the file where they are text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Bytes(pub Vec<u8>);

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Bytes {
    /// As text, for messages about the test's own data.
    pub fn text(&self) -> String {
        match Written::from(self.clone()) {
            Written::Text(text) => text,
            Written::Hex { hex } => format!("0x{hex}"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Hex {
        /// Two digits a byte.
        hex: String,
    },
}

impl From<Bytes> for Written {
    fn from(bytes: Bytes) -> Self {
        match String::from_utf8(bytes.0) {
            Ok(text) if !text.contains(char::is_control) => Self::Text(text),
            Ok(text) => Self::hex(text.as_bytes()),
            Err(error) => Self::hex(error.as_bytes()),
        }
    }
}

impl Written {
    fn hex(bytes: &[u8]) -> Self {
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Hex { hex }
    }
}

impl From<Written> for Bytes {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self(text.into_bytes()),
            Written::Hex { hex } => {
                let digits: Vec<u8> = hex
                    .chars()
                    .filter_map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
                    .collect();
                let pairs = digits.chunks(2);
                Self(
                    pairs
                        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
                        .collect(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_file_whether_text_or_not() {
        for bytes in [
            &b"k1"[..],
            b"",
            &[0, 0, 0, 7],
            &[0xff, 0x10],
            "sch\u{f6}n".as_bytes(),
            b"\n",
        ] {
            let line = serde_json::to_string(&Bytes::from(bytes)).unwrap();
            assert_eq!(serde_json::from_str::<Bytes>(&line).unwrap().0, bytes, "{line}");
        }
        assert_eq!(serde_json::to_string(&Bytes::from(&b"k1"[..])).unwrap(), "\"k1\"");
        assert_eq!(
            serde_json::to_string(&Bytes::from(&[0, 255][..])).unwrap(),
            "{\"hex\":\"00ff\"}"
        );
    }
}
