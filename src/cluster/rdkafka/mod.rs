//! Real Kafka: records and transactions through librdkafka; groups, offsets and topics over our own `wire` client.
mod consumer;
mod deliveries;
mod errors;
#[allow(unsafe_code, reason = "the bindings to librdkafka; every block says why it is sound")]
mod ffi;
mod log;
mod offsets;
mod producer;
mod settings;
mod unanswered;

use std::sync::Arc;

use settings::Properties;

use super::{
    Admin, Cluster, Consumer, ConsumerConfig, GroupClient, Producer, ProducerConfig, Result, Waker,
    wire::{WireClient, WireConfig},
};

/// A Kafka cluster. Cheap to clone; clients it made live on without it.
#[derive(Clone)]
pub struct KafkaCluster {
    bootstrap: Arc<str>,
    properties: Properties,
    wire: WireClient,
}

impl KafkaCluster {
    /// Checks the properties; connects only when a client is used.
    ///
    /// `bootstrap`: `host:port`, comma-separated. `properties`: any property of librdkafka; a name that begins with
    /// `consumer.` or `producer.` reaches only those clients. Properties the library decides itself are refused with
    /// the reason. `security.protocol` (PLAINTEXT, SASL_PLAINTEXT with mechanism PLAIN), `sasl.*` and time-outs also
    /// hold for the connections groups and topics are managed over.
    ///
    /// # Errors
    /// `Fatal` for a reserved property, one that librdkafka does not know or take, an address without a port, or a
    /// security protocol that those connections do not speak.
    #[doc(alias = "bootstrap.servers")]
    pub fn connect(bootstrap: &str, properties: &[(String, String)]) -> Result<Self> {
        let checked = Properties::checked(properties)?;
        let wire = WireClient::new(WireConfig::from_properties(bootstrap, properties)?)?;
        Ok(Self {
            bootstrap: bootstrap.into(),
            properties: checked,
            wire,
        })
    }
}

impl Cluster for KafkaCluster {
    fn consumer(&self, config: &ConsumerConfig, waker: Arc<dyn Waker>) -> Result<Box<dyn Consumer>> {
        let settings = settings::consumer(&self.bootstrap, config, &self.properties);
        Ok(Box::new(consumer::RdConsumer::new(&settings, waker)?))
    }

    fn producer(&self, config: &ProducerConfig, waker: Arc<dyn Waker>) -> Result<Box<dyn Producer>> {
        let settings = settings::producer(&self.bootstrap, config, &self.properties);
        Ok(Box::new(producer::RdProducer::new(&settings, config, waker)?))
    }

    fn group(&self, client_id: &str, group_id: &str, waker: Arc<dyn Waker>) -> Result<Box<dyn GroupClient>> {
        Ok(Box::new(self.wire.group(client_id, group_id, waker)))
    }

    fn admin(&self, client_id: &str) -> Result<Box<dyn Admin>> {
        Ok(Box::new(self.wire.admin(client_id)))
    }
}
