//! One workload on Millstream over the loaded input; prints one line of JSON with the peer's fields.
use std::time::Duration;

use clap::{Parser, ValueEnum};
use millstream::cluster::rdkafka::KafkaCluster;
use millstream::cluster::{Cluster, Isolation, TopicPartition};
use millstream::prelude::*;
use millstream_bench::BoxError;
use millstream_bench::measure::{Figures, Stopwatch, since_process_start_ms, status_mib};
use millstream_bench::workload::Workload;

#[derive(Parser)]
#[command(about = "Runs one workload and measures it")]
struct Arguments {
    workload: Workload,
    #[arg(long, value_enum, default_value = "alos")]
    mode: Mode,
    #[arg(long, default_value = "127.0.0.1:19092")]
    bootstrap: String,
    /// Default: 30,000 at least once, 100 exactly once, as Kafka Streams.
    #[arg(long)]
    commit_ms: Option<u64>,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Record cache; default as Kafka Streams.
    #[arg(long)]
    cache_bytes: Option<usize>,
    /// Memory of the persistent stores.
    #[arg(long)]
    state_memory_bytes: Option<usize>,
    /// What may wait for a commit.
    #[arg(long)]
    uncommitted_bytes: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    Alos,
    Eos,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments = Arguments::parse();
    let state = tempfile::tempdir()?;
    let total = records(&arguments)?;
    let app = builder(&arguments)
        .state_dir(state.path())
        .start(arguments.workload.topology()?)
        .await?;
    app.until_running(Duration::from_secs(60)).await?;
    let mut figures = Figures::default();
    figures.put("command", "app");
    figures.put("workload", arguments.workload.name());
    figures.put("mode", if arguments.mode == Mode::Eos { "eos" } else { "alos" });
    figures.put("records", total);
    figures.number("startup_ms", since_process_start_ms()?);
    figures.number("rss_at_running_mib", status_mib("VmRSS")?);
    let mut stopwatch = Stopwatch::start(total)?;
    while stopwatch.goes_on(app.metrics().records_processed)? {
        if let Some(error) = app.error() {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.close(CloseOptions::default()).await?;
    stopwatch.finish(&mut figures)?;
    print_line(&figures.line());
    Ok(())
}

fn builder(arguments: &Arguments) -> KafkaStreamsBuilder {
    let eos = arguments.mode == Mode::Eos;
    let commit_ms = arguments.commit_ms.unwrap_or(if eos { 100 } else { 30_000 });
    // Own names for each run: offsets that an earlier run committed would leave nothing to do.
    let id = format!(
        "millstream-{}-{}-{}",
        arguments.workload.name(),
        if eos { "eos" } else { "alos" },
        std::process::id()
    );
    let mut builder = KafkaStreams::builder(id)
        .bootstrap_servers(&arguments.bootstrap)
        .processing_guarantee(if eos {
            ProcessingGuarantee::ExactlyOnce
        } else {
            ProcessingGuarantee::AtLeastOnce
        })
        .commit_interval(Duration::from_millis(commit_ms))
        .stream_threads(arguments.threads);
    if let Some(bytes) = arguments.cache_bytes {
        builder = builder.record_cache_bytes(bytes);
    }
    if let Some(bytes) = arguments.state_memory_bytes {
        builder = builder.state_memory_bytes(bytes);
    }
    if let Some(bytes) = arguments.uncommitted_bytes {
        builder = builder.uncommitted_bytes(bytes);
    }
    builder
}

/// How many records are in the input.
fn records(arguments: &Arguments) -> Result<u64, BoxError> {
    let limit = Duration::from_secs(20);
    let cluster = KafkaCluster::connect(&arguments.bootstrap, &[])?;
    let mut admin = cluster.admin("bench")?;
    let topic = arguments.workload.input();
    let counts = admin.partition_counts(std::slice::from_ref(&topic), limit)?;
    let count = counts.first().map_or(0, |(_, count)| *count);
    let name: std::sync::Arc<str> = topic.as_str().into();
    let partitions: Vec<TopicPartition> = (0..count)
        .map(|partition| TopicPartition {
            topic: name.clone(),
            partition,
        })
        .collect();
    let ends = admin.offsets(&partitions, Isolation::ReadCommitted, limit)?;
    Ok(ends
        .iter()
        .map(|(first, end)| u64::try_from(end - first).unwrap_or(0))
        .sum())
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn print_line(line: &str) {
    println!("{line}");
}
