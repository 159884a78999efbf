//! Faults between applications and brokers.

use std::time::Duration;

use super::super::{Attempt, Row, Scenario, SceneOptions};
use super::{abort_once, await_match};
use crate::proxy::{Action, Line, Rule, Side, Wall, api};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "R21",
        fault: "the end of a transaction is lost, half of the times a commit, half an abort: its answer with the connection, once or for so long that the outcome is unknown; or the commit itself, until the coordinator rolls it back",
        full_count: 100,
        seconds_each: 8.0,
        seconds_around: 15.0,
        run: end_lost,
    },
    Row {
        id: "R22",
        fault: "a commit arrives late, in the middle of the next transaction, then `kill -9`; half of the times it was repeated on a new connection with success, half its transaction was aborted",
        full_count: 100,
        seconds_each: 12.0,
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
        id: "R24",
        fault: "slow network for 20 s: each frame of every instance takes 0 to 400 ms, and more at 64 KiB/s; or only the answers to commits do, 3 s, while records go on arriving",
        full_count: 60,
        seconds_each: 30.0,
        seconds_around: 15.0,
        run: slow,
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
/// The patience of the client with a commit is 30 s.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Longer than the coordinator lets a transaction be open.
const BEYOND_THE_TRANSACTION: Duration = Duration::from_secs(8);
/// Longer than an instance waits for the answer to a commit: it has to ask what became of it.
const BEYOND_THE_ANSWER: Duration = Duration::from_secs(14);

fn end_lost(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(100, 1_000);
        let client = scene.client(round as usize % 2);
        let end = |side| Rule::new(api::END_TXN, side, Action::Cut).commits(true).client(&client);
        match round % 8 {
            0 | 2 | 4 => {
                s.outcome.variant("answer to a commit lost");
                await_match(&s.world.proxy.arm(end(Side::Answer)), "no commit was seen")
            }
            6 => {
                s.outcome.variant("all answers to commits lost for 8 s");
                let armed = s.world.proxy.arm(end(Side::Answer).times(u64::MAX));
                await_match(&armed, "no commit was seen")?;
                std::thread::sleep(BEYOND_THE_TRANSACTION);
                Ok(())
            }
            1 | 5 => {
                s.outcome.variant("commit lost until it was rolled back");
                let armed = s.world.proxy.arm(end(Side::Request).times(u64::MAX));
                await_match(&armed, "no commit was seen")?;
                std::thread::sleep(BEYOND_THE_ANSWER);
                Ok(())
            }
            _ => {
                // An abort is a new epoch: the coordinator ends what the old one has open.
                s.outcome.variant("answer to an abort lost");
                let rule = Rule::new(api::INIT_PRODUCER_ID, Side::Answer, Action::Cut).client(&client);
                let abort = s.world.proxy.arm(rule);
                abort_once(s, scene, round as usize % 2)?;
                await_match(&abort, "nothing was aborted")
            }
        }
    })
}

/// The commit of transaction 1 is held, and its connection ends. Then the client repeats it, successfully; or it cannot, gives up,
/// and aborts. Transaction 2 has written everything and is about to send its offsets: now the held commit arrives, and the instance
/// dies. What transaction 2 wrote must never be seen.
fn late_commit(s: &mut Scenario<'_>) -> Attempt {
    let options = SceneOptions {
        instances: 1,
        ..SceneOptions::default()
    };
    s.usual(options, |s, scene, round| {
        s.world.random_pause(100, 1_000);
        let client = scene.client(0);
        let commit = |action| {
            let rule = Rule::new(api::END_TXN, Side::Request, action);
            rule.commits(true).client(&client)
        };
        let held = s.world.proxy.arm(commit(Action::Hold));
        if round % 2 == 0 {
            s.outcome.variant("repeated with success");
            await_match(&held, "no commit was seen")?;
            let repeated = Rule::new(api::END_TXN, Side::Answer, Action::Delay(Duration::ZERO)).client(&client);
            await_match(&s.world.proxy.arm(repeated), "the client did not repeat its commit")?;
        } else {
            s.outcome.variant("aborted meanwhile");
            let lost = s.world.proxy.arm(commit(Action::Cut).times(u64::MAX));
            let renewed = Rule::new(api::INIT_PRODUCER_ID, Side::Answer, Action::Delay(Duration::ZERO)).client(&client);
            let renewed = s.world.proxy.arm(renewed);
            await_match(&held, "no commit was seen")?;
            if !renewed.wait_matched(1, GIVEN_UP) {
                return Err("the client did not give its commit up".into());
            }
            drop(lost);
        }
        let offsets = Rule::new(api::ADD_OFFSETS_TO_TXN, Side::Request, Action::Delay(MATCH_LIMIT)).client(&client);
        let offsets = s.world.proxy.arm(offsets);
        await_match(&offsets, "the next transaction sent no offsets")?;
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

const SLOW_FOR: Duration = Duration::from_secs(20);
const SLOW: Line = Line {
    latency: Duration::from_millis(400),
    bytes_per_second: 64 << 10,
};
const SLOW_COMMIT: Duration = Duration::from_secs(3);
/// More often an instance does not begin to rebalance in that time: it would never come to rest.
const REBALANCES: usize = 3;

fn slow(s: &mut Scenario<'_>) -> Attempt {
    s.usual(SceneOptions::default(), |s, scene, round| {
        s.world.random_pause(300, 1_000);
        let client = scene.clients();
        let rules = if round % 2 == 0 {
            s.outcome.variant("all frames");
            vec![
                Rule::every(Side::Request, Action::Slow(SLOW)),
                Rule::every(Side::Answer, Action::Slow(SLOW)),
            ]
        } else {
            s.outcome.variant("answers to commits");
            let commit = Rule::new(api::END_TXN, Side::Answer, Action::Delay(SLOW_COMMIT));
            vec![commit.commits(true).times(u64::MAX)]
        };
        let before = scene.rebalances();
        let armed: Vec<_> = rules
            .into_iter()
            .map(|r| s.world.proxy.arm(r.client(&client)))
            .collect();
        std::thread::sleep(SLOW_FOR);
        if armed.iter().any(|armed| armed.matched() == 0) {
            return Err("nothing was slowed down".into());
        }
        for (index, (before, after)) in before.into_iter().zip(scene.rebalances()).enumerate() {
            let times = after - before;
            if times > REBALANCES {
                s.outcome
                    .violation(format!("instance {index} rebalanced {times} times"));
            }
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
