//! Brokers that answer with an error code.

use std::time::Duration;

use super::super::{Attempt, Row, Scenario, SceneOptions};
use crate::proxy::{Action, Rule, Side, api};

pub(super) const ROWS: &[Row] = &[Row {
    id: "R27",
    fault: "the answer is rewritten to an error code: every code of the list for every API that may give it",
    full_count: 58,
    seconds_each: 6.0,
    seconds_around: 15.0,
    run: error_codes,
}];

const MATCH_LIMIT: Duration = Duration::from_secs(20);

/// What an error code makes the application do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// It goes on by itself: repeats, aborts, or joins again.
    GoesOn,
    /// It ends with an error that says what a person has to do.
    Ends,
}
use Class::{Ends, GoesOn};

const CODES: [(i16, &[(i16, Class)]); 11] = [
    (
        api::PRODUCE,
        &[
            (6, GoesOn),  // NOT_LEADER_OR_FOLLOWER
            (7, GoesOn),  // REQUEST_TIMED_OUT
            (19, GoesOn), // NOT_ENOUGH_REPLICAS
            (20, GoesOn), // NOT_ENOUGH_REPLICAS_AFTER_APPEND
            (45, GoesOn), // OUT_OF_ORDER_SEQUENCE_NUMBER
            (47, GoesOn), // INVALID_PRODUCER_EPOCH
            (48, GoesOn), // INVALID_TXN_STATE
            (59, GoesOn), // UNKNOWN_PRODUCER_ID
            (10, Ends),   // MESSAGE_TOO_LARGE
            (29, Ends),   // TOPIC_AUTHORIZATION_FAILED
        ],
    ),
    (
        api::FETCH,
        &[
            (6, GoesOn),
            (5, GoesOn),  // LEADER_NOT_AVAILABLE
            (74, GoesOn), // FENCED_LEADER_EPOCH
            (29, Ends),
        ],
    ),
    (
        api::INIT_PRODUCER_ID,
        &[
            (14, GoesOn), // COORDINATOR_LOAD_IN_PROGRESS
            (15, GoesOn), // COORDINATOR_NOT_AVAILABLE
            (16, GoesOn), // NOT_COORDINATOR
            (51, GoesOn), // CONCURRENT_TRANSACTIONS
            (53, Ends),   // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        ],
    ),
    (
        api::ADD_PARTITIONS_TO_TXN,
        &[
            (14, GoesOn),
            (16, GoesOn),
            (51, GoesOn),
            (47, GoesOn),
            (48, GoesOn),
            (90, GoesOn),
        ],
    ),
    (
        api::ADD_OFFSETS_TO_TXN,
        &[
            (14, GoesOn),
            (16, GoesOn),
            (51, GoesOn),
            (47, GoesOn),
            (48, GoesOn),
            (90, GoesOn),
        ],
    ),
    (
        api::TXN_OFFSET_COMMIT,
        &[
            (14, GoesOn),
            (16, GoesOn),
            (22, GoesOn),  // ILLEGAL_GENERATION
            (25, GoesOn),  // UNKNOWN_MEMBER_ID
            (82, GoesOn),  // FENCED_INSTANCE_ID
            (113, GoesOn), // STALE_MEMBER_EPOCH
        ],
    ),
    (
        api::END_TXN,
        &[
            (14, GoesOn),
            (16, GoesOn),
            (51, GoesOn),
            (47, GoesOn),
            (48, GoesOn),
            (90, GoesOn),
        ],
    ),
    (
        api::OFFSET_FETCH,
        &[(88, GoesOn)], // UNSTABLE_OFFSET_COMMIT
    ),
    (
        api::FIND_COORDINATOR,
        &[
            (14, GoesOn),
            (15, GoesOn), // COORDINATOR_NOT_AVAILABLE
        ],
    ),
    (
        api::STREAMS_GROUP_HEARTBEAT,
        &[
            (14, GoesOn),
            (15, GoesOn),
            (16, GoesOn),
            (25, GoesOn),  // UNKNOWN_MEMBER_ID: joins again
            (110, GoesOn), // FENCED_MEMBER_EPOCH: joins again
            (69, GoesOn),  // GROUP_ID_NOT_FOUND: joins again
            (30, Ends),    // GROUP_AUTHORIZATION_FAILED
            (130, Ends),   // STREAMS_INVALID_TOPOLOGY
        ],
    ),
    (
        // Asked now and then, to compare: what cannot be learned now is asked for later.
        api::STREAMS_GROUP_DESCRIBE,
        &[(14, GoesOn), (15, GoesOn), (16, GoesOn), (30, GoesOn), (69, GoesOn)],
    ),
];

/// Asked for by an instance that starts, or some seconds later, and seldom otherwise.
const AT_START: [i16; 4] = [
    api::INIT_PRODUCER_ID,
    api::OFFSET_FETCH,
    api::FIND_COORDINATOR,
    api::STREAMS_GROUP_DESCRIBE,
];

fn pairs() -> impl Iterator<Item = (i16, i16, Class)> {
    CODES
        .iter()
        .flat_map(|(api_key, codes)| codes.iter().map(|(code, class)| (*api_key, *code, *class)))
}

fn error_codes(s: &mut Scenario<'_>) -> Attempt {
    let all: Vec<_> = pairs().collect();
    let mut scene = s.scene(SceneOptions::default())?;
    // A part of the counts still begins somewhere else in the list each time.
    let first = s.world.random(all.len() as u64);
    s.rounds(&mut scene, |s, scene, round| {
        s.world.random_pause(50, 400);
        let (api_key, code, class) = all[((first + round) as usize) % all.len()];
        let rule = Rule::new(api_key, Side::Answer, Action::Rewrite(code)).client(&scene.client(0));
        let armed = s.world.proxy.arm(rule);
        if AT_START.contains(&api_key) {
            scene.kill(0)?;
            scene.start(0, &[])?;
        }
        if !armed.wait_matched(1, MATCH_LIMIT) {
            return Err(format!("no answer of API {api_key} was seen").into());
        }
        if class == Ends {
            let mut process = scene.take(0)?;
            if !process.wait_until_ended(MATCH_LIMIT) {
                let sentence = format!("code {code} of API {api_key} must stop the instance, and did not");
                s.outcome.violation(sentence);
                process.kill()?;
            } else if process.error().is_none() {
                let sentence = format!("code {code} of API {api_key}: the instance ended without an error");
                s.outcome.violation(sentence);
            }
            scene.start(0, &[])?;
        }
        scene.wait_until_running(0)?;
        Ok(())
    })?;
    s.outcome.notes.push(format!("{} pairs of API and code", all.len()));
    s.close(scene)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_full_run_covers_every_pair() {
        assert!(super::pairs().count() as u64 <= super::ROWS[0].full_count + 1);
    }
}
