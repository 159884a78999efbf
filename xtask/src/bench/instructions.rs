//! `cargo xtask bench instructions`: instructions per record, and how many records they were counted over.
use std::process::Command;

use clap::Args;

use super::binary::Binary;
use super::criterion::Id;
use super::figures::figure;
use crate::paths;
use crate::prerequisites::{self, Need};
use crate::run::{Result, quietly};

/// What `bench instructions` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Regular expressions of benchmarks (default: those in the table of `bench/README.md`).
    filter: Vec<String>,
    /// How long each runs under valgrind: compare only figures of about as many records.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
}

/// The rows of the table, with ten keys in memory.
const DEFAULT: &str = "^(count|table group_by|stream-stream left join|outer join without partners|self-join\
    |sliding windows)/memory/10$";

pub(crate) fn run(options: &Options) -> Result {
    prerequisites::ensure(&[Need::Compiler, Need::Make, Need::Libclang, Need::Valgrind])?;
    let binary = Binary::build()?;
    let mut ids: Vec<Id> = Vec::new();
    let default = [DEFAULT.to_owned()];
    let chosen = if options.filter.is_empty() {
        &default[..]
    } else {
        &options.filter
    };
    for filter in chosen {
        let matching = binary.list(filter)?;
        if matching.is_empty() {
            return Err(format!("no benchmark matches `{filter}`"));
        }
        ids.extend(matching);
    }
    println!("| | instructions per record | records |\n|---|---|---|");
    for id in ids {
        let name = id.full.strip_suffix("/memory/10").unwrap_or(&id.full);
        let Counted { instructions, records } = count(&binary, &id, options.seconds)?;
        let each = figure(Some(instructions as f64 / records as f64));
        println!("| {name} | {each} | {records} |");
    }
    Ok(())
}

/// Of what happens to records only, not of criterion.
fn count(binary: &Binary, id: &Id, seconds: u32) -> Result<Counted> {
    let file = paths::target().join("callgrind.operators");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--toggle-collect=operators::Feed::pipe"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(&binary.path)
        .args(["--bench", "--profile-time", &seconds.to_string(), "--exact", &id.full]);
    quietly(&mut valgrind)?;
    let profile = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    parse(&profile).ok_or_else(|| format!("{}: no calls of the driver in {}", id.full, file.display()))
}

/// What a profile says.
#[derive(Debug, PartialEq, Eq)]
struct Counted {
    instructions: u64,
    records: u64,
}

/// The sum of all costs, and the calls of the driver's function that takes a record.
fn parse(profile: &str) -> Option<Counted> {
    let (mut total, mut records) = (None, 0);
    // A name stands behind its number the first time only.
    let (mut of_driver, mut calls_driver) = (None, false);
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn=")) {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if name.contains("TopologyTestDriver") && name.ends_with("::pipe_bytes") {
                of_driver = Some(number);
            }
            calls_driver = of_driver == Some(number);
        } else if let Some(calls) = line.strip_prefix("calls=").filter(|_| calls_driver) {
            records += calls.split(' ').next()?.parse::<u64>().ok()?;
        } else if let Some(sum) = line.strip_prefix("totals:") {
            total = sum.trim().parse().ok();
        }
    }
    let instructions = total.filter(|_| records > 0)?;
    Some(Counted { instructions, records })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "events: Ir\nsummary: 6000\n\nfn=(1) operators::Feed::pipe\n10 500\n\
        cfn=(2) operators::write_key\ncalls=7 0\n10 50\ncfn=(3) a::driver::TopologyTestDriver::pipe_bytes\ncalls=2 0\n\
        10 60\n\nfn=(3)\n20 10\ncfn=(2)\ncalls=5 0\n20 10\ncfn=(4) a::TopologyTestDriver::pipe_bytes::{{closure}}\n\
        calls=9 0\n20 10\n\nfn=(5) operators::other\n30 10\ncfn=(3)\ncalls=1 0\n30 10\n\ntotals: 6000\n";

    #[test]
    fn all_calls_of_the_driver_are_counted() {
        let (instructions, records) = (6_000, 3);
        assert_eq!(parse(PROFILE), Some(Counted { instructions, records }));
    }

    #[test]
    fn a_name_may_come_before_the_first_call() {
        let profile = "fn=(3) <a::TopologyTestDriver>::pipe_bytes\n1 1\nfn=(1) b\ncfn=(3)\ncalls=4 0\n1 1\ntotals: 8\n";
        let (instructions, records) = (8, 4);
        assert_eq!(parse(profile), Some(Counted { instructions, records }));
    }

    #[test]
    fn without_calls_or_total_there_is_no_answer() {
        assert_eq!(parse("fn=(1) a\ncalls=1 0\ntotals: 8\n"), None);
        assert_eq!(parse(&PROFILE.replace("totals", "sums")), None);
    }
}
