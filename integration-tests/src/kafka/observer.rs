//! An independent client: makes topics and records, and tells what is in the cluster.
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::error::{Context, HarnessError, Result};

const LIMIT: Duration = Duration::from_secs(30);

/// A record to produce.
#[derive(Clone, Debug, Default)]
pub struct NewRecord {
    /// `None`: chosen by murmur2 of the key, as Java does.
    pub partition: Option<i32>,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the epoch; `None`: now.
    pub timestamp_ms: Option<i64>,
    /// Headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl NewRecord {
    /// A record with a key and a value.
    pub fn new(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: Some(key.into()),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// With a timestamp in milliseconds since the epoch.
    #[must_use]
    pub fn at_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    /// To a partition.
    #[must_use]
    pub fn to_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }
}

/// A client through the safe `rdkafka` crate. Every call blocks, for 30 s at most unless it says otherwise.
pub struct Observer {
    bootstrap: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Observer {
    /// Connects lazily.
    pub fn new(bootstrap: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context(|| "making a runtime".to_owned())?;
        // The admin client looks for a runtime when it is made.
        let _entered = runtime.enter();
        let admin = base_config(bootstrap)
            .create()
            .context(|| "making an admin client".to_owned())?;
        drop(_entered);
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            admin,
            runtime,
        })
    }

    pub(super) fn config(&self) -> ClientConfig {
        base_config(&self.bootstrap)
    }

    pub(super) fn consumer(&self, committed: bool, group: &str) -> Result<BaseConsumer> {
        self.config()
            .set("group.id", group)
            .set(
                "isolation.level",
                if committed {
                    "read_committed"
                } else {
                    "read_uncommitted"
                },
            )
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "50")
            .create()
            .context(|| "making a consumer".to_owned())
    }

    /// Waits until so many brokers are in the cluster's metadata.
    pub fn wait_for_brokers(&self, count: usize, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < limit {
            let answer = self.admin.inner().fetch_metadata(None, Duration::from_secs(2));
            if answer.is_ok_and(|m| m.brokers().len() >= count) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(HarnessError::TimeOut {
            what: format!("no cluster of {count} brokers at {}", self.bootstrap),
            seconds: limit.as_secs(),
        })
    }

    fn metadata(&self, topic: Option<&str>, what: impl FnOnce() -> String) -> Result<Metadata> {
        self.admin.inner().fetch_metadata(topic, LIMIT).context(what)
    }

    /// Node ids (from 1) of the brokers that the cluster takes for alive.
    pub fn live_brokers(&self) -> Result<Vec<i32>> {
        let metadata = self.metadata(None, || "listing brokers".to_owned())?;
        Ok(metadata.brokers().iter().map(|b| b.id()).collect())
    }

    /// Makes a topic; one that exists is an error.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        self.create_topic_with(name, partitions, &[])
    }

    /// Makes a topic with settings, such as `cleanup.policy`; returns when every partition has a leader.
    pub fn create_topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<()> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new()
            .operation_timeout(Some(LIMIT))
            .request_timeout(Some(LIMIT));
        let what = || format!("creating topic {name}");
        let answers = self
            .runtime
            .block_on(self.admin.create_topics([&topic], &options))
            .context(what)?;
        per_topic(answers).context(what)?;
        self.wait_for_leaders(name, partitions)
    }

    fn wait_for_leaders(&self, name: &str, partitions: i32) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            if self.leaders(name)?.iter().filter(|leader| **leader >= 0).count()
                == usize::try_from(partitions).unwrap_or(0)
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(HarnessError::TimeOut {
            what: format!("no leader for every partition of {name}"),
            seconds: LIMIT.as_secs(),
        })
    }

    /// Node id (from 1) of each partition's leader; -1 where there is none.
    pub fn leaders(&self, name: &str) -> Result<Vec<i32>> {
        let metadata = self.metadata(Some(name), || format!("asking for topic {name}"))?;
        let topics = metadata
            .topics()
            .iter()
            .filter(|t| t.name() == name && t.error().is_none());
        Ok(topics.flat_map(|t| t.partitions().iter().map(|p| p.leader())).collect())
    }

    /// Whether every partition of every topic, the brokers' own included, has so many replicas in sync (or all it has).
    pub fn all_in_sync(&self, replicas: usize) -> Result<bool> {
        let metadata = self.metadata(None, || "listing topics".to_owned())?;
        let mut partitions = metadata.topics().iter().flat_map(|t| t.partitions());
        Ok(metadata.brokers().len() >= replicas && partitions.all(|p| p.isr().len() == p.replicas().len()))
    }

    /// Deletes a topic; one that is not there is an error.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let what = || format!("deleting topic {name}");
        let options = AdminOptions::new()
            .operation_timeout(Some(LIMIT))
            .request_timeout(Some(LIMIT));
        let answers = self
            .runtime
            .block_on(self.admin.delete_topics(&[name], &options))
            .context(what)?;
        per_topic(answers).context(what)
    }

    /// Gives a topic these settings, and no others.
    pub fn configure_topic(&self, name: &str, settings: &[(&str, &str)]) -> Result<()> {
        let what = || format!("configuring topic {name}");
        let config = AlterConfig::new(ResourceSpecifier::Topic(name));
        let config = settings
            .iter()
            .fold(config, |config, (key, value)| config.set(key, value));
        let options = AdminOptions::new().request_timeout(Some(LIMIT));
        let answers = self.runtime.block_on(self.admin.alter_configs([&config], &options));
        for answer in answers.context(what)? {
            answer
                .map_err(|(_, code)| rdkafka::error::KafkaError::AdminOp(code))
                .context(what)?;
        }
        Ok(())
    }

    /// Deletes the records of each partition that lie before its offset, as retention does. A topic without `delete` in its
    /// `cleanup.policy` is an error.
    pub fn delete_records(&self, topic: &str, before: &[i64]) -> Result<()> {
        let what = || format!("deleting records of {topic}");
        let mut list = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(before) {
            list.add_partition_offset(topic, partition, Offset::Offset(*offset))
                .context(what)?;
        }
        let options = AdminOptions::new().operation_timeout(Some(LIMIT));
        let answer = self.runtime.block_on(self.admin.delete_records(&list, &options));
        for partition in answer.context(what)?.elements() {
            partition.error().context(what)?;
        }
        Ok(())
    }

    /// Names of all topics, sorted; the brokers' own (`__...`) are left out.
    pub fn topics(&self) -> Result<Vec<String>> {
        let metadata = self.metadata(None, || "listing topics".to_owned())?;
        let names = metadata.topics().iter().map(|t| t.name().to_owned());
        let mut names: Vec<String> = names.filter(|n| !n.starts_with("__")).collect();
        names.sort();
        Ok(names)
    }

    /// Number of partitions of a topic; 0 if there is no such topic.
    pub fn partitions(&self, name: &str) -> Result<i32> {
        Ok(i32::try_from(self.leaders(name)?.len()).unwrap_or(i32::MAX))
    }

    /// Produces and waits until everything is acknowledged by all in-sync replicas.
    pub fn produce(&self, topic: &str, records: &[NewRecord]) -> Result<()> {
        let producer = self.producer(None)?;
        send_all(&producer, topic, records)?;
        producer.flush(LIMIT).context(|| format!("producing to {topic}"))
    }

    /// Produces in one transaction, which is committed or aborted.
    pub fn produce_in_transaction(
        &self,
        transactional_id: &str,
        topic: &str,
        records: &[NewRecord],
        commit: bool,
    ) -> Result<()> {
        let producer = self.producer(Some(transactional_id))?;
        producer
            .init_transactions(LIMIT)
            .context(|| "init_transactions".to_owned())?;
        producer
            .begin_transaction()
            .context(|| "begin_transaction".to_owned())?;
        send_all(&producer, topic, records)?;
        producer.flush(LIMIT).context(|| format!("producing to {topic}"))?;
        if commit {
            producer
                .commit_transaction(LIMIT)
                .context(|| "commit_transaction".to_owned())
        } else {
            producer
                .abort_transaction(LIMIT)
                .context(|| "abort_transaction".to_owned())
        }
    }

    /// A producer for tests that send while something else happens. Java's partitioner, idempotent.
    pub fn producer(&self, transactional_id: Option<&str>) -> Result<BaseProducer> {
        let mut config = self.config();
        config
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            // The broker has the last word on what is too large.
            .set("message.max.bytes", "2000000")
            .set("linger.ms", "5");
        if let Some(id) = transactional_id {
            config.set("transactional.id", id);
        }
        config.create().context(|| "making a producer".to_owned())
    }
}

fn base_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "observer")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .set("topic.metadata.propagation.max.ms", "10000");
    config
}

fn per_topic(answers: Vec<rdkafka::admin::TopicResult>) -> rdkafka::error::KafkaResult<()> {
    for answer in answers {
        answer.map_err(|(_, code)| rdkafka::error::KafkaError::AdminOp(code))?;
    }
    Ok(())
}

fn send_all(producer: &BaseProducer, topic: &str, records: &[NewRecord]) -> Result<()> {
    for record in records {
        let mut send = BaseRecord::<[u8], [u8]>::to(topic);
        send.key = record.key.as_deref();
        send.payload = record.value.as_deref();
        send.partition = record.partition;
        send.timestamp = record.timestamp_ms;
        if !record.headers.is_empty() {
            let all = record.headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
                all.insert(Header {
                    key,
                    value: value.as_ref(),
                })
            });
            send.headers = Some(all);
        }
        while let Err((error, back)) = producer.send(send) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(HarnessError::Client {
                    what: format!("producing to {topic}"),
                    source: error,
                });
            }
            producer.poll(Duration::from_millis(10));
            send = back;
        }
        producer.poll(Duration::ZERO);
    }
    Ok(())
}
