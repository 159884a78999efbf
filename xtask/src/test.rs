//! `cargo xtask test`: everything there is to check, cheapest first.
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::conformance::CASES;
use crate::prerequisites::{self, Need};
use crate::run::{self, OWN_CRATES, Result, built, cargo, cargo_on_workspace};
use crate::{paths, tidy};

/// What `test` takes.
#[derive(Args)]
pub(crate) struct Options {
    /// Run only these steps (default: all).
    #[arg(long, value_enum)]
    only: Vec<Step>,
}

/// A part of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// `cargo fmt --check`.
    Format,
    /// The architecture's sentences.
    Tidy,
    /// Clippy, warnings are errors.
    Lints,
    /// Unit, integration and documentation tests, with real Kafka.
    Tests,
    /// `cargo doc` without warnings.
    Docs,
    /// Recorded behaviour of Kafka Streams.
    Conformance,
}

const ALL: [Step; 6] = [
    Step::Format,
    Step::Tidy,
    Step::Lints,
    Step::Tests,
    Step::Docs,
    Step::Conformance,
];

pub(crate) fn run(options: &Options) -> Result {
    prepare()?;
    println!("build output: {}", paths::target().display());
    let mut took = Vec::new();
    for step in ALL
        .iter()
        .copied()
        .filter(|s| options.only.is_empty() || options.only.contains(s))
    {
        println!("\n== {step:?}");
        let start = Instant::now();
        one(step)?;
        took.push((step, start.elapsed()));
    }
    println!("\neverything passed:");
    for (step, time) in took {
        println!("  {:<12} {:>7.1} s", format!("{step:?}"), time.as_secs_f64());
    }
    Ok(())
}

fn prepare() -> Result {
    let mut needs = vec![Need::Compiler, Need::Make, Need::Libclang];
    if std::env::var_os("MILLSTREAM_TEST_BOOTSTRAP").is_none_or(|v| v.is_empty()) {
        needs.extend([Need::Java, Need::Maven]);
    }
    prerequisites::ensure(&needs)?;
    prerequisites::ensure_rust_components()
}

fn one(step: Step) -> Result {
    match step {
        Step::Format => run::run(cargo().args(["fmt", "--all", "--check"])),
        Step::Tidy => tidy::run(),
        Step::Lints => run::run(cargo_on_workspace("clippy").args(["--all-targets", "--", "-D", "warnings"])),
        Step::Tests => run::run(
            cargo_on_workspace("test")
                .args(debug_assertions())
                .arg("--no-fail-fast"),
        ),
        Step::Docs => run::run(
            cargo_on_workspace("doc")
                .arg("--no-deps")
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        Step::Conformance => {
            run::run(
                cargo_on_workspace("build")
                    .args(debug_assertions())
                    .args(["--bin", "conformance"]),
            )?;
            run::run(built("conformance").arg(CASES))
        }
    }
}

/// Assertions for our own crates in the one optimised profile; dependencies are compiled once for everything.
fn debug_assertions() -> impl Iterator<Item = String> {
    OWN_CRATES.iter().flat_map(|name| {
        [
            "--config".to_owned(),
            format!("profile.release.package.{name}.debug-assertions=true"),
        ]
    })
}
