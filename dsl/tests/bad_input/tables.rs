//! A function of the user that fails or panics, in every kind of operator on tables.
use std::sync::atomic::{AtomicU32, Ordering};

use millstream_dsl::grouped::KGroupedTable;

use super::{
    functions::{case, check_key, infallible, run_all},
    *,
};

type Table = KTable<String, String>;

const BAD: (&str, &str, i64) = ("rows", "bad", 10);
const ROW: &[(&str, &str, i64)] = &[("rows", "row", 5)];

fn table(builder: &StreamsBuilder) -> Table {
    builder.table_with("rows", "source")
}
fn named() -> Materialized<String, String> {
    Materialized::named("result").operator("it")
}

#[test]
fn in_operators_on_one_table() -> TestResult {
    run_all(&[
        case("filter", |b, _, way| {
            let _ = table(b).try_filter_with(move |_, v| check(way, v).map(|()| true), Some(named()));
        })
        .with(BAD),
        infallible("filter_not", |b, _, _| {
            let predicate = |_: &String, v: &String| {
                check_or_panic(v);
                false
            };
            let _ = table(b).filter_not_with(predicate, named());
        })
        .with(BAD),
        case("map_values", |b, _, way| {
            let _ = table(b).try_map_values_with(move |_, v| check_key(way, v).map(Some), Some(named()));
        })
        .with(BAD),
        case("a view that is looked into", |b, s, way| {
            let view = Materialized::new().operator("view").not_stored();
            // An update of the table is the first to call the function, a look-up the second.
            let calls = AtomicU32::new(0);
            let view_of = move |_: &String, v: &String| match calls.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Ok(Some(v.clone())),
                _ => check_key(way, v).map(Some),
            };
            let view = table(b).try_map_values_with(view_of, Some(view));
            s.join_with(&view, |_, v, row| v.clone() + row, Joined::named("it"))
                .to("out");
        })
        .after(&[("rows", "bad", 5)]),
    ])
}

fn grouped(builder: &StreamsBuilder) -> KGroupedTable<String, String> {
    table(builder).group_by(|k, v| (k.clone(), v.clone()))
}
fn fold<'a>(way: Way) -> impl Fn(&String, &String, String) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |_, v, all| check(way, v).map(|()| Some(all + v))
}
fn keep(_: &String, _: &String, all: String) -> Result<Option<String>, String> {
    Ok(Some(all))
}

#[test]
fn in_grouped_tables() -> TestResult {
    run_all(&[
        case("group_by", |b, _, way| {
            let selector = move |k: &String, v: &String| Ok::<_, String>((k.clone(), check_key(way, v)?));
            let _ = table(b).try_group_by_with(selector, Grouped::named("it")).count();
        })
        .at("it")
        .with(BAD),
        case("the adder", |b, _, way| {
            let _ = grouped(b).try_aggregate_with(String::new, fold(way), keep, named());
        })
        .after(ROW)
        .with(BAD),
        case("the subtractor", |b, _, way| {
            let _ = grouped(b).try_aggregate_with(String::new, keep, fold(way), named());
        })
        .after(&[("rows", "bad", 5)])
        .with(("rows", "better", 10)),
        case("the adder of reduce", |b, _, way| {
            let adder = move |all: String, v: &String| check(way, v).map(|()| Some(all + v));
            let subtractor = |all: String, _: &String| Ok(Some(all));
            let _ = grouped(b).try_reduce_with(adder, subtractor, named());
        })
        .after(ROW)
        .with(BAD),
    ])
}

fn joined<'a>(way: Way) -> impl Fn(&String, &String) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |one, two| check(way, one).and(check(way, two)).map(|()| Some(one.clone() + two))
}
fn left_joined<'a>(way: Way) -> impl Fn(&String, Option<&String>) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |one, _| check(way, one).map(|()| Some(one.clone()))
}
fn outer_joined<'a>(
    way: Way,
) -> impl Fn(Option<&String>, Option<&String>) -> Result<Option<String>, String> + Send + Sync + 'a {
    move |one, two| {
        let all = [one, two].map(|v| v.map_or("", String::as_str)).concat();
        check(way, &all).map(|()| Some(all))
    }
}

#[test]
fn in_joins_of_tables() -> TestResult {
    run_all(&[
        case("join, from the left", |b, _, way| {
            let _ = table(b).try_join_with(&b.table("others"), joined(way), Some(named()));
        })
        .at("it-join-this")
        .after(&[("others", "other", 5)])
        .with(BAD),
        case("left join without a partner", |b, _, way| {
            let _ = table(b).try_left_join_with(&b.table::<String, String>("others"), left_joined(way), Some(named()));
        })
        .at("it-join-this")
        .with(BAD),
        case("outer join, from the right", |b, _, way| {
            let others = b.table::<String, String>("others");
            let _ = others.try_outer_join_with(&table(b), outer_joined(way), Some(named()));
        })
        .at("it-join-other")
        .with(BAD),
        case("a foreign key", |b, _, way| {
            let others = b.table::<String, String>("others");
            let key = move |_: &String, v: &String| check_key(way, v);
            let joiner = |v: &String, _: &String| Ok::<_, String>(Some(v.clone()));
            let _ = table(b).try_join_on_with(&others, key, joiner, TableJoined::named("it"), named());
        })
        .at("it-subscription-registration-processor")
        .with(BAD),
        case("a join by a foreign key", |b, _, way| {
            let others = b.table::<String, String>("others");
            let key = |k: &String, _: &String| Ok::<_, String>(k.clone());
            let _ = table(b).try_join_on_with(&others, key, joined(way), TableJoined::named("it"), named());
        })
        .at("it-subscription-response-resolver")
        .after(&[("others", "other", 5)])
        .with(BAD),
        case("a left join by a foreign key", |b, _, way| {
            let others = b.table::<String, String>("others");
            let key = |k: &String, _: &String| Ok::<_, String>(k.clone());
            let _ = table(b).try_left_join_on_with(&others, key, left_joined(way), TableJoined::named("it"), named());
        })
        .at("it-subscription-response-resolver")
        .with(BAD),
    ])
}
