//! What is checked before the first thread starts, so that a wrong set-up is an error of `start` and not a silence.

use std::time::Duration;

use super::clock::{Clock, Now};
use crate::{
    cluster::{Admin, ClusterError, ErrorClass},
    dsl::engine::{TopicRef, Topology},
    error::{Error, ErrorKind, Result},
};

/// Brokers answer, source topics exist, joined topics have equal partition counts. Stepped until it knows.
pub(crate) struct StartupCheck {
    topology: Topology,
    topics: Vec<String>,
    reach_within: Duration,
    topics_within: Duration,
    began: Option<Duration>,
    pause: Duration,
}

impl StartupCheck {
    pub(crate) fn new(topology: &Topology, reach_within: Duration, topics_within: Duration) -> Result<Self> {
        refuse_patterns(topology)?;
        let sources = topology.subtopologies().iter().flat_map(|s| &s.sources);
        let mut topics: Vec<String> = sources
            .filter_map(|t| match t {
                TopicRef::External(name) => Some(name.to_string()),
                TopicRef::Internal(_) | TopicRef::Pattern(_) => None,
            })
            .collect();
        topics.extend(global_topics(topology).map(str::to_owned));
        topics.sort();
        topics.dedup();
        Ok(Self {
            topology: topology.clone(),
            topics,
            reach_within,
            topics_within,
            began: None,
            pause: Duration::from_millis(50),
        })
    }

    /// None: all is well. Some: ask again after this time.
    pub(crate) fn step(&mut self, admin: &mut dyn Admin, now: Now) -> Result<Option<Duration>> {
        let waited = now.elapsed.saturating_sub(*self.began.get_or_insert(now.elapsed));
        let left = self.reach_within.saturating_sub(waited);
        let limit = left.min(Duration::from_secs(5)).max(Duration::from_millis(100));
        match admin.partition_counts(&self.topics, limit) {
            Ok(counts) => {
                let absent = |topic: &&String| !counts.iter().any(|(n, _)| n == *topic);
                let missing: Vec<&str> = self.topics.iter().filter(absent).map(String::as_str).collect();
                if missing.is_empty() {
                    return check_counts(&self.topology, &counts).map(|()| None);
                }
                if waited >= self.topics_within {
                    return Err(Error::new(
                        ErrorKind::MissingSourceTopic,
                        format!("source topics are missing: {}", missing.join(", ")),
                    ));
                }
            }
            Err(e) if matches!(e.class, ErrorClass::Retry | ErrorClass::Unknown) => {
                if waited >= self.reach_within {
                    return Err(unreachable(e));
                }
            }
            Err(e) => return Err(e.into()),
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(Duration::from_millis(500));
        Ok(Some(pause))
    }
}

/// Steps the check in real time.
pub(crate) fn check(check: &mut StartupCheck, admin: &mut dyn Admin, clock: Clock) -> Result<()> {
    while let Some(pause) = check.step(admin, clock.now())? {
        std::thread::sleep(pause);
    }
    Ok(())
}

fn check_counts(topology: &Topology, counts: &[(String, i32)]) -> Result<()> {
    for subtopology in topology.subtopologies() {
        for group in &subtopology.copartition_groups {
            let sources = group.iter().filter_map(|i| subtopology.sources.get(*i));
            let known: Vec<&(String, i32)> = sources
                .filter_map(|t| match t {
                    TopicRef::External(name) => counts.iter().find(|(n, _)| **n == **name),
                    TopicRef::Internal(_) | TopicRef::Pattern(_) => None,
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

/// Topics that every instance reads whole.
fn global_topics(topology: &Topology) -> impl Iterator<Item = &str> {
    topology
        .global_stores()
        .iter()
        .filter_map(|s| s.source_changelog.as_deref())
}

/// Streams groups do not know patterns (KIP-1071, as of Kafka 4.3).
fn refuse_patterns(topology: &Topology) -> Result<()> {
    let mut sources = topology.subtopologies().iter().flat_map(|s| &s.sources);
    match sources.find(|t| matches!(t, TopicRef::Pattern(_))) {
        Some(pattern) => Err(Error::new(
            ErrorKind::Topology,
            format!("streams groups do not support source patterns yet: name the topics instead of {pattern:?}"),
        )),
        None => Ok(()),
    }
}

fn unreachable(error: ClusterError) -> Error {
    Error::new(
        ErrorKind::BrokerUnavailable,
        format!("the brokers cannot be reached: {}", error.message),
    )
    .caused_by(error)
}
