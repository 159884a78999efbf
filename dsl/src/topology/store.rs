//! Stores of a topology and the configs of their changelogs.
use std::{any::Any, sync::Arc};

use millstream_state::{StoreKind, StoreSpec};

use crate::store::StoreSerdes;

use super::InternalTopic;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A store of a task and the topic behind it.
#[derive(Clone, Debug)]
pub struct StoreDefinition {
    /// What to open.
    pub spec: StoreSpec,
    /// Its own changelog.
    pub changelog: Option<InternalTopic>,
    /// The source topic that serves as its changelog.
    pub source_changelog: Option<Arc<str>>,
}

/// A store while the topology is built.
#[derive(Clone)]
pub(crate) struct StoreBuilder {
    /// What to open.
    pub(crate) spec: StoreSpec,
    /// Configs of the changelog topic that replace or join the usual ones.
    pub(crate) topic_config: Vec<(String, String)>,
    /// The input topic that serves as changelog, without one of its own.
    pub(crate) source_changelog: Option<Arc<str>>,
    /// Whether the rows live where the application keeps them by default, and not where `spec` says.
    pub(crate) default_backend: bool,
    /// A `StoreSerdes<K, V>`, for the handles of processors.
    pub(crate) serdes: Option<Arc<dyn Any + Send + Sync>>,
}

impl StoreBuilder {
    /// A store with the usual changelog.
    pub(crate) fn new(spec: StoreSpec) -> Self {
        Self {
            spec,
            topic_config: Vec::new(),
            source_changelog: None,
            default_backend: false,
            serdes: None,
        }
    }
    /// Whether both are one definition, added twice, and not two definitions of one name.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.serdes, &other.serdes) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => self.spec.kind == other.spec.kind,
        }
    }
    /// Serdes of the rows, so that processors can have typed handles.
    #[must_use]
    pub(crate) fn with_serdes<K: 'static, V: 'static>(mut self, serdes: StoreSerdes<K, V>) -> Self {
        self.serdes = Some(Arc::new(serdes));
        self
    }
    /// A config of the changelog topic.
    #[must_use]
    pub(crate) fn topic_config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.topic_config.push((key.into(), value.into()));
        self
    }
    pub(crate) fn define(&self) -> StoreDefinition {
        let own = self.spec.logging && self.source_changelog.is_none();
        StoreDefinition {
            // Without a changelog of its own nothing is logged.
            spec: StoreSpec {
                logging: own,
                ..self.spec.clone()
            },
            changelog: own.then(|| InternalTopic {
                name: format!("{}-changelog", self.spec.name).into(),
                partitions: None,
                config: self.changelog_config(),
            }),
            source_changelog: self.source_changelog.clone(),
        }
    }
    fn changelog_config(&self) -> Vec<(String, String)> {
        let mut config = vec![("message.timestamp.type".to_owned(), "CreateTime".to_owned())];
        let mut set = |key: &str, value: String| match config.iter_mut().find(|(k, _)| k == key) {
            Some(entry) => entry.1 = value,
            None => config.push((key.to_owned(), value)),
        };
        match &self.spec.kind {
            // Those with times are compacted all the same, as in Kafka Streams, which asks only its plain store.
            StoreKind::Window {
                retention_ms,
                retain_duplicates: true,
                timestamped: false,
                ..
            } => {
                // Keys carry a sequence number: there is nothing to compact.
                set("cleanup.policy", "delete".to_owned());
                set("retention.ms", retention_ms.saturating_add(DAY_MS).to_string());
            }
            StoreKind::Window { retention_ms, .. } | StoreKind::Session { retention_ms, .. } => {
                set("cleanup.policy", "compact,delete".to_owned());
                set("retention.ms", retention_ms.saturating_add(DAY_MS).to_string());
            }
            StoreKind::Versioned {
                history_retention_ms, ..
            } => {
                set("cleanup.policy", "compact".to_owned());
                set(
                    "min.compaction.lag.ms",
                    history_retention_ms.saturating_add(DAY_MS).to_string(),
                );
            }
            StoreKind::KeyValue { .. }
            | StoreKind::Lru { .. }
            | StoreKind::Raw
            | StoreKind::Suppress
            | StoreKind::RecordBuffer => {
                set("cleanup.policy", "compact".to_owned());
            }
        }
        for (key, value) in &self.topic_config {
            set(key, value.clone());
        }
        config.sort();
        config
    }
}
