//! What criterion says: names of benchmarks, and what it saved about one.
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run::Result;

/// A benchmark, `count/memory/10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) full: String,
    pub(crate) operator: String,
    pub(crate) engine: String,
    pub(crate) keys: u64,
}

impl Id {
    fn parse(full: &str) -> Option<Self> {
        let mut parts = full.rsplitn(3, '/');
        Some(Self {
            full: full.to_owned(),
            keys: parts.next()?.parse().ok()?,
            engine: parts.next()?.to_owned(),
            operator: parts.next()?.to_owned(),
        })
    }

    pub(crate) fn is_stateless(&self) -> bool {
        self.engine == "stateless"
    }
}

/// What it lists.
pub(crate) fn listed(text: &str) -> Vec<Id> {
    let names = text.lines().filter_map(|line| line.strip_suffix(": benchmark"));
    names.filter_map(Id::parse).collect()
}

/// Thousand records per second from the directory of a run; nothing if the benchmark did not run.
pub(crate) fn saved(home: &Path, id: &Id) -> Result<Option<f64>> {
    let saved = home.join(&id.full).join("new");
    if !saved.exists() {
        return Ok(None);
    }
    let benchmark = json(&saved.join("benchmark.json"))?;
    let estimates = json(&saved.join("estimates.json"))?;
    let rate = rate(&benchmark, &estimates).ok_or_else(|| format!("{}: no rate in what criterion saved", id.full));
    rate.map(Some)
}

fn json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// As criterion prints it: from the slope, which the few long samples of a slow benchmark do not have.
fn rate(benchmark: &Value, estimates: &Value) -> Option<f64> {
    let records = benchmark["throughput"]["Elements"].as_f64()?;
    let slope = estimates["slope"]["point_estimate"].as_f64();
    let nanoseconds = slope.or_else(|| estimates["mean"]["point_estimate"].as_f64())?;
    Some(records / nanoseconds * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn benchmarks_are_listed_with_their_parts() {
        let ids = listed("self-join, one store/memory/10: benchmark\n\nto/stateless/10000: benchmark\n2 tests\n");
        let parts: Vec<_> = ids.iter().map(|i| (&*i.operator, &*i.engine, i.keys)).collect();
        assert_eq!(
            parts,
            [("self-join, one store", "memory", 10), ("to", "stateless", 10_000)]
        );
        assert!(ids[1].is_stateless() && !ids[0].is_stateless());
    }

    #[test]
    fn the_rate_comes_from_the_slope_or_else_from_the_mean() {
        let benchmark = json!({"throughput": {"Elements": 10_000}});
        let both = json!({"mean": {"point_estimate": 8e6}, "slope": {"point_estimate": 4e6}});
        assert_eq!(rate(&benchmark, &both), Some(2_500.0));
        let flat = json!({"mean": {"point_estimate": 8e6}, "slope": null});
        assert_eq!(rate(&benchmark, &flat), Some(1_250.0));
        assert_eq!(rate(&benchmark, &json!({})), None);
    }
}
