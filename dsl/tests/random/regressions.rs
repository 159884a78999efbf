//! What random topologies have found, shrunk.
use super::{
    build, naive,
    plan::{Cut, Emit, Event, Fold, Key, Kind, Plan, Step},
};

type TestResult = Result<(), Box<dyn std::error::Error>>;

fn event(topic: usize, key: &str, value: Option<&str>, time: i64) -> Event {
    Event {
        topic,
        key: Some(key.to_owned()),
        value: value.map(str::to_owned),
        time,
        ..Event::default()
    }
}

fn agree(plan: &Plan, events: &[Event]) -> Result<super::Outcome, Box<dyn std::error::Error>> {
    let actual = build::run(plan, events)?;
    assert_eq!(naive::run(plan, events), actual);
    Ok(actual)
}

/// A count tells zero as the old value of a new row, as Kafka Streams does; the interpreter did not know.
#[test]
fn a_new_row_of_a_count_takes_its_initial_value_out_of_a_group() -> TestResult {
    let plan = Plan {
        streams: 1,
        steps: vec![
            Step::Aggregate {
                from: 0,
                by: None,
                fold: Fold::Count,
            },
            Step::TableGroup {
                from: 0,
                by: Key::First,
            },
        ],
        ..Plan::default()
    };
    let outcome = agree(&plan, &[event(0, "a", Some("a"), 0)])?;
    let groups = [
        (Some("0".to_owned()), None, 0, None),
        (Some("1".to_owned()), Some("+1".to_owned()), 0, None),
    ];
    assert_eq!(outcome.outputs["of-table-1"], groups);
    Ok(())
}

/// A record without a value moved the time of the store of its side, and the rows it should have met were gone.
#[test]
fn a_null_value_moves_no_time_of_a_join() -> TestResult {
    let plan = Plan {
        streams: 2,
        steps: vec![Step::JoinStream {
            from: 0,
            with: 1,
            kind: Kind::Inner,
            before: 10,
            after: 10,
            grace: 0,
        }],
        ..Plan::default()
    };
    let events = [
        event(0, "a", Some("x"), 1),
        event(0, "a", None, 1_000),
        event(1, "a", Some("y"), 5),
    ];
    let joined = [(Some("a".to_owned()), Some("x+y".to_owned()), 5, None)];
    assert_eq!(agree(&plan, &events)?.outputs["of-stream-2"], joined);
    Ok(())
}

/// `build` borrowed the builder twice where a stream with windows had no serde of its own, and panicked.
#[test]
fn a_windowed_cogroup_of_a_mapped_stream_can_be_built() -> TestResult {
    let plan = Plan {
        streams: 1,
        steps: vec![
            Step::FlatMap { from: 0, by: Key::Same },
            Step::CogroupWindowed {
                from: 1,
                with: 0,
                cut: Cut::Aligned { size: 5, advance: 5 },
                grace: 0,
                emit: Emit::Update,
            },
        ],
        ..Plan::default()
    };
    let outcome = agree(&plan, &[event(0, "a", Some("x"), 1)])?;
    let together = outcome.outputs["of-stream-2"].last().cloned();
    let expected = (Some("a@0/5".to_owned()), Some("&xxa".to_owned()), 1, None);
    assert_eq!(together, Some(expected));
    Ok(())
}

/// Schedules that were due at once ran in the order in which they were made; in Kafka Streams a heap decides.
#[test]
fn equal_schedules_run_in_the_order_of_a_heap() -> TestResult {
    let counting = |from| Step::Process {
        from,
        every: 5,
        wall: false,
    };
    let plan = Plan {
        streams: 1,
        steps: vec![counting(0), counting(1), counting(0)],
        ..Plan::default()
    };
    let outcome = agree(&plan, &[event(0, "a", Some("x"), 0), event(0, "a", Some("x"), 5)])?;
    let told: Vec<_> = outcome.outputs["of-stream-2"]
        .iter()
        .filter_map(|o| o.1.clone())
        .collect();
    // The second processor tells last at first, and before the first one tells it something later on.
    assert_eq!(told, ["x#1#1", "=1#2", "=2", "x#2#3", "=3", "=2#4"]);
    Ok(())
}
