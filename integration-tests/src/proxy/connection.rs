//! One connection: two tasks, one for each direction, that end together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, watch};

use super::Shared;
use super::frame::{self, Frame, RequestHead};
use super::rewrite::rewrite;
use super::rules::{Action, ActiveRule, Side};

/// How long the answer to a released request is waited for.
const LATE_ANSWER: Duration = Duration::from_secs(10);

struct Link {
    broker: usize,
    shared: Arc<Shared>,
    /// Requests without an answer so far.
    pending: Mutex<HashMap<i32, RequestHead>>,
    /// Wakes both directions up to end.
    over: watch::Sender<bool>,
    answers_ended: Notify,
}

/// Connects a client with its broker until either ends.
pub(super) async fn serve(client: TcpStream, upstream: SocketAddr, broker: usize, shared: Arc<Shared>) {
    // A broker that is down refuses, and so do we: the client sees its connection end.
    let Ok(upstream) = TcpStream::connect(upstream).await else {
        return;
    };
    if client.set_nodelay(true).is_err() || upstream.set_nodelay(true).is_err() {
        return;
    }
    let link = Arc::new(Link {
        broker,
        shared,
        pending: Mutex::default(),
        over: watch::Sender::new(false),
        answers_ended: Notify::new(),
    });
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = upstream.into_split();
    // Kept apart from the task of the answers: a held request still needs it when the client is gone.
    let from_broker = Arc::new(tokio::sync::Mutex::new(from_broker));
    tokio::spawn({
        let (link, from_broker) = (Arc::clone(&link), Arc::clone(&from_broker));
        async move {
            let mut from_broker = from_broker.lock().await;
            link.until_over(link.answers(&mut from_broker, to_client)).await;
            drop(from_broker);
            link.end();
            link.answers_ended.notify_one();
        }
    });
    let held = link.until_over(link.requests(from_client, to_broker)).await.flatten();
    link.end();
    if let Some(held) = held {
        link.answers_ended.notified().await;
        held.deliver_late(&from_broker).await;
    }
}

async fn delay(rule: Option<Arc<ActiveRule>>, bytes: usize) {
    if let Some(rule) = rule {
        tokio::time::sleep(rule.delay(bytes)).await;
    }
}

/// A request that the network keeps.
struct Held {
    rule: Arc<ActiveRule>,
    request: Frame,
    to_broker: OwnedWriteHalf,
}

impl Held {
    async fn deliver_late(mut self, from_broker: &tokio::sync::Mutex<OwnedReadHalf>) {
        self.rule.released.notified().await;
        if frame::write(&mut self.to_broker, &self.request, None).await.is_err() {
            return;
        }
        let mut from_broker = from_broker.lock().await;
        let answer = tokio::time::timeout(LATE_ANSWER, frame::read(&mut *from_broker)).await;
        if let Ok(Ok(answer)) = answer {
            self.rule.answered_late(answer);
        }
    }
}

impl Link {
    fn end(&self) {
        self.over.send_replace(true);
    }

    async fn until_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut over = self.over.subscribe();
        tokio::select! {
            biased;
            done = work => Some(done),
            _ = over.wait_for(|over| *over) => None,
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<i32, RequestHead>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict(&self, side: Side, head: &RequestHead) -> Option<(Action, Arc<ActiveRule>)> {
        let rules = self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().find_map(|rule| {
            let action = rule.action_on(side, self.broker, head)?;
            tracing::debug!(?side, ?action, ?head, broker = self.broker, "disturbed");
            Some((action, Arc::clone(rule)))
        })
    }

    /// Waits while a wall stands before this direction.
    async fn pass_walls(&self, side: Side, client_id: &str) {
        let mut walls = self.shared.walls.subscribe();
        let mut counted = Vec::new();
        loop {
            let standing: Vec<u64> = walls
                .borrow_and_update()
                .iter()
                .filter(|(_, wall)| wall.stands_before(side, self.broker, client_id))
                .map(|(id, _)| *id)
                .collect();
            if standing.is_empty() {
                return;
            }
            let new = standing.iter().copied().filter(|id| !counted.contains(id));
            self.shared.spy(|spy| spy.hold_back(new));
            counted = standing;
            if walls.changed().await.is_err() {
                return;
            }
        }
    }

    /// Ends at the end of the client, at a cut, or with a request that is held.
    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> Option<Held> {
        loop {
            let request = frame::read(&mut from).await.ok()?;
            let head = RequestHead::parse(&request)?;
            self.pass_walls(Side::Request, &head.client_id).await;
            self.shared.spy(|spy| spy.request(&head));
            let (action, rule) = self.verdict(Side::Request, &head).unzip();
            match action {
                Some(Action::Drop) => continue,
                Some(Action::Cut) => return None,
                Some(Action::Hold) => {
                    return rule.map(|rule| Held {
                        rule,
                        request,
                        to_broker: to,
                    });
                }
                Some(Action::CutAfter(bytes)) => {
                    // What arrives is what counts; that the broker may hang up first does not.
                    let _ = frame::write(&mut to, &request, Some(bytes)).await;
                    return None;
                }
                Some(Action::Delay(_) | Action::Slow(_)) => delay(rule, request.len()).await,
                Some(Action::Rewrite(_)) | None => {}
            }
            self.pending().insert(head.correlation, head);
            frame::write(&mut to, &request, None).await.ok()?;
        }
    }

    async fn answers(&self, from: &mut OwnedReadHalf, mut to: OwnedWriteHalf) -> Option<()> {
        loop {
            let mut answer = frame::read(from).await.ok()?;
            let head = frame::correlation_at(&answer, 0).and_then(|c| self.pending().remove(&c));
            if let Some(head) = head {
                self.pass_walls(Side::Answer, &head.client_id).await;
                let (action, rule) = self.verdict(Side::Answer, &head).unzip();
                match action {
                    Some(Action::Drop) => continue,
                    Some(Action::Cut | Action::Hold) => return None,
                    Some(Action::CutAfter(bytes)) => {
                        let _ = frame::write(&mut to, &answer, Some(bytes)).await;
                        return None;
                    }
                    Some(Action::Delay(_) | Action::Slow(_)) => delay(rule, answer.len()).await,
                    Some(Action::Rewrite(code)) => match rewrite(head.api_key, head.version, &answer, code) {
                        Ok(rewritten) => answer = rewritten,
                        Err(error) => {
                            tracing::error!(%error, api = head.api_key, version = head.version, "an answer could not be rewritten");
                            rule.iter().for_each(|rule| rule.not_done());
                            return None;
                        }
                    },
                    None => {}
                }
                self.shared.spy(|spy| spy.answer(&head));
            }
            frame::write(&mut to, &answer, None).await.ok()?;
        }
    }
}
