//! A proxy between applications and brokers that understands just enough of the Kafka protocol to fail precisely.
//!
//! Each broker advertises a port of the proxy (`ServerConfig::second_listener`), so all traffic of an application goes
//! through it without any address being rewritten. [`Rule`]s find requests by API, client and broker, count what they
//! matched, and drop, cut, delay, hold or rewrite; [`Wall`]s hold back whole connections. A fault that matched nothing was not
//! injected: [`Armed::matched`] tells.

mod connection;
mod frame;
mod rewrite;
mod rules;
mod spy;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use frame::api;
use rules::ActiveRule;
pub use rules::{Action, Armed, Line, Rule, Side, Wall};
use spy::Spy;

/// What connections share.
struct Shared {
    rules: Mutex<Vec<Arc<ActiveRule>>>,
    walls: watch::Sender<Vec<(u64, Wall)>>,
    spy: Mutex<Spy>,
}

impl Shared {
    fn spy<T>(&self, f: impl FnOnce(&mut Spy) -> T) -> T {
        f(&mut self.spy.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remove_rule(&self, rule: &Arc<ActiveRule>) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.retain(|r| !Arc::ptr_eq(r, rule));
    }
}

/// One port of the proxy and the broker's port behind it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Port applications connect to.
    pub listen: u16,
    /// Port of the broker.
    pub broker: u16,
}

/// A running proxy; dropped, every connection through it ends.
pub struct Proxy {
    shared: Arc<Shared>,
    routes: Vec<Route>,
    // Ends the tasks of all connections.
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    /// Listens on every route's port. Brokers are counted from 0 in the order of the routes; they need not run yet.
    ///
    /// # Errors
    /// When a port is taken.
    pub fn start(routes: &[Route]) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            rules: Mutex::default(),
            walls: watch::Sender::new(Vec::new()),
            spy: Mutex::default(),
        });
        for (broker, route) in routes.iter().copied().enumerate() {
            let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, route.listen)))?;
            let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, route.broker));
            let shared = Arc::clone(&shared);
            runtime.spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(connection::serve(client, upstream, broker, Arc::clone(&shared)));
                }
            });
        }
        Ok(Self {
            shared,
            routes: routes.to_vec(),
            _runtime: runtime,
        })
    }

    /// `host:port,...` for applications.
    pub fn bootstrap(&self) -> String {
        let one = |r: &Route| format!("127.0.0.1:{}", r.listen);
        self.routes.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// Arms a rule until the value is dropped. The rules armed first are asked first; the first that matches acts.
    pub fn arm(&self, rule: Rule) -> Armed {
        let active = Arc::new(ActiveRule::new(rule));
        let mut rules = self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.push(Arc::clone(&active));
        Armed::new(active, Arc::clone(&self.shared))
    }

    /// Holds back traffic until the value is dropped; new connections are accepted and hear nothing.
    pub fn wall(&self, wall: Wall) -> Standing {
        let mut id = 0;
        self.shared.walls.send_modify(|walls| {
            id = walls.last().map_or(1, |(last, _)| last + 1);
            walls.push((id, wall));
        });
        Standing {
            id,
            shared: Arc::clone(&self.shared),
        }
    }

    /// Requests of an API seen so far.
    pub fn seen(&self, api_key: i16) -> u64 {
        self.shared.spy(|spy| spy.seen(api_key))
    }

    /// Whether a transactional producer of that client (a beginning of its client id) has a transaction open.
    pub fn in_transaction(&self, client: &str) -> bool {
        self.shared.spy(|spy| spy.in_transaction(client))
    }

    /// Waits until that client has a transaction open; false if it never has.
    pub fn wait_for_transaction(&self, client: &str, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.in_transaction(client) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

/// A wall, until dropped.
pub struct Standing {
    id: u64,
    shared: Arc<Shared>,
}

impl Standing {
    /// Frames it has held back or is holding back.
    pub fn matched(&self) -> u64 {
        self.shared.spy(|spy| spy.held_back(self.id))
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.shared
            .walls
            .send_modify(|walls| walls.retain(|(id, _)| *id != self.id));
    }
}
