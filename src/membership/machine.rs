//! The state machine of one member.
use super::{Action, GroupStatus, MemberConfig, StatusCode, audit::Audit, requests, tasks};
use crate::{
    cluster::{ClusterError, ErrorClass, GroupIdentity, HeartbeatResponse, MemberDescription, Result, TaskLists},
    mutants::{Mutant, planted},
};

/// Answers after which nothing can have been lost: the request was refused, or never sent.
/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR; librdkafka's "all brokers down", which
/// our own clients give when no connection could be made.
const REFUSED: [i32; 4] = [14, 15, 16, -187];
const GROUP_ID_NOT_FOUND: i32 = 69;

/// What we are to the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not a member; the next heartbeat joins.
    Joining,
    Member,
    Leaving,
    /// Left or failed.
    Finished,
}

/// What the driver was asked to do and has not acknowledged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// To revoke or to assign: heartbeats go on meanwhile.
    Reconcile,
    /// To give everything back, or up: the next heartbeat after the acknowledgement joins again.
    ReleaseAll,
}

/// One member of a streams group. See the module's documentation for how to drive it.
#[derive(Debug)]
pub struct Membership {
    config: MemberConfig,
    phase: Phase,
    asked: Asked,
    epoch: i32,
    endpoint_epoch: i32,
    broker_interval_ms: i64,
    /// What the broker wants us to own, as of the last lists.
    target: TaskLists,
    /// What the driver last said it owns.
    owned: TaskLists,
    /// What the driver was told to take and may have taken, although it has not said so.
    assigning: TaskLists,
    /// Lists of `owned` still have to reach the broker.
    report_owned: bool,
    /// An answer may have been lost: what we think is ours may be wrong.
    uncertain: bool,
    /// A heartbeat is under way; true: it carried the current `owned`.
    in_flight: Option<bool>,
    /// The heartbeat under way is of the membership that was given up: what is answered says nothing about the next one.
    outdated: bool,
    audit: Audit,
    failures: u32,
    next_beat_ms: i64,
    unsettled_since_ms: Option<i64>,
    had_tasks: bool,
    status: Vec<GroupStatus>,
    shutdown_requested: bool,
    leave_sent: bool,
}

impl Membership {
    /// A member that has not joined: the first `step` gives the join request.
    pub fn new(config: MemberConfig) -> Self {
        Self {
            config,
            phase: Phase::Joining,
            asked: Asked::Nothing,
            epoch: requests::JOIN,
            endpoint_epoch: -1,
            broker_interval_ms: 0,
            target: TaskLists::default(),
            owned: TaskLists::default(),
            assigning: TaskLists::default(),
            report_owned: false,
            uncertain: false,
            in_flight: None,
            outdated: false,
            audit: Audit::default(),
            failures: 0,
            next_beat_ms: i64::MIN,
            unsettled_since_ms: None,
            had_tasks: false,
            status: Vec::new(),
            shutdown_requested: false,
            leave_sent: false,
        }
    }

