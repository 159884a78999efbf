//! A compiled criterion benchmark `operators`: what is in it, and what it measures.
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::criterion::{self, Id};
use crate::paths;
use crate::run::{Result, cargo_on_workspace, output, quietly};

/// A binary and what it is called in tables.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl Binary {
    /// That of this tree.
    pub(crate) fn build() -> Result<Self> {
        let mut cargo = cargo_on_workspace("bench");
        cargo.args(["--bench", "operators", "--no-run"]);
        let messages = output(cargo.arg("--message-format=json-render-diagnostics"))?;
        let path = executable(&messages).ok_or("cargo named no binary of the benchmark `operators`")?;
        Ok(Self {
            name: "this tree".to_owned(),
            path,
        })
    }

    /// `NAME=BINARY`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (name, path) = text.split_once('=').ok_or("expected NAME=BINARY")?;
        let path = std::path::absolute(path).map_err(|e| format!("{path}: {e}"))?;
        if !path.is_file() {
            return Err(format!("no file {}", path.display()));
        }
        Ok(Self {
            name: name.to_owned(),
            path,
        })
    }

    /// Benchmarks that match a regular expression of criterion.
    pub(crate) fn list(&self, filter: &str) -> Result<Vec<Id>> {
        let mut list = Command::new(&self.path);
        let text = output(list.args(["--bench", "--list", "--", filter]))?;
        Ok(criterion::listed(&text))
    }

    /// Runs a benchmark: thousand records per CPU second, or nothing when this binary does not have it.
    ///
    /// A process of its own for each benchmark, so that binaries take turns within seconds.
    pub(crate) fn measure(&self, id: &Id) -> Result<Option<f64>> {
        let home = paths::target().join("bench-operators");
        if home.exists() {
            fs::remove_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        }
        let mut run = Command::new(&self.path);
        run.env("CRITERION_HOME", &home);
        quietly(run.args(["--bench", "--quick", "--noplot", "--exact", &id.full]))?;
        criterion::saved(&home, id)
    }
}

/// The binary of the benchmark `operators` in cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    let parsed = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ours = parsed.filter(|m| m["target"]["name"] == "operators" && m["target"]["kind"][0] == "bench");
    ours.find_map(|m| m["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_binary_of_the_benchmark_is_found_among_other_messages() {
        let message = |name: &str, kind: &str, file: Value| {
            json!({"reason": "compiler-artifact", "target": {"name": name, "kind": [kind]}, "executable": file})
                .to_string()
        };
        let messages = [
            message("app", "bin", json!("a")),
            message("operators", "test", json!("b")),
            message("operators", "bench", Value::Null),
            "no JSON".to_owned(),
            message("operators", "bench", json!("c")),
        ];
        assert_eq!(executable(&messages.join("\n")), Some(PathBuf::from("c")));
        assert_eq!(executable(&messages[..4].join("\n")), None);
    }
}
