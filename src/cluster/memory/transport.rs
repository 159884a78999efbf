//! How does a request travel from a client to the cluster? At once, unless a [`Network`] lies in between: then it is a
//! [`Message`] that arrives when the network lets it, and its answer is looked for with [`Call::poll`].
use std::sync::{Arc, Mutex, PoisonError};

use super::{
    super::{ClusterError, ErrorClass, Result, Waker},
    dispatch::{MemoryCluster, Request, RequestKind},
};

/// What lies between the clients of one process and the cluster.
pub(crate) trait Network: Send + Sync {
    /// A request leaves. Messages of one connection arrive in the order in which they were sent.
    fn send(&self, connection: Connection, message: Box<dyn Message>);
    /// The fate of a request whose caller waits for the answer.
    fn fate(&self, kind: RequestKind) -> Fate;
    /// Whether producers repeat by themselves what ends a transaction when there is no answer, as librdkafka does.
    fn clients_ask_again(&self) -> bool;
    /// How many of at most `max_records` records one fetch brings.
    fn fetch_limit(&self, max_records: usize) -> usize;
    /// Whether a fetch comes too early for the records that have just been added behind a former end, as the answers that
    /// librdkafka has asked for in advance do.
    fn fetches_former_end(&self) -> bool;
}

/// A client's connection; a client that lost one goes on with the next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Connection {
    pub(crate) client: u64,
    pub(crate) number: u32,
}

/// What becomes of a request that is made at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// It never arrived.
    RequestLost,
    /// It took effect, but nobody heard of it.
    AnswerLost,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection could be made: the request was never sent. librdkafka: `_ALL_BROKERS_DOWN`.
    NotSent,
    /// The connection broke: the request may have been carried out. librdkafka: `_TRANSPORT`.
    Broken,
    /// No answer in time: the request may have been carried out, or may still be. librdkafka: `_TIMED_OUT`.
    TimedOut,
}

impl Trouble {
    pub(super) fn error(self, class: ErrorClass) -> ClusterError {
        let (code, what) = match self {
            Self::NotSent => (-187, "no connection to the cluster"),
            Self::Broken => (-195, "the connection broke before the answer came"),
            Self::TimedOut => (-185, "no answer in time"),
        };
        ClusterError {
            class,
            code,
            message: what.into(),
            partition: None,
        }
    }
}

/// A request on its way, and its answer on the way back.
pub(crate) trait Message: Send {
    fn kind(&self) -> RequestKind;
    /// What it asks for, without payload.
    fn describe(&self) -> String;
    /// Reaches the cluster and takes effect; `Err` is what the cluster answers.
    fn arrive(&mut self) -> std::result::Result<(), ClusterError>;
    /// The cluster refuses it without a look at its content, for instance because it is not the coordinator.
    fn refuse(&mut self, error: ClusterError);
    /// The answer reaches the client, if he still waits.
    fn answer(&mut self);
    /// The client stops waiting; the request may arrive nevertheless.
    fn lose(&mut self, trouble: Trouble);
}

/// What a client hears of a request.
pub(super) enum Reply<A> {
    Answer(Result<A>),
    Lost(Trouble),
}

/// A request under way.
pub(super) enum Call<A> {
    Ready(Option<Reply<A>>),
    Travelling { slot: Slot<A>, connection: u32 },
}

type Slot<A> = Arc<Mutex<Option<Reply<A>>>>;

impl<A> Call<A> {
    /// The reply, once.
    pub(super) fn poll(&mut self) -> Option<Reply<A>> {
        match self {
            Self::Ready(reply) => reply.take(),
            Self::Travelling { slot, .. } => slot.lock().unwrap_or_else(PoisonError::into_inner).take(),
        }
    }
}

struct Travelling<R: Request> {
    cluster: MemoryCluster,
    request: R,
    slot: Slot<R::Answer>,
    answer: Option<Result<R::Answer>>,
    waker: Arc<dyn Waker>,
}

impl<R: Request> Travelling<R> {
    fn settle(&mut self, reply: Reply<R::Answer>) {
        self.slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(reply);
        self.waker.wake();
    }
}

impl<R> Message for Travelling<R>
where
    R: Request + Clone + Send,
    R::Answer: Send,
{
    fn kind(&self) -> RequestKind {
        R::KIND
    }

    fn describe(&self) -> String {
        self.request.describe()
    }

    fn arrive(&mut self) -> std::result::Result<(), ClusterError> {
        let answer = self.cluster.apply(self.request.clone());
        let outcome = answer.as_ref().map(|_| ()).map_err(Clone::clone);
        self.answer = Some(answer);
        outcome
    }

    fn refuse(&mut self, error: ClusterError) {
        self.answer = Some(Err(error));
    }

    fn answer(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.settle(Reply::Answer(answer));
        }
    }

    fn lose(&mut self, trouble: Trouble) {
        self.settle(Reply::Lost(trouble));
    }
}

/// A client's way to the cluster.
pub(super) struct Link {
    pub(super) cluster: MemoryCluster,
    pub(super) waker: Arc<dyn Waker>,
    connection: Connection,
}

impl Link {
    pub(super) fn new(cluster: MemoryCluster, waker: Arc<dyn Waker>) -> Self {
        let client = cluster.client_number();
        Link {
            cluster,
            waker,
            connection: Connection { client, number: 0 },
        }
    }

    pub(super) fn call<R>(&self, request: R) -> Call<R::Answer>
    where
        R: Request + Clone + Send + 'static,
        R::Answer: Send,
    {
        let Some(network) = self.cluster.network() else {
            return Call::Ready(Some(Reply::Answer(self.cluster.apply(request))));
        };
        let slot = Slot::default();
        let message = Travelling {
            cluster: self.cluster.clone(),
            request,
            slot: slot.clone(),
            answer: None,
            waker: self.waker.clone(),
        };
        network.send(self.connection, Box::new(message));
        Call::Travelling {
            slot,
            connection: self.connection.number,
        }
    }

    /// A call got no answer: the next one goes over a new connection, as real clients do. What is still under way on the
    /// old one may arrive later than what follows.
    pub(super) fn lost<A>(&mut self, call: &Call<A>) {
        if let Call::Travelling { connection, .. } = call
            && *connection == self.connection.number
        {
            self.connection.number += 1;
        }
    }
}
