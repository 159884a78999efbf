//! When the group is asked what it believes, and what comes of the answer.
use super::{Script, active, show_tasks};
use crate::cluster::{ClusterError, ErrorClass, MemberDescription};

impl Script {
    /// Beats at leisure until it asks what the group believes; gives when that was.
    fn looks(&mut self) -> i64 {
        let patience_ms = self.now_ms + 600_000;
        while !self.log.last().is_some_and(|line| line.ends_with("describe")) {
            assert!(self.now_ms < patience_ms, "the group is never asked");
            if !self.log.last().is_some_and(|line| line.contains(" beat ")) {
                self.wake();
            } else {
                let epoch = self.member.identity().map_or(0, |identity| identity.member_epoch);
                self.answer(epoch, None).log.push("answered".into());
            }
        }
        self.log.clear();
        self.now_ms
    }

    fn described(&mut self, epoch: i32, assigned: &[i32]) -> &mut Self {
        let seen = MemberDescription {
            member_epoch: epoch,
            assigned: active(assigned),
        };
        self.now_ms += 1;
        self.member.described(self.now_ms, Ok(Some(seen)));
        self.step(None)
    }
}

/// Found by seeds 3042133, 3044082, 3061553 and 3088206 of the simulator: the group answered a late heartbeat of an incarnation
/// that had been killed, with a task its successor was to get; nobody heard it, and the task stood still.
#[test]
fn an_assignment_that_nobody_heard_is_noticed() {
    for (epoch, believed) in [(2, &[0, 1][..]), (2, &[0, 1, 2]), (3, &[0, 1, 2])] {
        let mut a = Script::settled(&[0, 1, 3]);
        let t = a.looks();
        assert_eq!(
            a.member.next_wake_ms(),
            i64::MAX,
            "no heartbeat while the group describes"
        );
        a.described(epoch, believed);
        a.check(&[&format!("{} REVOKE [0_0 0_1 0_3]", t + 1)]);
        assert_eq!(
            a.member.identity().map(|i| i.member_epoch),
            Some(2),
            "for the last commit"
        );
        a.owns(&[]).answer(epoch, Some(believed));
        let t = a.now_ms;
        a.check(&[
            &format!("{} join", t - 1),
            &format!("{t} ASSIGN {}", show_tasks(&active(believed))),
        ]);
        a.owns(believed).answer(epoch, None);
        assert!(a.member.is_settled());
    }
}

#[test]
fn looks_become_rare_while_the_group_believes_what_we_do() {
    let mut a = Script::settled(&[0]);
    let mut before = a.now_ms;
    for pause_ms in [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
        let at = a.looks();
        let waited = at - before;
        assert!(
            (pause_ms - 1_001..=pause_ms + 1_001).contains(&waited),
            "{waited} for {pause_ms}"
        );
        a.described(2, &[0]);
        a.check(&[]);
        assert!(a.member.is_settled());
        before = a.now_ms;
    }
}

#[test]
fn a_heartbeat_without_an_answer_brings_the_next_look_near() {
    let mut a = Script::settled(&[0]);
    for _ in 0..8 {
        a.looks();
        a.described(2, &[0]);
    }
    a.wake()
        .fail(ErrorClass::Retry, -195)
        .wake()
        .answer(2, Some(&[0]))
        .owns(&[0])
        .answer(2, None);
    let before = a.now_ms;
    assert!(a.looks() - before <= 6_000);
}

#[test]
fn whoever_joined_again_because_of_what_was_seen_does_not_look_more_often() {
    let mut a = Script::settled(&[0]);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let before = a.now_ms;
        pauses.push((a.looks() - before + 500) / 1_000);
        // A group that always believes something else.
        a.described(2, &[0, 1])
            .owns(&[])
            .answer(2, Some(&[0]))
            .owns(&[0])
            .answer(2, None);
        a.log.clear();
    }
    assert!(pauses.windows(2).all(|two| two[1] >= two[0] * 2 - 2), "{pauses:?}");
}

#[test]
fn a_description_that_fails_changes_nothing() {
    let mut a = Script::settled(&[0]);
    a.looks();
    let error = ClusterError {
        class: ErrorClass::Retry,
        code: 16,
        message: "moved".into(),
        partition: None,
    };
    a.member.described(a.now_ms, Err(error));
    a.wake();
    a.member.described(a.now_ms, Ok(None));
    assert!(a.log.iter().all(|line| line.ends_with("beat 2")), "{:?}", a.log);
    a.answer(2, None);
    assert!(a.member.is_settled());
}

#[test]
fn who_leaves_while_the_group_describes_takes_leave_afterwards() {
    let mut a = Script::settled(&[0]);
    a.looks();
    a.leave().owns(&[]);
    let t = a.now_ms;
    a.described(2, &[]).answer(-1, None);
    a.check(&[
        &format!("{t} REVOKE [0_0]"),
        &format!("{} leave", t + 1),
        &format!("{} LEFT", t + 2),
    ]);
}
