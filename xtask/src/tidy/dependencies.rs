//! The rule that dependencies between our crates point one way.
use serde_json::Value;

use super::Finding;
use crate::run::{Result, cargo, output};

/// Which of our crates each may depend on. One that is not listed may depend on everything but is depended on by none.
const ALLOWED: [(&str, &[&str]); 4] = [
    ("millstream-state", &[]),
    ("millstream-dsl", &["millstream-state"]),
    ("millstream", &["millstream-state", "millstream-dsl"]),
    ("xtask", &[]),
];
/// What a crate that is not listed may use.
const LIBRARY: [&str; 3] = ["millstream-state", "millstream-dsl", "millstream"];
/// Crates of the Kafka client: only the root crate and those that look from outside.
const CLIENTS: [&str; 2] = ["rdkafka", "rdkafka-sys"];

pub(crate) fn check() -> Result<Vec<Finding>> {
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    Ok(findings(&metadata))
}

fn findings(metadata: &Value) -> Vec<Finding> {
    let packages: Vec<&Value> = metadata["packages"].as_array().into_iter().flatten().collect();
    let ours: Vec<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let mut findings = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            if ours.contains(&other) && other != name && !may_use(name, other) {
                findings.push(format!("Cargo.toml of {name}: must not depend on {other}"));
            }
            if CLIENTS.contains(&other) && matches!(name, "millstream-state" | "millstream-dsl") {
                findings.push(format!(
                    "Cargo.toml of {name}: has never heard of Kafka, must not depend on {other}"
                ));
            }
        }
    }
    findings
}

fn may_use(name: &str, other: &str) -> bool {
    match ALLOWED.iter().find(|(package, _)| *package == name) {
        Some((_, allowed)) => allowed.contains(&other),
        // Applications, tests and benchmarks: the library, and the applications that they test or measure.
        None => LIBRARY.contains(&other) || other == "millstream-examples" || other == "millstream-integration-tests",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependencies: &[&str]) -> Value {
        json!({"name": name, "dependencies": dependencies.iter().map(|d| json!({"name": d})).collect::<Vec<_>>()})
    }

    #[test]
    fn dependencies_against_the_direction_are_found() {
        let metadata = json!({"packages": [
            package("millstream-state", &["millstream-dsl"]),
            package("millstream-dsl", &["millstream-state", "rdkafka-sys"]),
            package("millstream", &["millstream-dsl", "rdkafka-sys"]),
        ]});
        let found = findings(&metadata);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
