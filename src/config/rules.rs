//! The one table of rules a configuration must obey. All violated rules are reported at once.

use std::time::Duration;

use super::{StreamsConfig, properties};
use crate::error::{Error, ErrorKind, Result};

/// A rule: the setting it is about, what must hold, and the check.
struct Rule {
    setting: &'static str,
    must: &'static str,
    holds: fn(&StreamsConfig) -> bool,
}

const MAX_NAME: usize = 249;

fn is_name(s: &str) -> bool {
    !s.is_empty()
        && s.len() <= MAX_NAME
        && s != "."
        && s != ".."
        && s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_address(s: &str) -> bool {
    // The host may be an IPv6 address in brackets, so the port is what follows the last colon.
    s.rsplit_once(':').is_some_and(|(host, port)| {
        let host = host.rsplit("://").next().unwrap_or(host);
        !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0)
    })
}

const RULES: &[Rule] = &[
    Rule {
        setting: "application_id",
        must: "must be 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', and not '.' or '..'",
        holds: |c| is_name(&c.application_id),
    },
    Rule {
        setting: "commit_interval",
        must: "must be at least 1 ms",
        holds: |c| c.effective_commit_interval() >= Duration::from_millis(1),
    },
    Rule {
        setting: "commit_interval",
        must: "must be shorter than transaction_timeout under exactly-once, or the broker aborts every transaction",
        holds: |c| !c.exactly_once() || c.effective_commit_interval() < c.transaction_timeout,
    },
    Rule {
        setting: "transaction_timeout",
        must: "must be from 1 s to 15 min (what a broker allows by default)",
        holds: |c| (Duration::from_secs(1)..=Duration::from_secs(900)).contains(&c.transaction_timeout),
    },
    Rule {
        setting: "stream_threads",
        must: "must be from 1 to 1024",
        holds: |c| (1..=1024).contains(&c.stream_threads),
    },
    Rule {
        setting: "state_dir",
        must: "must not be empty",
        holds: |c| !c.state_dir.as_os_str().is_empty(),
    },
    Rule {
        setting: "state_memory_bytes",
        must: "must be at least 1 MiB",
        holds: |c| c.state_memory_bytes >= 1 << 20,
    },
    Rule {
        setting: "uncommitted_bytes",
        must: "must be at least 64 KiB",
        holds: |c| c.uncommitted_bytes >= 64 << 10,
    },
    Rule {
        setting: "buffered_records_per_partition",
        must: "must be from 1 to 1000000",
        holds: |c| (1..=1_000_000).contains(&c.buffered_records),
    },
    Rule {
        setting: "restore_batch_records",
        must: "must be from 1 to 1000000",
        holds: |c| (1..=1_000_000).contains(&c.restore_batch_records),
    },
    Rule {
        setting: "rebalance_timeout",
        must: "must be from 1 s to 1 day",
        holds: |c| (Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&c.rebalance_timeout),
    },
    Rule {
        setting: "startup_timeout",
        must: "must be from 1 s to 10 min",
        holds: |c| (Duration::from_secs(1)..=Duration::from_secs(600)).contains(&c.startup_timeout),
    },
    Rule {
        setting: "poll_interval",
        must: "must be from 1 ms to 10 s",
        holds: |c| (Duration::from_millis(1)..=Duration::from_secs(10)).contains(&c.poll_interval),
    },
    Rule {
        setting: "application_server",
        must: "must have a host and a port above 0",
        holds: |c| {
            c.application_server
                .as_ref()
                .is_none_or(|(h, p)| !h.is_empty() && *p > 0)
        },
    },
    Rule {
        setting: "client_tag",
        must: "must have a key, and each key once",
        holds: |c| {
            let keys: std::collections::BTreeSet<_> = c.client_tags.iter().map(|(k, _)| k).collect();
            keys.len() == c.client_tags.len() && !keys.iter().any(|k| k.is_empty())
        },
    },
];

/// `needs_bootstrap`: false when the cluster is given, so that there is nobody to connect to.
pub(super) fn check(config: &StreamsConfig, needs_bootstrap: bool) -> Result<()> {
    let mut violated: Vec<String> = RULES
        .iter()
        .filter(|r| !(r.holds)(config))
        .map(|r| format!("{} {}", r.setting, r.must))
        .collect();
    if needs_bootstrap && !config.bootstrap_servers.split(',').all(|a| is_address(a.trim())) {
        violated.push("bootstrap_servers must be a list of host:port".into());
    }
    for property in &config.properties {
        if property.key.is_empty() {
            violated.push("a property must have a name".into());
        }
        if let Some(instead) = properties::reserved(&property.key) {
            violated.push(format!("property {} is reserved: use {instead}", property.key));
        }
    }
    if violated.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!(
            "the configuration violates {} rule(s): {}",
            violated.len(),
            violated.join("; ")
        ),
    ))
}

impl StreamsConfig {
    pub(crate) fn validate_for_given_cluster(&self) -> Result<()> {
        check(self, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessingGuarantee;

    fn good() -> StreamsConfig {
        StreamsConfig::new("app").bootstrap_servers("localhost:9092")
    }

    #[test]
    fn the_defaults_are_valid() {
        good().validate().unwrap();
        good()
            .processing_guarantee(ProcessingGuarantee::ExactlyOnce)
            .validate()
            .unwrap();
    }

    #[test]
    fn all_violated_rules_are_reported_at_once() {
        let e = StreamsConfig::new("a/b")
            .bootstrap_servers("nowhere")
            .stream_threads(0)
            .property("group.id", "x")
            .property("producer.enable.idempotence", "false")
            .validate()
            .unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Configuration);
        for part in [
            "application_id",
            "bootstrap_servers",
            "stream_threads",
            "property group.id",
            "producer.enable.idempotence",
            "5 rule(s)",
        ] {
            assert!(e.message().contains(part), "{part} in {e}");
        }
    }

    #[test]
    fn an_error_never_shows_the_value_of_a_property() {
        let e = good().property("transactional.id", "canary").validate().unwrap_err();
        assert!(!format!("{e} {e:?}").contains("canary"));
        let c = good().property("sasl.password", "canary");
        c.validate().unwrap();
        assert!(!format!("{c:?}").contains("canary"));
    }

    #[test]
    fn a_transaction_must_outlive_the_commit_interval() {
        let slow = |c: StreamsConfig| c.commit_interval(Duration::from_secs(20)).validate();
        slow(good()).unwrap();
        let e = slow(good().processing_guarantee(ProcessingGuarantee::ExactlyOnce)).unwrap_err();
        assert!(e.message().contains("transaction_timeout"));
    }

    #[test]
    fn addresses_may_be_ipv6_and_several() {
        for ok in ["h:1", "a:1, b:2", "[::1]:9092", "SASL_SSL://broker-1:9093"] {
            StreamsConfig::new("app").bootstrap_servers(ok).validate().unwrap();
        }
        for bad in ["", "h", "h:", "h:0", ":1", "h:99999", "a:1,"] {
            assert!(
                StreamsConfig::new("app").bootstrap_servers(bad).validate().is_err(),
                "{bad}"
            );
        }
    }
}
