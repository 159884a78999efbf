//! What is checked before the first thread starts, so that a wrong set-up is an error of `start` and not a silence.

use std::time::{Duration, Instant};

use crate::{
    cluster::{Admin, ClusterError, ErrorClass},
    dsl::engine::{TopicRef, Topology},
    error::{Error, ErrorKind, Result},
};

/// Brokers answer, source topics exist, joined topics have equal partition counts.
pub(crate) fn check(
    admin: &mut dyn Admin,
    topology: &Topology,
    reach_within: Duration,
    topics_within: Duration,
) -> Result<()> {
    let mut topics: Vec<String> = topology
        .subtopologies()
        .iter()
        .flat_map(|s| &s.sources)
        .filter_map(|t| match t {
            TopicRef::External(name) => Some(name.to_string()),
            TopicRef::Internal(_) => None,
        })
        .collect();
    topics.sort();
    topics.dedup();
    let counts = wait_for(admin, &topics, reach_within, topics_within)?;
    for subtopology in topology.subtopologies() {
        for group in &subtopology.copartition_groups {
            let sources = group.iter().filter_map(|i| subtopology.sources.get(*i));
            let known: Vec<&(String, i32)> = sources
                .filter_map(|t| match t {
                    TopicRef::External(name) => counts.iter().find(|(n, _)| **n == **name),
                    TopicRef::Internal(_) => None,
                })
                .collect();
            if known.windows(2).any(|w| matches!(w, [a, b] if a.1 != b.1)) {
                let list: Vec<String> = known.iter().map(|(n, c)| format!("{n} has {c}")).collect();
                return Err(Error::new(
                    ErrorKind::IncorrectlyPartitioned,
                    format!(
                        "topics that are joined differ in their number of partitions: {}",
                        list.join(", ")
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn wait_for(
    admin: &mut dyn Admin,
    topics: &[String],
    reach_within: Duration,
    topics_within: Duration,
) -> Result<Vec<(String, i32)>> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(50);
    loop {
        let left = reach_within.saturating_sub(start.elapsed());
        match admin.partition_counts(topics, left.min(Duration::from_secs(5)).max(Duration::from_millis(100))) {
            Ok(counts) => {
                let missing: Vec<&str> = topics
                    .iter()
                    .filter(|t| !counts.iter().any(|(n, _)| n == *t))
                    .map(String::as_str)
                    .collect();
                if missing.is_empty() {
                    return Ok(counts);
                }
                if start.elapsed() >= topics_within {
                    return Err(Error::new(
                        ErrorKind::MissingSourceTopic,
                        format!("source topics are missing: {}", missing.join(", ")),
                    ));
                }
            }
            Err(e) if matches!(e.class, ErrorClass::Retry | ErrorClass::Unknown) => {
                if start.elapsed() >= reach_within {
                    return Err(unreachable(e));
                }
            }
            Err(e) => return Err(e.into()),
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

fn unreachable(error: ClusterError) -> Error {
    Error::new(
        ErrorKind::BrokerUnavailable,
        format!("the brokers cannot be reached: {}", error.message),
    )
    .caused_by(error)
}
