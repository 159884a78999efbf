//! Golden scripts: what a member does, line by line, as a broker plays its part.
mod looks;

use std::{fmt::Write, sync::Arc};

use super::{Action, MemberConfig, Membership, StatusCode, Timing};
use crate::cluster::{
    ClusterError, ErrorClass, HeartbeatRequest, HeartbeatResponse, TaskId, TaskLists, TopologyDescription,
};

fn active(partitions: &[i32]) -> TaskLists {
    let active = partitions
        .iter()
        .map(|&partition| TaskId {
            subtopology: 0,
            partition,
        })
        .collect();
    TaskLists {
        active,
        ..TaskLists::default()
    }
}

fn show_tasks(lists: &TaskLists) -> String {
    let role = |name: &str, tasks: &[TaskId]| {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|t| format!("{}_{}", t.subtopology, t.partition))
            .collect();
        if tasks.is_empty() {
            String::new()
        } else {
            format!("{name}[{}]", tasks.join(" "))
        }
    };
    let all = role("", &lists.active) + &role("standby", &lists.standby) + &role("warmup", &lists.warmup);
    if all.is_empty() { "[]".into() } else { all }
}

fn show_request(request: &HeartbeatRequest) -> String {
    let mut line = match request.member_epoch {
        0 => "join".to_string(),
        -1 => "leave".to_string(),
        epoch => format!("beat {epoch}"),
    };
    if let (Some(owned), true) = (&request.owned, request.member_epoch > 0) {
        let _ = write!(line, " owned {}", show_tasks(owned));
    }
    if request.shutdown_application {
        line.push_str(" shutdown");
    }
    line
}

fn show(action: &Action) -> String {
    match action {
        Action::Send(request) => show_request(request),
        Action::Describe => "describe".into(),
        Action::Revoke(tasks) => format!("REVOKE {}", show_tasks(tasks)),
        Action::Assign(tasks) => format!("ASSIGN {}", show_tasks(tasks)),
        Action::Lost => "LOST".into(),
        Action::Status(status) => format!("STATUS {:?}", status.iter().map(|s| s.code).collect::<Vec<_>>()),
        Action::Fatal(error) => format!("FATAL {error}"),
        Action::Left => "LEFT".into(),
    }
}

/// A member under a script; `log` is what it did.
struct Script {
    member: Membership,
    now_ms: i64,
    log: Vec<String>,
}

impl Script {
    fn new(member_id: &str) -> Self {
        let config = MemberConfig {
            group_id: "app".into(),
            member_id: member_id.into(),
            process_id: "process".into(),
            topology: Arc::new(TopologyDescription::default()),
            rebalance_timeout_ms: 300_000,
            user_endpoint: None,
            client_tags: Vec::new(),
            timing: Timing::default(),
        };
        Self {
            member: Membership::new(config),
            now_ms: 0,
            log: Vec::new(),
        }
    }

    fn step(&mut self, answer: Option<crate::cluster::Result<HeartbeatResponse>>) -> &mut Self {
        let actions = self.member.step(self.now_ms, answer);
        self.log
            .extend(actions.iter().map(|action| format!("{} {}", self.now_ms, show(action))));
        self
    }

    /// Waits until the member wants to be called.
    fn wake(&mut self) -> &mut Self {
        self.now_ms = self.now_ms.max(self.member.next_wake_ms());
        assert_ne!(self.now_ms, i64::MAX, "nothing to wait for");
        self.step(None)
    }

    fn answer(&mut self, epoch: i32, assigned: Option<&[i32]>) -> &mut Self {
        self.answer_with(epoch, assigned, &[])
    }

    fn answer_with(&mut self, epoch: i32, assigned: Option<&[i32]>, status: &[(i8, &str)]) -> &mut Self {
        self.now_ms += 1;
        let response = HeartbeatResponse {
            member_epoch: epoch,
            heartbeat_interval_ms: 5_000,
            status: status
                .iter()
                .map(|&(code, detail)| (code, detail.to_string()))
                .collect(),
            assigned: assigned.map(active),
            endpoint_epoch: 0,
        };
        self.step(Some(Ok(response)))
    }

    fn fail(&mut self, class: ErrorClass, code: i32) -> &mut Self {
        self.now_ms += 1;
        let error = ClusterError {
            class,
            code,
            message: format!("error {code}"),
            partition: None,
        };
        self.step(Some(Err(error)))
    }

