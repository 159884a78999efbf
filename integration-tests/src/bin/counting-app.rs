//! The application of the fault scenarios: counts records per key. Tells what it does in JSON lines on standard output.
//!
//! With `--sequenced` each value is the number of its record within its key, counted from 0, and the records go through a
//! repartition topic first: a record that is lost, repeated or out of order spoils the count of its key for good. A value
//! `!error`, `!panic` or `!hang` makes user code do that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt;
use millstream::dsl::engine::{Handlers, LogAndContinue};
use millstream::prelude::*;
use millstream::{KafkaStreams, ProcessingGuarantee, State};
use millstream_integration_tests::app::AppEvent;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    application_id: String,
    #[arg(long)]
    state_dir: PathBuf,
    #[arg(long)]
    input: String,
    #[arg(long)]
    output: String,
    #[arg(long)]
    cache_bytes: usize,
    #[arg(long)]
    state_memory_bytes: usize,
    #[arg(long)]
    exactly_once: bool,
    #[arg(long)]
    sequenced: bool,
    #[arg(long)]
    client_id: Option<String>,
    #[arg(long, default_value_t = 10_000)]
    transaction_timeout_ms: u64,
    /// 0: the guarantee's own.
    #[arg(long, default_value_t = 0)]
    commit_interval_ms: u64,
    /// Go on without records that cannot be read or processed.
    #[arg(long)]
    skip_failed: bool,
    /// What made user code hang or panic is an error in this version.
    #[arg(long)]
    patched: bool,
    /// Where failed records go.
    #[arg(long)]
    dead_letters: Option<String>,
    /// Go on without records whose timestamp is negative.
    #[arg(long)]
    skip_timestamps: bool,
    /// A property of librdkafka, as in `consumer.fetch.max.bytes=1000`.
    #[arg(long)]
    property: Vec<String>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The count so far, or a negative number for ever once a record came out of order.
fn in_sequence(value: &str, count: i64) -> i64 {
    if value.parse() == Ok(count) {
        count + 1
    } else {
        -count.abs() - 1
    }
}

fn user_code(value: &str, patched: bool) -> Result<String, String> {
    match value {
        _ if patched && value.starts_with('!') => Err("not supported".to_owned()),
        "!error" => Err("user code fails".to_owned()),
        #[expect(clippy::panic, reason = "this is what the scenario is about")]
        "!panic" => panic!("user code panics"),
        "!hang" => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        _ => Ok(value.to_owned()),
    }
}

fn topology(args: &Args) -> Result<Topology, Failure> {
    let builder = StreamsBuilder::new();
    if args.sequenced {
        let patched = args.patched;
        let timestamps = if args.skip_timestamps {
            TimestampExtractor::LogAndSkip
        } else {
            TimestampExtractor::Record
        };
        builder
            .stream::<String, String>(Consumed::topic(args.input.as_str()).timestamps(timestamps))
            .try_map_values(move |value| user_code(value, patched))
            .select_key(|key: &String, _| key.clone())
            .group_by_key()
            .aggregate_with(
                || 0_i64,
                |_, value: &String, count| in_sequence(value, count),
                Materialized::named("counts"),
            )
            .to_stream()
            .to(args.output.as_str());
        return Ok(builder.build()?);
    }
    builder
        .stream::<String, String>(args.input.as_str())
        .group_by_key()
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to(args.output.as_str());
    Ok(builder.build()?)
}

#[expect(clippy::print_stdout, reason = "standard output is the protocol of this program")]
fn tell(event: &AppEvent) {
    if let Ok(line) = serde_json::to_string(event) {
        println!("{line}");
    }
}

fn handlers(args: &Args) -> Handlers {
    let mut handlers = Handlers {
        dead_letter_topic: args.dead_letters.as_deref().map(Into::into),
        ..Handlers::default()
    };
    if args.skip_failed {
        handlers.deserialization = Arc::new(LogAndContinue);
        handlers.processing = Arc::new(LogAndContinue);
    }
    handlers
}

/// From the environment, so that one start of an instance may differ from the others.
fn restore_batch() -> usize {
    let set = std::env::var("COUNTING_RESTORE_BATCH");
    set.ok().and_then(|n| n.parse().ok()).unwrap_or(1_000)
}

async fn run(args: &Args, begin: Instant) -> Result<(), Failure> {
    let guarantee = if args.exactly_once {
        ProcessingGuarantee::ExactlyOnce
    } else {
        ProcessingGuarantee::AtLeastOnce
    };
    let mut builder = KafkaStreams::builder(args.application_id.as_str());
    if let Some(id) = &args.client_id {
        builder = builder.client_id(id.as_str());
    }
    if args.commit_interval_ms > 0 {
        builder = builder.commit_interval(Duration::from_millis(args.commit_interval_ms));
    }
    for (key, value) in args.property.iter().filter_map(|p| p.split_once('=')) {
        builder = builder.property(key, value);
    }
    let app = builder
        .bootstrap_servers(args.bootstrap.as_str())
        .processing_guarantee(guarantee)
        .state_dir(&args.state_dir)
        .record_cache_bytes(args.cache_bytes)
        .state_memory_bytes(args.state_memory_bytes)
        .transaction_timeout(Duration::from_millis(args.transaction_timeout_ms))
        .restore_batch_records(restore_batch())
        .handlers(handlers(args))
        .start(topology(args)?)
        .await?;
    let mut changes = app.state_changes();
    let metrics = app.metrics_handle();
    let tell_state = |state: State| {
        let counted = metrics.snapshot();
        tell(&AppEvent::State {
            state: state.to_string(),
            after_ms: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
            restored_records: counted.records_restored,
            processed_records: counted.records_processed,
        });
    };
    tell_state(app.state());
    let told = async {
        while let Some(state) = changes.next().await {
            tell_state(state);
        }
    };
    let (result, ()) = tokio::join!(app.until_stopped(), told);
    Ok(result?)
}

#[tokio::main]
async fn main() {
    let begin = Instant::now();
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let result = run(&args, begin).await;
    let error = result.as_ref().err().map(ToString::to_string);
    tell(&AppEvent::Ended { error });
    // Standard output must be read before the pipe closes with the process.
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::process::exit(i32::from(result.is_err()));
}
