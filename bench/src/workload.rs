//! The workloads: names of topics as the peer has them, and our topologies.
use std::time::Duration;

use millstream::prelude::*;

use crate::transform::{passes, triple};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// Filter and map, no state.
    Relay,
    /// Count per key.
    Count,
    /// Count per key and ten seconds.
    WindowedCount,
}

impl Workload {
    /// As on the command line; the prefix of all topics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Count => "count",
            Self::WindowedCount => "windowed-count",
        }
    }

    /// Input, filled by the peer.
    pub fn input(self) -> String {
        format!("{}-in", self.name())
    }

    /// Output, made by the peer.
    pub fn output(self) -> String {
        format!("{}-out", self.name())
    }

    /// The same as the peer's `Topologies.java`, with defaults everywhere.
    pub fn topology(self) -> Result<Topology, BuildError> {
        let builder = StreamsBuilder::new();
        let input = builder.stream::<String, String>(self.input().as_str());
        let output = self.output();
        match self {
            Self::Relay => input
                .filter(|_, v| passes(v))
                .map_values(|v| triple(v))
                .to(output.as_str()),
            Self::Count => {
                input
                    .group_by_key()
                    .count_with(Materialized::named("counts"))
                    .to_stream()
                    .to(output.as_str());
            }
            Self::WindowedCount => {
                let windows = TimeWindows::of(Duration::from_secs(10)).grace(Duration::from_secs(1));
                let counts = input
                    .group_by_key()
                    .windowed_by(windows)
                    .count_with(Materialized::named("counts"));
                counts.to_stream().to(output.as_str());
            }
        }
        builder.build()
    }
}
