//! Real faults against three real brokers, row by row. `cargo xtask chaos` builds and runs this.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use millstream_integration_tests::chaos::{
    Attempt, Outcome, Row, RunFacts, World, document, share_that_fits, table, write_between,
};
use millstream_integration_tests::kafka::KAFKA_VERSION;

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
    /// Where the table goes, after each row.
    #[arg(long)]
    table: Option<PathBuf>,
    /// A file with marks; at the end the table stands between them.
    #[arg(long)]
    write: Option<PathBuf>,
    /// Say which rows there are and end.
    #[arg(long)]
    list: bool,
    /// Plant mistakes instead, each in front of the row that is about it: the row must fail.
    #[cfg(feature = "mutants")]
    #[arg(long)]
    teeth: bool,
}

/// A mistake, the row that must notice it, and which injections of the row: from which variant on, and how many.
#[cfg(feature = "mutants")]
struct Tooth {
    mutant: &'static str,
    row: &'static str,
    first: u64,
    count: u64,
    /// The recovery bound: a row that has to fail need not be given long.
    within: Duration,
}

#[cfg(feature = "mutants")]
const fn tooth(mutant: &'static str, row: &'static str, first: u64, count: u64) -> Tooth {
    Tooth {
        mutant,
        row,
        first,
        count,
        within: TEETH_BOUND,
    }
}

/// By rows, so that each set of injections is seen to be harmless once without any mistake.
#[cfg(feature = "mutants")]
const TEETH: [Tooth; 13] = [
    tooth("OffsetTooHigh", "R01", 0, 3),
    tooth("OffsetTooLow", "R01", 0, 3),
    // Dies after the offsets are sent, and after the answer.
    tooth("StateBeforeTransaction", "R02", 4, 2),
    tooth("MarkTooHigh", "R02", 4, 2),
    tooth("NoCommitOnRevoke", "R03", 0, 1),
    tooth("NoLastCommit", "R05", 0, 1),
    // The second process takes the transactional id.
    // It comes back all the same, but only when the patience with a commit is over.
    Tooth {
        within: Duration::from_secs(8),
        ..tooth("FencedIsRetried", "R10", 1, 1)
    },
    tooth("UnknownIsCommitted", "R21", 1, 1),
    tooth("ReuseProducer", "R22", 0, 1),
    tooth("StateBeforeCommit", "R33", 0, 2),
    tooth("NoSeekBack", "R33", 0, 2),
    tooth("RestoredTooHigh", "R34", 0, 1),
    // What was aborted last is not written again before it is read.
    tooth("RestoreUncommitted", "R35", 1, 1),
];
#[cfg(feature = "mutants")]
const TEETH_BOUND: Duration = Duration::from_secs(30);

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
    let begin = Instant::now();
    let app = std::env::current_exe()?.with_file_name("counting-app");
    #[cfg(feature = "mutants")]
    if arguments.teeth {
        return teeth(&mut World::start(&app, arguments.seed)?, &arguments.rows);
    }
    let rows = chosen(&arguments.rows)?;
    let limit = Duration::from_secs(60 * arguments.minutes);
    let share = share_that_fits(&rows, limit);
    let planned = |row: &Row| arguments.count.unwrap_or_else(|| row.count_at(share)).max(1);
    let estimate: Duration = rows.iter().map(|row| row.estimate(planned(row))).sum();
    println!("{} rows, about {:.0} minutes", rows.len(), minutes(estimate));
    for row in &rows {
        println!(
            "  {:<4} {:>4} of {:>4}  {}",
            row.id,
            planned(row),
            row.full_count,
            row.fault
        );
    }
    if arguments.list {
        return Ok(true);
    }
    let mut world = World::start(&app, arguments.seed)?;
    let outcomes = run_all(&mut world, &rows, arguments, begin, limit)?;
    let text = document(&facts(arguments, &outcomes, begin), &outcomes);
    println!("\n{text}");
    if let Some(path) = &arguments.write {
        write_between(path, &text)?;
        println!("written to {}", path.display());
    }
    let violations: usize = outcomes.iter().map(|o| o.violations.len()).sum();
    if violations > 0
        && let Some(dir) = world.keep()
    {
        println!("state and logs of the applications are in {}", dir.display());
    }
    Ok(violations == 0)
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

