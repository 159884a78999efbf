//! What the examples have in common: their arguments, the cluster, topics, and starting the application.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use millstream::cluster::memory::MemoryCluster;
use millstream::cluster::rdkafka::KafkaCluster;
use millstream::cluster::{Cluster, TopicInfo};
use millstream::prelude::*;

use crate::BoxError;

const LIMIT: Duration = Duration::from_secs(20);
const START_LIMIT: Duration = Duration::from_secs(60);
/// Partitions of the topics that an example makes.
pub const PARTITIONS: i32 = 6;

/// Arguments of every example.
#[derive(Args, Clone, Debug)]
pub struct CommonArguments {
    /// Run on Kafka (4.2 or newer) at HOST:PORT instead of the cluster inside this process.
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap: Option<String>,
    /// Make input. Always on without --bootstrap; with it, without this, the example works on what is in the topics
    /// until it is stopped.
    #[arg(long)]
    pub generate: bool,
    /// Every record takes effect exactly once, also when an instance is killed.
    #[arg(long)]
    pub exactly_once: bool,
    /// Stream threads.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// Where state is kept (default: a temporary directory).
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
}

impl CommonArguments {
    /// Whether this run makes its input, and so knows when it is at an end.
    pub fn generates(&self) -> bool {
        self.generate || self.bootstrap.is_none()
    }
}

/// The cluster of a run; clones are handles of the same one.
#[derive(Clone)]
pub enum AnyCluster {
    /// Inside this process.
    Memory(MemoryCluster),
    /// Kafka.
    Kafka(Arc<KafkaCluster>),
}

impl AnyCluster {
    /// What the arguments name.
    pub fn connect(arguments: &CommonArguments) -> Result<Self, BoxError> {
        Ok(match &arguments.bootstrap {
            None => Self::Memory(MemoryCluster::new()),
            Some(servers) => Self::Kafka(Arc::new(KafkaCluster::connect(servers, &[])?)),
        })
    }

    /// The cluster as the library's clients see it.
    pub fn get(&self) -> &dyn Cluster {
        match self {
            Self::Memory(cluster) => cluster,
            Self::Kafka(cluster) => cluster.as_ref(),
        }
    }

    /// Makes those of the topics that are missing.
    pub fn create_topics(&self, names: &[&str]) -> Result<(), BoxError> {
        let mut admin = self.get().admin("setup")?;
        let wanted: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let present = admin.partition_counts(&wanted, LIMIT)?;
        let missing = wanted
            .into_iter()
            .filter(|n| !present.iter().any(|(name, _)| name == n));
        let topics: Vec<TopicInfo> = missing
            .map(|name| TopicInfo {
                name,
                partitions: PARTITIONS,
                replication_factor: -1,
                configs: Vec::new(),
            })
            .collect();
        if !topics.is_empty() {
            admin.create_topics(&topics, LIMIT)?;
        }
        Ok(())
    }
}

/// Starts an application on the cluster; returns when it works.
pub async fn start(
    application_id: &str,
    topology: Topology,
    cluster: &AnyCluster,
    arguments: &CommonArguments,
    state_dir: PathBuf,
) -> Result<KafkaStreams, BoxError> {
    let guarantee = if arguments.exactly_once {
        ProcessingGuarantee::ExactlyOnce
    } else {
        ProcessingGuarantee::AtLeastOnce
    };
    let builder = KafkaStreams::builder(application_id)
        .processing_guarantee(guarantee)
        .commit_interval(Duration::from_millis(100))
        .stream_threads(arguments.threads)
        .state_dir(state_dir);
    let app = match (cluster, &arguments.bootstrap) {
        (AnyCluster::Memory(memory), _) => builder.start_on(memory.clone(), topology).await?,
        (AnyCluster::Kafka(_), servers) => {
            builder
                .bootstrap_servers(servers.clone().unwrap_or_default())
                .start(topology)
                .await?
        }
    };
    app.until_running(START_LIMIT).await?;
    Ok(app)
}
