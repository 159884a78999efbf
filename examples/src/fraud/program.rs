//! The program: starts the application, makes input, shows what is found, ends with totals.
use std::io::{IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use millstream::cluster::StartOffset;
use millstream::prelude::*;

use super::generator::{Event, Generator, Planted};
use super::summary::Summary;
use super::{ALERTS, APPLICATION, CARD_PRESENTS, PAYMENTS, PROFILES, topology};
use crate::BoxError;
use crate::feed::Feed;
use crate::setup::{AnyCluster, CommonArguments, start};
use crate::watch::{Progress, Reader};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Finds fraud in card payments.
#[derive(Parser, Debug)]
#[command(about = "Finds fraud in card payments")]
pub struct Arguments {
    /// Cluster, guarantee, threads.
    #[command(flatten)]
    pub common: CommonArguments,
    /// Payments to make.
    #[arg(long, default_value_t = 200_000)]
    pub payments: u64,
    /// Cards to make them with.
    #[arg(long, default_value_t = 10_000)]
    pub cards: u64,
    /// Other seeds give other input.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs until its input is worked off, or (without a generator) until it is stopped.
pub async fn run(arguments: &Arguments) -> Result<Summary, BoxError> {
    let cluster = AnyCluster::connect(&arguments.common)?;
    cluster.create_topics(&[PAYMENTS, PROFILES, CARD_PRESENTS, ALERTS])?;
    let temporary = tempfile::tempdir()?;
    let state_dir = arguments
        .common
        .state_dir
        .clone()
        .unwrap_or_else(|| temporary.path().to_path_buf());
    let begin = Instant::now();
    // Where the output ends now: an earlier run on the same Kafka may have left alerts.
    let reader = Reader::connect(cluster.get(), "fraud-desk", ALERTS, StartOffset::Latest)?;
    let app = start(APPLICATION, topology()?, &cluster, &arguments.common, state_dir).await?;
    if !arguments.common.generates() {
        app.until_stopped().await?;
        return Ok(Summary::default());
    }
    let (told, tells) = channel();
    let making = make_input(cluster.clone(), arguments, told);
    let progress = Progress::connect(cluster.get(), APPLICATION, &[PAYMENTS, PROFILES, CARD_PRESENTS])?;
    let watched = tokio::task::spawn_blocking(move || watch(reader, progress, &tells)).await?;
    let records = making.join().map_err(|_| "the generator failed")??;
    let (summary, planted) = watched?;
    app.close(CloseOptions::default()).await?;
    report(records, &summary, &planted, begin.elapsed());
    if summary.covers(&planted) {
        Ok(summary)
    } else {
        Err("some of the planted fraud was not found".into())
    }
}

/// A thread that writes all input, then tells what was planted. Returns the number of records.
fn make_input(
    cluster: AnyCluster,
    arguments: &Arguments,
    told: Sender<Planted>,
) -> thread::JoinHandle<Result<u64, BoxError>> {
    let mut generator = Generator::new(arguments.seed, arguments.cards, arguments.payments);
    thread::spawn(move || {
        let mut feed = Feed::connect(cluster.get(), "card-network")?;
        let mut records = 0;
        for (card, profile, at_ms) in generator.profiles() {
            feed.send_json(PROFILES, &card, &profile, at_ms)?;
            records += 1;
        }
        feed.flush()?;
        loop {
            let step = generator.step();
            if step.is_empty() {
                break;
            }
            for (card, event, at_ms) in step {
                match event {
                    Event::Payment(payment) => feed.send_json(PAYMENTS, &card, &payment, at_ms)?,
                    Event::CardPresent(present) => feed.send_json(CARD_PRESENTS, &card, &present, at_ms)?,
                }
                records += 1;
            }
        }
        feed.flush()?;
        told.send(generator.planted()).map_err(|_| "nobody watches")?;
        Ok(records)
    })
}

/// Shows alerts until all input is committed and nothing more arrives.
fn watch(
    mut reader: Reader,
    mut progress: Progress,
    tells: &Receiver<Planted>,
) -> Result<(Summary, Planted), BoxError> {
    let mut summary = Summary::default();
    let mut planted = None;
    loop {
        planted = planted.or_else(|| tells.try_recv().ok());
        let lag = progress.lag()?;
        let mut broken = 0;
        reader.poll(
            |card, alert| match (std::str::from_utf8(card), serde_json::from_slice(alert)) {
                (Ok(card), Ok(alert)) => summary.add(card, alert),
                _ => broken += 1,
            },
        )?;
        if broken > 0 {
            return Err(format!("{broken} alerts cannot be read").into());
        }
        show(&summary, lag);
        match planted {
            Some(planted) if lag == 0 && reader.is_at_end()? => return Ok((summary, planted)),
            _ => thread::sleep(LOOK_EVERY),
        }
    }
}

/// One line that is written over on a terminal, and a line now and then otherwise.
#[expect(clippy::print_stdout, reason = "the summary is the program's output")]
fn show(summary: &Summary, lag: i64) {
    let last = summary.last().unwrap_or_default();
    if std::io::stdout().is_terminal() {
        print!("\r\x1b[2K{summary}; {lag} records to go\n\x1b[2K  {last}\x1b[1A");
        let _ = std::io::stdout().flush();
    } else {
        println!("{summary}; {lag} records to go");
    }
}

#[expect(clippy::print_stdout, reason = "the totals are the program's output")]
fn report(records: u64, summary: &Summary, planted: &Planted, took: Duration) {
    let seconds = took.as_secs_f64();
    println!("\n");
    println!("records   {records} in {seconds:.1} s");
    println!(
        "planted   {} unlike the customer, {} bursts, {} elsewhere",
        planted.profile, planted.burst, planted.elsewhere
    );
    println!("found     {summary}");
    if let Some(last) = summary.last() {
        println!("for one   {last}");
    }
    println!("{records} records, {} alerts, {seconds:.1} seconds", summary.alerts());
}
