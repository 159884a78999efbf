//! Which source reads a topic? By name, or by the pattern of a source.
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use regex_lite::Regex;
use rustc_hash::FxHasher;

use super::error::{DriverError, Result};
use crate::engine::{SourceIndex, TopicRef};

/// The sources of a topology.
#[derive(Default)]
pub(super) struct Feeds {
    by_name: HashMap<String, SourceIndex, BuildHasherDefault<FxHasher>>,
    patterns: Vec<(Regex, SourceIndex)>,
}

impl Feeds {
    pub(super) fn new(sources: &[TopicRef], application_id: &str) -> Result<Self> {
        let mut feeds = Self::default();
        for (index, topic) in (0u32..).map(SourceIndex).zip(sources) {
            let name = topic.full_name(application_id);
            if topic.is_pattern() {
                let whole = Regex::new(&format!("^(?:{name})$"));
                let whole = whole.map_err(|e| DriverError::Pattern {
                    pattern: name.clone(),
                    source: e.into(),
                })?;
                feeds.patterns.push((whole, index));
            }
            feeds.by_name.insert(name, index);
        }
        Ok(feeds)
    }

    pub(super) fn of(&self, topic: &str) -> Option<SourceIndex> {
        let by_pattern = || {
            self.patterns
                .iter()
                .find(|(pattern, _)| pattern.is_match(topic))
                .map(|(_, i)| *i)
        };
        self.by_name.get(topic).copied().or_else(by_pattern)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }
}
