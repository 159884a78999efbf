//! The application of the fault scenarios: counts records per key. Tells what it does in JSON lines on standard output.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt;
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
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn topology(args: &Args) -> Result<Topology, Failure> {
    let builder = StreamsBuilder::new();
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

async fn run(args: &Args, begin: Instant) -> Result<(), Failure> {
    let guarantee = if args.exactly_once {
        ProcessingGuarantee::ExactlyOnce
    } else {
        ProcessingGuarantee::AtLeastOnce
    };
    let app = KafkaStreams::builder(args.application_id.as_str())
        .bootstrap_servers(args.bootstrap.as_str())
        .processing_guarantee(guarantee)
        .state_dir(&args.state_dir)
        .record_cache_bytes(args.cache_bytes)
        .state_memory_bytes(args.state_memory_bytes)
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
        .with_env_filter(tracing_subscriber::EnvFilter::new("info"))
        .init();
    let result = run(&args, begin).await;
    let error = result.as_ref().err().map(ToString::to_string);
    tell(&AppEvent::Ended { error });
    // Standard output must be read before the pipe closes with the process.
    tokio::time::sleep(Duration::from_millis(50)).await;
    std::process::exit(i32::from(result.is_err()));
}
