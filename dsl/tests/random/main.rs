//! Random topologies and random records: the test driver against an interpreter that was written from the semantics, with
//! plain lists and maps, and shares no code with the operators.
//!
//! `cargo test` runs 300 topologies; `cargo xtask topologies --count N` runs more. A failure is shrunk; its plan and
//! events, as printed, become a named test in `regressions.rs`.
mod build;
mod naive;
mod plan;
mod regressions;

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::Config};

/// Key, value, timestamp, header.
type Output = (Option<String>, Option<String>, i64, Option<String>);

/// What a run shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Records of each topic, in order.
    outputs: BTreeMap<String, Vec<Output>>,
    dropped: u64,
}

fn count() -> u32 {
    let wanted = std::env::var("MILLSTREAM_RANDOM_TOPOLOGIES");
    wanted.ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(Config { cases: count(), failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() })]

    #[test]
    fn random_topologies_do_what_the_semantics_say(plan in plan::plans(), events in plan::events()) {
        let expected = naive::run(&plan, &events);
        let actual = build::run(&plan, &events).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(expected, actual);
    }
}
