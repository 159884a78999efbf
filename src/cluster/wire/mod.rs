//! Our own connections to Kafka's brokers: groups, offsets and topics. No record travels here.
//!
//! One tokio worker thread serves all connections of a cluster; callers never need a runtime of their own.
mod admin;
mod codec;
mod config;
mod connection;
mod errors;
mod group;
mod pool;

use std::sync::Arc;

pub use config::WireConfig;

use super::{Admin, GroupClient, Result, Waker};

/// Makes group clients and admins for one cluster. Cheap to clone.
#[derive(Clone)]
pub struct WireClient {
    shared: Arc<Shared>,
}

/// The thread behind the connections; it ends with the last client.
struct Shared {
    runtime: Option<tokio::runtime::Runtime>,
    config: WireConfig,
}

impl Shared {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // In the background: the last owner may be dropped on a thread that runs async tasks, where waiting panics.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl WireClient {
    /// Starts the thread; connects when something is asked.
    ///
    /// # Errors
    /// `Fatal` when the operating system gives no thread.
    pub fn new(config: WireConfig) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("millstream-wire")
            .enable_all()
            .build()
            .map_err(|error| errors::fatal(0, format!("no thread for connections to Kafka: {error}")))?;
        Ok(Self {
            shared: Arc::new(Shared {
                runtime: Some(runtime),
                config,
            }),
        })
    }

    /// A client of one group's coordinator.
    pub fn group(&self, client_id: &str, group_id: &str, waker: Arc<dyn Waker>) -> impl GroupClient + use<> {
        group::WireGroup::start(self.shared.clone(), client_id, group_id, waker)
    }

    /// Topics and their offsets.
    pub fn admin(&self, client_id: &str) -> impl Admin + use<> {
        admin::WireAdmin::new(self.shared.clone(), client_id)
    }
}
