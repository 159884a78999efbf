//! The life of a task, as a table of transitions. A task that is gone has no phase.

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Assigned; its committed offsets are being asked for.
    Created,
    /// The state updater opens its database and brings it up to date.
    Restoring,
    /// Processes records. While a commit is under way the whole thread rests, so that there is no phase for that.
    Running,
}

impl Phase {
    /// Whether the step is part of a task's life.
    pub(crate) fn may_become(self, next: Self) -> bool {
        // Back to the start after an abort or a failed restore: from the committed offsets, through the same door.
        matches!(
            (self, next),
            (Self::Created, Self::Restoring)
                | (Self::Restoring, Self::Running | Self::Created)
                | (Self::Running, Self::Created)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Phase::{self, *};

    #[test]
    fn nothing_runs_unrestored() {
        let into_running: Vec<Phase> = [Created, Restoring, Running]
            .into_iter()
            .filter(|p| p.may_become(Running))
            .collect();
        assert_eq!(into_running, [Restoring]);
        assert!(!Created.may_become(Created));
    }
}