    fn owns(&mut self, partitions: &[i32]) -> &mut Self {
        self.member.acknowledge(active(partitions));
        self.step(None)
    }

    fn leave(&mut self) -> &mut Self {
        self.member.leave();
        self.step(None)
    }

    fn check(&mut self, golden: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.log), golden);
        self
    }

    /// A settled member with these tasks at epoch 2.
    fn settled(partitions: &[i32]) -> Self {
        let mut script = Self::new("a");
        script
            .wake()
            .answer(2, Some(partitions))
            .owns(partitions)
            .answer(2, None);
        script.log.clear();
        assert!(script.member.is_settled());
        script
    }
}

#[test]
fn two_members_share_the_tasks_without_ever_owning_one_twice() {
    let (mut a, mut b) = (Script::new("a"), Script::new("b"));
    a.now_ms = 10;
    a.step(None).answer(2, Some(&[0, 1, 2, 3]));
    a.check(&["10 join", "11 ASSIGN [0_0 0_1 0_2 0_3]"]);
    a.owns(&[0, 1, 2, 3]).answer(2, None);
    a.check(&["11 beat 2 owned [0_0 0_1 0_2 0_3]"]);

    b.now_ms = 100;
    b.step(None).answer(3, Some(&[])).wake();
    b.check(&["100 join", "201 beat 3 owned []"]);

    // The epoch does not move when tasks are taken away; it moves with the acknowledgement.
    a.wake().answer(2, Some(&[0, 1]));
    a.check(&["1012 beat 2", "1013 REVOKE [0_2 0_3]"]);
    a.owns(&[0, 1]).answer(3, None);
    a.check(&["1013 beat 2 owned [0_0 0_1]"]);
    assert_eq!(a.member.identity().map(|identity| identity.member_epoch), Some(3));

    b.answer(3, Some(&[2, 3])).owns(&[2, 3]).answer(3, None);
    b.check(&["202 ASSIGN [0_2 0_3]", "202 beat 3 owned [0_2 0_3]"]);
    assert!(a.member.is_settled() && b.member.is_settled());

    a.leave().owns(&[]).answer(-1, None);
    a.check(&["1014 REVOKE [0_0 0_1]", "1014 leave", "1015 LEFT"]);
    assert_eq!(a.member.identity(), None);
    b.wake()
        .answer(4, Some(&[0, 1, 2, 3]))
        .owns(&[0, 1, 2, 3])
        .answer(4, None);
    b.check(&[
        "1203 beat 3",
        "1204 ASSIGN [0_0 0_1]",
        "1204 beat 4 owned [0_0 0_1 0_2 0_3]",
    ]);
}

#[test]
fn a_lost_answer_makes_the_member_commit_give_back_and_rejoin_under_the_same_id() {
    let mut a = Script::settled(&[0, 1]);
    let start_ms = a.now_ms;
    a.wake()
        .fail(ErrorClass::Retry, -195)
        .wake()
        .fail(ErrorClass::Retry, 16)
        .wake();
    let beat = |after: i64, what: &str| format!("{} {what}", start_ms + after);
    assert_eq!(
        std::mem::take(&mut a.log),
        [
            beat(1_000, "beat 2"),
            beat(1_101, "beat 2 owned [0_0 0_1]"),
            beat(1_302, "beat 2 owned [0_0 0_1]"),
        ]
    );
    // The coordinator is back and says nothing about tasks: they may have been in the lost answer.
    a.answer(3, None);
    assert_eq!(
        a.member.identity().map(|i| i.member_epoch),
        Some(3),
        "the last commit needs the epoch of the moment"
    );
    a.owns(&[]).answer(3, Some(&[0, 1, 2]));
    let t = start_ms + 1_303;
    a.check(&[
        &format!("{t} REVOKE [0_0 0_1]"),
        &format!("{t} join"),
        &format!("{} ASSIGN [0_0 0_1 0_2]", t + 1),
    ]);
    a.owns(&[0, 1, 2]).answer(3, None);
    assert!(a.member.is_settled());
}

