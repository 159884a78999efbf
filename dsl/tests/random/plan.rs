//! What a random topology is made of, and how one is drawn. Every reference is taken modulo what is there, so that each
//! plan has a meaning and a failing one shrinks.
use proptest::prelude::*;

/// Key or value of a record.
pub(crate) type Text = Option<String>;

/// A topology: streams and tables read from topics, then up to eight steps.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Topics `stream-0`, `stream-1`: at least one.
    pub streams: usize,
    /// Topics `table-0`, `table-1`; whether the table is stored by wish.
    pub tables: Vec<bool>,
    pub steps: Vec<Step>,
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

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fold {
    Count,
    /// A value `2` deletes the row.
    Text,
    Reduce,
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
    ToTable {
        from: usize,
        stored: bool,
    },
    Aggregate {
        from: usize,
        by: Option<Key>,
        fold: Fold,
    },
    Windowed {
        from: usize,
        size: i64,
        advance: i64,
        grace: i64,
    },
    JoinStream {
        from: usize,
        with: usize,
        kind: Kind,
        before: i64,
        after: i64,
        grace: i64,
    },
    JoinTable {
        from: usize,
        table: usize,
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
    TableGroup {
        from: usize,
        by: Key,
    },
    ToStream {
        from: usize,
    },
}

/// A record for a source topic.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Taken modulo the number of source topics: streams first.
    pub topic: usize,
    pub key: Text,
    pub value: Text,
    pub time: i64,
}

fn letters() -> impl Strategy<Value = char> {
    prop_oneof![Just('a'), Just('b'), Just('+')]
}
fn mappings() -> impl Strategy<Value = Mapping> {
    prop_oneof![Just(Mapping::Upper), Just(Mapping::Mark), Just(Mapping::NoneIfA)]
}
fn keys() -> impl Strategy<Value = Key> {
    prop_oneof![Just(Key::Same), Just(Key::First), Just(Key::Value), Just(Key::Constant)]
}
fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Inner), Just(Kind::Left), Just(Kind::Outer)]
}
fn folds() -> impl Strategy<Value = Fold> {
    prop_oneof![Just(Fold::Count), Just(Fold::Text), Just(Fold::Reduce)]
}

fn stream_steps() -> impl Strategy<Value = Step> {
    let from = 0..8usize;
    prop_oneof![
        (from.clone(), letters(), any::<bool>()).prop_map(|(from, letter, keep)| Step::Filter { from, letter, keep }),
        (from.clone(), mappings()).prop_map(|(from, by)| Step::MapValues { from, by }),
        from.clone().prop_map(|from| Step::FlatMapValues { from }),
        (from.clone(), keys()).prop_map(|(from, by)| Step::SelectKey { from, by }),
        (from.clone(), keys()).prop_map(|(from, by)| Step::FlatMap { from, by }),
        (from.clone(), from.clone()).prop_map(|(from, with)| Step::Merge { from, with }),
        (from.clone(), letters()).prop_map(|(from, letter)| Step::Split { from, letter }),
        from.prop_map(|from| Step::Repartition { from }),
    ]
}

fn stateful_steps() -> impl Strategy<Value = Step> {
    let from = 0..8usize;
    let grace = prop_oneof![Just(0i64), Just(5), Just(20)];
    let window = (
        prop_oneof![Just(5i64), Just(10)],
        prop_oneof![Just(2i64), Just(5)],
        grace.clone(),
    );
    let sides = (
        prop_oneof![Just(0i64), Just(3), Just(10)],
        prop_oneof![Just(0i64), Just(3)],
        grace,
    );
    prop_oneof![
        (from.clone(), any::<bool>()).prop_map(|(from, stored)| Step::ToTable { from, stored }),
        (from.clone(), proptest::option::of(keys()), folds()).prop_map(|(from, by, fold)| Step::Aggregate {
            from,
            by,
            fold
        }),
        (from.clone(), window).prop_map(|(from, (size, advance, grace))| Step::Windowed {
            from,
            size,
            advance,
            grace
        }),
        (from.clone(), from.clone(), kinds(), sides).prop_map(|(from, with, kind, (before, after, grace))| {
            // Kafka Streams looks for closed windows of either side by the width of the one that the record came from.
            let after = if kind == Kind::Inner { after } else { before };
            Step::JoinStream {
                from,
                with,
                kind,
                before,
                after,
                grace,
            }
        }),
        (from.clone(), from, any::<bool>()).prop_map(|(from, table, left)| Step::JoinTable { from, table, left }),
    ]
}

fn table_steps() -> impl Strategy<Value = Step> {
    let from = 0..8usize;
    let stored = any::<bool>();
    prop_oneof![
        (from.clone(), letters(), stored).prop_map(|(from, letter, stored)| Step::TableFilter { from, letter, stored }),
        (from.clone(), mappings(), stored).prop_map(|(from, by, stored)| Step::TableMapValues { from, by, stored }),
        (from.clone(), from.clone(), kinds(), stored).prop_map(|(from, with, kind, stored)| Step::TableJoin {
            from,
            with,
            kind,
            stored
        }),
        (from.clone(), keys()).prop_map(|(from, by)| Step::TableGroup { from, by }),
        from.prop_map(|from| Step::ToStream { from }),
    ]
}

/// Topologies of up to eight steps.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let step = prop_oneof![stream_steps(), stateful_steps(), table_steps()];
    let tables = proptest::collection::vec(any::<bool>(), 0..=2);
    (1..=2usize, tables, proptest::collection::vec(step, 1..=8)).prop_map(|(streams, tables, steps)| Plan {
        streams,
        tables,
        steps,
    })
}

/// Records with null keys and values, out of order and late; now and then time jumps.
pub(crate) fn events() -> impl Strategy<Value = Vec<Event>> {
    let key = prop_oneof![
        4 => Just(Some("a".to_owned())),
        2 => Just(Some("b".to_owned())),
        1 => Just(None),
    ];
    let value = prop_oneof![
        Just(Some("a".to_owned())),
        Just(Some("b".to_owned())),
        Just(Some("ab".to_owned())),
        Just(Some("c d".to_owned())),
        Just(Some("2".to_owned())),
        Just(None),
    ];
    let time = prop_oneof![20 => 0..60i64, 2 => 60..400i64, 1 => 150_000..300_000i64];
    let event = (0..4usize, key, value, time).prop_map(|(topic, key, value, time)| Event {
        topic,
        key,
        value,
        time,
    });
    proptest::collection::vec(event, 1..16)
}
