//! Topologies that make no sense: what is wrong is told by `build`, with the name of the operator, store or topic, and in
//! the category that Kafka Streams has for it.
use millstream_dsl::topology::{Violation, ViolationKind};

use super::*;

type Make = fn(&StreamsBuilder, &KStream<String, String>);

fn violations(make: Make) -> Vec<Violation> {
    let builder = StreamsBuilder::new();
    make(&builder, &builder.stream(Consumed::topic("in").named("source")));
    builder.build().err().map(|e| e.violations).unwrap_or_default()
}

/// What is refused, of which category it is, who is named, and a part of the message.
type Case = (&'static str, ViolationKind, &'static str, &'static str, Make);

fn check_all(cases: &[Case]) {
    for (what, kind, name, message, make) in cases {
        let found = violations(*make);
        let fits = |v: &Violation| v.kind == *kind && &*v.name == *name && v.message.contains(message);
        assert!(found.iter().any(fits), "{what}: {found:?}");
    }
}

use ViolationKind::{Argument, State, Topology as Shape};

const EVER: std::time::Duration = std::time::Duration::MAX;

fn count(s: &KStream<String, String>, windows: TimeWindows) {
    let _ = s.group_by_key().windowed_by(windows).count_with("store");
}

#[test]
fn windows_of_impossible_sizes() {
    check_all(&[
        ("zero", Argument, "store", "at least one millisecond", |_, s| {
            count(s, TimeWindows::of(millis(0)))
        }),
        (
            "less than a millisecond",
            Argument,
            "store",
            "at least one millisecond",
            |_, s| {
                count(s, TimeWindows::of(std::time::Duration::from_nanos(999_999)));
            },
        ),
        ("no advance", Argument, "store", "must advance", |_, s| {
            count(s, TimeWindows::of(millis(5)).advance_by(millis(0)));
        }),
        ("gaps", Argument, "store", "must advance", |_, s| {
            count(s, TimeWindows::of(millis(5)).advance_by(millis(6)));
        }),
        ("too long", Argument, "store", "longer than", |_, s| {
            count(s, TimeWindows::of(EVER))
        }),
        ("too long a grace", Argument, "store", "longer than", |_, s| {
            count(s, TimeWindows::of(millis(1)).grace(EVER));
        }),
        ("size and grace together", Argument, "store", "longer than", |_, s| {
            let half = millis(1 << 62);
            count(s, TimeWindows::of(half).grace(half));
        }),
    ]);
}

#[test]
fn windows_that_never_end_or_begin_too_early() {
    check_all(&[
        ("sliding", Argument, "store", "longer than", |_, s| {
            let _ = s
                .group_by_key()
                .windowed_by(SlidingWindows::of(EVER))
                .count_with("store");
        }),
        ("sessions", Argument, "store", "longer than", |_, s| {
            let _ = s
                .group_by_key()
                .windowed_by(SessionWindows::of(EVER))
                .count_with("store");
        }),
        ("a join", Argument, "it-merge", "longer than", |b, s| {
            let both = |_: &String, a: &String, b: &String| Ok::<_, BoxError>(a.clone() + b);
            s.try_join_stream_with(
                &b.stream("other"),
                both,
                JoinWindows::of(EVER),
                StreamJoined::named("it"),
            )
            .to("out");
        }),
        (
            "an inverted join",
            Argument,
            "it-merge",
            "must not end before it starts",
            |b, s| {
                let both = |_: &String, a: &String, b: &String| Ok::<_, BoxError>(a.clone() + b);
                let windows = JoinWindows::of(millis(5)).ends_before(millis(6));
                s.try_join_stream_with(&b.stream("other"), both, windows, StreamJoined::named("it"))
                    .to("out");
            },
        ),
        ("before the epoch", Argument, "store", "before the epoch", |_, s| {
            let _ = s
                .group_by_key()
                .windowed_by(UnlimitedWindows::of().start_on(-1))
                .count_with("store");
        }),
    ]);
    assert_eq!(
        violations(|_, s| {
            let _ = s.group_by_key().windowed_by(UnlimitedWindows::of()).count_with("store");
        }),
        []
    );
}

#[test]
fn results_that_could_never_leave_or_stay() {
    check_all(&[
        (
            "grace longer than retention",
            Argument,
            "store",
            "must be kept for at least 30 ms, not 20 ms",
            |_, s| {
                let windows = TimeWindows::of(millis(10)).grace(millis(20));
                let _ = s
                    .group_by_key()
                    .windowed_by(windows)
                    .count_with(Materialized::named("store").retention(millis(20)));
            },
        ),
        (
            "the same of sessions",
            Argument,
            "store",
            "must be kept for at least 30 ms",
            |_, s| {
                let windows = SessionWindows::of(millis(10)).grace(millis(20));
                let _ = s
                    .group_by_key()
                    .windowed_by(windows)
                    .count_with(Materialized::named("store").retention(millis(20)));
            },
        ),
        (
            "the same of sliding windows",
            Argument,
            "store",
            "must be kept for at least 40 ms",
            |_, s| {
                let windows = SlidingWindows::of(millis(10)).grace(millis(20));
                let _ = s
                    .group_by_key()
                    .windowed_by(windows)
                    .count_with(Materialized::named("store").retention(millis(39)));
            },
        ),
        (
            "on close of what never closes",
            Argument,
            "store",
            "never closes",
            |_, s| {
                let windows = s.group_by_key().windowed_by(UnlimitedWindows::of());
                let _ = windows.emit(EmitStrategy::OnWindowClose).count_with("store");
            },
        ),
    ]);
}

#[test]
fn names_twice_and_names_that_are_none() {
    check_all(&[
        ("two operators", Shape, "same", "", |_, s| {
            s.filter_with(|_, _| true, "same")
                .filter_with(|_, _| true, "same")
                .to("out");
        }),
        ("two stores", Shape, "same", "", |_, s| {
            let groups = s.group_by_key();
            let (_, _) = (groups.count_with("same"), groups.count_with("same"));
        }),
        ("an operator with a slash", Shape, "a/b", "", |_, s| {
            s.filter_with(|_, _| true, "a/b").to("out")
        }),
        ("an empty operator", Shape, "", "", |_, s| {
            s.filter_with(|_, _| true, "").to("out")
        }),
        ("a store of dots", Shape, "..", "", |_, s| {
            let _ = s.group_by_key().count_with("..");
        }),
        ("a repartition topic", Shape, "a b", "", |_, s| {
            s.repartition_with(Repartitioned::named("a b")).to("out")
        }),
        (
            "a topic that is read twice",
            Shape,
            "KSTREAM-SOURCE-0000000002",
            "already read",
            |b, _| {
                let _ = b.table::<String, String>("in");
            },
        ),
    ]);
}

struct Nothing;
impl Processor<String, String, String, String> for Nothing {
    fn process(
        &mut self,
        _: &ProcessorContext<'_, String, String>,
        _: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

#[test]
fn stores_that_nobody_has_added() {
    check_all(&[("a store of a processor", Shape, "it", "unknown", |_, s| {
        s.process_with(|| Nothing, Processing::new().named("it").store("unknown"))
            .to("out");
    })]);
}

#[test]
fn options_that_a_store_does_not_have() {
    let none = "at least one millisecond";
    check_all(&[
        (
            "versions in a record cache",
            State,
            "store",
            "no record cache",
            |b, _| {
                b.add_state_store(Store::<String, i64>::versioned("store", millis(10)).caching(true));
            },
        ),
        ("segments of versions", Argument, "store", none, |b, _| {
            b.add_state_store(Store::<String, i64>::versioned("store", millis(10)).segments(millis(0)));
        }),
        ("segments of windows", Argument, "store", none, |b, _| {
            let windows = Store::<String, i64>::window("store", millis(10), millis(1), true);
            b.add_state_store(windows.segments(millis(0)));
        }),
        ("segments of sessions", Argument, "store", none, |b, _| {
            b.add_state_store(Store::<String, i64>::session("store", millis(10)).segments(millis(0)));
        }),
        ("segments of a versioned table", Argument, "store", none, |b, _| {
            let versions = Materialized::<String, String>::named("store").versioned(millis(10));
            b.table_with("other", versions.segments(millis(0)));
        }),
    ]);
}

#[test]
fn parts_without_a_source() {
    let mut low = millstream_dsl::topology::TopologyBuilder::new();
    low.add_processor("lonely", || Nothing, &["nobody"]);
    let error = low.build().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(error.contains("lonely") && error.contains("nobody"), "{error}");
}
