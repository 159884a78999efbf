//! Connections to the brokers of a cluster: any broker, or a certain one.
use std::collections::HashMap;

use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName, metadata_request::MetadataRequestTopic};
use kafka_protocol::protocol::StrBytes;

use super::{
    WireConfig,
    connection::Connection,
    errors::{NOT_SENT, retry},
};
use crate::cluster::Result;

/// Metadata without auto-creation (4) up to 12.
const METADATA: (i16, i16) = (4, 12);

pub(super) type Address = (String, u16);

/// Open connections by address. A connection that failed is forgotten.
pub(super) struct Pool {
    config: WireConfig,
    client_id: String,
    open: HashMap<Address, Connection>,
    /// Where brokers were last seen, by node id.
    brokers: HashMap<i32, Address>,
    /// Rotates through bootstrap servers, so that one dead server does not stand in the way for ever.
    next_bootstrap: usize,
}

impl Pool {
    pub(super) fn new(config: WireConfig, client_id: &str) -> Self {
        Self {
            config,
            client_id: client_id.into(),
            open: HashMap::new(),
            brokers: HashMap::new(),
            next_bootstrap: 0,
        }
    }

    /// The connection to an address, opened if need be.
    pub(super) async fn at(&mut self, address: &Address) -> Result<&mut Connection> {
        if !self.open.contains_key(address) {
            let connection = Connection::open(&self.config, &self.client_id, &address.0, address.1).await?;
            self.open.insert(address.clone(), connection);
        }
        self.open
            .get_mut(address)
            .ok_or_else(|| retry(NOT_SENT, "no connection".into()))
    }

    /// A connection to any broker: one that is open, a known broker, or a bootstrap server.
    pub(super) async fn any(&mut self) -> Result<Address> {
        if let Some(address) = self.open.keys().next() {
            return Ok(address.clone());
        }
        let mut last = None;
        let bootstrap = self.config.bootstrap.clone();
        let start = self.next_bootstrap;
        let rotated = (0..bootstrap.len()).filter_map(|i| bootstrap.get((start + i) % bootstrap.len()));
        let known: Vec<_> = self.brokers.values().cloned().collect();
        for address in rotated.chain(&known) {
            self.next_bootstrap = self.next_bootstrap.wrapping_add(1);
            match self.at(address).await {
                Ok(_) => return Ok(address.clone()),
                // Wrong credentials, a broker that refuses: no other address makes it better.
                Err(error) if error.class == crate::cluster::ErrorClass::Fatal => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| retry(NOT_SENT, "no broker is known".into())))
    }

    pub(super) fn forget(&mut self, address: &Address) {
        self.open.remove(address);
    }

    /// The address of a broker that metadata has named.
    pub(super) fn broker(&self, node: i32) -> Result<Address> {
        let unknown = || retry(NOT_SENT, format!("broker {node} is not known (yet)"));
        self.brokers.get(&node).cloned().ok_or_else(unknown)
    }

    /// Metadata of these topics (never creating them); remembers where the brokers are.
    pub(super) async fn metadata<'a>(&mut self, topics: impl IntoIterator<Item = &'a str>) -> Result<MetadataResponse> {
        let topics = topics
            .into_iter()
            .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
        let request = MetadataRequest::default()
            .with_topics(Some(topics.collect()))
            .with_allow_auto_topic_creation(false);
        let address = self.any().await?;
        let answer = self.at(&address).await?.request(&request, METADATA).await;
        let answer = answer.inspect_err(|_| self.forget(&address))?;
        for broker in &answer.brokers {
            if let Ok(port) = u16::try_from(broker.port) {
                self.brokers.insert(broker.node_id.0, (broker.host.to_string(), port));
            }
        }
        Ok(answer)
    }
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_string()))
}
