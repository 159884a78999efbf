//! Best and median of several runs as the tables of `bench/README.md`, in thousand records per CPU second.
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::criterion::Id;
use super::figures::{best, figure, median};

/// A benchmark and its rates, those of each binary.
pub(crate) struct Row {
    pub(crate) id: Id,
    pub(crate) rates: Vec<Vec<f64>>,
}

type Figure = fn(&[f64]) -> Option<f64>;

/// Operators without state, and those with state, best and median.
pub(crate) fn all(rows: &[Row]) -> String {
    let (without, with): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.id.is_stateless());
    let mut text = String::new();
    if !without.is_empty() {
        let _ = writeln!(text, "Without state, best / median:\n\n{}", stateless(&without));
    }
    if !with.is_empty() {
        let _ = writeln!(text, "In memory / in RocksDB, best:\n\n{}", stateful(&with, best));
        let _ = writeln!(text, "In memory / in RocksDB, median:\n\n{}", stateful(&with, median));
    }
    text
}

fn stateless(rows: &[&Row]) -> String {
    let mut text = "| without state | | | |\n|---|---|---|---|\n".to_owned();
    for line in rows.chunks(4) {
        for row in line {
            let rates = row.rates.first().map_or(&[][..], |r| r);
            let (best, median) = (figure(best(rates)), figure(median(rates)));
            let _ = write!(text, "| `{}` {best} / {median} ", row.id.operator);
        }
        let _ = writeln!(text, "{}|", "| ".repeat(4 - line.len()));
    }
    text
}

fn stateful(rows: &[&Row], value: Figure) -> String {
    let keys: BTreeSet<u64> = rows.iter().map(|row| row.id.keys).collect();
    let mut text = "| |".to_owned();
    for keys in &keys {
        let _ = write!(text, " {} |", title(*keys));
    }
    let _ = write!(text, "\n|---|{}\n", "---|".repeat(keys.len()));
    let mut operators: Vec<&str> = rows.iter().map(|row| &*row.id.operator).collect();
    operators.dedup();
    for operator in operators {
        let _ = write!(text, "| {operator} |");
        for keys in &keys {
            let cell = |engine: &str| {
                let is_it = |id: &Id| id.operator == operator && id.engine == engine && id.keys == *keys;
                let row = rows.iter().find(|row| is_it(&row.id));
                figure(row.and_then(|row| value(row.rates.first()?)))
            };
            let _ = write!(text, " {} / {} |", cell("memory"), cell("rocksdb"));
        }
        text.push('\n');
    }
    text
}

/// A number of keys as in the title of a column.
fn title(keys: u64) -> String {
    match keys {
        1_000_000.. if keys.is_multiple_of(1_000_000) => format!("{} M keys", keys / 1_000_000),
        1_000.. if keys.is_multiple_of(1_000) => format!("{} k keys", keys / 1_000),
        _ => format!("{keys} keys"),
    }
}

/// Binaries beside each other.
pub(crate) fn compared(names: &[&str], rows: &[Row]) -> String {
    let mut text = "| |".to_owned();
    for name in names {
        let _ = write!(text, " {name}, best | {name}, median |");
    }
    let _ = write!(text, "\n|---|{}\n", "---|---|".repeat(names.len()));
    for row in rows {
        let _ = write!(text, "| {} |", row.id.full);
        for rates in &row.rates {
            let _ = write!(text, " {} | {} |", figure(best(rates)), figure(median(rates)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(operator: &str, engine: &str, keys: u64, rates: &[&[f64]]) -> Row {
        let id = Id {
            full: format!("{operator}/{engine}/{keys}"),
            operator: operator.to_owned(),
            engine: engine.to_owned(),
            keys,
        };
        Row {
            id,
            rates: rates.iter().map(|r| r.to_vec()).collect(),
        }
    }

    #[test]
    fn tables_are_those_of_the_readme() {
        let rows = [
            row("to", "stateless", 10_000, &[&[4_400.0, 4_000.0]]),
            row("count", "memory", 10, &[&[3_000.0, 3_450.0, 1_000.0]]),
            row("count", "rocksdb", 10, &[&[3_620.0]]),
            row("count", "memory", 1_000_000, &[&[740.0]]),
        ];
        let text = all(&rows);
        assert!(
            text.contains("|---|---|---|---|\n| `to` 4 400 / 4 200 | | | |\n"),
            "{text}"
        );
        let header = "| | 10 keys | 1 M keys |\n|---|---|---|\n";
        let (best, median) = (
            "| count | 3 450 / 3 620 | 740 / – |",
            "| count | 3 000 / 3 620 | 740 / – |",
        );
        for line in [best, median] {
            assert!(text.contains(&format!("{header}{line}\n")), "{text}");
        }
    }

    #[test]
    fn binaries_stand_beside_each_other() {
        let rows = [row("count", "memory", 10, &[&[300.0, 100.0], &[]])];
        let expected = "| | a, best | a, median | b, best | b, median |\n|---|---|---|---|---|\n\
            | count/memory/10 | 300 | 200 | – | – |\n";
        assert_eq!(compared(&["a", "b"], &rows), expected);
    }
}
