//! Runs recorded behaviour of Kafka Streams against Millstream: `conformance [--print] PATH...`.
//!
//! A path is a case, a folder of cases, or a `.jsonl` file with one case a line. Without `--print`: one line for each
//! failing case and section, then `N passed, M failed`; exit status 0 only when all pass. Cases that Kafka Streams itself
//! gets wrong, and whose reason to deviate stands in `dsl/README.md`, are counted apart: `K deviating quirks`. With `--print`: the results
//! themselves (section 9 of the case format).
#![expect(clippy::print_stdout, reason = "a command that reports on standard output")]
use std::{path::PathBuf, process::ExitCode};

use serde_json::{Value as Json, json};

mod arguments;
mod compare;
mod expression;
mod files;
mod functions;
mod like;
mod quirks;
mod reads;
mod recorder;
mod run;
mod serdes;
mod steps;
mod topics;
mod value;

fn main() -> ExitCode {
    let (flags, paths): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let print = flags.iter().any(|f| f == "--print");
    if paths.is_empty() || flags.iter().any(|f| f != "--print") {
        eprintln!("usage: conformance [--print] PATH...");
        return ExitCode::from(2);
    }
    let paths: Vec<PathBuf> = paths.into_iter().map(PathBuf::from).collect();
    let cases = match files::load(&paths) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let lines = cases.len() != 1 || paths.iter().any(|p| p.extension().is_some_and(|e| e == "jsonl"));
    let (mut passed, mut failed, mut deviating) = (0, 0, 0);
    let known = quirks::deviating();
    for case in &cases {
        let result = run::run(&case.json);
        if print {
            print_result(&case.name, result, lines);
            continue;
        }
        let differences = match result {
            Ok(result) => compare::compare(&case.json, &result),
            Err(why) => vec![("unsupported", why)],
        };
        if differences.is_empty() {
            passed += 1;
        } else if case.json["quirk"] == true && known.contains(&case.name.as_str()) {
            deviating += 1;
        } else {
            failed += 1;
            for (section, text) in differences {
                println!("{}: {section}: {text}", case.name);
            }
        }
    }
    if print {
        return ExitCode::SUCCESS;
    }
    if deviating == 0 {
        println!("{passed} passed, {failed} failed");
    } else {
        println!("{passed} passed, {failed} failed, {deviating} deviating quirks");
    }
    if failed == 0 && passed > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_result(name: &str, result: Result<Json, String>, as_line: bool) {
    let mut result = result.unwrap_or_else(|why| json!({"unsupported": why}));
    if as_line || result.get("unsupported").is_some() {
        result["name"] = json!(name);
    }
    println!("{result}");
}