/// What a reader of the table wants to know, and what makes the run again.
fn facts(arguments: &Arguments, outcomes: &[Outcome], begin: Instant) -> RunFacts {
    let mut command = "cargo xtask chaos".to_owned();
    match arguments.count {
        Some(count) => write!(command, " --count {count}"),
        None => write!(command, " --minutes {}", arguments.minutes),
    }
    .unwrap_or_default();
    if !arguments.rows.is_empty() {
        let _ = write!(command, " --rows {}", arguments.rows.join(","));
    }
    let _ = write!(command, " --seed {}", arguments.seed);
    let injected: u64 = outcomes.iter().map(|o| o.injected).sum();
    let full: u64 = outcomes.iter().map(|o| o.full_count).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    RunFacts {
        command,
        took: begin.elapsed(),
        percent: 100.0 * injected as f64 / full.max(1) as f64,
        setting: format!(
            "{}, commit {}; {cores} cores; Apache Kafka {KAFKA_VERSION}, librdkafka {librdkafka}, three brokers with 256 MiB of heap \
             each, replication 3, `min.insync.replicas=2`; session time-out 3 s, transaction time-out 6 s.",
            said_by("date", &["--utc", "+%F %H:%M UTC"]),
            said_by("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        ),
    }
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok();
    let said = output.filter(|o| o.status.success()).map(|o| o.stdout);
    said.map_or("unknown".to_owned(), |text| {
        String::from_utf8_lossy(&text).trim().to_owned()
    })
}

/// Each mistake must turn its row red; without one the same injections must do no harm.
#[cfg(feature = "mutants")]
fn teeth(world: &mut World, rows: &[String]) -> Attempt<bool> {
    let begin = Instant::now();
    let mut all = true;
    let mut harmless = Vec::new();
    let wanted = |tooth: &&Tooth| rows.is_empty() || rows.iter().any(|r| r.eq_ignore_ascii_case(tooth.row));
    let planted: Vec<&Tooth> = TEETH.iter().filter(wanted).collect();
    for (index, tooth) in planted.iter().enumerate() {
        let Tooth {
            mutant,
            row: id,
            first,
            count,
            within,
        } = **tooth;
        let row = chosen(&[id.to_owned()])?.into_iter().next().ok_or("no such row")?;
        world.set_recovery_bound(within);
        if !harmless.contains(&(id, first, count)) {
            let outcome = row.run_from(world, first, count);
            let violation = outcome.violations.first();
            match violation {
                None => println!("{id} from {first}, {count} times, without a mistake: green"),
                Some(violation) => println!("{id} from {first} FAILS WITHOUT A MISTAKE: {violation}"),
            }
            all &= violation.is_none();
            harmless.push((id, first, count));
        }
        world.set_environment(&[("MILLSTREAM_MUTANT", mutant)]);
        let outcome = row.run_from(world, first, count);
        world.set_environment(&[]);
        match outcome.violations.first() {
            Some(violation) => println!(
                "  {mutant}: {id} is red, {} violations: {violation}",
                outcome.violations.len()
            ),
            None => println!("  {mutant}: {id} NOTICED NOTHING"),
        }
        all &= !outcome.violations.is_empty();
        println!(
            "    {} of {}, {:.1} min so far",
            index + 1,
            planted.len(),
            minutes(begin.elapsed())
        );
    }
    let verdict = if all { "every mistake was noticed" } else { "FAILED" };
    println!("{verdict}, {:.1} min", minutes(begin.elapsed()));
    Ok(all)
}

/// Row by row; what is left of the time is shared anew before each.
fn run_all(
    world: &mut World,
    rows: &[Row],
    arguments: &Arguments,
    begin: Instant,
    limit: Duration,
) -> Attempt<Vec<Outcome>> {
    let mut history = open(arguments.history.as_deref())?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let (mut took, mut estimated) = (Duration::ZERO, Duration::ZERO);
    for (index, row) in rows.iter().enumerate() {
        // How much slower it goes than the estimates say.
        let pace = if estimated.is_zero() {
            1.0
        } else {
            (took.as_secs_f64() / estimated.as_secs_f64()).clamp(0.5, 3.0)
        };
        let rest = rows.get(index..).unwrap_or_default();
        let share = share_that_fits(rest, limit.saturating_sub(begin.elapsed()).div_f64(pace));
        let count = arguments.count.unwrap_or_else(|| row.count_at(share)).max(1);
        let started = Instant::now();
        let outcome = row.run(world, count);
        took += started.elapsed();
        estimated += row.estimate(count);
        println!("{}", outcome.line());
        for violation in &outcome.violations {
            println!("    VIOLATION {violation}");
        }
        let to_go = rest
            .iter()
            .skip(1)
            .map(|r| r.estimate(arguments.count.unwrap_or_else(|| r.count_at(share))));
        println!(
            "    {} of {} rows, {:.1} min so far, about {:.1} min to go",
            index + 1,
            rows.len(),
            minutes(begin.elapsed()),
            minutes(to_go.sum::<Duration>().mul_f64(pace))
        );
        if let Some(file) = &mut history {
            writeln!(file, "{}", serde_json::to_string(&outcome)?)?;
        }
        outcomes.push(outcome);
        if let Some(path) = &arguments.table {
            std::fs::write(path, table(&outcomes))?;
        }
    }
    Ok(outcomes)
}

fn open(history: Option<&Path>) -> Attempt<Option<std::fs::File>> {
    let open = |path| std::fs::OpenOptions::new().create(true).append(true).open(path);
    Ok(history.map(open).transpose()?)
}