/// Found by simulation (seed 1864): the answer took the member back into the membership it had just given up, where the group
/// believed it to own what it had dropped.
#[test]
fn an_answer_from_before_the_rejoin_does_not_cancel_it() {
    let mut a = Script::settled(&[0, 1]);
    a.wake().fail(ErrorClass::Retry, -195).wake().answer(2, None);
    // The driver commits and gives back; meanwhile a beat goes out.
    a.wake();
    a.log.clear();
    a.owns(&[]);
    a.check(&[]);
    let t = a.now_ms;
    a.answer(2, None);
    a.answer(2, Some(&[0, 1]));
    a.check(&[&format!("{} join", t + 1), &format!("{} ASSIGN [0_0 0_1]", t + 2)]);
}

#[test]
fn lists_in_the_next_answer_end_the_doubt_without_a_rejoin() {
    let mut a = Script::settled(&[0, 1]);
    a.wake().fail(ErrorClass::Unknown, -185).wake();
    a.log.clear();
    a.answer(2, Some(&[0]));
    let t = a.now_ms;
    a.owns(&[0]).answer(3, None);
    a.check(&[&format!("{t} REVOKE [0_1]"), &format!("{t} beat 2 owned [0_0]")]);
    assert!(a.member.is_settled());
}

/// Found by seed 3050860 of the simulator: the group took what was left out for given back, and two members had the task.
#[test]
fn what_the_driver_is_about_to_take_counts_as_owned() {
    let mut a = Script::new("a");
    a.step(None).answer(2, Some(&[0, 1]));
    let since = a.log.len();
    a.wake().fail(ErrorClass::Unknown, -185).wake();
    let beats: Vec<_> = a.log[since..].iter().filter(|line| line.contains("owned")).collect();
    assert_eq!(beats.len(), 1, "{:?}", a.log);
    assert!(beats[0].ends_with("beat 2 owned [0_0 0_1]"), "{}", beats[0]);
    // The group wants one back meanwhile: first the driver says what it took, then it gives back.
    a.answer(2, Some(&[0]));
    a.log.clear();
    let t = a.now_ms;
    a.owns(&[0, 1]);
    a.check(&[&format!("{t} REVOKE [0_1]"), &format!("{t} beat 2")]);
}

/// The driver was told to drop everything while its word on an earlier request was on the way.
#[test]
fn an_acknowledgement_of_something_older_does_not_count() {
    let mut a = Script::new("a");
    a.step(None).answer(2, Some(&[0]));
    a.wake().fail(ErrorClass::Migrated, 110);
    a.log.clear();
    a.owns(&[0]);
    a.now_ms += 1_000;
    a.step(None).check(&[]);
    a.owns(&[]);
    assert!(a.log.last().is_some_and(|line| line.ends_with("join")), "{:?}", a.log);
}

#[test]
fn a_refused_beat_loses_nothing() {
    for code in [14, 15, 16, -187] {
        let mut a = Script::settled(&[0, 1]);
        a.wake().fail(ErrorClass::Retry, code).wake();
        let last = a.log.last().cloned().unwrap_or_default();
        assert!(last.ends_with("beat 2"), "after {code}: {last}");
        a.answer(2, None);
        assert!(a.member.is_settled());
    }
}

#[test]
fn a_fenced_member_drops_everything_before_it_rejoins() {
    for code in [110, 25] {
        let mut a = Script::settled(&[0, 1]);
        a.wake();
        a.log.clear();
        a.fail(ErrorClass::Migrated, code);
        let t = a.now_ms;
        assert_eq!(a.member.identity(), None, "nothing may be committed any more");
        a.now_ms += 10_000;
        a.step(None);
        a.check(&[&format!("{t} LOST")]);
        assert_eq!(a.member.next_wake_ms(), i64::MAX, "waits for the driver");
        a.owns(&[]).answer(7, Some(&[1]));
        a.check(&[&format!("{} join", t + 10_000), &format!("{} ASSIGN [0_1]", t + 10_001)]);
    }
}

#[test]
fn a_group_that_vanished_is_joined_again_but_a_foreign_one_is_fatal() {
    let mut a = Script::settled(&[0]);
    a.wake();
    a.log.clear();
    a.fail(ErrorClass::Fatal, 69).owns(&[]);
    let t = a.now_ms;
    a.check(&[&format!("{t} LOST"), &format!("{t} join")]);

    let mut b = Script::new("b");
    b.wake();
    b.fail(ErrorClass::Fatal, 69);
    assert!(b.log.iter().any(|line| line.ends_with("FATAL error 69")));
    assert_eq!(b.member.next_wake_ms(), i64::MAX);
    b.step(None);
    assert_eq!(b.log.len(), 2, "a finished member does nothing more: {:?}", b.log);
}

