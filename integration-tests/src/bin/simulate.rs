//! Simulates applications under faults, a range of seeds on all cores. `cargo xtask simulate` builds and runs this.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use millstream_integration_tests::history::{History, Invariant, check};
use millstream_integration_tests::simulation::{Batch, Tally, history, run_batch, scenario};

/// From how many seeds on every kind of event must have happened.
const LARGE: u64 = 1_000;

#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first one.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Threads; 0: one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Go on after a seed has failed.
    #[arg(long)]
    keep_going: bool,
    /// Print every step of the first seed instead.
    #[arg(long)]
    trace: bool,
    /// With --trace: write the history of the seed to this file. Without: check the history in this file, and nothing else.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Plant known mistakes instead, one after the other: each must be found within the seeds.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    teeth: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .without_time()
            .init();
    }
    #[cfg(feature = "mutants")]
    if arguments.teeth {
        let seeds = arguments.from..arguments.from + arguments.seeds;
        return code(millstream_integration_tests::simulation::teeth::all_are_found(&seeds));
    }
    code(match &arguments.history {
        Some(file) if !arguments.trace => checked(file),
        file if arguments.trace => trace(arguments.from, file.as_deref()),
        _ => repeats(arguments.from, arguments.seeds.min(5)) && many(&arguments),
    })
}

fn code(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Checks a history file, whoever wrote it.
fn checked(file: &Path) -> bool {
    match History::read(file) {
        Ok(history) => verdict_on(&history),
        Err(error) => {
            println!("FAILED: {error}");
            false
        }
    }
}

fn verdict_on(history: &History) -> bool {
    let report = check(history);
    let about = &history.about;
    println!(
        "{}, {}: {} events",
        about.application.name(),
        about.source,
        history.events.len()
    );
    for invariant in Invariant::ALL {
        match report.elements().get(&invariant) {
            Some(elements) => println!("  {elements:>10}  {invariant}"),
            None => println!("           -  {invariant}: the history has nothing to check it with"),
        }
    }
    for violation in report.violations() {
        println!("FAILED: {violation}");
    }
    report.violations().is_empty()
}

fn trace(seed: u64, file: Option<&Path>) -> bool {
    let scenario = match scenario(seed) {
        Ok(scenario) => scenario,
        Err(refused) => {
            println!("FAILED: {refused}");
            return false;
        }
    };
    let result = scenario.simulator.trace(seed);
    let (text, happened, observed) = match &result {
        Ok(run) => (run.trace(), run.happened(), run.observed()),
        Err(failure) => (failure.trace(), failure.happened(), failure.observed()),
    };
    print!("{}", text.unwrap_or_default());
    println!("seed {seed}: {}, {}", scenario.name, scenario.settings);
    println!("{happened:#?}");
    let history = history(&scenario.about, observed, happened);
    if let Some(file) = file {
        match history.write(file) {
            Ok(()) => println!("history: {}", file.display()),
            Err(error) => {
                println!("FAILED: {error}");
                return false;
            }
        }
    }
    if let Err(failure) = &result {
        println!("FAILED: {failure}");
        return false;
    }
    verdict_on(&history)
}

/// The same seed does the same, byte for byte; otherwise no other result means anything.
fn repeats(from: u64, seeds: u64) -> bool {
    for seed in from..from + seeds {
        let [first, second] = [(); 2].map(|()| match scenario(seed).map(|s| s.simulator.trace(seed)) {
            Ok(Ok(run)) => run.trace().unwrap_or_default().to_owned(),
            Ok(Err(failure)) => failure.trace().unwrap_or_default().to_owned(),
            Err(refused) => refused,
        });
        if first != second || first.is_empty() {
            let at = first.lines().zip(second.lines()).position(|(a, b)| a != b);
            println!("FAILED: seed {seed} does not repeat itself: line {at:?}");
            if let Some(at) = at {
                for text in [&first, &second] {
                    for line in text.lines().skip(at.saturating_sub(3)).take(5) {
                        println!("    {line}");
                    }
                    println!();
                }
            }
            return false;
        }
    }
    println!("{seeds} seeds repeat themselves byte for byte");
    true
}

fn many(arguments: &Arguments) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let batch = Batch {
        seeds: arguments.from..arguments.from + arguments.seeds,
        threads: if arguments.threads == 0 {
            cores
        } else {
            arguments.threads
        },
        stop_at_first: !arguments.keep_going,
    };
    let start = Instant::now();
    let progress = |done: u64, failed: u64| {
        let seconds = start.elapsed().as_secs_f64();
        let rate = done as f64 / seconds;
        let left = (arguments.seeds - done.min(arguments.seeds)) as f64 / rate.max(0.001);
        println!("{done:>8} seeds, {failed} failed, {rate:.1} a second, about {left:.0} s left");
    };
    let tally = run_batch(&batch, progress, |seed, violation| {
        println!("FAILED seed {seed}: {violation}")
    });
    report(&tally, start.elapsed().as_secs_f64());
    verdict(arguments, &tally)
}

fn report(tally: &Tally, seconds: f64) {
    println!(
        "{} seeds in {seconds:.1} s ({:.1} a second): {} steps, {:.1} h of simulated time, {} results compared",
        tally.runs,
        tally.runs as f64 / seconds,
        tally.steps,
        tally.virtual_ms as f64 / 3_600_000.0,
        tally.compared
    );
    let (median, longest) = tally.recovery_ms();
    println!("recovery after the last fault: median {median} ms, longest {longest} ms of simulated time");
    println!("applications:");
    for (name, count) in &tally.scenarios {
        println!("  {count:>10}  {name}");
    }
    println!("elements compared:");
    for (invariant, count) in &tally.checked {
        println!("  {count:>10}  {invariant}");
    }
    println!("events:");
    for (what, count) in &tally.happened {
        println!("  {count:>10}  {what}");
    }
}

fn verdict(arguments: &Arguments, tally: &Tally) -> bool {
    for (seed, (scenario, violation)) in &tally.failures {
        println!("FAILED {scenario}: {violation}");
        println!("  replay: cargo xtask simulate --from {seed} --trace");
    }
    if tally.compared == 0 {
        println!("FAILED: nothing was compared");
        return false;
    }
    let never = tally.never_happened();
    if !never.is_empty() {
        println!("never happened: {}", never.join(", "));
    }
    let unchecked = tally.never_checked();
    if !unchecked.is_empty() {
        let list: Vec<String> = unchecked.iter().map(ToString::to_string).collect();
        println!("never checked: {}", list.join(", "));
    }
    if arguments.seeds >= LARGE && tally.failures.is_empty() && !(never.is_empty() && unchecked.is_empty()) {
        println!("FAILED: a batch of {} seeds must have met everything", arguments.seeds);
        return false;
    }
    tally.failures.is_empty()
}
