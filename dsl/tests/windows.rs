//! Sliding windows and cogrouped streams beyond the recorded cases.
use std::{collections::BTreeMap, error::Error};

use millstream_dsl::{prelude::*, testing::Runner};

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}

/// Windows `[start, start + difference]` with the number of records in each, from the definition: one that ends with
/// each record, and one behind each record that has records in it. Windows do not start before the epoch.
fn defined(records: &[i64], difference: i64) -> BTreeMap<i64, i64> {
    let count = |start: i64| {
        let inside = records.iter().filter(|t| (start..=start + difference).contains(*t));
        (start, i64::try_from(inside.count()).unwrap_or(-1))
    };
    let left = records.iter().map(|t| count((t - difference).max(0)));
    let right = records.iter().map(|t| count(t + 1)).filter(|(_, n)| *n > 0);
    left.chain(right).collect()
}

/// The same from the operator, with the records in this order and another key in between.
fn counted(records: &[i64], difference: i64) -> Result<BTreeMap<i64, i64>, Box<dyn Error>> {
    let builder = StreamsBuilder::new();
    let windows = SlidingWindows::of(millis(difference.unsigned_abs())).grace(seconds(10));
    let counts = builder
        .stream::<String, i64>("in")
        .group_by_key()
        .windowed_by(windows)
        .count();
    counts
        .to_stream()
        .filter(|w, _| w.key == "a")
        .map(|w, n| (w.window.start, n.unwrap_or(0)))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    for time in records {
        runner.pipe_at("in", text("a"), 1i64, *time)?;
        runner.pipe_at("in", text("b"), 1i64, *time + 1)?;
    }
    Ok(runner.read::<i64, i64>("out").into_iter().collect())
}

fn orders(records: &[i64]) -> Vec<Vec<i64>> {
    let Some((first, rest)) = records.split_first() else {
        return vec![Vec::new()];
    };
    let mut all = Vec::new();
    for order in orders(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, *first);
            all.push(order);
        }
    }
    all
}

#[test]
fn sliding_windows_are_those_of_the_definition_in_whatever_order_records_come() -> TestResult {
    // Borders on purpose: distances of exactly the difference, one less and one more, and equal times.
    let sets: [&[i64]; 4] = [
        &[100, 110, 111, 120, 121],
        &[40, 45, 45, 50, 56],
        &[20, 29, 30, 31, 52],
        &[10, 11, 20, 21, 31],
    ];
    for records in sets {
        for order in orders(records) {
            assert_eq!(counted(&order, 10)?, defined(records, 10), "in the order {order:?}");
        }
    }
    Ok(())
}

#[test]
fn early_records_share_the_first_window_in_whatever_order_they_come() -> TestResult {
    for order in orders(&[0, 3, 9, 14]) {
        assert_eq!(counted(&order, 10)?, defined(&order, 10), "in the order {order:?}");
    }
    Ok(())
}

#[test]
fn sliding_windows_at_the_end_of_time_do_not_overflow() -> TestResult {
    let counts = counted(&[i64::MAX - 20, i64::MAX - 12], 10)?;
    assert_eq!(counts.get(&(i64::MAX - 22)), Some(&2));
    let eternal = SlidingWindows::of(millis(1 << 61)).grace(millis(1 << 61));
    let builder = StreamsBuilder::new();
    let counts = builder
        .stream::<String, i64>("in")
        .group_by_key()
        .windowed_by(eternal)
        .count();
    counts
        .to_stream()
        .map(|w, n| (w.window.start, n.unwrap_or(0)))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("in", text("a"), 1i64, 5)?;
    assert_eq!(runner.read::<i64, i64>("out"), [(0, 1)]);
    Ok(())
}

#[test]
fn a_stream_that_is_cogrouped_again_gets_the_new_function() -> TestResult {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("in").group_by_key();
    numbers
        .cogroup(|_, n, sum: i64| sum + n)
        .cogroup(&numbers, |_, n, sum| sum - n)
        .aggregate(|| 0)
        .to_stream()
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", text("a"), 5i64)?;
    assert_eq!(runner.read::<String, i64>("out"), [(text("a"), -5)]);
    Ok(())
}

#[test]
fn a_cogroup_function_that_fails_is_an_error_of_its_operator_and_none_deletes() -> TestResult {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("in").group_by_key();
    let sums = numbers.try_cogroup(|_, n, sum: i64| match n {
        0 => Err("zero"),
        n => Ok((sum + n < 10).then_some(sum + n)),
    });
    let named = sums.aggregate_with(|| 0, Materialized::new().operator("sums"));
    named.to_stream_with("updates").for_each(|_, _| ());
    sums.aggregate_with(|| 0, "kept").to_stream().to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe("in", text("a"), 7i64)?;
    runner.pipe("in", text("a"), 7i64)?;
    assert_eq!(
        runner.read::<String, Option<i64>>("out"),
        [(text("a"), Some(7)), (text("a"), None)]
    );
    let Err(error) = runner.pipe("in", text("a"), 0i64) else {
        return Err("the function has failed".into());
    };
    assert_eq!(&*error.node, "sums-cogroup-agg-0");
    Ok(())
}

#[test]
fn sessions_of_cogrouped_streams_are_merged_whatever_stream_connects_them() -> TestResult {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("numbers").group_by_key();
    let words = builder.stream::<String, String>("words").group_by_key();
    numbers
        .cogroup(|_, n, sum: i64| sum + n)
        .cogroup(&words, |_, word, sum| sum + i64::try_from(word.len()).unwrap_or(0))
        .windowed_by(SessionWindows::of(millis(10)).grace(millis(100)))
        .aggregate(|| 0, |_, one, two| one + two)
        .to_stream()
        .map(|w, sum| (format!("{}-{}", w.window.start, w.window.end), sum.unwrap_or(-1)))
        .to("out");
    let runner = Runner::new(&builder.build()?)?;
    runner.pipe_at("numbers", text("a"), 5i64, 0)?;
    runner.pipe_at("numbers", text("a"), 6i64, 20)?;
    runner.pipe_at("words", text("a"), text("xy"), 10)?;
    let out = [("0-0", 5), ("20-20", 6), ("0-0", -1), ("20-20", -1), ("0-20", 13)];
    assert_eq!(
        runner.read::<String, i64>("out"),
        out.map(|(window, sum)| (text(window), sum))
    );
    Ok(())
}
