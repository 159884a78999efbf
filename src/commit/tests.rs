//! Golden tests: every path of the protocol against scripted clients; the script is the list of calls.

use std::{collections::VecDeque, time::Duration};

use super::*;
use crate::cluster::{
    ClusterError, ErrorClass, GroupIdentity, GroupRequest, GroupResponse, OffsetToCommit, RequestId, Step,
    TopicPartition,
};

type Answer<T> = Result<T, ClusterError>;

fn error(class: ErrorClass, code: i32) -> ClusterError {
    ClusterError {
        class,
        code,
        message: format!("{class:?}"),
        partition: None,
    }
}

/// Each call takes the next answer of its kind (default: success) and is written down.
#[derive(Default)]
struct Script {
    calls: Vec<String>,
    renew: VecDeque<Answer<()>>,
    init: VecDeque<Answer<Step<()>>>,
    begin: VecDeque<Answer<()>>,
    flush: VecDeque<Answer<Step<()>>>,
    commit: VecDeque<Answer<Step<()>>>,
    answers: VecDeque<Answer<GroupResponse>>,
    epochs: VecDeque<Option<i32>>,
    unsettled: bool,
    sent: u64,
}

fn done() -> Answer<Step<()>> {
    Ok(Step::Done(()))
}

impl CommitIo for Script {
    fn renew_producer(&mut self) -> Answer<()> {
        self.calls.push("renew".into());
        self.renew.pop_front().unwrap_or(Ok(()))
    }
    fn poll_init_transactions(&mut self) -> Answer<Step<()>> {
        self.calls.push("init".into());
        self.init.pop_front().unwrap_or_else(done)
    }
    fn ensure_begun(&mut self) -> Answer<()> {
        self.calls.push("begin".into());
        self.begin.pop_front().unwrap_or(Ok(()))
    }
    fn poll_flush(&mut self) -> Answer<Step<()>> {
        self.calls.push("flush".into());
        self.flush.pop_front().unwrap_or_else(done)
    }
    fn poll_commit(&mut self, offsets: &[OffsetToCommit], identity: &GroupIdentity) -> Answer<Step<()>> {
        self.calls
            .push(format!("commit {} as epoch {}", offsets.len(), identity.member_epoch));
        self.commit.pop_front().unwrap_or_else(done)
    }
    fn is_settled(&self) -> bool {
        !self.unsettled
    }
    fn send(&mut self, request: GroupRequest) -> RequestId {
        self.calls.push(match request {
            GroupRequest::CommitOffsets { identity, offsets } => {
                format!("offsets {} as epoch {}", offsets.len(), identity.member_epoch)
            }
            GroupRequest::FetchOffsets {
                identity,
                require_stable,
                ..
            } => {
                format!("read back fenced={} stable={require_stable}", identity.is_some())
            }
            GroupRequest::Heartbeat(_) => "heartbeat".into(),
            GroupRequest::DescribeMember { .. } => "describe".into(),
        });
        self.sent += 1;
        RequestId(self.sent)
    }
    fn answer(&mut self, id: RequestId) -> Option<Answer<GroupResponse>> {
        assert_eq!(id, RequestId(self.sent), "asks for the answer to its latest request");
        self.answers.pop_front()
    }
    fn identity(&self) -> Option<GroupIdentity> {
        let epoch = match self.epochs.front() {
            Some(e) => *e,
            None => Some(7),
        };
        epoch.map(|member_epoch| GroupIdentity {
            group_id: "app".into(),
            member_id: "m".into(),
            member_epoch,
        })
    }
}

fn offset(partition: i32, offset: i64) -> OffsetToCommit {
    OffsetToCommit {
        partition: TopicPartition {
            topic: "in".into(),
            partition,
        },
        offset,
        metadata: "AgAAAAAAAAAF".into(),
    }
}

fn machine(exactly_once: bool) -> CommitMachine {
    CommitMachine::new(Settings {
        exactly_once,
        backoff: Duration::from_millis(100),
        patience: Duration::from_secs(10),
        endurance: Duration::from_secs(10),
    })
}

/// Steps until done; time moves by 100 ms a step.
fn run(machine: &mut CommitMachine, script: &mut Script) -> Outcome {
    let mut now = Duration::ZERO;
    for _ in 0..1000 {
        match machine.step(script, now) {
            CommitStep::Done(outcome) => {
                assert!(machine.is_idle());
                return outcome;
            }
            CommitStep::Pending { .. } => now += Duration::from_millis(100),
        }
    }
    panic!("never done: {:?}", script.calls);
}

fn commit(exactly_once: bool, script: &mut Script) -> Outcome {
    let mut m = machine(exactly_once);
    m.start_commit(Attempt::new(vec![offset(1, 20), offset(0, 10)]));
    run(&mut m, script)
}

