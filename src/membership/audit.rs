//! When to ask the group what it believes of this member.
//!
//! A heartbeat may arrive long after its sender has given up, or was killed and started again. The group answers it as any other,
//! with tasks to take or to give back, does not say so twice, and nobody hears it. What the group believes is not in a later
//! answer either, however complete the heartbeat; but the description of the group has it.
use super::Timing;

/// The times of looking: soon after something may have been left under way, then at ever longer intervals. What arrives some
/// time late is so noticed after not much more than twice that time.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// 0: not begun.
    pause_ms: i64,
    next_ms: i64,
    under_way: bool,
}

impl Audit {
    /// A request may be under way that nobody waits for any more.
    pub(super) fn restart(&mut self, now_ms: i64, timing: &Timing) {
        self.pause_ms = timing.first_look_ms;
        self.next_ms = now_ms.saturating_add(self.pause_ms);
    }

    /// The member is in. An earlier incarnation with the same id may have left something under way. What had begun goes on: who
    /// joins again because of what was seen does not look more often for that.
    pub(super) fn joined(&mut self, now_ms: i64, timing: &Timing) {
        if self.pause_ms == 0 {
            self.restart(now_ms, timing);
        }
    }

    pub(super) fn begin(&mut self) {
        self.under_way = true;
    }

    /// The answer has come, or none will.
    pub(super) fn end(&mut self, now_ms: i64, timing: &Timing) {
        self.under_way = false;
        self.pause_ms = self.pause_ms.saturating_mul(2).min(timing.longest_look_ms);
        self.next_ms = now_ms.saturating_add(self.pause_ms);
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// `i64::MAX`: not before the member is in.
    pub(super) fn next_ms(&self) -> i64 {
        if self.pause_ms == 0 { i64::MAX } else { self.next_ms }
    }
}
