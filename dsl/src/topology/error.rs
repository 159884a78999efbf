//! Why a topology cannot be built: every violated rule at once.
use std::sync::Arc;

/// What kind of rule is violated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViolationKind {
    /// The parts of the topology do not fit. Kafka Streams: `TopologyException`.
    #[default]
    Topology,
    /// An option has a value it cannot have. Kafka Streams: `IllegalArgumentException`.
    Argument,
    /// An option that the thing it was given to does not have. Kafka Streams: `IllegalStateException`.
    State,
}

/// One violated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What kind of rule it is.
    pub kind: ViolationKind,
    /// The operator, store or topic it is about.
    pub name: Arc<str>,
    /// What is wrong and what to do.
    pub message: String,
}
impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

/// A topology that breaks rules. Kafka Streams: `TopologyException`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// All violated rules, in the order of the calls.
    pub violations: Vec<Violation>,
}
impl std::fmt::Display for BuildError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the topology cannot be built: ")?;
        for (index, violation) in self.violations.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{violation}")?;
        }
        Ok(())
    }
}
impl std::error::Error for BuildError {}
