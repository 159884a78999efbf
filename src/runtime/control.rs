//! The heartbeats of all members of the process, one member per stream thread.

use std::{
    sync::mpsc::{Receiver, Sender, TryRecvError},
    time::Duration,
};

use super::{
    Next,
    clock::Now,
    link::{Joining, ToControl, ToThread},
};
use crate::{
    cluster::{
        ClusterError, GroupClient, GroupRequest, GroupResponse, HeartbeatResponse, MemberDescription, RequestId,
    },
    error::{Error, ErrorKind},
    membership::{Action, GroupStatus, Membership, StatusCode},
};

/// How long joined topics, or internal topics that cannot be created, may be wrong before that is an error.
const STATUS_PATIENCE: Duration = Duration::from_secs(3);
const CREATION_PATIENCE: Duration = Duration::from_secs(15);

struct Member {
    joining: Joining,
    membership: Membership,
    /// The heartbeat, or the question for a description, that is under way.
    in_flight: Option<RequestId>,
    /// It is the question.
    describing: bool,
    /// Trouble the group reports, and since when.
    trouble: Option<(Error, Duration)>,
    finished: bool,
}

/// Drives every [`Membership`] of the process over one group client.
pub(crate) struct Control {
    group: Box<dyn GroupClient>,
    commands: Receiver<ToControl>,
    members: Vec<Member>,
    missing_topic_patience: Duration,
}

impl Control {
    pub(crate) fn new(
        group: Box<dyn GroupClient>,
        commands: Receiver<ToControl>,
        missing_topic_patience: Duration,
    ) -> Self {
        Self {
            group,
            commands,
            members: Vec::new(),
            missing_topic_patience,
        }
    }

    pub(crate) fn step(&mut self, now: Now) -> Next {
        loop {
            match self.commands.try_recv() {
                Ok(ToControl::Stop) | Err(TryRecvError::Disconnected) => return Next::Stopped,
                Ok(command) => self.command(command),
                Err(TryRecvError::Empty) => break,
            }
        }
        while let Some((id, answer)) = self.group.poll() {
            let Some(index) = self.members.iter().position(|m| m.in_flight == Some(id)) else {
                continue;
            };
            if let Some(member) = self.members.get_mut(index) {
                member.in_flight = None;
                member.answered(self.group.as_mut(), now, answer);
            }
        }
        let mut wake_ms = i64::MAX;
        for member in &mut self.members {
            member.step(self.group.as_mut(), now, None);
            member.watch(now, self.missing_topic_patience);
            wake_ms = wake_ms.min(member.membership.next_wake_ms());
        }
        self.members.retain(|m| !m.finished);
        let wake_at = u64::try_from(wake_ms.max(0)).map_or(Duration::ZERO, Duration::from_millis);
        // Answers come by the waker; the second is for a patience that runs out meanwhile.
        Next::WaitUntil(wake_at.min(now.elapsed + Duration::from_secs(1)))
    }

    fn command(&mut self, command: ToControl) {
        match command {
            ToControl::Join(joining) => self.members.push(Member {
                membership: Membership::new(joining.config.clone()),
                joining: *joining,
                in_flight: None,
                describing: false,
                trouble: None,
                finished: false,
            }),
            ToControl::Acknowledge { member, owned } => {
                if let Some(m) = self.member(member) {
                    m.membership.acknowledge(owned);
                }
            }
            ToControl::Leave {
                member,
                shutdown_application,
            } => {
                if let Some(m) = self.member(member) {
                    if shutdown_application {
                        m.membership.request_shutdown();
                    }
                    m.membership.leave();
                }
            }
            ToControl::Stop => {}
        }
    }

    fn member(&mut self, key: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.joining.member == key)
    }
}

fn heartbeat(answer: Result<GroupResponse, ClusterError>) -> Result<HeartbeatResponse, ClusterError> {
    match answer? {
        GroupResponse::Heartbeat(response) => Ok(response),
        _ => Err(something_else()),
    }
}

