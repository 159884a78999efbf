//! Real faults against three real brokers, row by row. `cargo xtask chaos` builds and runs this.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use millstream_integration_tests::chaos::{Attempt, Outcome, Row, World, share_that_fits, table};

#[derive(Parser)]
struct Arguments {
    /// How long it may take, roughly; counts are scaled, every row runs at least once.
    #[arg(long, default_value_t = 180)]
    minutes: u64,
    /// Only these rows, as in `R01,R22`.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// So many injections of each row instead.
    #[arg(long)]
    count: Option<u64>,
    /// Decides every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where outcomes go, one JSON line for each row.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Where the table goes.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Say which rows there are and end.
    #[arg(long)]
    list: bool,
    /// Plant mistakes instead, each in front of the row that is about it: the row must fail.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    teeth: bool,
}

/// A mistake, and the row that must notice it.
#[cfg(feature = "mutants")]
const TEETH: [(&str, &str); 1] = [("ReuseProducer", "R22")];

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .init();
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn chosen(names: &[String]) -> Attempt<Vec<Row>> {
    let all = Row::all();
    if names.is_empty() {
        return Ok(all);
    }
    let known = |name: &&String| all.iter().any(|r| r.id.eq_ignore_ascii_case(name));
    if let Some(unknown) = names.iter().find(|n| !known(n)) {
        let ids: Vec<_> = all.iter().map(|r| r.id).collect();
        return Err(format!("there is no row {unknown}; there are {}", ids.join(", ")).into());
    }
    let wanted = |row: &Row| names.iter().any(|n| row.id.eq_ignore_ascii_case(n));
    Ok(all.into_iter().filter(wanted).collect())
}

fn run(arguments: &Arguments) -> Attempt<bool> {
    let rows = chosen(&arguments.rows)?;
    let share = share_that_fits(&rows, Duration::from_secs(60 * arguments.minutes));
    let planned: Vec<(Row, u64)> = rows
        .iter()
        .map(|row| (*row, arguments.count.unwrap_or_else(|| row.count_at(share)).max(1)))
        .collect();
    let estimate: Duration = planned.iter().map(|(row, count)| row.estimate(*count)).sum();
    println!(
        "{} rows, about {:.0} minutes",
        planned.len(),
        estimate.as_secs_f64() / 60.0
    );
    for (row, count) in &planned {
        println!("  {:<4} {count:>4} of {:>4}  {}", row.id, row.full_count, row.fault);
    }
    if arguments.list {
        return Ok(true);
    }
    let app = std::env::current_exe()?.with_file_name("counting-app");
    let mut world = World::start(&app, arguments.seed)?;
    #[cfg(feature = "mutants")]
    if arguments.teeth {
        return teeth(&mut world);
    }
    let outcomes = run_all(&mut world, &planned, arguments.history.as_deref())?;
    let text = table(&outcomes);
    println!("\n{text}");
    if let Some(path) = &arguments.table {
        std::fs::write(path, &text)?;
    }
    let violations: usize = outcomes.iter().map(|o| o.violations.len()).sum();
    let injected: u64 = outcomes.iter().map(|o| o.injected).sum();
    let compared: u64 = outcomes.iter().map(|o| o.compared).sum();
    println!("{injected} faults, {compared} results compared, {violations} violations");
    if violations > 0
        && let Some(dir) = world.keep()
    {
        println!("state and logs of the applications are in {}", dir.display());
    }
    Ok(violations == 0)
}

#[cfg(feature = "mutants")]
fn teeth(world: &mut World) -> Attempt<bool> {
    let mut all = true;
    for (mutant, id) in TEETH {
        let row = chosen(&[id.to_owned()])?.into_iter().next().ok_or("no such row")?;
        world.set_environment(&[("MILLSTREAM_MUTANT", mutant)]);
        let outcome = row.run(world, 1);
        match outcome.violations.first() {
            Some(violation) => println!(
                "{mutant}: {id} fails, {} violations: {violation}",
                outcome.violations.len()
            ),
            None => println!("{mutant}: {id} NOTICED NOTHING"),
        }
        all &= !outcome.violations.is_empty();
    }
    Ok(all)
}

fn run_all(world: &mut World, planned: &[(Row, u64)], history: Option<&Path>) -> Attempt<Vec<Outcome>> {
    let begin = Instant::now();
    let mut history = history
        .map(|path| std::fs::OpenOptions::new().create(true).append(true).open(path))
        .transpose()?;
    let mut outcomes = Vec::new();
    for (index, (row, count)) in planned.iter().enumerate() {
        let outcome = row.run(world, *count);
        println!("{}", outcome.line());
        for violation in &outcome.violations {
            println!("    VIOLATION {violation}");
        }
        let rest: Duration = planned
            .iter()
            .skip(index + 1)
            .map(|(row, count)| row.estimate(*count))
            .sum();
        println!(
            "    {} of {} rows, {:.1} min so far, about {:.1} min to go",
            index + 1,
            planned.len(),
            begin.elapsed().as_secs_f64() / 60.0,
            rest.as_secs_f64() / 60.0
        );
        if let Some(file) = &mut history {
            writeln!(file, "{}", serde_json::to_string(&outcome)?)?;
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
