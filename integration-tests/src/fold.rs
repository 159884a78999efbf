//! What must the output of a counting application be, whatever happened on the way?
//!
//! The reference fold is computed from the input topic alone; the checker compares it with the committed output
//! element by element. It collects every violation instead of stopping at the first, because the pattern (which keys,
//! loss or repetition, where in the sequence) tells which step of the protocol failed. A run that compared nothing fails.

use std::collections::BTreeMap;
use std::fmt;

/// Values of each key in the order of its partition.
pub type PerKey = BTreeMap<String, Vec<i64>>;

/// One difference between the fold and the committed output of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The output ends before the fold does: records were lost.
    Lost {
        /// Key of the sequence.
        key: String,
        /// Elements the fold has.
        expected: usize,
        /// Elements that were committed.
        found: usize,
    },
    /// The output goes on after the fold has ended: records were processed twice.
    Surplus {
        /// Key of the sequence.
        key: String,
        /// Elements the fold has.
        expected: usize,
        /// Elements that were committed.
        found: usize,
    },
    /// An element differs: a repetition, a gap, or state that was rolled back wrongly.
    Differs {
        /// Key of the sequence.
        key: String,
        /// Position in the sequence, from 0.
        position: usize,
        /// What the fold gives.
        expected: i64,
        /// What was committed.
        found: i64,
    },
    /// The output has a key that the input never had.
    UnknownKey {
        /// The key.
        key: String,
    },
    /// Nothing was compared.
    NothingCompared,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { key, expected, found } => write!(f, "{key}: lost, {found} of {expected} results committed"),
            Self::Surplus { key, expected, found } => write!(f, "{key}: duplicates, {found} results for {expected}"),
            Self::Differs {
                key,
                position,
                expected,
                found,
            } => {
                write!(f, "{key}: result {position} is {found}, must be {expected}")
            }
            Self::UnknownKey { key } => write!(f, "{key}: in the output but never in the input"),
            Self::NothingCompared => f.write_str("nothing was compared"),
        }
    }
}

/// The running count of each key: 1, 2, 3 ... for as many records as the input holds.
pub fn running_counts<'a>(input_keys: impl IntoIterator<Item = &'a str>) -> PerKey {
    let mut folds = PerKey::new();
    for key in input_keys {
        let fold = folds.entry(key.to_owned()).or_default();
        fold.push(fold.len() as i64 + 1);
    }
    folds
}

/// Compares output with fold; gives the number of compared elements, or every violation.
///
/// # Errors
/// All violations, in key order; `NothingCompared` when both sides are empty.
pub fn compare(fold: &PerKey, output: &PerKey) -> Result<usize, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut compared = 0;
    for (key, expected) in fold {
        let found = output.get(key).map_or(&[][..], Vec::as_slice);
        compared += expected.len().min(found.len());
        if let Some(position) = expected.iter().zip(found).position(|(e, f)| e != f) {
            let (expected, found) = (expected[position], found[position]);
            violations.push(Violation::Differs {
                key: key.clone(),
                position,
                expected,
                found,
            });
        }
        let (expected, found) = (expected.len(), found.len());
        if found < expected {
            violations.push(Violation::Lost {
                key: key.clone(),
                expected,
                found,
            });
        } else if found > expected {
            violations.push(Violation::Surplus {
                key: key.clone(),
                expected,
                found,
            });
        }
    }
    violations.extend(
        output
            .keys()
            .filter(|key| !fold.contains_key(*key))
            .map(|key| Violation::UnknownKey { key: key.clone() }),
    );
    if compared == 0 && violations.is_empty() {
        violations.push(Violation::NothingCompared);
    }
    if violations.is_empty() {
        Ok(compared)
    } else {
        Err(violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold() -> PerKey {
        running_counts(["a", "b", "a", "a"])
    }

    #[test]
    fn equal_output_counts_what_it_compared() {
        assert_eq!(compare(&fold(), &fold()), Ok(4));
    }

    #[test]
    fn planted_duplicate_is_found() {
        let mut output = fold();
        output.get_mut("a").unwrap().insert(1, 1);
        let violations = compare(&fold(), &output).unwrap_err();
        assert!(violations.contains(&Violation::Differs {
            key: "a".into(),
            position: 1,
            expected: 2,
            found: 1
        }));
        assert!(violations.contains(&Violation::Surplus {
            key: "a".into(),
            expected: 3,
            found: 4
        }));
    }

    #[test]
    fn lost_record_is_found() {
        let mut output = fold();
        output.get_mut("a").unwrap().pop();
        assert_eq!(
            compare(&fold(), &output),
            Err(vec![Violation::Lost {
                key: "a".into(),
                expected: 3,
                found: 2
            }])
        );
    }

    #[test]
    fn key_from_nowhere_is_found() {
        let mut output = fold();
        output.insert("z".into(), vec![1]);
        assert_eq!(
            compare(&fold(), &output),
            Err(vec![Violation::UnknownKey { key: "z".into() }])
        );
    }

    #[test]
    fn comparing_nothing_fails() {
        assert_eq!(
            compare(&PerKey::new(), &PerKey::new()),
            Err(vec![Violation::NothingCompared])
        );
    }
}
