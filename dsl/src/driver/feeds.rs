//! Which source reads a topic? By name, or by the pattern of a source.
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use regex_lite::Regex;
use rustc_hash::FxHasher;

use super::error::{DriverError, Result};
use crate::engine::{SourceIndex, TopicRef};

/// Where the records of a topic go.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) source: SourceIndex,
    /// The name, where the source reads topics by a pattern.
    pub(super) topic: Option<Rc<str>>,
}

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

    pub(super) fn of(&self, topic: &str) -> Option<Feed> {
        if let Some(source) = self.by_name.get(topic) {
            let (source, topic) = (*source, None);
            return Some(Feed { source, topic });
        }
        let (_, source) = self.patterns.iter().find(|(pattern, _)| pattern.is_match(topic))?;
        Some(Feed {
            source: *source,
            topic: Some(topic.into()),
        })
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }
}
