//! Simulates applications under faults, a range of seeds on all cores. `cargo xtask simulate` builds and runs this.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use millstream_integration_tests::simulation::{Batch, Tally, run_batch, scenario};

/// From how many seeds on every kind of event must have happened.
const LARGE: u64 = 500;

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
        return if teeth(&arguments) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    let fine = if arguments.trace {
        trace(arguments.from)
    } else {
        repeats(arguments.from, arguments.seeds.min(5)) && many(&arguments)
    };
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every mutant must turn some seed red.
#[cfg(feature = "mutants")]
fn teeth(arguments: &Arguments) -> bool {
    use millstream::testing::Mutant;
    let mut all = true;
    for mutant in Mutant::ALL {
        let start = Instant::now();
        let found = (arguments.from..arguments.from + arguments.seeds).find_map(|seed| {
            let mut scenario = scenario(seed);
            scenario.simulator = scenario.simulator.mutant(mutant);
            let outcome = scenario
                .simulator
                .run(seed)
                .map_err(|failure| failure.violation().to_owned());
            let violation = outcome.and_then(|run| (scenario.verify)(&run)).err()?;
            Some((seed, violation))
        });
        let seconds = start.elapsed().as_secs_f64();
        let name = format!("{mutant:?}");
        match found {
            Some((seed, violation)) => println!("{name:<24} found by seed {seed} after {seconds:.1} s: {violation}"),
            None => {
                println!("{name:<24} NOT FOUND by {} seeds in {seconds:.1} s", arguments.seeds);
                all = false;
            }
        }
    }
    all
}

fn trace(seed: u64) -> bool {
    let scenario = scenario(seed);
    let result = scenario.simulator.trace(seed);
    let text = match &result {
        Ok(run) => run.trace(),
        Err(failure) => failure.trace(),
    };
    print!("{}", text.unwrap_or_default());
    println!("seed {seed}: {}, {}", scenario.name, scenario.settings);
    match result.map_err(|failure| failure.to_string()).and_then(|run| {
        println!("{:#?}", run.happened());
        (scenario.verify)(&run)
    }) {
        Ok(compared) => println!("passed, {compared} elements compared"),
        Err(violation) => {
            println!("FAILED: {violation}");
            return false;
        }
    }
    true
}

/// The same seed does the same, byte for byte; otherwise no other result means anything.
fn repeats(from: u64, seeds: u64) -> bool {
    for seed in from..from + seeds {
        let [first, second] = [(); 2].map(|()| match scenario(seed).simulator.trace(seed) {
            Ok(run) => run.trace().unwrap_or_default().to_owned(),
            Err(failure) => failure.trace().unwrap_or_default().to_owned(),
        });
        if first != second || first.is_empty() {
            let at = first.lines().zip(second.lines()).position(|(a, b)| a != b);
            println!("seed {seed} does not repeat itself: line {at:?}");
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
    let tally = run_batch(&batch, |done, failed| {
        let seconds = start.elapsed().as_secs_f64();
        let rate = done as f64 / seconds;
        let left = (arguments.seeds - done.min(arguments.seeds)) as f64 / rate.max(0.001);
        println!("{done:>8} seeds, {failed} failed, {rate:.1} a second, about {left:.0} s left");
    });
    report(&tally, start.elapsed().as_secs_f64());
    verdict(arguments, &tally)
}

fn report(tally: &Tally, seconds: f64) {
    println!(
        "{} seeds in {seconds:.1} s ({:.1} a second): {} steps, {:.1} h of simulated time, {} elements compared",
        tally.runs,
        tally.runs as f64 / seconds,
        tally.steps,
        tally.virtual_ms as f64 / 3_600_000.0,
        tally.compared
    );
    println!("longest recovery: {} ms of simulated time", tally.longest_recovery_ms);
    for (what, count) in tally.scenarios.iter().chain(&tally.happened) {
        println!("  {count:>10}  {what}");
    }
}

fn verdict(arguments: &Arguments, tally: &Tally) -> bool {
    for (seed, (scenario, violation)) in &tally.failures {
        println!("FAILED {scenario}: {violation}");
        println!("  replay: cargo xtask simulate --from {seed} --trace");
    }
    let never = tally.never_happened();
    if arguments.seeds >= LARGE && tally.failures.is_empty() && !never.is_empty() {
        println!("FAILED: never happened: {}", never.join(", "));
        return false;
    }
    if tally.compared == 0 {
        println!("FAILED: nothing was compared");
        return false;
    }
    tally.failures.is_empty()
}
