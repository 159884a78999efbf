//! A few injections of the rows that find most: a killed process, leaders and coordinators that go, a lost answer to a
//! commit. `cargo xtask chaos` runs the whole table.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scenario fails by panicking"
)]
#![allow(
    clippy::print_stdout,
    reason = "the run's figures are for the reader of the test's output"
)]

use std::path::Path;

use millstream_integration_tests::chaos::{Row, World};

const SMOKE: [(&str, u64); 4] = [("R01", 5), ("R11", 2), ("R13", 2), ("R21", 5)];

#[test]
fn kills_bounces_and_lost_answers_lose_and_repeat_nothing() {
    let mut world = World::start(Path::new(env!("CARGO_BIN_EXE_counting-app")), 1).unwrap();
    let mut violations = Vec::new();
    for (id, count) in SMOKE {
        let row = Row::all()
            .into_iter()
            .find(|row| row.id == id)
            .expect("a row of the table");
        let outcome = row.run(&mut world, count);
        println!("{}", outcome.line());
        violations.extend(outcome.violations.into_iter().map(|v| format!("{id}: {v}")));
    }
    if !violations.is_empty() {
        let kept = world.keep();
        panic!("{} violations, logs in {kept:?}: {violations:#?}", violations.len());
    }
}
