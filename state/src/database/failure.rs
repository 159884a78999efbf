//! A database cannot be opened: is another instance in the way, is the machine at fault, or are the files damaged?
//!
//! The answer decides between "wait", "look at the machine" and "wipe the task", so what a path happens to be called must
//! not have a say in it.
use std::io;
use std::path::Path;

use crate::StateError;

/// The beginnings of what RocksDB says of its lock file.
const LOCKED: [&str; 2] = ["While lock file", "lock hold by current process"];
const DENIED: [&str; 2] = ["Permission denied", "Read-only file system"];
const FULL: &str = "No space left on device";
const MISSING: &str = "No such file or directory";

/// `message` is the text of RocksDB, `is_io` its class.
pub(crate) fn opening(path: &Path, is_io: bool, message: &str) -> StateError {
    let path = path.to_owned();
    let damaged = StateError::Damaged {
        path: path.clone(),
        message: message.to_owned(),
    };
    if !is_io {
        return damaged;
    }
    let text = message.replace(&*path.to_string_lossy(), "");
    let text = text.strip_prefix("IO error: ").unwrap_or(&text);
    let system = |kind| io::Error::new(kind, message.to_owned());
    if DENIED.iter().any(|denied| text.contains(denied)) {
        let source = system(io::ErrorKind::PermissionDenied);
        StateError::ReadOnly { path, source }
    } else if LOCKED.iter().any(|locked| text.starts_with(locked)) {
        StateError::Locked { path }
    } else if text.contains(MISSING) {
        // A missing file is an I/O error for RocksDB, but damage for us.
        damaged
    } else {
        let full = text.contains(FULL);
        let source = system(if full {
            io::ErrorKind::StorageFull
        } else {
            io::ErrorKind::Other
        });
        StateError::Io { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str, is_io: bool, message: &str) -> &'static str {
        match opening(Path::new(path), is_io, message) {
            StateError::Locked { .. } => "locked",
            StateError::ReadOnly { .. } => "read-only",
            StateError::Io { .. } => "machine",
            StateError::Damaged { .. } => "damaged",
            _ => "other",
        }
    }

    #[test]
    fn what_rocksdb_says_of_its_lock_is_locked() {
        let held = "IO error: lock hold by current process, acquire time 1 acquiring thread 2: /s/app/0_0/LOCK: No locks available";
        let other = "IO error: While lock file: /s/app/0_0/LOCK: Resource temporarily unavailable";
        assert_eq!(kind("/s/app/0_0", true, held), "locked");
        assert_eq!(kind("/s/app/0_0", true, other), "locked");
    }

    #[test]
    fn the_path_has_no_say() {
        for path in [
            "/clock",
            "/block",
            "/LOCK",
            "/While lock file",
            "/Permission denied",
            "/No space left on device",
        ] {
            let missing =
                format!("IO error: No such file or directory: While open a file for random read: {path}/1.sst: x");
            assert_eq!(kind(path, true, &missing), "damaged", "{path}");
            let broken = format!("Corruption: {path}/MANIFEST-1");
            assert_eq!(kind(path, false, &broken), "damaged", "{path}");
        }
    }

    #[test]
    fn a_fault_of_the_machine_wipes_nothing() {
        let message = |what: &str| format!("IO error: While open a file for appending: /s/0_0/1.log: {what}");
        assert_eq!(kind("/s/0_0", true, &message("Too many open files")), "machine");
        assert_eq!(kind("/s/0_0", true, &message("Input/output error")), "machine");
        assert_eq!(kind("/s/0_0", true, &message("No space left on device")), "machine");
        assert_eq!(kind("/s/0_0", true, &message("Read-only file system")), "read-only");
    }
}
