//! The life of a task, as a table of transitions.

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Assigned; its committed offsets are being asked for.
    Created,
    /// The state updater brings its state up to date.
    Restoring,
    /// Processes records.
    Running,
    /// Given back: nothing is processed any more, the last commit is under way.
    Suspended,
    /// Gone.
    Closed,
}

impl Phase {
    /// Whether the step is part of a task's life.
    pub(crate) fn may_become(self, next: Self) -> bool {
        use Phase::*;
        matches!(
            (self, next),
            (Created, Restoring | Closed)
                | (Restoring, Running | Created | Closed)
                // Revived after an abort: back to the committed offsets, through the same door.
                | (Running, Created | Suspended | Closed)
                | (Suspended, Running | Closed)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::{self, *};

    #[test]
    fn nothing_comes_back_from_closed_and_nothing_runs_unrestored() {
        let all = [Created, Restoring, Running, Suspended, Closed];
        assert!(all.iter().all(|p| !Closed.may_become(*p)));
        let into_running: Vec<Phase> = all.into_iter().filter(|p| p.may_become(Running)).collect();
        assert_eq!(into_running, [Restoring, Suspended]);
        assert!(all.iter().filter(|p| **p != Closed).all(|p| p.may_become(Closed)));
    }
}
