//! The behaviour suite on the cluster in memory.
use std::{sync::Arc, time::Duration};

use millstream::cluster::memory::{MemoryCluster, MemoryClusterConfig, SystemClock};
use millstream_integration_tests::behaviour::{ALL, TestNames};

mod support;

#[test]
fn every_scenario_holds_in_memory() {
    let session_timeout = Duration::from_secs(3);
    let config = MemoryClusterConfig {
        session_timeout_ms: 3_000,
        ..MemoryClusterConfig::default()
    };
    let cluster = MemoryCluster::with(config, Arc::new(SystemClock::new()));
    let run = |name: &str| TestNames::new(name, session_timeout);
    support::run_all(ALL, &cluster, run, 8);
}