fn description(answer: Result<GroupResponse, ClusterError>) -> Result<Option<MemberDescription>, ClusterError> {
    match answer? {
        GroupResponse::Member(description) => Ok(description),
        _ => Err(something_else()),
    }
}

fn something_else() -> ClusterError {
    ClusterError {
        class: crate::cluster::ErrorClass::Fatal,
        code: -1,
        message: "a request to the group was answered with something else".into(),
        partition: None,
    }
}

impl Member {
    fn answered(&mut self, group: &mut dyn GroupClient, now: Now, answer: Result<GroupResponse, ClusterError>) {
        if std::mem::take(&mut self.describing) {
            self.membership.described(millis(now.elapsed), description(answer));
            self.step(group, now, None);
        } else {
            self.step(group, now, Some(heartbeat(answer)));
        }
    }

    fn step(&mut self, group: &mut dyn GroupClient, now: Now, answer: Option<Result<HeartbeatResponse, ClusterError>>) {
        let actions = self.membership.step(millis(now.elapsed), answer);
        // Before the news: who hears of an assignment may commit at once, who hears of a loss must not.
        let changed = self
            .joining
            .shared
            .publish(self.membership.identity(), self.membership.is_settled());
        if changed {
            self.joining.waker.wake();
        }
        for action in actions {
            match action {
                Action::Send(request) => self.in_flight = Some(group.send(GroupRequest::Heartbeat(request))),
                Action::Describe => {
                    let member_id = self.joining.config.member_id.clone();
                    self.in_flight = Some(group.send(GroupRequest::DescribeMember { member_id }));
                    self.describing = true;
                }
                Action::Revoke(lists) => self.tell(ToThread::Revoke(lists)),
                Action::Assign(lists) => self.tell(ToThread::Assign(lists)),
                Action::Lost => self.tell(ToThread::Lost),
                Action::Status(status) => self.status(&status, now),
                Action::Fatal(error) => {
                    self.tell(ToThread::Failed(error.into()));
                    self.tell(ToThread::Left);
                    self.finished = true;
                }
                Action::Left => {
                    self.tell(ToThread::Left);
                    self.finished = true;
                }
            }
        }
    }

    fn tell(&self, news: ToThread) {
        tracing::debug!(member = self.joining.config.member_id, ?news, "group");
        send(&self.joining.to_thread, news);
        self.joining.waker.wake();
    }

    fn status(&mut self, status: &[GroupStatus], now: Now) {
        let mut trouble = None;
        for s in status {
            tracing::info!(member = self.joining.config.member_id, code = ?s.code, "the group says: {}", s.detail);
            let kind = match s.code {
                StatusCode::ShutdownApplication => {
                    self.tell(ToThread::ShutdownRequested);
                    continue;
                }
                StatusCode::MissingSourceTopics => ErrorKind::MissingSourceTopic,
                StatusCode::IncorrectlyPartitionedTopics => ErrorKind::IncorrectlyPartitioned,
                StatusCode::MissingInternalTopics if s.detail.contains("Creation failed") => ErrorKind::Fatal,
                _ => continue,
            };
            trouble.get_or_insert_with(|| Error::new(kind, s.detail.trim_end_matches('.').to_owned()));
        }
        self.trouble = trouble.map(|new| match self.trouble.take() {
            Some((old, since)) if old.kind() == new.kind() => (new, since),
            _ => (new, now.elapsed),
        });
    }

    /// Trouble that does not go away is an error.
    fn watch(&mut self, now: Now, missing_topic_patience: Duration) {
        let Some((error, since)) = &self.trouble else { return };
        let patience = match error.kind() {
            ErrorKind::MissingSourceTopic => missing_topic_patience,
            ErrorKind::IncorrectlyPartitioned => STATUS_PATIENCE,
            _ => CREATION_PATIENCE,
        };
        if now.elapsed >= *since + patience {
            let error = error.clone();
            self.trouble = None;
            self.tell(ToThread::Failed(error));
        }
    }
}

fn send(to: &Sender<ToThread>, news: ToThread) {
    if to.send(news).is_err() {
        tracing::debug!("news for a thread that has ended");
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
