//! Faults between applications and brokers.

use std::time::Duration;

use super::super::{Attempt, Row, Scenario, SceneOptions};
use crate::proxy::{Action, Rule, Side, Wall, api};

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
    Row {
        id: "R20",
        fault: "the answer to a transactional request is lost (InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, Produce), with and without its connection",
        full_count: 100,
        seconds_each: 10.0,
        seconds_around: 15.0,
        run: answer_lost,
    },
    Row {
        id: "R23",
        fault: "connection cut in the middle of a frame, either direction",
        full_count: 100,
        seconds_each: 4.0,
        seconds_around: 15.0,
        run: cut_inside_a_frame,
    },
    Row {
        id: "R25",
        fault: "network partition: from all brokers, one broker, the transaction coordinator, one-way; 5, 15 or 30 s",
        full_count: 60,
        seconds_each: 25.0,
        seconds_around: 15.0,
        run: partition,
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

/// The commit of transaction 1 is held, and its connection ends; the client repeats it, successfully. Transaction 2 has written
/// everything and is about to send its offsets: now the held commit arrives, and the instance dies. What transaction 2 wrote
/// must never be seen.
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

const OF_TRANSACTIONS: [i16; 5] = [
    api::INIT_PRODUCER_ID,
    api::ADD_PARTITIONS_TO_TXN,
    api::ADD_OFFSETS_TO_TXN,
    api::TXN_OFFSET_COMMIT,
    api::PRODUCE,
];

fn answer_lost(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(100, 800);
        let api_key = OF_TRANSACTIONS[round as usize % OF_TRANSACTIONS.len()];
        let action = if (round / 5) % 2 == 0 {
            Action::Cut
        } else {
            Action::Drop
        };
        let starts = api_key == api::INIT_PRODUCER_ID;
        let skip = if starts { 0 } else { s.world.random(4) };
        let rule = Rule::new(api_key, Side::Answer, action)
            .client(&scene.client(0))
            .skip(skip);
        let armed = s.world.proxy.arm(rule);
        if starts {
            // Asked for at the start of a producer only.
            scene.kill(0)?;
            scene.start(0, &[])?;
        }
        if !armed.wait_matched(1, MATCH_LIMIT) {
            return Err(format!("no answer of API {api_key} was seen").into());
        }
        Ok(())
    })
}

fn cut_inside_a_frame(s: &mut Scenario<'_>) -> Attempt {
    const APIS: [i16; 7] = [
        api::PRODUCE,
        api::FETCH,
        api::ADD_PARTITIONS_TO_TXN,
        api::ADD_OFFSETS_TO_TXN,
        api::TXN_OFFSET_COMMIT,
        api::END_TXN,
        api::STREAMS_GROUP_HEARTBEAT,
    ];
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(100, 800);
        let api_key = APIS[round as usize % APIS.len()];
        let side = if s.world.random(2) == 0 {
            Side::Request
        } else {
            Side::Answer
        };
        let bytes = 1 + s.world.random(12) as usize;
        let rule = Rule::new(api_key, side, Action::CutAfter(bytes)).client(&scene.client(0));
        let armed = s.world.proxy.arm(rule);
        if !armed.wait_matched(1, MATCH_LIMIT) {
            return Err(format!("no frame of API {api_key} was seen").into());
        }
        Ok(())
    })
}

fn partition(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_000);
        let client = scene.client(0);
        let brokers = match round % 4 {
            1 => Some(vec![s.world.random(3) as usize]),
            2 => Some(vec![s.world.transaction_coordinator(&scene.transactional_id(0)?)?]),
            _ => None,
        };
        let side = (round % 4 == 3).then_some(Side::Answer);
        let wall = s.world.proxy.wall(Wall { client, brokers, side });
        std::thread::sleep(Duration::from_secs([5, 15, 30][(round / 4) as usize % 3]));
        if wall.matched() == 0 {
            return Err("nothing was held back".into());
        }
        Ok(())
    })
}
