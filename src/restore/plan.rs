//! Where does restoring one store begin and end?

use crate::cluster::StartOffset;

/// What the broker said about a changelog partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChangelogBounds {
    pub(crate) first: i64,
    /// High watermark.
    pub(crate) end: i64,
}

/// What to do for one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorePlan {
    /// The local data does not fit the changelog: begin empty.
    pub(crate) wipe: bool,
    pub(crate) start: StartOffset,
    /// Done when the position is here.
    pub(crate) target: i64,
}

/// The changelog ends before what the state on disk, or what is committed, stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// `None`: it has held records, nobody here knows how many.
    pub(crate) stored: Option<i64>,
    pub(crate) end: i64,
}

impl StorePlan {
    /// As [`of`](Self::of), where a changelog that has lost records is noticed. `logged`: records of it are committed.
    pub(crate) fn checked(
        stored: Option<i64>,
        bounds: ChangelogBounds,
        limit: Option<i64>,
        logged: bool,
    ) -> Result<Self, Lost> {
        // A source topic is not ours: whoever makes it anew wants the table of the new one.
        let lost = limit.is_none() && (stored.is_some_and(|s| s > bounds.end) || (logged && bounds.end == 0));
        if lost {
            let end = bounds.end;
            return Err(Lost { stored, end });
        }
        Ok(Self::of(stored, bounds, limit))
    }

    /// `stored`: the changelog offset the database stands for. `limit`: a source topic serves as changelog, and only what
    /// has been processed belongs into the store.
    fn of(stored: Option<i64>, bounds: ChangelogBounds, limit: Option<i64>) -> Self {
        let target = limit.map_or(bounds.end, |l| l.min(bounds.end));
        match stored {
            // Behind the first record: what is missing was deleted, as retention does with old windows. Beyond the end:
            // another source topic has taken the name.
            Some(offset) if offset < bounds.first || offset > bounds.end => Self {
                wipe: true,
                start: StartOffset::Earliest,
                target,
            },
            // Local state knows more than what counts as processed (a source topic after a reset of its offsets).
            Some(offset) if limit.is_some_and(|l| offset > l) => Self {
                wipe: true,
                start: StartOffset::Earliest,
                target,
            },
            Some(offset) => Self {
                wipe: false,
                start: StartOffset::At(offset),
                target,
            },
            // Rows without an offset are what a crash left of wiping or restoring; usually there are none.
            None => Self {
                wipe: true,
                start: StartOffset::Earliest,
                target,
            },
        }
    }

    /// Nothing has to be read.
    pub(crate) fn is_done_at_once(&self, bounds: ChangelogBounds) -> bool {
        match self.start {
            StartOffset::At(offset) => offset >= self.target,
            StartOffset::Earliest | StartOffset::Latest => bounds.first >= self.target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ChangelogBounds = ChangelogBounds { first: 10, end: 20 };

    #[test]
    fn begins_where_the_database_stands() {
        let p = StorePlan::of(Some(15), BOUNDS, None);
        assert_eq!((p.wipe, p.start, p.target), (false, StartOffset::At(15), 20));
        assert!(!p.is_done_at_once(BOUNDS));
        assert!(StorePlan::of(Some(20), BOUNDS, None).is_done_at_once(BOUNDS));
    }

    #[test]
    fn unknown_state_begins_at_the_first_record() {
        let p = StorePlan::of(None, BOUNDS, None);
        assert_eq!((p.wipe, p.start), (true, StartOffset::Earliest));
        let empty = ChangelogBounds { first: 0, end: 0 };
        assert!(StorePlan::of(None, empty, None).is_done_at_once(empty));
    }

    #[test]
    fn state_whose_changelog_has_moved_on_is_wiped() {
        let p = StorePlan::of(Some(9), BOUNDS, None);
        assert_eq!((p.wipe, p.start), (true, StartOffset::Earliest));
        // A source topic that was created again is empty.
        let again = ChangelogBounds { first: 0, end: 0 };
        let p = StorePlan::checked(Some(5), again, Some(5), false).unwrap();
        assert!(p.wipe && p.is_done_at_once(again));
    }

    #[test]
    fn a_changelog_that_ends_too_early_is_lost() {
        let again = ChangelogBounds { first: 0, end: 0 };
        let lost = |stored, bounds, logged| StorePlan::checked(stored, bounds, None, logged).err();
        assert_eq!(
            lost(Some(21), BOUNDS, true),
            Some(Lost {
                stored: Some(21),
                end: 20
            })
        );
        assert_eq!(
            lost(Some(5), again, false),
            Some(Lost {
                stored: Some(5),
                end: 0
            })
        );
        assert_eq!(lost(None, again, true), Some(Lost { stored: None, end: 0 }));
        assert_eq!(lost(None, again, false), None, "nothing was ever written");
        assert_eq!(lost(None, BOUNDS, true), None, "it has what is missing here");
        assert_eq!(lost(Some(20), BOUNDS, true), None);
    }

    #[test]
    fn a_source_topic_counts_only_as_far_as_it_was_processed() {
        assert_eq!(StorePlan::of(Some(12), BOUNDS, Some(17)).target, 17);
        assert_eq!(StorePlan::of(Some(12), BOUNDS, Some(99)).target, 20);
        assert!(StorePlan::of(Some(18), BOUNDS, Some(17)).wipe);
        assert!(StorePlan::of(None, BOUNDS, Some(0)).is_done_at_once(BOUNDS));
    }
}
