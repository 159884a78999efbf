//! Running programs: says what runs, how long it took, and fails with the command's text.
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use crate::paths;

pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// Crates of the workspace that are built with debug assertions in tests.
pub(crate) const OWN_CRATES: [&str; 7] = [
    "millstream",
    "millstream-dsl",
    "millstream-state",
    "millstream-examples",
    "millstream-integration-tests",
    "millstream-bench",
    "millstream-conformance",
];

/// The cargo that started us, in the repository, with build output in the shared directory.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(paths::root())
        .env("CARGO_TARGET_DIR", paths::target());
    cargo
}

/// A subcommand of cargo on the whole workspace, optimised.
///
/// On the whole workspace even for one program, and always with the same features: which features a dependency gets
/// depends on both, and a difference there would compile RocksDB and librdkafka once more.
pub(crate) fn cargo_on_workspace(subcommand: &str) -> Command {
    let mut command = cargo();
    command.args([subcommand, "--profile", "release", "--locked", "--workspace"]);
    if container_runtime_answers() {
        command.args(["--features", "millstream-integration-tests/containers"]);
    }
    command
}

fn container_runtime_answers() -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    *ANSWERS.get_or_init(|| succeeds("docker", &["version", "--format", "{{.Server.Version}}"]))
}

/// Builds a program of the workspace and gives a command that runs it in the repository.
pub(crate) fn program(name: &str) -> Result<Command> {
    run(cargo_on_workspace("build").args(["--bin", name]))?;
    Ok(built(name))
}

/// A program that has been built already.
pub(crate) fn built(name: &str) -> Command {
    let mut command = Command::new(paths::target().join("release").join(name));
    command.current_dir(paths::root());
    command
}

/// The command as one would type it.
pub(crate) fn text(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let mut text = program.rsplit('/').next().unwrap_or(&program).to_owned();
    for argument in command.get_args() {
        let _ = write!(text, " {}", argument.to_string_lossy());
    }
    text
}

/// Runs a command with our input and output.
pub(crate) fn run(command: &mut Command) -> Result {
    println!("> {}", text(command));
    let start = Instant::now();
    let status = command.status().map_err(|e| format!("{}: {e}", text(command)))?;
    println!("  {:.1} s", start.elapsed().as_secs_f64());
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", text(command)))
    }
}

/// Runs a command silently and gives its standard output; its errors go to ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("{}: {e}", text(command)))?;
    if !out.status.success() {
        return Err(format!(
            "`{}` ended with {}:\n{}",
            text(command),
            out.status,
            String::from_utf8_lossy(&out.stdout)
        ));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Runs a command whose output matters only when it fails.
pub(crate) fn quietly(command: &mut Command) -> Result {
    let out = command.stdin(Stdio::null()).output();
    let out = out.map_err(|e| format!("{}: {e}", text(command)))?;
    if out.status.success() {
        return Ok(());
    }
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!("`{}` ended with {}:\n{said}", text(command), out.status))
}

/// Whether a command is there and succeeds; it prints nothing.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
