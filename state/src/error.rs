//! What can go wrong with state, told apart by what to do next.
use std::path::PathBuf;

/// An error of a store or its database. Never holds keys or values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process (or another instance in this one) uses the directory.
    #[error("{} is locked by another instance; give every instance a state directory of its own", path.display())]
    Locked {
        /// The locked directory.
        path: PathBuf,
    },
    /// The directory cannot be written.
    #[error("{} cannot be written: {source}; make it writable or choose another state directory", path.display())]
    ReadOnly {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Files are damaged or missing; the task must be wiped and restored from its changelogs.
    #[error("{} is damaged ({message}); wipe the task, it is restored from its changelogs", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What the database said.
        message: String,
    },
    /// The file with the identity of the instance is damaged.
    #[error("{} is damaged ({message}); delete that file: the instance then starts under a new identity", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The topology has changed the kind of a store whose rows are on disk.
    #[error(
        "{}: store {store} holds rows of a {found} store, and the topology now says {wanted}; give the changed store a \
         new name, or reset the application",
        path.display()
    )]
    Incompatible {
        /// The database.
        path: PathBuf,
        /// Name of the store.
        store: String,
        /// What is on disk.
        found: String,
        /// What the topology asks for.
        wanted: String,
    },
    /// Another failure of the file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused a read or write.
    #[error("database: {0}")]
    Database(String),
    /// A write failed earlier: nothing more is accepted, the task must be closed and opened again.
    #[error("an earlier write failed, the store accepts nothing more; close the task and open it again")]
    Poisoned,
    /// The task has been closed.
    #[error("the state of the task has been closed")]
    Closed,
    /// A name that cannot be used for a directory.
    #[error("{0:?} cannot be a name of an application or task: use letters, digits, '.', '_' and '-'")]
    InvalidName(String),
    /// A processor of a task writes to a store that is filled from a topic of its own.
    #[error("store {store} is global and only read here; write to its topic instead")]
    ReadOnlyStore {
        /// Name of the store.
        store: String,
    },
    /// A store that all tasks read has failed: opening the task anew does not help.
    #[error("store {store} is global and cannot be read: {source}; start the application again")]
    Global {
        /// Name of the store.
        store: String,
        /// What failed.
        source: Box<StateError>,
    },
    /// A row has another shape than its store writes.
    #[error("store {store}: a row is too short")]
    MalformedRow {
        /// Name of the store.
        store: String,
    },
    /// The changelog did not take a write.
    #[error("the changelog refused a write: {0}")]
    Changelog(String),
}

/// Result of stores.
pub type Result<T> = std::result::Result<T, StateError>;

impl StateError {
    /// Whether wiping and restoring the task helps.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::MalformedRow { .. })
    }
}
