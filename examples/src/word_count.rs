//! The classic: how often does each word occur?
use clap::Parser;
use millstream::cluster::StartOffset;
use millstream::prelude::*;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::BoxError;
use crate::feed::Feed;
use crate::setup::{AnyCluster, CommonArguments, start};
use crate::watch::{Progress, Reader};

/// `application.id` of the example.
pub const APPLICATION: &str = "word-count";
/// Lines of text.
pub const LINES: &str = "lines";
/// Words with their counts.
pub const COUNTS: &str = "counts";

const TEXT: &str = "\
the mill turns when the stream runs
the stream runs when the rain falls
when the rain falls the mill turns
no rain no stream no mill";

/// Lines in, counts out.
pub fn topology() -> Result<Topology, BuildError> {
    let builder = StreamsBuilder::new();
    builder
        .stream::<Option<String>, String>(LINES)
        .flat_map_values(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .to(COUNTS);
    builder.build()
}

/// Counts words.
#[derive(Parser, Debug)]
#[command(about = "Counts words")]
pub struct Arguments {
    /// Cluster, guarantee, threads.
    #[command(flatten)]
    pub common: CommonArguments,
    /// How often the text is written into the input topic.
    #[arg(long, default_value_t = 1000)]
    pub repeat: u64,
}

/// Runs until its input is counted, or (without a generator) until it is stopped. Returns the counts.
pub async fn run(arguments: &Arguments) -> Result<BTreeMap<String, i64>, BoxError> {
    let cluster = AnyCluster::connect(&arguments.common)?;
    cluster.create_topics(&[LINES, COUNTS])?;
    let temporary = tempfile::tempdir()?;
    let state_dir = arguments
        .common
        .state_dir
        .clone()
        .unwrap_or_else(|| temporary.path().to_path_buf());
    let app = start(APPLICATION, topology()?, &cluster, &arguments.common, state_dir).await?;
    if !arguments.common.generates() {
        app.until_stopped().await?;
        return Ok(BTreeMap::new());
    }
    let repeat = arguments.repeat;
    let counts = tokio::task::spawn_blocking(move || feed_and_read(&cluster, repeat)).await??;
    app.close(CloseOptions::default()).await?;
    report(&counts);
    Ok(counts)
}

fn feed_and_read(cluster: &AnyCluster, repeat: u64) -> Result<BTreeMap<String, i64>, BoxError> {
    let mut feed = Feed::connect(cluster.get(), "writer")?;
    let mut at_ms = 1_735_689_600_000;
    for _ in 0..repeat {
        for line in TEXT.lines() {
            feed.send(LINES, None, line.as_bytes(), at_ms)?;
            at_ms += 1;
        }
    }
    feed.flush()?;
    let mut reader = Reader::connect(cluster.get(), "reader", COUNTS, StartOffset::Earliest)?;
    let repartition = format!("{APPLICATION}-KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition");
    let mut progress = Progress::connect(cluster.get(), APPLICATION, &[LINES, &repartition])?;
    let mut counts = BTreeMap::new();
    loop {
        let lag = progress.lag()?;
        reader.poll(|word, count| {
            if let (Ok(word), Ok(count)) = (std::str::from_utf8(word), count.try_into()) {
                counts.insert(word.to_owned(), i64::from_be_bytes(count));
            }
        })?;
        if lag == 0 && reader.is_at_end()? {
            return Ok(counts);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

#[expect(clippy::print_stdout, reason = "the counts are the program's output")]
fn report(counts: &BTreeMap<String, i64>) {
    for (word, count) in counts {
        println!("{count:>8} {word}");
    }
}
