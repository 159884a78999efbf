//! Generated names: the one counter of a builder, exactly as Kafka Streams counts.
use std::sync::Arc;

use super::{Builder, Violation};

impl Builder {
    fn next_index(&mut self) -> u32 {
        let index = self.counter;
        self.counter += 1;
        index
    }
    /// `<prefix><index>`: burns an index.
    pub(crate) fn new_processor_name(&mut self, prefix: &str) -> Arc<str> {
        format!("{prefix}{:010}", self.next_index()).into()
    }
    /// `<prefix>STATE-STORE-<index>`: burns an index.
    pub(crate) fn new_store_name(&mut self, prefix: &str) -> Arc<str> {
        format!("{prefix}STATE-STORE-{:010}", self.next_index()).into()
    }
    /// The given name, or a generated one. As in Java the index is burned only when the name is generated.
    pub(crate) fn name_or(&mut self, given: Option<&Arc<str>>, prefix: &str) -> Arc<str> {
        match given {
            Some(name) => {
                self.check_name(name);
                name.clone()
            }
            None => self.new_processor_name(prefix),
        }
    }
    /// The given name; an index is burned in any case.
    pub(crate) fn name_burning(&mut self, given: Option<&Arc<str>>, prefix: &str) -> Arc<str> {
        let generated = self.new_processor_name(prefix);
        match given {
            Some(name) => {
                self.check_name(name);
                name.clone()
            }
            None => generated,
        }
    }
    /// Names become parts of topic names, so the rules of topic names hold.
    pub(crate) fn check_name(&mut self, name: &Arc<str>) {
        if let Some(message) = name_problem(name) {
            self.violations.push(Violation {
                kind: super::ViolationKind::Topology,
                name: name.clone(),
                message,
            });
        }
    }
}

pub(crate) fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a name must not be empty".to_owned());
    }
    if name == "." || name == ".." {
        return Some("a name must not be `.` or `..`".to_owned());
    }
    if name.len() > 249 {
        return Some(format!(
            "a name has at most 249 characters, this one has {}",
            name.len()
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!name.chars().all(legal)).then(|| "a name has only ASCII letters, digits, `.`, `_` and `-`".to_owned())
}
