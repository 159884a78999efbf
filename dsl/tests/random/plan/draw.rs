//! How a plan and its events are drawn.
use proptest::{option, prelude::*};

use super::{Cut, Emit, Event, Fold, Key, Kind, Mapping, Plan, Rows, Step};

/// A place in a list of streams, tables or global tables.
const PLACES: std::ops::Range<usize> = 0..8;

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
fn graces() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0i64), Just(5), Just(20)]
}
fn cuts() -> impl Strategy<Value = Cut> {
    let size = prop_oneof![Just(5i64), Just(10)];
    prop_oneof![
        (size.clone(), prop_oneof![Just(2i64), Just(5)]).prop_map(|(size, advance)| Cut::Aligned { size, advance }),
        size.prop_map(|size| Cut::Sliding { size }),
        prop_oneof![Just(0i64), Just(3), Just(10)].prop_map(|gap| Cut::Session { gap }),
        prop_oneof![Just(0i64), Just(20)].prop_map(|start| Cut::Unlimited { start }),
    ]
}
fn emits() -> impl Strategy<Value = Emit> {
    prop_oneof![Just(Emit::Update), Just(Emit::Close), Just(Emit::Suppressed)]
}

fn stateless_steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        (PLACES, letters(), any::<bool>()).prop_map(|(from, letter, keep)| Step::Filter { from, letter, keep }),
        (PLACES, mappings()).prop_map(|(from, by)| Step::MapValues { from, by }),
        PLACES.prop_map(|from| Step::FlatMapValues { from }),
        (PLACES, keys()).prop_map(|(from, by)| Step::SelectKey { from, by }),
        (PLACES, keys()).prop_map(|(from, by)| Step::FlatMap { from, by }),
        (PLACES, PLACES).prop_map(|(from, with)| Step::Merge { from, with }),
        (PLACES, letters()).prop_map(|(from, letter)| Step::Split { from, letter }),
        PLACES.prop_map(|from| Step::Repartition { from }),
    ]
}

fn stateful_steps() -> impl Strategy<Value = Step> {
    let every = prop_oneof![Just(5i64), Just(20)];
    prop_oneof![
        (PLACES, every, any::<bool>()).prop_map(|(from, every, wall)| Step::Process { from, every, wall }),
        PLACES.prop_map(|from| Step::ProcessValues { from }),
        (PLACES, any::<bool>()).prop_map(|(from, stored)| Step::ToTable { from, stored }),
        (PLACES, option::of(keys()), folds()).prop_map(|(from, by, fold)| Step::Aggregate { from, by, fold }),
        (PLACES, PLACES).prop_map(|(from, with)| Step::Cogroup { from, with }),
    ]
}

fn windowed_steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (PLACES, cuts(), graces(), emits()).prop_map(|(from, cut, grace, emit)| Step::Windowed {
            from,
            cut,
            grace,
            emit
        }),
        1 => (PLACES, PLACES, cuts(), graces(), emits()).prop_map(|(from, with, cut, grace, emit)| {
            Step::CogroupWindowed {
                from,
                with,
                cut,
                grace,
                emit,
            }
        }),
    ]
}

fn join_steps() -> impl Strategy<Value = Step> {
    let sides = (
        prop_oneof![Just(0i64), Just(3), Just(10)],
        prop_oneof![Just(0i64), Just(3)],
        graces(),
    );
    let (stored, left) = (any::<bool>(), any::<bool>());
    prop_oneof![
        (PLACES, PLACES, kinds(), sides).prop_map(|(from, with, kind, (before, after, grace))| {
            Step::JoinStream {
                from,
                with,
                kind,
                before,
                after,
                grace,
            }
        }),
        (PLACES, PLACES, left, option::of(graces())).prop_map(|(from, table, left, grace)| Step::JoinTable {
            from,
            table,
            left,
            grace
        }),
        (PLACES, PLACES, keys(), left).prop_map(|(from, global, by, left)| Step::JoinGlobal { from, global, by, left }),
        (PLACES, PLACES, kinds(), stored).prop_map(|(from, with, kind, stored)| Step::TableJoin {
            from,
            with,
            kind,
            stored
        }),
        (PLACES, PLACES, left, stored).prop_map(|(from, with, left, stored)| Step::ForeignJoin {
            from,
            with,
            left,
            stored
        }),
    ]
}

fn table_steps() -> impl Strategy<Value = Step> {
    let stored = any::<bool>();
    let most = option::of(1..3u64);
    prop_oneof![
        (PLACES, letters(), stored).prop_map(|(from, letter, stored)| Step::TableFilter { from, letter, stored }),
        (PLACES, mappings(), stored).prop_map(|(from, by, stored)| Step::TableMapValues { from, by, stored }),
        (PLACES, keys()).prop_map(|(from, by)| Step::TableGroup { from, by }),
        (PLACES, graces(), most).prop_map(|(from, wait, most)| Step::Suppress { from, wait, most }),
        PLACES.prop_map(|from| Step::ToStream { from }),
    ]
}

fn rows() -> impl Strategy<Value = Rows> {
    prop_oneof![
        Just(Rows::Asked),
        Just(Rows::Stored),
        prop_oneof![Just(20i64), Just(200)].prop_map(Rows::History),
    ]
}

/// Topologies of up to eight steps.
pub(crate) fn plans() -> impl Strategy<Value = Plan> {
    let step = prop_oneof![
        stateless_steps(),
        stateful_steps(),
        windowed_steps(),
        join_steps(),
        table_steps()
    ];
    let tables = proptest::collection::vec(rows(), 0..=2);
    let steps = proptest::collection::vec(step, 1..=8);
    (1..=2usize, tables, 0..=1usize, steps).prop_map(|(streams, tables, globals, steps)| Plan {
        streams,
        tables,
        globals,
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
    let header = prop_oneof![3 => Just(None), 1 => Just(Some("x".to_owned())), 1 => Just(Some("y".to_owned()))];
    let advance = prop_oneof![4 => Just(0i64), 1 => 1..50i64];
    let event =
        (0..5usize, key, value, time, header, advance).prop_map(|(topic, key, value, time, header, advance)| Event {
            topic,
            key,
            value,
            time,
            header,
            advance,
        });
    proptest::collection::vec(event, 1..16)
}
