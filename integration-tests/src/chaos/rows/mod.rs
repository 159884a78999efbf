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

use std::path::Path;
use std::time::Duration;

use super::scene::Scene;
use super::{Attempt, Row, Scenario};
use crate::proxy::{Action, Armed, Rule, Side, api};

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
const NO_OFFSETS: &str = "no offsets were sent into a transaction";
/// Until the tasks have gone back to what is committed.
const UNDONE: Duration = Duration::from_millis(300);

/// Waits until a rule has met what it describes.
fn await_match(armed: &Armed, otherwise: &str) -> Attempt {
    if armed.wait_matched(1, MATCH_LIMIT) {
        Ok(())
    } else {
        Err(otherwise.into())
    }
}

/// An error that makes the client abort what it has processed; returns when its next producer is ready.
fn abort_once(s: &mut Scenario<'_>, scene: &Scene, index: usize) -> Attempt {
    let (client, unknown_member) = (scene.client(index), Action::Rewrite(25));
    let renewed = Rule::new(api::INIT_PRODUCER_ID, Side::Answer, Action::Delay(Duration::ZERO)).client(&client);
    let renewed = s.world.proxy.arm(renewed);
    let refused = Rule::new(api::TXN_OFFSET_COMMIT, Side::Answer, unknown_member).client(&client);
    let refused = s.world.proxy.arm(refused);
    await_match(&refused, NO_OFFSETS)?;
    await_match(&renewed, "nothing was aborted")?;
    std::thread::sleep(UNDONE);
    Ok(())
}

/// Starts an instance, on the state it left, and waits until it runs.
fn restart(scene: &mut Scene, index: usize) -> Attempt {
    scene.start(index, &[])?;
    scene.wait_until_running(index)?;
    Ok(())
}

/// SIGTERM, and an end in order.
fn stop(scene: &mut Scene, index: usize) -> Attempt {
    if scene.take(index)?.stop(Duration::from_secs(10))? {
        Ok(())
    } else {
        Err(format!("instance {index} did not stop in order within 10 s").into())
    }
}

/// Lines of a log that contain the words.
fn mentions(log: &Path, words: &str) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.contains(words)).count()
}
