//! What somebody who watched a simulation from outside would have written down.

use std::sync::Arc;

use super::report::SeenRecord;

/// Something that was seen, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Milliseconds of simulated time since the beginning.
    pub at_ms: u64,
    /// What it was.
    pub what: Observation,
}

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Observation {
    /// A record of the input was acknowledged. Its offset is -1: nobody asked for it.
    Produced(SeenRecord),
    /// A reader of committed records saw it, also while faults went on. Only of topics named with
    /// [`Simulator::topic`](super::Simulator::topic).
    Seen(SeenRecord),
    /// The application has committed an offset.
    Committed {
        /// Topic.
        topic: Arc<str>,
        /// Partition.
        partition: i32,
        /// Offset of the next record.
        offset: i64,
    },
    /// Something went wrong with an instance, or with everything.
    Fault {
        /// Number of the instance, from 0.
        instance: Option<usize>,
        /// What.
        what: &'static str,
    },
    /// All faults are over.
    Cleared,
    /// Nothing is left to process, and all instances run.
    Recovered,
    /// A reader of committed records found it when everything was over.
    Found {
        /// The record.
        record: SeenRecord,
        /// Producer id and epoch it was written with.
        writer: (i64, i16),
    },
    /// A partition when everything was over.
    AtRest {
        /// Topic.
        topic: Arc<str>,
        /// Partition.
        partition: i32,
        /// Its end.
        end: i64,
        /// The end for readers of committed records.
        stable: i64,
        /// What the application has committed, if it reads the topic.
        committed: Option<i64>,
        /// Records behind it that readers see. A transaction that times out after the last instance has stopped leaves none, but
        /// moves the end.
        left: u64,
    },
    /// A row of a key-value store on the disk of an instance.
    Row {
        /// Number of the instance, from 0.
        instance: usize,
        /// Store.
        store: Arc<str>,
        /// Partition of its task.
        partition: i32,
        /// Key.
        key: Vec<u8>,
        /// Value, without the time of a timestamped store.
        value: Vec<u8>,
    },
    /// The changelog offset (next to read) a store on the disk of an instance claims to stand for.
    Mark {
        /// Number of the instance, from 0.
        instance: usize,
        /// Store.
        store: Arc<str>,
        /// Partition of its task.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The end of the changelog.
        end: i64,
    },
    /// A record of the changelog of a key-value store.
    Change {
        /// Store.
        store: Arc<str>,
        /// The record.
        record: SeenRecord,
        /// Producer id of who wrote it.
        writer: i64,
    },
}