#[test]
fn at_least_once_flushes_then_commits_offsets() {
    let mut s = Script {
        flush: [Ok(Step::Pending), done()].into(),
        answers: [Ok(GroupResponse::CommitOffsets)].into(),
        ..Script::default()
    };
    assert!(matches!(commit(false, &mut s), Outcome::Committed));
    assert_eq!(s.calls, ["flush", "flush", "offsets 2 as epoch 7"]);
}

#[test]
fn at_least_once_without_offsets_only_flushes() {
    let mut m = machine(false);
    let mut s = Script::default();
    m.start_commit(Attempt::default());
    assert!(matches!(run(&mut m, &mut s), Outcome::Committed));
    assert_eq!(s.calls, ["flush"]);
}

#[test]
fn at_least_once_repeats_offsets_whose_answer_was_lost() {
    let mut s = Script {
        answers: [
            Err(error(ErrorClass::Retry, 16)),
            Err(error(ErrorClass::Unknown, 0)),
            Ok(GroupResponse::CommitOffsets),
        ]
        .into(),
        ..Script::default()
    };
    assert!(matches!(commit(false, &mut s), Outcome::Committed));
    assert_eq!(
        s.calls,
        [
            "flush",
            "offsets 2 as epoch 7",
            "offsets 2 as epoch 7",
            "offsets 2 as epoch 7"
        ]
    );
}

#[test]
fn at_least_once_takes_the_epoch_of_the_moment_once() {
    struct Moved(Script);
    let mut s = Script {
        answers: [Err(error(ErrorClass::Migrated, 113)), Ok(GroupResponse::CommitOffsets)].into(),
        epochs: [Some(7)].into(),
        ..Script::default()
    };
    let mut m = machine(false);
    m.start_commit(Attempt::new(vec![offset(0, 10)]));
    assert!(matches!(m.step(&mut s, Duration::ZERO), CommitStep::Pending { .. }));
    s.epochs = [Some(8)].into();
    let mut moved = Moved(s);
    assert!(matches!(run(&mut m, &mut moved.0), Outcome::Committed));
    assert_eq!(moved.0.calls, ["flush", "offsets 1 as epoch 7", "offsets 1 as epoch 8"]);
}

#[test]
fn at_least_once_with_an_epoch_that_stays_stale_migrates() {
    let mut s = Script {
        answers: [Err(error(ErrorClass::Migrated, 113))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(false, &mut s), Outcome::Migrated(_)));
    assert_eq!(s.calls, ["flush", "offsets 2 as epoch 7"]);
}

#[test]
fn at_least_once_an_undelivered_record_undoes_everything_since_the_last_commit() {
    let mut s = Script {
        flush: [Err(error(ErrorClass::Unknown, -192))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(false, &mut s), Outcome::Aborted(_)));
    assert_eq!(
        s.calls,
        ["flush", "renew"],
        "offsets of lost output are never committed"
    );
}

#[test]
fn exactly_once_begins_then_commits_with_the_identity_of_the_first_call() {
    let mut s = Script {
        commit: [Ok(Step::Pending), done()].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Committed));
    assert_eq!(s.calls, ["begin", "commit 2 as epoch 7", "commit 2 as epoch 7"]);
}

#[test]
fn exactly_once_try_again_is_the_same_call_again() {
    let mut s = Script {
        commit: [Err(error(ErrorClass::Retry, 51)), done()].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Committed));
    assert_eq!(s.calls, ["begin", "commit 2 as epoch 7", "commit 2 as epoch 7"]);
}

#[test]
fn exactly_once_a_commit_whose_requests_may_still_arrive_ends_the_incarnation() {
    let mut s = Script {
        unsettled: true,
        init: [Ok(Step::Pending), Err(error(ErrorClass::Migrated, 90)), done()].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Committed));
    assert_eq!(
        s.calls,
        ["begin", "commit 2 as epoch 7", "renew", "init", "init", "renew", "init"]
    );
}

#[test]
fn exactly_once_unknown_outcome_with_the_offsets_there_was_committed() {
    let mut s = Script {
        commit: [Err(error(ErrorClass::Unknown, -185))].into(),
        answers: [Ok(GroupResponse::FetchOffsets(vec![offset(0, 10), offset(1, 20)]))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Committed));
    assert_eq!(
        s.calls,
        [
            "begin",
            "commit 2 as epoch 7",
            "renew",
            "init",
            "read back fenced=false stable=true"
        ]
    );
}

