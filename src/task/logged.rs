//! Has a changelog lost what was written to it?
//!
//! The broker makes a deleted changelog anew, empty, without a word. Two things tell: its offsets go back while a task writes to
//! it; and the committed offsets say, in their metadata, of which stores there are records. The second holds also where the disk of
//! the instance holds nothing to compare with.

use std::{collections::BTreeSet, sync::Arc};

use super::{CommittedInput, CommittedMetadata};
use crate::{
    error::{Error, ErrorKind, Result},
    state::StoreIndex,
};

/// Begins the name of a store among the processors' values of the metadata.
const LOGGED: &str = "millstream-logged/";

/// A store with a changelog of its own.
pub(crate) struct LoggedStore {
    pub(crate) store: StoreIndex,
    pub(crate) name: Arc<str>,
    pub(crate) changelog: Arc<str>,
    /// Changelog offset (next to write) its rows stand for; `None`: nothing was ever written.
    pub(crate) position: Option<i64>,
}

impl LoggedStore {
    /// What the metadata says once there are records.
    pub(super) fn mark(&self) -> Option<(String, i64)> {
        let written = self.position.is_some_and(|p| p > 0);
        written.then(|| (format!("{LOGGED}{}", self.name), 1))
    }

    /// The next commit has moved the changelog to this offset.
    pub(super) fn advance(&mut self, position: i64, partition: i32) -> Result<()> {
        match self.position.replace(position) {
            Some(before) if position < before => {
                let message =
                    format!("the changelog has gone back from offset {before} to {position}: it was created again");
                Err(Error::new(ErrorKind::ChangelogLost, message).at(self.changelog.clone(), partition))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a value of the metadata is one of ours, and no processor's.
pub(super) fn is_mark(name: &str) -> bool {
    name.starts_with(LOGGED)
}

/// The stores of whose changelogs the committed offsets say that they have records.
pub(crate) fn logged_stores(inputs: &[CommittedInput]) -> BTreeSet<String> {
    let metadata = inputs.iter().filter_map(|i| i.committed.as_ref());
    metadata
        .flat_map(|(_, text)| CommittedMetadata::decode(text).processors)
        .filter_map(|(name, _)| name.strip_prefix(LOGGED).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::TopicPartition,
        dsl::engine::{OffsetReset, SourceIndex},
    };

    fn store(position: Option<i64>) -> LoggedStore {
        LoggedStore {
            store: StoreIndex(0),
            name: "counts".into(),
            changelog: "app-counts-changelog".into(),
            position,
        }
    }

    fn committed(processors: Vec<(String, i64)>) -> CommittedInput {
        let metadata = CommittedMetadata {
            partition_time: 1,
            processors,
        };
        CommittedInput {
            partition: TopicPartition {
                topic: "in".into(),
                partition: 0,
            },
            source: SourceIndex(0),
            committed: Some((7, metadata.encode())),
            reset: OffsetReset::Earliest,
            since: None,
        }
    }

    #[test]
    fn what_a_store_has_written_is_found_in_the_metadata_under_its_name_only() {
        let inputs = [
            committed(Vec::new()),
            committed(store(Some(3)).mark().into_iter().collect()),
        ];
        assert_eq!(logged_stores(&inputs), BTreeSet::from(["counts".to_owned()]));
        assert_eq!(logged_stores(&inputs[..1]), BTreeSet::new());
        assert_eq!((store(None).mark(), store(Some(0)).mark()), (None, None));
    }

    #[test]
    fn a_changelog_that_goes_back_was_created_again() {
        let mut logged = store(None);
        logged.advance(5, 0).unwrap();
        logged.advance(5, 0).unwrap();
        let error = logged.advance(2, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChangelogLost);
        assert_eq!(error.context().topic.as_deref(), Some("app-counts-changelog"));
    }
}
