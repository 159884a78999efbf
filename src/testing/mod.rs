//! Testing without Kafka: [`TopologyTestDriver`] pipes single records through a topology, [`Simulator`] runs many instances of an
//! application on one simulated cluster and lets them crash. Kafka Streams: `kafka-streams-test-utils`.
//!
//! # Is my topology right when things break?
//!
//! The [`Simulator`] runs the real runtime (stream threads, group membership, commits, restoring) of several instances in one
//! thread, with time, network, disks and scheduling drawn from one seed. It kills, pauses and cuts off instances, loses and
//! delays requests and answers, moves coordinators, and at last lets everything calm down. Then nothing may be missing:
//!
//! ```
//! use millstream::{prelude::*, testing::Simulator};
//!
//! let builder = StreamsBuilder::new();
//! builder.stream::<String, String>("words").group_by_key().count().to_stream().to("counts");
//! let topology = builder.build().unwrap();
//! let config = StreamsConfig::new("word-count")
//!     .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
//!     .record_cache_bytes(0);
//! let words = (0..200).map(|n| (format!("word {}", n % 20), "x".to_owned()));
//! let simulator = Simulator::new(config, topology)
//!     .instances(2)
//!     .topic("words", 3)
//!     .topic("counts", 3)
//!     .records("words", StringSerde, StringSerde, words);
//! for seed in 0..3 {
//!     let run = simulator.run(seed).unwrap();
//!     let counts = run.read("counts", StringSerde, I64Serde).unwrap();
//!     for word in 0..20 {
//!         let of_word = counts.iter().filter(|(k, _)| *k == format!("word {word}"));
//!         assert!(of_word.map(|(_, count)| *count).eq(1..=10));
//!     }
//! }
//! ```
//!
//! A failing seed fails again in the same way: [`Simulator::trace`] shows every step of it.
mod actor;
mod check;
mod copy;
mod faults;
mod feed;
mod instance;
mod network;
mod observation;
mod random;
mod report;
mod rest;
mod run;
mod simulator;
mod strike;
mod world;

pub use self::{
    faults::Faults,
    observation::{Observation, Observed},
    report::{Failure, Run, SeenRecord},
    simulator::Simulator,
};
pub use crate::dsl::driver::*;
#[cfg(feature = "mutants")]
pub use crate::mutants::Mutant;
