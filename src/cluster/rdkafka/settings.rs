//! Settings of the librdkafka clients: what we decide, what we recommend, what the user may not touch, and why.
use super::ffi::refusals;
use crate::cluster::{ClusterError, ConsumerConfig, ErrorClass, Isolation, ProducerConfig};

/// Properties the library decides, with the reason a user is told.
const RESERVED: [(&str, &str); 20] = [
    ("bootstrap.servers", "is given to the builder"),
    ("metadata.broker.list", "is given to the builder as bootstrap servers"),
    ("client.id", "is derived from the application id and the thread"),
    ("group.id", "is the application id"),
    (
        "group.protocol",
        "membership is spoken by the library itself (streams groups)",
    ),
    (
        "group.instance.id",
        "static membership does not exist in streams groups",
    ),
    ("partition.assignment.strategy", "the broker assigns tasks"),
    (
        "enable.auto.commit",
        "offsets are committed together with state and output",
    ),
    (
        "enable.auto.offset.store",
        "offsets are committed together with state and output",
    ),
    (
        "auto.offset.reset",
        "the reset policy belongs to the source of the topology",
    ),
    ("isolation.level", "follows from the processing guarantee"),
    ("enable.partition.eof", "restoring ends at the end of a partition"),
    (
        "transactional.id",
        "is derived from the application, process and thread",
    ),
    (
        "transaction.timeout.ms",
        "is a setting of the library, which has to know it",
    ),
    ("enable.idempotence", "records would be lost or doubled without it"),
    ("acks", "records could be lost with anything but all"),
    ("request.required.acks", "records could be lost with anything but all"),
    (
        "delivery.report.only.error",
        "changelog positions come from delivery reports",
    ),
    ("enable.gapless.guarantee", "the library replays after a failed record"),
    (
        "plugin.library.paths",
        "foreign code inside the clients is not supported",
    ),
];

/// The user's properties, checked. Names may begin with `consumer.` or `producer.` to reach only those clients.
#[derive(Clone, Default)]
pub(super) struct Properties(Vec<(String, String)>);

impl Properties {
    /// Refuses reserved names, and those that librdkafka does not know or take; all of them in one message.
    pub(super) fn checked(properties: &[(String, String)]) -> Result<Self, ClusterError> {
        let mut refused = Vec::new();
        for (name, _) in properties {
            let bare = bare_name(name);
            if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == bare) {
                refused.push(format!("{name} ({reason})"));
            }
        }
        if !refused.is_empty() {
            return Err(wrong(format!(
                "properties that the library decides itself were set; remove them: {}",
                refused.join(", ")
            )));
        }
        let set = properties.iter().map(|(name, value)| (bare_name(name), value.as_str()));
        let refused = refusals(set);
        if !refused.is_empty() {
            return Err(wrong(format!("the Kafka client refuses {}", refused.join(", "))));
        }
        Ok(Self(properties.to_vec()))
    }

    fn apply(&self, prefix: &str, other: &str, settings: &mut Vec<(String, String)>) {
        let common = self
            .0
            .iter()
            .filter(|(name, _)| !name.starts_with(other) && !name.starts_with(prefix));
        let common = common.map(|(name, value)| (name.as_str(), value));
        let own = self
            .0
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)));
        // The last one counts: own properties after common ones, both after ours.
        settings.extend(common.chain(own).map(|(name, value)| (name.to_string(), value.clone())));
    }
}

fn wrong(message: String) -> ClusterError {
    ClusterError {
        class: ErrorClass::Fatal,
        code: 0,
        message,
        partition: None,
    }
}

/// Values may be secrets.
impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn bare_name(name: &str) -> &str {
    name.strip_prefix("consumer.")
        .or_else(|| name.strip_prefix("producer."))
        .unwrap_or(name)
}

