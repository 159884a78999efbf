//! What the checkers found.

use std::collections::BTreeMap;
use std::fmt;

/// What must hold, by the numbers of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Nothing acknowledged is lost.
    NoLoss,
    /// The output is the fold, and what was seen stays.
    NoDuplicates,
    /// Stores hold what the fold holds.
    StateIsFold,
    /// Stores are what their changelogs say.
    ChangelogIsStore,
    /// Committed offsets.
    Offsets,
    /// Nothing hangs.
    NothingOpen,
    /// Recovery within its bound.
    Recovery,
    /// Replaced producers commit nothing.
    Fencing,
    /// Order of a key.
    Order,
}

impl Invariant {
    /// All of them, by number.
    pub const ALL: [Self; 9] = [
        Self::NoLoss,
        Self::NoDuplicates,
        Self::StateIsFold,
        Self::ChangelogIsStore,
        Self::Offsets,
        Self::NothingOpen,
        Self::Recovery,
        Self::Fencing,
        Self::Order,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLoss => "I1 no loss",
            Self::NoDuplicates => "I2 no duplicates",
            Self::StateIsFold => "I3 state is the fold",
            Self::ChangelogIsStore => "I4 store is its changelog",
            Self::Offsets => "I5 offsets",
            Self::NothingOpen => "I6 nothing hangs",
            Self::Recovery => "I7 recovery",
            Self::Fencing => "I8 fencing",
            Self::Order => "I10 order",
        })
    }
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What was violated.
    pub invariant: Invariant,
    /// Where, and how.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// How much was compared, and what was wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    compared: BTreeMap<Invariant, u64>,
    outputs: u64,
    violations: Vec<Violation>,
}

impl Report {
    pub(super) fn compared(&mut self, invariant: Invariant, elements: usize) {
        *self.compared.entry(invariant).or_default() += elements as u64;
    }

    /// The output has been compared; anything that is compared under the same numbers later is something else.
    pub(super) fn output_is_compared(&mut self) {
        self.outputs = self.compared.get(&Invariant::NoDuplicates).copied().unwrap_or(0);
        if self.outputs == 0 {
            self.violated(Invariant::NoDuplicates, "nothing was compared");
        }
    }

    pub(super) fn violated(&mut self, invariant: Invariant, what: impl Into<String>) {
        self.violations.push(Violation {
            invariant,
            what: what.into(),
        });
    }

    /// Everything that must not be, in the order of the checks. A history that compared no output is a violation, too.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Elements compared for each invariant; those that are missing were not checked.
    pub fn elements(&self) -> &BTreeMap<Invariant, u64> {
        &self.compared
    }

    /// Records of the output compared with the fold.
    pub fn compared_records(&self) -> u64 {
        self.outputs
    }

    /// How much was compared, or the first few violations as one sentence.
    ///
    /// # Errors
    /// When anything was violated.
    pub fn verdict(&self) -> Result<u64, String> {
        if self.violations.is_empty() {
            return Ok(self.compared_records());
        }
        let first: Vec<String> = self.violations.iter().take(3).map(ToString::to_string).collect();
        let more = match self.violations.len().saturating_sub(3) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        Err(first.join("; ") + &more)
    }
}
