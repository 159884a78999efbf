//! Which faults a simulation may draw.

use super::random::Random;

/// What may go wrong. Each seed draws from the allowed kinds which ones it uses and how often, so that rare combinations
/// come up, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// `kill -9`, and a new start on the same state directory.
    pub kills: bool,
    /// A kill together with the loss of state that was not synced to disk.
    pub power_cuts: bool,
    /// A kill together with the loss of the state directory.
    pub erased_disks: bool,
    /// An instance is stopped in order and started again.
    pub restarts: bool,
    /// A whole process stands still (SIGSTOP, suspended machine) and goes on later, maybe as a zombie.
    pub pauses: bool,
    /// One thread stands still while the others, heartbeats among them, go on.
    pub stalls: bool,
    /// Requests and answers are lost, or arrive long after their sender has given up.
    pub losses: bool,
    /// An instance reaches the cluster no more for a while.
    pub cut_offs: bool,
    /// Coordinators and leaders move: requests are refused for a while.
    pub moves: bool,
    /// The wall clock of an instance jumps by up to an hour in either direction.
    pub clock_jumps: bool,
    /// All instances stand still while time goes on: sessions and transactions expire.
    pub leaps: bool,
    /// Writes of committed state fail.
    pub disk_errors: bool,
    /// State reaches the disk for good in the background, at any moment.
    pub flushes: bool,
    /// Files of state cannot be read any more, while an instance runs or when it starts.
    pub damage: bool,
    /// A kill, after which the state directory is an old copy of itself.
    pub rollbacks: bool,
    /// Somebody else takes a transactional id of the application, and leaves it again.
    pub strangers: bool,
    /// The cluster tells a client that it was replaced, although it was not.
    pub refusals: bool,
    /// Topics are compacted, and forget what is too old.
    pub compactions: bool,
}

impl Faults {
    /// Every kind.
    pub fn all() -> Self {
        Self {
            kills: true,
            power_cuts: true,
            erased_disks: true,
            restarts: true,
            pauses: true,
            stalls: true,
            losses: true,
            cut_offs: true,
            moves: true,
            clock_jumps: true,
            leaps: true,
            disk_errors: true,
            flushes: true,
            damage: true,
            rollbacks: true,
            strangers: true,
            refusals: true,
            compactions: true,
        }
    }

    /// No faults: only the order of steps and the time messages take are left to chance.
    pub fn none() -> Self {
        Self {
            kills: false,
            power_cuts: false,
            erased_disks: false,
            restarts: false,
            pauses: false,
            stalls: false,
            losses: false,
            cut_offs: false,
            moves: false,
            clock_jumps: false,
            leaps: false,
            disk_errors: false,
            flushes: false,
            damage: false,
            rollbacks: false,
            strangers: false,
            refusals: false,
            compactions: false,
        }
    }

    /// The kinds one seed uses: each allowed one with a chance of two thirds.
    pub(super) fn draw(self, random: &mut Random) -> Self {
        let mut keep = |allowed: bool| {
            let drawn = random.chance(667);
            allowed && drawn
        };
        Self {
            kills: keep(self.kills),
            power_cuts: keep(self.power_cuts),
            erased_disks: keep(self.erased_disks),
            restarts: keep(self.restarts),
            pauses: keep(self.pauses),
            stalls: keep(self.stalls),
            losses: keep(self.losses),
            cut_offs: keep(self.cut_offs),
            moves: keep(self.moves),
            clock_jumps: keep(self.clock_jumps),
            leaps: keep(self.leaps),
            disk_errors: keep(self.disk_errors),
            flushes: keep(self.flushes),
            damage: keep(self.damage),
            rollbacks: keep(self.rollbacks),
            strangers: keep(self.strangers),
            refusals: keep(self.refusals),
            compactions: keep(self.compactions),
        }
    }
}
