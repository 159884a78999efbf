//! The behaviour suite on real Kafka: a broker started here, or the one that `MILLSTREAM_TEST_BOOTSTRAP` names (its
//! streams groups then have the session time-out `MILLSTREAM_TEST_SESSION_TIMEOUT_MS`, default 45000).
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millstream::cluster::rdkafka::KafkaCluster;
use millstream_integration_tests::{
    behaviour::{ALL, TestNames},
    kafka::{KafkaServer, ServerConfig},
};

mod support;

#[test]
fn every_scenario_holds_on_real_kafka() {
    let started_here = Duration::from_secs(6);
    let (server, bootstrap, session_timeout) = match std::env::var("MILLSTREAM_TEST_BOOTSTRAP") {
        Ok(bootstrap) => {
            let given = std::env::var("MILLSTREAM_TEST_SESSION_TIMEOUT_MS").ok();
            let session_ms = given.map_or(45_000, |text| text.parse().unwrap());
            (None, bootstrap, Duration::from_millis(session_ms))
        }
        Err(_) => {
            let config = ServerConfig::new(1)
                .streams_session_timeout(started_here)
                .property("transaction.abort.timed.out.transaction.cleanup.interval.ms", 1_000);
            let server = KafkaServer::start_with(&config).unwrap();
            let bootstrap = server.bootstrap().to_owned();
            (Some(server), bootstrap, started_here)
        }
    };
    let cluster = KafkaCluster::connect(&bootstrap, &[]).unwrap();
    // A cluster that outlives the test may have seen these names before.
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    support::run_all(
        ALL,
        &cluster,
        |name| TestNames::new(format!("{run}-{name}"), session_timeout),
        6,
    );
    drop(server);
}
