//! Which rows can the database have that are not in memory? None behind a certain one.
use super::Place;
use crate::Result;
use crate::database::Database;

/// How far the database may have rows that are not in memory.
#[derive(Default)]
pub(super) enum Stored {
    /// It has not been asked yet.
    #[default]
    Unknown,
    /// Up to this one, included; `None`: it has none.
    UpTo(Option<Place>),
}

impl Stored {
    /// Asks the database, unless it is known.
    pub(super) fn learn(&mut self, database: &dyn Database, family: usize) -> Result<()> {
        if matches!(self, Self::Unknown) {
            let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
            let last = database.page(family, all, true, 1)?;
            *self = Self::UpTo(last.first().map(|(key, _)| Place::of(key)));
        }
        Ok(())
    }

    /// Whether the database certainly has no row of this place or behind it, except for those in memory.
    pub(super) fn lacks_from(&self, place: &Place) -> bool {
        match self {
            Self::Unknown => false,
            Self::UpTo(last) => last.as_ref().is_none_or(|last| place > last),
        }
    }

    /// A row of the database is not in memory any more.
    pub(super) fn left(&mut self, place: Place) {
        if self.lacks_from(&place) {
            *self = Self::UpTo(Some(place));
        }
    }
}
