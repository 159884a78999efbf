//! What a comparison says: a small table, and one line of ratios (ours / theirs).
use std::fmt::Write as _;

use serde_json::Value;

/// One engine's run.
pub(crate) struct Engine {
    /// The line of JSON it printed.
    pub(crate) figures: Value,
    /// What its output came to.
    pub(crate) digest: String,
}

impl Engine {
    fn get(&self, field: &str) -> f64 {
        self.figures[field].as_f64().unwrap_or(f64::NAN)
    }
}

/// A workload under a guarantee.
pub(crate) struct Round {
    pub(crate) workload: String,
    pub(crate) mode: String,
    pub(crate) theirs: Engine,
    pub(crate) ours: Engine,
    pub(crate) bare: Option<Engine>,
}

/// Field of the JSON line, and what it is called in the table.
const FIGURES: [(&str, &str); 5] = [
    ("steady_records_per_s", "records/s"),
    ("steady_cpu_s_per_million", "CPU s per million"),
    ("running_to_closed_cpu_s_per_million", "same, with start and close"),
    ("peak_rss_mib", "peak memory MiB"),
    ("startup_ms", "start-up ms"),
];

impl Round {
    pub(crate) fn is_equal(&self) -> bool {
        self.theirs.digest == self.ours.digest && self.bare.as_ref().is_none_or(|b| b.digest == self.ours.digest)
    }

    pub(crate) fn table(&self) -> String {
        let mut text = format!("{:<28}{:>16}{:>16}", "", "Kafka Streams", "Millstream");
        if self.bare.is_some() {
            let _ = write!(text, "{:>16}", "bare librdkafka");
        }
        for (field, title) in FIGURES {
            let _ = write!(
                text,
                "\n{title:<28}{:>16.2}{:>16.2}",
                self.theirs.get(field),
                self.ours.get(field)
            );
            if let Some(bare) = &self.bare {
                let _ = write!(text, "{:>16.2}", bare.get(field));
            }
        }
        if !self.is_equal() {
            let _ = write!(
                text,
                "\noutputs differ: theirs {}, ours {}",
                self.theirs.digest, self.ours.digest
            );
        }
        text
    }

    pub(crate) fn line(&self) -> String {
        let ratio = |field: &str| self.ours.get(field) / self.theirs.get(field);
        let mut line = format!(
            "{} {} cpu_ratio={:.2} rate_ratio={:.1} memory_ratio={:.2} startup_ratio={:.2} equal={}",
            self.workload,
            self.mode,
            ratio("steady_cpu_s_per_million"),
            ratio("steady_records_per_s"),
            ratio("peak_rss_mib"),
            ratio("startup_ms"),
            if self.is_equal() { "yes" } else { "no" },
        );
        if let Some(bare) = &self.bare {
            let over = self.ours.get("steady_cpu_s_per_million") / bare.get("steady_cpu_s_per_million");
            let _ = write!(line, " over_bare={over:.2}");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn engine(cpu: f64, rate: f64, memory: f64, startup: f64, digest: &str) -> Engine {
        let figures = json!({"steady_cpu_s_per_million": cpu, "steady_records_per_s": rate,
            "peak_rss_mib": memory, "startup_ms": startup});
        Engine {
            figures,
            digest: digest.to_owned(),
        }
    }

    fn round(digest: &str) -> Round {
        Round {
            workload: "relay".to_owned(),
            mode: "eos".to_owned(),
            theirs: engine(2.0, 100.0, 400.0, 1000.0, "1 a"),
            ours: engine(0.82, 190.0, 20.0, 100.0, digest),
            bare: None,
        }
    }

    #[test]
    fn the_line_gives_ours_over_theirs() {
        let line = "relay eos cpu_ratio=0.41 rate_ratio=1.9 memory_ratio=0.05 startup_ratio=0.10 equal=yes";
        assert_eq!(round("1 a").line(), line);
    }

    #[test]
    fn different_outputs_are_not_equal() {
        assert!(round("1 b").line().ends_with("equal=no"));
        assert!(round("1 b").table().contains("outputs differ: theirs 1 a, ours 1 b"));
    }
}
