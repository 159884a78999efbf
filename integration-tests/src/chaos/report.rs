//! What a row came to, the table of a run, and where it is written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{Attempt, Row};

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
    /// Variants of the fault, with how often each was injected.
    pub variants: BTreeMap<&'static str, u64>,
    /// The most memory an instance had resident that was there at the end.
    pub peak_memory_bytes: u64,
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
            variants: BTreeMap::new(),
            peak_memory_bytes: 0,
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

    /// Which of the row's faults it was this time.
    pub(super) fn variant(&mut self, what: &'static str) {
        *self.variants.entry(what).or_default() += 1;
    }

    pub(super) fn used(&mut self, memory_bytes: u64) {
        self.peak_memory_bytes = self.peak_memory_bytes.max(memory_bytes);
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

    /// Events, variants, figures and memory, for the last column of the table.
    fn seen(&self) -> String {
        let counted = self.sometimes.iter().chain(&self.variants);
        let mut seen: Vec<String> = counted.map(|(what, n)| format!("{what}: {n}")).collect();
        seen.extend(self.notes.iter().cloned());
        if self.peak_memory_bytes > 0 {
            seen.push(format!("peak memory {} MiB", self.peak_memory_bytes >> 20));
        }
        seen.join("; ")
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
        let _ = writeln!(
            text,
            "| {} | {} | {} ({}) | {} | {} | {recovery} | {} |",
            o.id,
            o.fault,
            o.injected,
            o.full_count,
            o.compared,
            o.violations.len(),
            o.seen()
        );
    }
    text
}

/// What a reader of the table must know about the run.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// As it was typed.
    pub command: String,
    /// How long it took.
    pub took: Duration,
    /// Of the full counts.
    pub percent: f64,
    /// Commit, brokers, client, machine: one sentence.
    pub setting: String,
}

/// What stands in `RELIABILITY.md` about a run.
pub fn document(facts: &RunFacts, outcomes: &[Outcome]) -> String {
    let injected: u64 = outcomes.iter().map(|o| o.injected).sum();
    let compared: u64 = outcomes.iter().map(|o| o.compared).sum();
    let violations: usize = outcomes.iter().map(|o| o.violations.len()).sum();
    let mut text = format!(
        "`{}`: {:.0} minutes, {:.1} % of the full counts.\n{}\n\n\
         **{} rows, {injected} faults, {compared} results compared, {violations} violations.**\n\n{}",
        facts.command,
        facts.took.as_secs_f64() / 60.0,
        facts.percent,
        facts.setting,
        outcomes.len(),
        table(outcomes)
    );
    for o in outcomes.iter().filter(|o| !o.violations.is_empty()) {
        let first = o.violations.first().map(String::as_str).unwrap_or_default();
        let _ = writeln!(text, "\n{}, the first of {}: {first}", o.id, o.violations.len());
    }
    text
}

const BEGIN: &str = "<!-- chaos:begin -->";
const END: &str = "<!-- chaos:end -->";

/// Puts the text between the marks of a file.
///
/// # Errors
/// When the file cannot be read or written, or has no marks.
pub fn write_between(file: &Path, text: &str) -> Attempt {
    let old = std::fs::read_to_string(file)?;
    let new = between(&old, text).ok_or_else(|| format!("{} has no marks {BEGIN} and {END}", file.display()))?;
    Ok(std::fs::write(file, new)?)
}

fn between(old: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(violations: &[&str]) -> Outcome {
        let mut outcome = Outcome::new(&Row::all()[0]);
        outcome.injected = 2;
        outcome.compared = 30;
        outcome.variant("a variant");
        outcome.used(3 << 20);
        outcome.violations = violations.iter().map(|v| (*v).to_owned()).collect();
        outcome
    }

    #[test]
    fn the_text_replaces_what_stands_between_the_marks_and_nothing_else() {
        let old = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        let new = between(&old, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n\nnew\n\n{END}\nz\n"));
        assert_eq!(between(&new, "new\n").unwrap(), new);
        assert_eq!(between("no marks", "new"), None);
    }

    #[test]
    fn the_document_sums_up_and_says_what_went_wrong() {
        let facts = RunFacts {
            command: "cargo xtask chaos".to_owned(),
            took: Duration::from_secs(90),
            percent: 1.0,
            setting: "Here.".to_owned(),
        };
        let text = document(&facts, &[outcome(&[]), outcome(&["it broke"])]);
        assert!(
            text.contains("2 rows, 4 faults, 60 results compared, 1 violations"),
            "{text}"
        );
        assert!(
            text.contains("it broke") && text.contains("a variant: 1; peak memory 3 MiB"),
            "{text}"
        );
    }

    #[test]
    fn a_row_that_did_nothing_has_failed() {
        let mut nothing = Outcome::new(&Row::all()[0]);
        nothing.sometimes("it rained", false);
        nothing.finish(Duration::ZERO);
        assert_eq!(nothing.violations.len(), 3);
    }
}
