//! What a row came to, and the table of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::Row;

/// What was seen while a row ran.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Number of the row.
    pub id: &'static str,
    /// What was done.
    pub fault: &'static str,
    /// How often it was done.
    pub injected: u64,
    /// How often a full run does it.
    pub full_count: u64,
    /// Elements compared with the reference fold.
    pub compared: u64,
    /// Sentences; empty if all is well.
    pub violations: Vec<String>,
    /// From the fault cleared to everything acknowledged before being in the committed output, in milliseconds.
    pub recovery_ms: Vec<u64>,
    /// Things that must happen sometimes, with how often they did. Zero is a violation.
    pub sometimes: BTreeMap<&'static str, u64>,
    /// Other figures worth reading.
    pub notes: Vec<String>,
    /// How long the row took, in milliseconds.
    pub took_ms: u64,
}

impl Outcome {
    pub(super) fn new(row: &Row) -> Self {
        Self {
            id: row.id,
            fault: row.fault,
            injected: 0,
            full_count: row.full_count,
            compared: 0,
            violations: Vec::new(),
            recovery_ms: Vec::new(),
            sometimes: BTreeMap::new(),
            notes: Vec::new(),
            took_ms: 0,
        }
    }

    pub(super) fn violation(&mut self, sentence: impl Into<String>) {
        self.violations.push(sentence.into());
    }

    /// Must be more than zero at the end.
    pub(super) fn sometimes(&mut self, what: &'static str, happened: bool) {
        *self.sometimes.entry(what).or_default() += u64::from(happened);
    }

    pub(super) fn recovered(&mut self, after: Duration) {
        self.recovery_ms
            .push(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }

    pub(super) fn finish(&mut self, took: Duration) {
        self.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if self.injected == 0 {
            self.violation("nothing was injected");
        }
        if self.compared == 0 {
            self.violation("nothing was compared");
        }
        let never: Vec<_> = self
            .sometimes
            .iter()
            .filter(|(_, n)| **n == 0)
            .map(|(what, _)| *what)
            .collect();
        for what in never {
            self.violation(format!("never happened: {what}"));
        }
        self.recovery_ms.sort_unstable();
    }

    /// The middle and the largest recovery time, in milliseconds.
    pub fn recovery(&self) -> Option<(u64, u64)> {
        let middle = self.recovery_ms.get(self.recovery_ms.len() / 2)?;
        Some((*middle, *self.recovery_ms.last()?))
    }

    /// One line for whoever watches.
    pub fn line(&self) -> String {
        let recovery = self.recovery().map_or(String::new(), |(p50, max)| {
            format!(", recovery p50 {p50} ms, max {max} ms")
        });
        format!(
            "{} {}: {} injected, {} compared, {} violations{recovery}, {:.0} s",
            self.id,
            self.fault,
            self.injected,
            self.compared,
            self.violations.len(),
            self.took_ms as f64 / 1_000.0
        )
    }
}

/// The table of a run in Markdown.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| Row | Fault | Injected (full) | Results compared | Violations | Recovery p50 / max | Seen |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for o in outcomes {
        let recovery = o.recovery().map_or("-".to_owned(), |(p50, max)| {
            format!("{:.1} s / {:.1} s", p50 as f64 / 1_000.0, max as f64 / 1_000.0)
        });
        let sometimes = o.sometimes.iter().map(|(what, n)| format!("{what}: {n}"));
        let seen: Vec<String> = sometimes.chain(o.notes.iter().cloned()).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} ({}) | {} | {} | {recovery} | {} |",
            o.id,
            o.fault,
            o.injected,
            o.full_count,
            o.compared,
            o.violations.len(),
            seen.join("; ")
        );
    }
    text
}
