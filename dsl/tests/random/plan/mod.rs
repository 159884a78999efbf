//! What a random topology is made of. Every reference is taken modulo what is there, so that each plan has a meaning and
//! a failing one shrinks.
mod draw;

pub(crate) use draw::{events, plans};

/// Key, value or header of a record.
pub(crate) type Text = Option<String>;

/// A topology: streams and tables read from topics, then up to eight steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Topics `stream-0`, `stream-1`: at least one.
    pub streams: usize,
    /// Topics `table-0`, `table-1`.
    pub tables: Vec<Rows>,
    /// Topics `global-0`, ...
    pub globals: usize,
    pub steps: Vec<Step>,
}
impl Plan {
    /// Number of source topics.
    pub(crate) fn sources(&self) -> usize {
        self.streams + self.tables.len() + self.globals
    }
}

/// How a table of a topic is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// As the steps behind it need.
    Asked,
    /// Stored by wish.
    Stored,
    /// With a history of so many milliseconds.
    History(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Inner,
    Left,
    Outer,
}

/// A function on a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mapping {
    Upper,
    Mark,
    NoneIfA,
}
impl Mapping {
    pub(crate) fn apply(self, value: &Text) -> Text {
        match (self, value) {
            (Self::Upper, v) => v.as_ref().map(|v| v.to_uppercase()),
            (Self::Mark, v) => Some(format!("{}!", v.as_deref().unwrap_or("~"))),
            (Self::NoneIfA, v) => v.clone().filter(|v| v != "a"),
        }
    }
    /// On the row of a table; None: there is no row.
    pub(crate) fn row(self, value: &str) -> Text {
        self.apply(&Some(value.to_owned()))
    }
}

/// A new key of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key {
    Same,
    First,
    Value,
    Constant,
}
impl Key {
    pub(crate) fn of(self, key: &Text, value: &Text) -> Text {
        match self {
            Self::Same => key.clone(),
            Self::First => value.as_ref().map(|v| v.chars().take(1).collect()),
            Self::Value => value.clone(),
            Self::Constant => Some("k".to_owned()),
        }
    }
}

/// Whether a record passes a filter.
pub(crate) fn passes(letter: char, value: &Text) -> bool {
    value.as_ref().is_none_or(|v| v.contains(letter))
}
/// The result of a join.
pub(crate) fn joined(left: Option<&str>, right: Option<&str>) -> String {
    format!("{}+{}", left.unwrap_or("."), right.unwrap_or("."))
}
pub(crate) fn text(value: &Text) -> &str {
    value.as_deref().unwrap_or("~")
}
/// The foreign key in a row: its first letter, but no digit.
pub(crate) fn foreign_key(value: &str) -> Text {
    let first = value.chars().next().filter(|c| !c.is_ascii_digit());
    first.map(|c| c.to_lowercase().to_string())
}
/// A key of a windowed result, as a text.
pub(crate) fn windowed(key: &Text, start: i64, end: i64) -> Text {
    Some(format!("{}@{start}/{end}", text(key)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Count,
    /// A value `2` deletes the row.
    Text,
    Reduce,
}

/// Windows, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Aligned { size: i64, advance: i64 },
    Sliding { size: i64 },
    Session { gap: i64 },
    Unlimited { start: i64 },
}
impl Cut {
    pub(crate) fn closes(self) -> bool {
        !matches!(self, Self::Unlimited { .. })
    }
}

/// When the result of a window leaves. Windows that never close show every update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Emit {
    Update,
    Close,
    Suppressed,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Filter {
        from: usize,
        letter: char,
        keep: bool,
    },
    MapValues {
        from: usize,
        by: Mapping,
    },
    FlatMapValues {
        from: usize,
    },
    SelectKey {
        from: usize,
        by: Key,
    },
    FlatMap {
        from: usize,
        by: Key,
    },
    Merge {
        from: usize,
        with: usize,
    },
    Split {
        from: usize,
        letter: char,
    },
    Repartition {
        from: usize,
    },
    /// A processor that counts the records of a key, and tells all counts every so many milliseconds of stream time, or
    /// of the wall clock.
    Process {
        from: usize,
        every: i64,
        wall: bool,
    },
    /// The same without telling.
    ProcessValues {
        from: usize,
    },
    ToTable {
        from: usize,
        stored: bool,
    },
    Aggregate {
        from: usize,
        by: Option<Key>,
        fold: Fold,
    },
    /// Two streams into one table.
    Cogroup {
        from: usize,
        with: usize,
    },
    Windowed {
        from: usize,
        cut: Cut,
        grace: i64,
        emit: Emit,
    },
    /// Two streams into one windowed table; `Close` is not offered for it, so it shows updates.
    CogroupWindowed {
        from: usize,
        with: usize,
        cut: Cut,
        grace: i64,
        emit: Emit,
    },
    JoinStream {
        from: usize,
        with: usize,
        kind: Kind,
        before: i64,
        after: i64,
        grace: i64,
    },
    /// With grace only where the table has a history.
    JoinTable {
        from: usize,
        table: usize,
        left: bool,
        grace: Option<i64>,
    },
    JoinGlobal {
        from: usize,
        global: usize,
        by: Key,
        left: bool,
    },
    TableFilter {
        from: usize,
        letter: char,
        stored: bool,
    },
    TableMapValues {
        from: usize,
        by: Mapping,
        stored: bool,
    },
    TableJoin {
        from: usize,
        with: usize,
        kind: Kind,
        stored: bool,
    },
    ForeignJoin {
        from: usize,
        with: usize,
        left: bool,
        stored: bool,
    },
    TableGroup {
        from: usize,
        by: Key,
    },
    /// Until a time limit; `most`: so many keys wait at most. Not for tables with a history.
    Suppress {
        from: usize,
        wait: i64,
        most: Option<u64>,
    },
    ToStream {
        from: usize,
    },
}

/// A record for a source topic.
#[derive(Clone, Debug, Default)]
pub(crate) struct Event {
    /// Taken modulo the number of source topics: streams first, then tables, then global tables.
    pub topic: usize,
    pub key: Text,
    pub value: Text,
    pub time: i64,
    /// Value of its header `h`.
    pub header: Text,
    /// How far the wall clock moves before it.
    pub advance: i64,
}
