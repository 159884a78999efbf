//! The coordinator of one group: heartbeats and offsets, each request answered exactly once.
//!
//! A task on the wire thread takes requests from a channel, one after the other. It finds the coordinator again
//! whenever a broker says that it is not, or does not answer; the request at hand is then answered with `Retry`, and
//! its code tells whether it can have been carried out (see `errors`).
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kafka_protocol::{messages::FindCoordinatorRequest, protocol::StrBytes};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    codec::{describe, heartbeat, offsets},
    connection::Connection,
    errors::{
        COORDINATOR_NOT_AVAILABLE, Call, LOST, MALFORMED, NOT_COORDINATOR, NOT_SENT, TIMED_OUT, broker_error, fatal,
        malformed, no_streams_groups, retry,
    },
    pool::{Address, Pool},
};
use crate::cluster::{
    ErrorClass, GroupClient, GroupRequest, GroupResponse, HeartbeatRequest, RequestId, Result, Waker,
};

const FIND_COORDINATOR: (i16, i16) = (4, 4);
const UNSUPPORTED_VERSION: i16 = 35;
const GROUP_ID_NOT_FOUND: i16 = 69;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

type Answers = Arc<Mutex<VecDeque<(RequestId, Result<GroupResponse>)>>>;

/// The caller's end.
pub(super) struct WireGroup {
    requests: mpsc::UnboundedSender<(RequestId, GroupRequest)>,
    answers: Answers,
    next_id: u64,
    // Keeps the thread that serves the task.
    _shared: Arc<Shared>,
}

impl WireGroup {
    pub(super) fn start(shared: Arc<Shared>, client_id: &str, group_id: &str, waker: Arc<dyn Waker>) -> Self {
        let (requests, mut inbox) = mpsc::unbounded_channel();
        let answers = Answers::default();
        let outbox = answers.clone();
        let mut coordinator = Coordinator::new(Pool::new(shared.config.clone(), client_id), group_id);
        shared.spawn(async move {
            while let Some((id, request)) = inbox.recv().await {
                let answer = coordinator.answer(request).await;
                outbox
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_back((id, answer));
                waker.wake();
            }
        });
        Self {
            requests,
            answers,
            next_id: 0,
            _shared: shared,
        }
    }
}

impl GroupClient for WireGroup {
    fn send(&mut self, request: GroupRequest) -> RequestId {
        let id = RequestId(self.next_id);
        self.next_id += 1;
        if self.requests.send((id, request)).is_err() {
            let error = fatal(0, "the thread that talks to the group's coordinator has ended".into());
            self.answers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back((id, Err(error)));
        }
        id
    }

    fn poll(&mut self) -> Option<(RequestId, Result<GroupResponse>)> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// The task's state.
struct Coordinator {
    pool: Pool,
    group_id: String,
    address: Option<Address>,
    failures: u32,
    not_before: Instant,
}

impl Coordinator {
    fn new(pool: Pool, group_id: &str) -> Self {
        Self {
            pool,
            group_id: group_id.into(),
            address: None,
            failures: 0,
            not_before: Instant::now(),
        }
    }

    async fn answer(&mut self, request: GroupRequest) -> Result<GroupResponse> {
        let answer = self.attempt(request).await;
        match &answer {
            Ok(_) => self.failures = 0,
            Err(error) => self.after(error.code),
        }
        answer
    }

    /// Forgets what the error shows to be wrong, and spaces out attempts.
    fn after(&mut self, code: i32) {
        let moved = [COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR]
            .map(i32::from)
            .contains(&code);
        if [NOT_SENT, LOST, TIMED_OUT, MALFORMED].contains(&code) {
            if let Some(address) = self.address.take() {
                self.pool.forget(&address);
            }
        } else if moved {
            self.address = None;
        } else {
            return;
        }
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << self.failures.min(5))
            .min(LONGEST_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Instant::now() + backoff;
    }

    async fn attempt(&mut self, request: GroupRequest) -> Result<GroupResponse> {
        let group_id = self.group_id.clone();
        let connection = self.connection().await?;
        match request {
            GroupRequest::Heartbeat(request) => beat(connection, &group_id, &request).await,
            GroupRequest::CommitOffsets { identity, offsets } => {
                let request = offsets::commit_request(&identity, &offsets);
                let answer = connection.request(&request, offsets::VERSION).await?;
                offsets::commit_response(&answer).map(|()| GroupResponse::CommitOffsets)
            }
            GroupRequest::FetchOffsets {
                identity,
                partitions,
                require_stable,
            } => {
                let request = offsets::fetch_request(&group_id, identity.as_ref(), &partitions, require_stable);
                let answer = connection.request(&request, offsets::VERSION).await?;
                offsets::fetch_response(&answer).map(GroupResponse::FetchOffsets)
            }
            GroupRequest::DescribeMember { member_id } => described(connection, &group_id, &member_id).await,
        }
    }