    /// One step. `answer`: what became of the heartbeat of the last [`Action::Send`], once it is known.
    pub fn step(&mut self, now_ms: i64, answer: Option<Result<HeartbeatResponse>>) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(answer) = answer {
            let reported = self.in_flight.take().unwrap_or(false);
            match answer {
                _ if self.leave_sent => self.finish(Action::Left, &mut actions),
                _ if self.phase == Phase::Finished => {}
                _ if std::mem::take(&mut self.outdated) => {}
                Ok(response) => self.on_response(now_ms, response, reported, &mut actions),
                Err(error) => self.on_failure(now_ms, error, reported, &mut actions),
            }
        }
        self.reconcile(&mut actions);
        self.look(now_ms, &mut actions);
        self.beat(now_ms, &mut actions);
        actions
    }

    /// When `step` wants to be called if nothing happens before; `i64::MAX`: only an answer or a call changes anything.
    pub fn next_wake_ms(&self) -> i64 {
        match self.phase {
            Phase::Finished => i64::MAX,
            _ if self.in_flight.is_some() || self.audit.is_under_way() || self.must_wait() => i64::MAX,
            _ if self.may_look() => self.next_beat_ms.min(self.audit.next_ms()),
            _ => self.next_beat_ms,
        }
    }

    /// The driver has done what it was asked to and owns exactly these tasks now. Call `step` soon after.
    pub fn acknowledge(&mut self, owned: TaskLists) {
        self.owned = tasks::normalized(owned);
        let done = match self.asked {
            Asked::Nothing => true,
            Asked::Reconcile => tasks::is_empty(&tasks::minus(&self.assigning, &self.owned)),
            Asked::ReleaseAll => tasks::is_empty(&self.owned),
        };
        if !done {
            // Of something it was asked before: what it was asked last is still ahead of it.
            return;
        }
        self.assigning = TaskLists::default();
        if self.asked == Asked::ReleaseAll {
            self.target = TaskLists::default();
            self.uncertain = false;
            // Leaving: still a member, so the leave must go out.
            if self.phase == Phase::Member {
                self.phase = Phase::Joining;
                self.epoch = requests::JOIN;
                // Its answer would make us a member again that has nothing, and is given nothing because nothing changed.
                self.outdated = self.in_flight.is_some() && !planted(Mutant::OutdatedHeartbeat);
            }
        }
        self.asked = Asked::Nothing;
        self.report_owned = self.phase == Phase::Member;
        self.next_beat_ms = i64::MIN;
    }

    /// What became of [`Action::Describe`]; None: the group does not know this member. Call `step` soon after.
    pub fn described(&mut self, now_ms: i64, answer: Result<Option<MemberDescription>>) {
        self.audit.end(now_ms, &self.config.timing);
        // Who is no member any more will hear it with the next heartbeat.
        let Ok(Some(seen)) = answer else { return };
        let same = seen.member_epoch == self.epoch && tasks::normalized(seen.assigned) == self.target;
        if self.may_look() && !same {
            // The way out is that of every doubt: commit, give everything back and join again (see `reconcile`). The epoch that was
            // seen is not taken over: under it, a commit would be accepted for tasks that are not ours any more.
            tracing::warn!(
                member = self.config.member_id,
                "the group answered a heartbeat of this member that nobody waited for: joining again"
            );
            self.uncertain = true;
        }
    }

    /// Leaves the group: gives back what is owned ([`Action::Revoke`]), then [`Action::Left`]. Call `step` soon after.
    pub fn leave(&mut self) {
        if !matches!(self.phase, Phase::Finished | Phase::Leaving) {
            self.phase = Phase::Leaving;
        }
    }

    /// Asks all members of the group to stop: each gets [`StatusCode::ShutdownApplication`].
    #[doc(alias = "SHUTDOWN_APPLICATION")]
    pub fn request_shutdown(&mut self) {
        self.shutdown_requested = true;
        self.next_beat_ms = i64::MIN;
    }

    /// The identity commits are made under at this moment: take it when the commit is built. None: not a member.
    pub fn identity(&self) -> Option<GroupIdentity> {
        (self.epoch > requests::JOIN).then(|| GroupIdentity {
            group_id: self.config.group_id.clone(),
            member_id: self.config.member_id.clone(),
            member_epoch: self.epoch,
        })
    }

    /// What the group last said it waits for.
    pub fn status(&self) -> &[GroupStatus] {
        &self.status
    }

    /// Everything the broker gave is owned, acknowledged and certain.
    pub fn is_settled(&self) -> bool {
        self.phase == Phase::Member
            && self.asked == Asked::Nothing
            && !self.uncertain
            && !self.report_owned
            && self.owned == self.target
            && self.status.is_empty()
    }

    fn on_response(&mut self, now_ms: i64, response: HeartbeatResponse, reported: bool, actions: &mut Vec<Action>) {
        self.failures = 0;
        self.epoch = response.member_epoch;
        self.endpoint_epoch = response.endpoint_epoch;
        self.broker_interval_ms = i64::from(response.heartbeat_interval_ms);
        if self.phase == Phase::Joining {
            self.phase = Phase::Member;
            self.audit.joined(now_ms, &self.config.timing);
        }
        match response.assigned {
            // Lists are always complete, so they end every doubt.
            Some(lists) => {
                self.target = tasks::normalized(lists);
                self.had_tasks |= !tasks::is_empty(&self.target);
                self.uncertain = false;
                self.report_owned = true;
            }
            None => self.report_owned &= !reported,
        }
        let status = response.status.into_iter().map(|(code, detail)| GroupStatus {
            code: StatusCode::of(code),
            detail,
        });
        let status: Vec<_> = status.collect();
        if status != self.status {
            self.status = status.clone();
            actions.push(Action::Status(status));
        }
        self.plan_after_success(now_ms);
    }

    /// The wait until the next beat, by how settled things are.
    fn plan_after_success(&mut self, now_ms: i64) {
        // A list that nobody has to act on (nothing owned, nothing to own) needs no acknowledgement in a hurry.
        let unsettled = !self.status.is_empty() || !self.had_tasks || self.owned != self.target || self.uncertain;
        let since = self.unsettled_since_ms.take().unwrap_or(now_ms);
        self.unsettled_since_ms = unsettled.then_some(since);
        let unsettled_ms = self.unsettled_since_ms.map(|since| now_ms - since);
        self.next_beat_ms = now_ms + self.config.timing.interval_ms(unsettled_ms, self.broker_interval_ms);
    }

    fn on_failure(&mut self, now_ms: i64, error: ClusterError, reported: bool, actions: &mut Vec<Action>) {
        self.failures = self.failures.saturating_add(1);
        self.next_beat_ms = now_ms + self.config.timing.retry_ms(self.failures);
        let member = self.epoch > requests::JOIN;
        let vanished = error.code == GROUP_ID_NOT_FOUND && member;
        match error.class {
            ErrorClass::Migrated => self.lose_everything(actions),
            _ if vanished => self.lose_everything(actions),
            ErrorClass::Retry | ErrorClass::Unknown => {
                self.report_owned |= reported;
                let refused = REFUSED.contains(&error.code);
                if !refused {
                    // It may still arrive, and be answered with news for nobody.
                    self.audit.restart(now_ms, &self.config.timing);
                }
                if member && !refused {
                    // The broker may have answered with an assignment that it will never repeat. The next beat carries
                    // lists, because the epoch may have moved with the lost answer and the broker takes the previous
                    // epoch only together with them. Its answer shows that the coordinator is there again; if it has
                    // no lists either, `reconcile` gives everything back and joins anew.
                    self.uncertain = true;
                    self.report_owned = true;
                }
            }
            _ => self.finish(Action::Fatal(error), actions),
        }
    }

    /// Fenced, or unknown to the group: no commit would be accepted any more.
    fn lose_everything(&mut self, actions: &mut Vec<Action>) {
        self.epoch = requests::JOIN;
        self.target = TaskLists::default();
        self.assigning = TaskLists::default();
        self.report_owned = false;
        self.uncertain = false;
        self.had_tasks = false;
        self.audit = Audit::default();
        if self.phase == Phase::Leaving {
            actions.push(Action::Lost);
            self.finish(Action::Left, actions);
            return;
        }
        // Until the driver has dropped its tasks we do not join: they might come back at once.
        self.phase = Phase::Joining;
        let busy = !tasks::is_empty(&self.owned) || self.asked != Asked::Nothing;
        if busy {
            self.asked = Asked::ReleaseAll;
            actions.push(Action::Lost);
        }
    }

    fn finish(&mut self, last: Action, actions: &mut Vec<Action>) {
        if self.phase != Phase::Finished {
            self.phase = Phase::Finished;
            actions.push(last);
        }
        if matches!(actions.last(), Some(Action::Left)) {
            self.epoch = requests::JOIN;
        }
    }

    /// Moves what is owned towards the target: first give back, then take.
    fn reconcile(&mut self, actions: &mut Vec<Action>) {
        if self.asked != Asked::Nothing {
            return;
        }
        match self.phase {
            Phase::Leaving if !tasks::is_empty(&self.owned) => {
                self.asked = Asked::Reconcile;
                actions.push(Action::Revoke(self.owned.clone()));
            }
            // Doubt, and the coordinator answers again (nothing is left to report): the sure way is to give everything
            // back, with a commit under the epoch we know, which is still valid, and to join again under the same id:
            // that answer has the complete lists.
            Phase::Member if self.uncertain && self.failures == 0 && !self.report_owned => {
                self.asked = Asked::ReleaseAll;
                if tasks::is_empty(&self.owned) {
                    self.acknowledge(TaskLists::default());
                } else {
                    actions.push(Action::Revoke(self.owned.clone()));
                }
            }
            Phase::Member if self.uncertain => {}
            Phase::Member => {
                let surplus = tasks::minus(&self.owned, &self.target);
                let missing = tasks::minus(&self.target, &self.owned);
                if !tasks::is_empty(&surplus) {
                    self.asked = Asked::Reconcile;
                    actions.push(Action::Revoke(surplus));
                } else if !tasks::is_empty(&missing) {
                    self.asked = Asked::Reconcile;
                    self.assigning.clone_from(&missing);
                    actions.push(Action::Assign(missing));
                }
            }
            _ => {}
        }
    }

    /// The driver must act before the next heartbeat may go out.
    fn must_wait(&self) -> bool {
        // Thrown out: what the driver still has must be gone before we may join; and who leaves does not join.
        self.epoch == requests::JOIN && (self.asked != Asked::Nothing || self.phase == Phase::Leaving)
    }

    /// Everything is done that the group is known to want, so that what it believes can be compared.
    fn may_look(&self) -> bool {
        let certain = !self.uncertain && !self.report_owned && self.failures == 0;
        self.phase == Phase::Member && self.asked == Asked::Nothing && self.owned == self.target && certain
    }

    fn look(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        let idle = self.in_flight.is_none() && !self.audit.is_under_way();
        // Looking makes up for this mistake, too.
        let looks = !planted(Mutant::OutdatedHeartbeat);
        if idle && looks && self.may_look() && now_ms >= self.audit.next_ms() {
            self.audit.begin();
            actions.push(Action::Describe);
        }
    }

    fn beat(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        if self.audit.is_under_way() {
            // What the group says of itself must not be older than what it said to us.
            return;
        }
        if self.phase == Phase::Leaving && self.asked == Asked::Nothing && self.in_flight.is_none() {
            if self.epoch == requests::JOIN {
                self.finish(Action::Left, actions);
            } else if !self.leave_sent {
                self.leave_sent = true;
                self.in_flight = Some(false);
                let mut request = requests::leave(&self.config, self.endpoint_epoch);
                request.shutdown_application = self.shutdown_requested;
                actions.push(Action::Send(request));
            }
            return;
        }
        let due = self.phase != Phase::Finished && now_ms >= self.next_beat_ms;
        if !due || self.in_flight.is_some() || self.must_wait() {
            return;
        }
        let mut request = if self.epoch == requests::JOIN {
            requests::join(&self.config)
        } else {
            // While the driver is busy, `owned` is what it had before: lists go out when it is done, except in doubt. Then they
            // name what it is about to take, too: what is left out counts as given back, and may be somebody else's at once.
            let report = self.report_owned && (self.asked == Asked::Nothing || self.uncertain);
            self.in_flight = Some(report);
            requests::beat(
                &self.config,
                self.epoch,
                self.endpoint_epoch,
                report.then(|| tasks::plus(&self.owned, &self.assigning)),
            )
        };
        self.in_flight.get_or_insert(false);
        request.shutdown_application = self.shutdown_requested;
        actions.push(Action::Send(request));
    }
}