fn base(bootstrap: &str, client_id: &str) -> Vec<(String, String)> {
    owned(&[
        ("bootstrap.servers", bootstrap),
        ("client.id", client_id),
        // Without it every client asks the broker for a telemetry subscription.
        ("enable.metrics.push", "false"),
        ("log.connection.close", "false"),
    ])
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings
        .iter()
        .map(|&(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

pub(super) fn consumer(bootstrap: &str, config: &ConsumerConfig, properties: &Properties) -> Vec<(String, String)> {
    let mut settings = base(bootstrap, &config.client_id);
    settings.extend(owned(&[
        // Decides throughput: how long a full partition waits before it looks whether there is room again.
        ("fetch.queue.backoff.ms", "5"),
        // Per partition, as each has a queue of its own; a small message takes some 600 bytes in it.
        ("queued.min.messages", "4000"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.message.max.bytes", "1048576"),
        ("fetch.wait.max.ms", "100"),
        ("check.crcs", "true"),
        ("allow.auto.create.topics", "false"),
    ]));
    properties.apply("consumer.", "producer.", &mut settings);
    settings.extend(owned(&[
        // Mandatory for `assign`; nothing is ever subscribed or committed under it.
        ("group.id", &config.client_id),
        ("group.protocol", "classic"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        (
            "isolation.level",
            match config.isolation {
                Isolation::ReadUncommitted => "read_uncommitted",
                Isolation::ReadCommitted => "read_committed",
            },
        ),
    ]));
    settings
}

pub(super) fn producer(bootstrap: &str, config: &ProducerConfig, properties: &Properties) -> Vec<(String, String)> {
    let mut settings = base(bootstrap, &config.client_id);
    settings.extend(owned(&[
        ("linger.ms", "50"),
        // What Kafka Streams' `buffer.memory` allows, and as many messages as a busy thread writes in one linger.
        ("queue.buffering.max.messages", "40000"),
        ("queue.buffering.max.kbytes", "32768"),
    ]));
    if config.transactional_id.is_some() {
        // Shortens the wait when the previous transaction is still being completed.
        settings.extend(owned(&[("retry.backoff.ms", "20")]));
    }
    properties.apply("producer.", "consumer.", &mut settings);
    settings.extend(owned(&[("enable.idempotence", "true"), ("acks", "all")]));
    if let Some(id) = &config.transactional_id {
        let timeout_ms = config.transaction_timeout.as_millis().to_string();
        settings.extend(owned(&[
            ("transactional.id", id),
            ("transaction.timeout.ms", &timeout_ms),
        ]));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::{Properties, consumer};
    use crate::cluster::{ConsumerConfig, Isolation};

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        super::owned(list)
    }

    #[test]
    fn every_reserved_property_is_refused_by_name_with_its_reason_and_without_values() {
        let error = Properties::checked(&pairs(&[
            ("sasl.password", "hunter2"),
            ("consumer.isolation.level", "hunter3"),
            ("group.id", "x"),
        ]))
        .expect_err("reserved");
        assert!(
            error
                .message
                .contains("consumer.isolation.level (follows from the processing guarantee)"),
            "{error}"
        );
        assert!(error.message.contains("group.id (is the application id)"), "{error}");
        assert!(
            !error.message.contains("hunter") && !error.message.contains("sasl"),
            "{error}"
        );
    }

    #[test]
    fn a_prefixed_property_reaches_only_its_client_and_wins_over_defaults() {
        let properties = Properties::checked(&pairs(&[
            ("producer.linger.ms", "1"),
            ("consumer.fetch.wait.max.ms", "10"),
            ("fetch.wait.max.ms", "20"),
            ("socket.keepalive.enable", "true"),
        ]))
        .expect("legal");
        let config = ConsumerConfig {
            client_id: "c".into(),
            isolation: Isolation::ReadCommitted,
        };
        let settings = consumer("b", &config, &properties);
        let last = |name: &str| settings.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(last("fetch.wait.max.ms"), Some("10"));
        assert_eq!(last("socket.keepalive.enable"), Some("true"));
        assert_eq!(last("isolation.level"), Some("read_committed"));
        assert!(settings.iter().all(|(name, _)| !name.contains("linger")));
        assert!(!format!("{properties:?}").contains("20"));
    }
}
