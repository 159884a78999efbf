//! The rows of the table, by what they break.

mod app;
mod brokers;
mod changelog;
mod codes;
mod crash_points;
mod disk;
mod failing_disk;
mod formats;
mod memory;
mod network;
mod user_code;

use std::time::Duration;

use super::scene::Scene;
use super::{Attempt, Row, Scenario};
use crate::proxy::{Action, Rule, Side, api};

/// In the order of their numbers.
pub(super) fn all() -> Vec<Row> {
    let mut all = [
        app::ROWS,
        crash_points::ROWS,
        user_code::ROWS,
        brokers::ROWS,
        network::ROWS,
        codes::ROWS,
        disk::ROWS,
        changelog::ROWS,
        failing_disk::ROWS,
        formats::ROWS,
        memory::ROWS,
    ]
    .concat();
    all.sort_by_key(|row| row.id);
    all
}

const MATCH_LIMIT: Duration = Duration::from_secs(20);

/// An error that makes the client abort what it has processed.
fn abort_once(s: &mut Scenario<'_>, scene: &Scene, index: usize) -> Attempt {
    let unknown_member = Action::Rewrite(25);
    let rule = Rule::new(api::TXN_OFFSET_COMMIT, Side::Answer, unknown_member).client(&scene.client(index));
    let armed = s.world.proxy.arm(rule);
    if armed.wait_matched(1, MATCH_LIMIT) {
        Ok(())
    } else {
        Err("no offsets were sent into a transaction".into())
    }
}

/// Starts an instance, on the state it left, and waits until it runs.
fn restart(scene: &mut Scene, index: usize) -> Attempt {
    scene.start(index, &[])?;
    scene.wait_until_running(index)?;
    Ok(())
}