#[test]
fn a_failed_join_is_repeated_with_growing_waits() {
    let mut a = Script::new("a");
    a.now_ms = 0;
    a.step(None)
        .fail(ErrorClass::Retry, -185)
        .wake()
        .fail(ErrorClass::Retry, 15)
        .wake();
    a.check(&["0 join", "101 join", "302 join"]);
}

#[test]
fn beats_eagerly_while_the_broker_reports_a_status() {
    let mut a = Script::new("a");
    a.now_ms = 0;
    a.step(None)
        .answer_with(1, Some(&[]), &[(3, "Internal topics are missing: r, s"), (5, "delay")]);
    a.wake()
        .answer_with(1, None, &[(3, "Internal topics are missing: r, s"), (5, "delay")]);
    a.wake().answer(2, Some(&[0]));
    a.check(&[
        "0 join",
        "1 STATUS [MissingInternalTopics, AssignmentDelayed]",
        "101 beat 1 owned []",
        "202 beat 1",
        "203 STATUS []",
        "203 ASSIGN [0_0]",
    ]);
}

#[test]
fn goes_on_beating_while_the_driver_works_but_reports_only_what_it_confirmed() {
    let mut a = Script::settled(&[0, 1]);
    a.wake().answer(2, Some(&[0]));
    a.log.clear();
    let t = a.now_ms;
    a.wake().answer(2, None);
    a.check(&[&format!("{} beat 2", t + 100)]);
    a.owns(&[0]);
    a.check(&[&format!("{} beat 2 owned [0_0]", t + 101)]);
}

#[test]
fn a_failed_acknowledgement_is_sent_again() {
    let mut a = Script::settled(&[0, 1]);
    a.wake()
        .answer(2, Some(&[0]))
        .owns(&[0])
        .fail(ErrorClass::Retry, 16)
        .wake()
        .answer(3, None);
    assert!(
        a.log.iter().filter(|line| line.ends_with("beat 2 owned [0_0]")).count() == 2,
        "{:?}",
        a.log
    );
    assert!(a.member.is_settled());
}

#[test]
fn leaving_before_the_first_answer_waits_for_it_and_then_leaves() {
    let mut a = Script::new("a");
    a.now_ms = 0;
    a.step(None).leave().answer(2, Some(&[0, 1])).answer(-1, None);
    a.check(&["0 join", "1 leave", "2 LEFT"]);

    let mut never = Script::new("b");
    never.now_ms = 0;
    never.leave();
    never.check(&["0 LEFT"]);
}

#[test]
fn leaving_ends_whatever_the_answer_is() {
    let mut a = Script::settled(&[0]);
    a.leave().owns(&[]).fail(ErrorClass::Retry, -195);
    assert_eq!(a.log.last().map(|line| line.ends_with("LEFT")), Some(true));
}

#[test]
fn a_member_fenced_while_it_leaves_is_out() {
    let mut a = Script::settled(&[0]);
    a.wake().leave().fail(ErrorClass::Migrated, 110);
    let t = a.now_ms;
    a.owns(&[]);
    assert_eq!(a.log[2..], [format!("{t} LOST"), format!("{t} LEFT")]);
}

#[test]
fn leaving_in_doubt_still_takes_leave() {
    let mut a = Script::settled(&[0]);
    a.wake().fail(ErrorClass::Retry, -195).wake().answer(2, None).leave();
    a.log.clear();
    a.owns(&[]).answer(-1, None);
    let t = a.now_ms;
    a.check(&[&format!("{} leave", t - 1), &format!("{t} LEFT")]);
}

#[test]
fn the_shutdown_of_all_members_is_asked_for_and_reported() {
    let mut a = Script::settled(&[0]);
    a.member.request_shutdown();
    let t = a.now_ms;
    a.step(None).answer_with(2, None, &[(4, "stop")]);
    a.check(&[
        &format!("{t} beat 2 shutdown"),
        &format!("{} STATUS [ShutdownApplication]", t + 1),
    ]);
    assert_eq!(
        a.member.status().first().map(|s| s.code),
        Some(StatusCode::ShutdownApplication)
    );
}