    /// The connection to the coordinator, found and opened if need be.
    async fn connection(&mut self) -> Result<&mut Connection> {
        let address = match &self.address {
            Some(address) => address.clone(),
            None => {
                sleep_until(self.not_before).await;
                let found = self.find().await.map_err(unsent)?;
                self.address = Some(found.clone());
                found
            }
        };
        self.pool.at(&address).await.map_err(unsent)
    }

    async fn find(&mut self) -> Result<Address> {
        let any = self.pool.any().await?;
        let key = StrBytes::from_string(self.group_id.clone());
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![key]);
        let answer = self.pool.at(&any).await?.request(&request, FIND_COORDINATOR).await;
        let answer = answer.inspect_err(|_| self.pool.forget(&any))?;
        let found = answer
            .coordinators
            .first()
            .ok_or_else(|| malformed("FindCoordinator"))?;
        if found.error_code != 0 {
            let what = format!("finding the coordinator of group {}", self.group_id);
            return Err(broker_error(
                Call::FindCoordinator,
                found.error_code,
                &what,
                found.error_message.as_deref(),
            ));
        }
        let port = u16::try_from(found.port).map_err(|_| malformed("a coordinator's port"))?;
        Ok((found.host.to_string(), port))
    }
}

/// Whatever broke on the way to the coordinator, the caller's own request was not sent.
fn unsent(error: crate::cluster::ClusterError) -> crate::cluster::ClusterError {
    match error.class {
        ErrorClass::Retry if error.code < 0 => retry(NOT_SENT, error.message),
        _ => error,
    }
}

async fn beat(connection: &mut Connection, group_id: &str, request: &HeartbeatRequest) -> Result<GroupResponse> {
    if connection.abilities.version(heartbeat::KEY, (0, 0)).is_none() {
        return Err(no_streams_groups("it does not know StreamsGroupHeartbeat"));
    }
    if !connection.abilities.has_feature("streams.version", 1) {
        return Err(no_streams_groups("feature streams.version is off"));
    }
    let mut answer = connection
        .exchange(heartbeat::FRAME, |body| {
            heartbeat::encode_request(group_id, request, body);
            Ok(())
        })
        .await?;
    let answer = heartbeat::decode_response(&mut answer).map_err(|_| malformed("StreamsGroupHeartbeat"))?;
    match answer.error_code {
        0 => Ok(GroupResponse::Heartbeat(answer.response)),
        UNSUPPORTED_VERSION => Err(no_streams_groups("it answers UNSUPPORTED_VERSION")),
        code => {
            let what = format!("heartbeat of member {} of group {group_id}", request.member_id);
            Err(broker_error(
                Call::Heartbeat,
                code,
                &what,
                answer.error_message.as_deref(),
            ))
        }
    }
}

async fn described(connection: &mut Connection, group_id: &str, member_id: &str) -> Result<GroupResponse> {
    if connection.abilities.version(describe::KEY, (0, 0)).is_none() {
        return Err(no_streams_groups("it does not know StreamsGroupDescribe"));
    }
    let mut answer = connection
        .exchange(describe::FRAME, |body| {
            describe::encode_request(group_id, body);
            Ok(())
        })
        .await?;
    let groups = describe::decode_response(&mut answer).map_err(|_| malformed("StreamsGroupDescribe"))?;
    let group = groups
        .into_iter()
        .next()
        .ok_or_else(|| malformed("StreamsGroupDescribe"))?;
    match group.error_code {
        0 => {
            let mut members = group.members.into_iter();
            let found = members.find(|(id, _)| id == member_id);
            Ok(GroupResponse::Member(found.map(|(_, description)| description)))
        }
        GROUP_ID_NOT_FOUND => Ok(GroupResponse::Member(None)),
        code => {
            let what = format!("description of group {group_id}");
            Err(broker_error(
                Call::DescribeGroup,
                code,
                &what,
                group.error_message.as_deref(),
            ))
        }
    }
}
