//! The applications that are put under faults, simulated or real, and what the output of each must be.
//!
//! Topic names are fixed, so that a history needs only the name of the application to be checked.

mod folds;
mod topologies;

pub use folds::{Expected, Inputs, Shape, fold};
pub use topologies::{SESSION_GAP_MS, TABLE_KEYS, rekeyed, topology, window_of};

use serde::{Deserialize, Serialize};

/// Topic every application writes.
pub const OUTPUT: &str = "out";

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Application {
    /// Every record of `in` goes to `out`.
    Relay,
    /// Running counts per key.
    Count,
    /// The same with a record cache: counts in between may be missing.
    CachedCount,
    /// Counts by a part of the value: two sub-topologies with a repartition topic between them.
    RekeyedCount,
    /// Running counts per key and window of ten seconds, with records out of order.
    WindowedCount,
    /// Final counts per key and window of ten seconds.
    SuppressedCount,
    /// Running counts per key and session, with records out of order; sessions grow together.
    SessionCount,
    /// Numbers as text; what cannot be read is left out by the handler.
    Numbers,
    /// Records of `in` with the row of `table` for their key, if there is one.
    StreamTableJoin,
    /// The same with a versioned table: the row there was at the time of the record.
    VersionedJoin,
    /// The same with a global table: every instance has all rows, some have newer ones than others.
    GlobalTableJoin,
    /// Rows of `left` and `right` with the same key; both tables have deletions.
    TableJoin,
    /// Records of `left` and `right` with the same key and at most five seconds between them.
    StreamJoin,
}

impl Application {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Relay,
        Self::Count,
        Self::CachedCount,
        Self::RekeyedCount,
        Self::WindowedCount,
        Self::SuppressedCount,
        Self::SessionCount,
        Self::Numbers,
        Self::StreamTableJoin,
        Self::VersionedJoin,
        Self::GlobalTableJoin,
        Self::TableJoin,
        Self::StreamJoin,
    ];

    /// As in histories and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Count => "count",
            Self::CachedCount => "cached-count",
            Self::RekeyedCount => "rekeyed-count",
            Self::WindowedCount => "windowed-count",
            Self::SuppressedCount => "suppressed-count",
            Self::SessionCount => "session-count",
            Self::Numbers => "numbers",
            Self::StreamTableJoin => "stream-table-join",
            Self::VersionedJoin => "versioned-join",
            Self::GlobalTableJoin => "global-table-join",
            Self::TableJoin => "table-join",
            Self::StreamJoin => "stream-join",
        }
    }

    /// Topics it reads.
    pub fn inputs(self) -> &'static [&'static str] {
        match self {
            Self::StreamTableJoin | Self::VersionedJoin | Self::GlobalTableJoin => &["in", "table"],
            Self::TableJoin | Self::StreamJoin => &["left", "right"],
            _ => &["in"],
        }
    }

    /// Whether its results hold at least once, even if a process that was replaced goes on for a while.
    pub fn stands_zombies(self) -> bool {
        matches!(self, Self::Relay | Self::StreamJoin)
    }

    /// Whether it makes sense at least once: repetitions can be told from mistakes.
    pub fn tells_repetitions(self) -> bool {
        matches!(
            self,
            Self::Relay | Self::Count | Self::CachedCount | Self::RekeyedCount | Self::WindowedCount | Self::StreamJoin
        )
    }
}
