//! The files of the repository, with their text.
use std::fs;
use std::process::Command;

use crate::paths;
use crate::run::{Result, output};

/// A file of the repository.
pub(crate) struct File {
    /// Relative to the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Text files that are committed or would be.
pub(crate) fn tracked() -> Result<Vec<File>> {
    let root = paths::root();
    let mut git = Command::new("git");
    git.current_dir(&root)
        .args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = output(&mut git)?;
    // What git lists may have been deleted since, and what is no text has no lines to tidy.
    let read = |path: &str| {
        Some(File {
            path: path.to_owned(),
            text: fs::read_to_string(root.join(path)).ok()?,
        })
    };
    Ok(listed.lines().filter_map(read).collect())
}
