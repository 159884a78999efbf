//! The brokers' settings, as `server.properties`.
use std::collections::BTreeMap;
use std::path::Path;

use super::config::{SecondListener, ServerConfig};

/// Ports of one broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodePorts {
    pub(crate) client: u16,
    pub(crate) controller: u16,
}

/// What does not depend on how and where the broker runs.
pub(crate) fn common(config: &ServerConfig) -> BTreeMap<String, String> {
    let size = config.brokers.to_string();
    // With one broker of three gone, commits still go through: that is what such tests want to see.
    let in_sync = (config.brokers / 2 + 1).to_string();
    let mut all: BTreeMap<String, String> = [
        ("process.roles", "broker,controller"),
        ("controller.listener.names", "CONTROLLER"),
        // A missing topic must be an error, not a topic.
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.num.partitions", "4"),
        ("offsets.topic.replication.factor", &size),
        ("transaction.state.log.replication.factor", &size),
        ("default.replication.factor", &size),
        ("transaction.state.log.min.isr", &in_sync),
        ("min.insync.replicas", &in_sync),
        ("group.streams.initial.rebalance.delay.ms", "0"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
        // Tests use timestamps far in the past; the broker would delete such records by age.
        ("log.retention.ms", "-1"),
        // 128 MiB of heap otherwise.
        ("log.cleaner.dedupe.buffer.size", "4194304"),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect();
    if config.short_lived {
        let threads = [
            ("num.network.threads", "2"),
            ("num.io.threads", "4"),
            ("background.threads", "2"),
        ];
        all.extend(threads.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
    all.extend(config.properties.iter().cloned());
    all
}

/// `server.properties` of node `index` (from 0) on loopback.
pub(crate) fn for_loopback(config: &ServerConfig, index: usize, ports: &[NodePorts], data: &Path) -> String {
    let mut all = common(config);
    let Some(own) = ports.get(index) else {
        return String::new();
    };
    let voters: Vec<String> = ports
        .iter()
        .enumerate()
        .map(|(i, p)| format!("{}@127.0.0.1:{}", i + 1, p.controller))
        .collect();
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
        own.client, own.controller
    );
    for (name, value) in [
        ("node.id", (index + 1).to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("listeners", listeners),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned(),
        ),
        ("log.dirs", data.display().to_string()),
    ] {
        all.insert(name.to_owned(), value);
    }
    if let Some(second) = config.second_listeners.get(index) {
        add_second_listener(&mut all, own, *second);
    }
    all.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

fn add_second_listener(all: &mut BTreeMap<String, String>, own: &NodePorts, second: SecondListener) {
    let first = format!("PLAINTEXT://127.0.0.1:{}", own.client);
    if let Some(listeners) = all.get_mut("listeners") {
        listeners.push_str(&format!(",SECOND://127.0.0.1:{}", second.port));
    }
    if let Some(protocols) = all.get_mut("listener.security.protocol.map") {
        protocols.push_str(",SECOND:PLAINTEXT");
    }
    let advertised = format!("{first},SECOND://127.0.0.1:{}", second.advertised);
    all.insert("advertised.listeners".to_owned(), advertised);
    all.insert("inter.broker.listener.name".to_owned(), "PLAINTEXT".to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: [NodePorts; 3] = [
        NodePorts {
            client: 1,
            controller: 2,
        },
        NodePorts {
            client: 3,
            controller: 4,
        },
        NodePorts {
            client: 5,
            controller: 6,
        },
    ];

    #[test]
    fn a_node_of_three_knows_its_voters_and_survives_one() {
        let text = for_loopback(&ServerConfig::new(3), 1, &PORTS, Path::new("data"));
        assert!(text.contains("node.id=2\n"));
        assert!(text.contains("controller.quorum.voters=1@127.0.0.1:2,2@127.0.0.1:4,3@127.0.0.1:6\n"));
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:3,CONTROLLER://127.0.0.1:4\n"));
        assert!(text.contains("transaction.state.log.replication.factor=3\n"));
        assert!(text.contains("transaction.state.log.min.isr=2\n"));
    }

    #[test]
    fn a_second_listener_is_known_by_another_port_and_brokers_keep_to_the_first() {
        let config = ServerConfig::new(1).second_listener(7, 8);
        let text = for_loopback(&config, 0, &PORTS[..1], Path::new("data"));
        assert!(text.contains(",SECOND://127.0.0.1:7\n"));
        assert!(text.contains("advertised.listeners=PLAINTEXT://127.0.0.1:1,SECOND://127.0.0.1:8\n"));
        assert!(text.contains("inter.broker.listener.name=PLAINTEXT\n"));
    }

    #[test]
    fn a_property_of_the_test_wins() {
        let config = ServerConfig::new(1).property("num.io.threads", 9);
        let text = for_loopback(&config, 0, &PORTS[..1], Path::new("data"));
        assert!(text.contains("num.io.threads=9\n") && !text.contains("num.io.threads=4"));
    }
}
