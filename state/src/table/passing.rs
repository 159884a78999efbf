//! Which rows can the database not have, where keys begin with a time? Those behind its last one: most rows of such a store
//! are later than all before them, and many go before a commit has written them.
use std::ops::Bound;

use crate::Result;
use crate::database::Database;
use crate::packed::Key;

/// The rows of a store through which time passes: none comes again once it has gone.
#[derive(Default)]
pub(super) enum Passing {
    /// It is a store of another kind.
    #[default]
    Not,
    /// The database has not been asked yet.
    Unknown,
    /// The database has no row behind this one; `None`: it has none at all.
    UpTo(Option<Key>),
}

impl Passing {
    pub(super) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Asks the database.
    pub(super) fn learn(&mut self, database: &dyn Database, family: usize) -> Result<()> {
        let last = database.page(family, (Bound::Unbounded, Bound::Unbounded), true, 1)?;
        *self = Self::UpTo(last.first().map(|(key, _)| (&**key).into()));
        Ok(())
    }

    /// Whether the database certainly has no such row.
    pub(super) fn lacks(&self, key: &[u8]) -> bool {
        match self {
            Self::Not | Self::Unknown => false,
            Self::UpTo(last) => last.as_ref().is_none_or(|last| key > &**last),
        }
    }

    /// Whether the database certainly has no row from a bound on.
    pub(super) fn lacks_from(&self, lo: Bound<&[u8]>) -> bool {
        match lo {
            Bound::Included(lo) | Bound::Excluded(lo) => self.lacks(lo),
            Bound::Unbounded => matches!(self, Self::UpTo(None)),
        }
    }

    /// The database has got a row.
    pub(super) fn stored(&mut self, key: &[u8]) {
        if self.lacks(key) {
            *self = Self::UpTo(Some(key.into()));
        }
    }

    pub(super) fn forget(&mut self) {
        if !matches!(self, Self::Not) {
            *self = Self::Unknown;
        }
    }
}
