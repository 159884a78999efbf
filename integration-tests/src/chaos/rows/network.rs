//! Faults between applications and brokers.

use std::time::Duration;

use super::super::{Attempt, Row, Scenario, SceneOptions};
use crate::proxy::{Action, Rule, Side, api};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "R21",
        fault: "the coordinator has committed, its answer is lost with the connection; every fifth time for so long that the outcome is unknown",
        full_count: 50,
        seconds_each: 6.0,
        seconds_around: 15.0,
        run: commit_answer_lost,
    },
    Row {
        id: "R22",
        fault: "a commit that was repeated on a new connection arrives late, in the middle of the next transaction; then `kill -9`",
        full_count: 50,
        seconds_each: 10.0,
        seconds_around: 15.0,
        run: late_commit,
    },
];

const MATCH_LIMIT: Duration = Duration::from_secs(20);

fn commit_answer_lost(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(100, 1_000);
        let client = scene.client(round as usize % 2);
        let rule = Rule::new(api::END_TXN, Side::Answer, Action::Cut)
            .commits(true)
            .client(&client);
        let for_long = round % 5 == 4;
        let armed = s.world.proxy.arm(rule.times(if for_long { u64::MAX } else { 1 }));
        if !armed.wait_matched(1, MATCH_LIMIT) {
            return Err("no commit was seen".into());
        }
        if for_long {
            std::thread::sleep(Duration::from_secs(8));
            s.outcome
                .notes
                .push(format!("{} answers lost in a row", armed.matched()));
        }
        Ok(())
    })
}

/// 1. The commit of transaction 1 is held, and its connection ends. 2. The client repeats it, successfully. 3. Transaction 2
/// has written everything and is about to send its offsets. 4. The held commit arrives. 5. The instance dies: what
/// transaction 2 wrote must never be seen.
fn late_commit(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        instances: 1,
        ..SceneOptions::default()
    };
    s.usual(options, |s, scene, _| {
        s.world.random_pause(100, 1_000);
        let client = scene.client(0);
        let commit = Rule::new(api::END_TXN, Side::Request, Action::Hold)
            .commits(true)
            .client(&client);
        let held = s.world.proxy.arm(commit);
        if !held.wait_matched(1, MATCH_LIMIT) {
            return Err("no commit was seen".into());
        }
        let repeated = Rule::new(api::END_TXN, Side::Answer, Action::Delay(Duration::ZERO)).client(&client);
        let repeated = s.world.proxy.arm(repeated);
        if !repeated.wait_matched(1, MATCH_LIMIT) {
            return Err("the client did not repeat its commit".into());
        }
        let offsets = Rule::new(api::ADD_OFFSETS_TO_TXN, Side::Request, Action::Delay(MATCH_LIMIT)).client(&client);
        let offsets = s.world.proxy.arm(offsets);
        if !offsets.wait_matched(1, MATCH_LIMIT) {
            return Err("the next transaction sent no offsets".into());
        }
        held.release();
        let answer = held.late_answer(MATCH_LIMIT).ok_or("the late commit got no answer")?;
        // Correlation id, throttle time, error code.
        let refused = answer.get(8..10) != Some(&[0, 0]);
        s.outcome.sometimes("late commit refused by the coordinator", refused);
        scene.kill(0)?;
        scene.start(0, &[])?;
        scene.wait_until_running(0)?;
        Ok(())
    })
}
