//! The state directory: `<state dir>/<application id>/<task id>`, with a lock and the identity of the instance.
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Result, StateError};

const LOCK_FILE: &str = ".lock";
/// Name and content are those of Kafka Streams, so that a directory can be taken over.
const IDENTITY_FILE: &str = "kafka-streams-process-metadata";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    process_id: String,
}

/// The directory of an application, locked for this instance until dropped.
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

/// A fresh identity.
pub(crate) fn new_process_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

impl Directory {
    pub(crate) fn open(state_dir: &Path, application_id: &str) -> Result<Self> {
        check_name(application_id)?;
        let path = state_dir.join(application_id);
        let denied = |source: io::Error| StateError::ReadOnly {
            path: path.clone(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(denied)?;
        let lock = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(denied)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked { path }),
            Err(TryLockError::Error(source)) => Err(StateError::Io { path, source }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The identity kept in the directory; made on the first start.
    pub(crate) fn process_id(&self) -> Result<String> {
        let path = self.path.join(IDENTITY_FILE);
        match fs::read(&path) {
            Ok(bytes) => {
                let identity: Identity = serde_json::from_slice(&bytes).map_err(|error| StateError::Identity {
                    path,
                    message: error.to_string(),
                })?;
                Ok(identity.process_id)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.write_process_id(&path),
            Err(source) => Err(StateError::Io { path, source }),
        }
    }

    /// Written aside and renamed: a crash leaves either nothing or all of it.
    fn write_process_id(&self, path: &Path) -> Result<String> {
        let process_id = new_process_id();
        let denied = |source: io::Error| StateError::ReadOnly {
            path: path.to_owned(),
            source,
        };
        let aside = path.with_extension("tmp");
        let identity = Identity {
            process_id: process_id.clone(),
        };
        let bytes = serde_json::to_vec(&identity).map_err(|error| denied(error.into()))?;
        fs::write(&aside, bytes).map_err(denied)?;
        File::open(&aside).and_then(|file| file.sync_all()).map_err(denied)?;
        fs::rename(&aside, path).map_err(denied)?;
        Ok(process_id)
    }

    pub(crate) fn task(&self, task: &str) -> Result<PathBuf> {
        check_name(task)?;
        Ok(self.path.join(task))
    }

    pub(crate) fn tasks(&self) -> Result<Vec<String>> {
        let failed = |source: io::Error| StateError::Io {
            path: self.path.clone(),
            source,
        };
        let mut tasks = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() && is_task(&name) {
                tasks.push(name);
            }
        }
        tasks.sort();
        Ok(tasks)
    }

    pub(crate) fn wipe(&self, task: &str) -> Result<()> {
        let path = self.task(task)?;
        match fs::remove_dir_all(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StateError::Io { path, source }),
            _ => Ok(()),
        }
    }
}

fn is_task(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('_')
        .is_some_and(|(subtopology, partition)| number(subtopology) && number(partition))
}

/// Names become directories: nothing that could lead out of the state directory.
fn check_name(name: &str) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = !name.is_empty() && name.len() <= 249 && name.bytes().all(legal) && name != "." && name != "..";
    if good {
        Ok(())
    } else {
        Err(StateError::InvalidName(name.chars().take(249).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_refused_and_the_identity_stays() {
        let root = tempfile::tempdir().unwrap();
        let first = Directory::open(root.path(), "app").unwrap();
        let identity = first.process_id().unwrap();
        let second = Directory::open(root.path(), "app");
        assert!(matches!(second, Err(StateError::Locked { path }) if path.ends_with("app")));
        drop(first);
        assert_eq!(
            Directory::open(root.path(), "app").unwrap().process_id().unwrap(),
            identity
        );
    }

    #[test]
    fn names_cannot_lead_out_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", "../x", "ü"] {
            assert!(
                matches!(Directory::open(root.path(), name), Err(StateError::InvalidName(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn a_damaged_identity_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path(), "app").unwrap();
        fs::write(directory.path().join(IDENTITY_FILE), "{").unwrap();
        let error = directory.process_id().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(IDENTITY_FILE) && text.contains("delete that file"),
            "{text}"
        );
        assert!(!text.contains("wipe") && !error.is_damage(), "no task has to go for it");
    }

    #[test]
    fn only_task_directories_count_as_tasks() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path(), "app").unwrap();
        for name in ["0_1", "12_0", "global", "0_x"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        assert_eq!(directory.tasks().unwrap(), ["0_1", "12_0"]);
        directory.wipe("0_1").unwrap();
        directory.wipe("0_1").unwrap();
        assert_eq!(directory.tasks().unwrap(), ["12_0"]);
    }
}
