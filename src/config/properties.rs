//! Which client properties a user may pass through, which are ours, and which are secrets.

use std::fmt;

/// A property handed to the Kafka clients as it is; its value is hidden in `Debug` unless it is known to be harmless.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// Name, as librdkafka knows it.
    pub key: String,
    /// Value.
    pub value: String,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_secret(&self.key) {
            write!(f, "{}=<redacted>", self.key)
        } else {
            write!(f, "{}={}", self.key, self.value)
        }
    }
}

/// A superset of what librdkafka marks as sensitive: better one value too many hidden than one shown.
pub(crate) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    [
        "password",
        "secret",
        "token",
        "jaas",
        "username",
        "oauthbearer",
        ".pem",
        "ssl.key",
        "ssl.ca",
        "ssl.certificate",
        "keystore",
        "assertion",
        "private",
    ]
    .iter()
    .any(|part| key.contains(part))
}

/// Properties Millstream sets itself, each with what to use instead.
pub(crate) const RESERVED: &[(&str, &str)] = &[
    ("application.id", "KafkaStreams::builder(application_id)"),
    ("bootstrap.servers", "bootstrap_servers(..)"),
    ("metadata.broker.list", "bootstrap_servers(..)"),
    ("processing.guarantee", "processing_guarantee(..)"),
    ("num.stream.threads", "stream_threads(..)"),
    ("state.dir", "state_dir(..)"),
    ("commit.interval.ms", "commit_interval(..)"),
    ("statestore.cache.max.bytes", "record_cache_bytes(..)"),
    ("cache.max.bytes.buffering", "record_cache_bytes(..)"),
    ("buffered.records.per.partition", "buffered_records_per_partition(..)"),
    ("max.task.idle.ms", "max_task_idle(..)"),
    ("transaction.timeout.ms", "transaction_timeout(..)"),
    ("application.server", "application_server(..)"),
    ("client.id", "client_id(..)"),
    ("group.id", "the application id, which is the group id"),
    ("group.protocol", "nothing: membership always uses the streams protocol"),
    (
        "group.instance.id",
        "nothing: streams groups have no static membership yet",
    ),
    (
        "session.timeout.ms",
        "the group setting streams.session.timeout.ms on the broker",
    ),
    (
        "heartbeat.interval.ms",
        "the group setting streams.heartbeat.interval.ms on the broker",
    ),
    ("max.poll.interval.ms", "rebalance_timeout(..)"),
    (
        "transactional.id",
        "processing_guarantee(..); the id is derived from the application",
    ),
    ("enable.idempotence", "nothing: producers are always idempotent"),
    ("isolation.level", "processing_guarantee(..)"),
    ("enable.auto.commit", "commit_interval(..)"),
    ("auto.commit.interval.ms", "commit_interval(..)"),
    ("enable.auto.offset.store", "commit_interval(..)"),
    ("auto.offset.reset", "the reset policy of the source"),
    ("enable.partition.eof", "nothing: restoring relies on it"),
    (
        "partitioner",
        "a partitioner in Produced; the default is that of the Java client",
    ),
    ("partition.assignment.strategy", "nothing: the broker assigns the tasks"),
    (
        "socket.timeout.ms",
        "transaction_timeout(..); a lower value could end a later transaction",
    ),
    ("key.deserializer", "the serde of the source"),
    ("value.deserializer", "the serde of the source"),
    ("key.serializer", "the serde of the sink"),
    ("value.serializer", "the serde of the sink"),
    ("default.key.serde", "the serde of each source, store and sink"),
    ("default.value.serde", "the serde of each source, store and sink"),
];

/// What to use instead of a reserved property; the prefixes of Kafka Streams (`producer.`, `main.consumer.` ...) do not help.
pub(crate) fn reserved(key: &str) -> Option<&'static str> {
    let bare = [
        "main.consumer.",
        "restore.consumer.",
        "global.consumer.",
        "consumer.",
        "producer.",
        "admin.",
    ]
    .iter()
    .find_map(|p| key.strip_prefix(p))
    .unwrap_or(key);
    RESERVED
        .iter()
        .find(|(name, _)| *name == bare)
        .map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_appear_in_debug() {
        for key in [
            "sasl.password",
            "ssl.key.pem",
            "sasl.username",
            "sasl.oauthbearer.config",
            "ssl.ca.pem",
            "ssl.keystore.password",
        ] {
            let p = Property {
                key: key.into(),
                value: "canary".into(),
            };
            assert!(!format!("{p:?}").contains("canary"), "{key}");
        }
        let open = Property {
            key: "security.protocol".into(),
            value: "SASL_SSL".into(),
        };
        assert_eq!(format!("{open:?}"), "security.protocol=SASL_SSL");
    }

    #[test]
    fn reserved_properties_say_what_to_use_also_behind_a_prefix() {
        assert_eq!(reserved("producer.transactional.id"), reserved("transactional.id"));
        assert!(reserved("isolation.level").is_some());
        assert!(reserved("linger.ms").is_none());
    }
}