#[test]
fn exactly_once_unknown_outcome_with_other_offsets_was_aborted() {
    for committed in [
        vec![],
        vec![offset(0, 10)],
        vec![offset(0, 10), offset(1, 19)],
        vec![
            offset(0, 10),
            OffsetToCommit {
                metadata: "other".into(),
                ..offset(1, 20)
            },
        ],
    ] {
        let mut s = Script {
            commit: [Err(error(ErrorClass::Unknown, -185))].into(),
            answers: [
                Err(error(ErrorClass::Retry, 88)),
                Ok(GroupResponse::FetchOffsets(committed)),
            ]
            .into(),
            ..Script::default()
        };
        assert!(matches!(commit(true, &mut s), Outcome::Aborted(_)));
        assert_eq!(
            s.calls.iter().filter(|c| c.starts_with("read back")).count(),
            2,
            "waits for stable offsets"
        );
    }
}

#[test]
fn exactly_once_without_offsets_an_unknown_outcome_counts_as_aborted() {
    let mut m = machine(true);
    m.start_commit(Attempt::default());
    let mut s = Script {
        commit: [Err(error(ErrorClass::Unknown, -185))].into(),
        ..Script::default()
    };
    assert!(matches!(run(&mut m, &mut s), Outcome::Aborted(_)));
    assert_eq!(s.calls, ["begin", "commit 0 as epoch 7", "renew", "init"]);
}

#[test]
fn exactly_once_a_refused_commit_ends_the_incarnation() {
    let mut s = Script {
        commit: [Err(error(ErrorClass::AbortTransaction, 10))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Aborted(_)));
    assert_eq!(s.calls, ["begin", "commit 2 as epoch 7", "renew", "init"]);
}

#[test]
fn exactly_once_fenced_migrates_with_a_new_producer() {
    let mut s = Script {
        commit: [Err(error(ErrorClass::Migrated, 22))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Migrated(_)));
    assert_eq!(s.calls, ["begin", "commit 2 as epoch 7", "renew", "init"]);
}

#[test]
fn exactly_once_a_former_member_does_not_even_try() {
    let mut s = Script {
        epochs: [None].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Migrated(_)));
    assert_eq!(s.calls, ["begin", "renew", "init"]);
}

#[test]
fn exactly_once_a_commit_without_end_is_asked_about() {
    let mut s = Script {
        commit: (0..200).map(|_| Err(error(ErrorClass::Retry, 51))).collect(),
        answers: [Ok(GroupResponse::FetchOffsets(vec![offset(0, 10), offset(1, 20)]))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Committed));
    assert_eq!(
        s.calls[s.calls.len() - 3..],
        ["renew", "init", "read back fenced=false stable=true"]
    );
}

/// librdkafka was seen to wait for ever after the coordinator had rolled the transaction back (row R11).
#[test]
fn exactly_once_a_commit_that_is_pending_for_ever_is_asked_about() {
    let mut s = Script {
        commit: (0..200).map(|_| Ok(Step::Pending)).collect(),
        answers: [Ok(GroupResponse::FetchOffsets(vec![]))].into(),
        ..Script::default()
    };
    assert!(matches!(commit(true, &mut s), Outcome::Aborted(_)));
    assert_eq!(
        s.calls[s.calls.len() - 3..],
        ["renew", "init", "read back fenced=false stable=true"]
    );
}

#[test]
fn an_abort_never_touches_the_old_producer() {
    let mut m = machine(true);
    m.start_abort(error(ErrorClass::AbortTransaction, 10));
    let mut s = Script {
        init: [Ok(Step::Pending), Err(error(ErrorClass::Retry, 51)), done()].into(),
        ..Script::default()
    };
    assert!(matches!(run(&mut m, &mut s), Outcome::Aborted(_)));
    assert_eq!(s.calls, ["renew", "init", "init", "init"]);
}

#[test]
fn an_incarnation_fenced_while_it_starts_is_renewed() {
    let mut m = machine(true);
    m.start_init();
    let mut s = Script {
        init: [Err(error(ErrorClass::Migrated, 90)), done()].into(),
        ..Script::default()
    };
    assert!(matches!(run(&mut m, &mut s), Outcome::Ready));
    assert_eq!(s.calls, ["init", "renew", "init"]);
}

#[test]
fn fatal_errors_end_the_machine_at_every_step() {
    let fatal = || error(ErrorClass::Fatal, 29);
    let at_flush = Script {
        flush: [Err(fatal())].into(),
        ..Script::default()
    };
    let at_offsets = Script {
        answers: [Err(fatal())].into(),
        ..Script::default()
    };
    for mut s in [at_flush, at_offsets] {
        assert!(matches!(commit(false, &mut s), Outcome::Failed(_)));
    }
    let at_begin = Script {
        begin: [Err(fatal())].into(),
        ..Script::default()
    };
    let at_commit = Script {
        commit: [Err(fatal())].into(),
        ..Script::default()
    };
    let at_init = Script {
        commit: [Err(error(ErrorClass::Unknown, 0))].into(),
        init: [Err(fatal())].into(),
        ..Script::default()
    };
    for mut s in [at_begin, at_commit, at_init] {
        assert!(matches!(commit(true, &mut s), Outcome::Failed(_)));
    }
}
