//! A real Kafka cluster for tests, with or without a container runtime.
//!
//! [`KafkaServer::start`] takes the first of these that applies:
//! 1. `MILLSTREAM_TEST_BOOTSTRAP`: a cluster that is already running; it may be filled and emptied freely;
//! 2. containers (cargo feature `containers`), where a container runtime answers;
//! 3. JVM brokers on loopback, from the jars of Maven Central.
//!
//! [`Observer`] creates topics, produces and reads through the safe `rdkafka` crate, so that a test never checks
//! Millstream's clients with themselves.
mod config;
#[cfg(feature = "containers")]
mod container;
mod detached;
mod error;
mod jars;
mod jvm;
mod node;
mod observer;
mod ports;
mod process;
mod properties;
mod read;
mod server;

pub use config::ServerConfig;
pub use detached::{DetachedCluster, start_detached, stop_detached};
pub use error::{HarnessError, Result};
pub use jars::{KAFKA_VERSION, cache_dir, kafka_libs};
pub use observer::{NewRecord, Observer};
pub use ports::free_ports;
pub use process::{Signal, send_signal};
pub use read::{ObservedRecord, View};
pub use server::KafkaServer;
