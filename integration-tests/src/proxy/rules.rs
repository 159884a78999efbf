//! Which frames are disturbed, and how.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::Shared;
use super::frame::RequestHead;

/// Whether the request or its answer is disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On its way to the broker: a disturbed request is never applied, or later.
    Request,
    /// On its way back: the broker has done what it was asked.
    Answer,
}

/// What happens to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It disappears; the connection stays.
    Drop,
    /// It disappears and the connection ends.
    Cut,
    /// Only its first bytes arrive, then the connection ends.
    CutAfter(usize),
    /// It arrives later; frames behind it wait.
    Delay(Duration),
    /// As on a slow line: it takes up to so long, another time with each frame, and longer the longer it is.
    Slow(Line),
    /// The client's connection ends. The request lies in some buffer of the network until [`Armed::release`], and then
    /// arrives at the broker over the old connection. Only for requests.
    Hold,
    /// Every error code in the answer becomes this one. Only for answers.
    Rewrite(i16),
}

/// A slow line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// A frame takes up to so long,
    pub latency: Duration,
    /// and then this many bytes arrive in a second.
    pub bytes_per_second: u32,
}

impl Line {
    /// What the `n`-th frame takes. Latencies are spread evenly, and are the same ones in each run.
    fn delay(self, n: u64, bytes: usize) -> Duration {
        const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
        let part = (n as f64 * GOLDEN_RATIO).fract();
        self.latency.mul_f64(part) + Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second.max(1)))
    }
}

/// A description of frames, and what happens to them.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `None`: of any API.
    api_key: Option<i16>,
    side: Side,
    action: Action,
    client: String,
    broker: Option<usize>,
    commits: Option<bool>,
    skip: u64,
    times: u64,
}

impl Rule {
    /// The next frame of that API, whoever sends it.
    pub fn new(api_key: i16, side: Side, action: Action) -> Self {
        Self {
            api_key: Some(api_key),
            side,
            action,
            client: String::new(),
            broker: None,
            commits: None,
            skip: 0,
            times: 1,
        }
    }

    /// Every frame on that side, as long as the rule is in force.
    pub fn every(side: Side, action: Action) -> Self {
        Self {
            api_key: None,
            times: u64::MAX,
            ..Self::new(0, side, action)
        }
    }

    /// Only of clients whose id begins with this.
    #[must_use]
    pub fn client(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.client);
        self
    }

    /// Only to or from this broker, counted from 0.
    #[must_use]
    pub fn broker(mut self, broker: usize) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Of EndTxn, only those that commit, or only those that abort.
    #[must_use]
    pub fn commits(mut self, commits: bool) -> Self {
        self.commits = Some(commits);
        self
    }

    /// So many frames go by first.
    #[must_use]
    pub fn skip(mut self, frames: u64) -> Self {
        self.skip = frames;
        self
    }

    /// At most so many frames are disturbed (default 1).
    #[must_use]
    pub fn times(mut self, frames: u64) -> Self {
        self.times = frames;
        self
    }

    fn describes(&self, side: Side, broker: usize, head: &RequestHead) -> bool {
        self.side == side
            && self.api_key.is_none_or(|key| key == head.api_key)
            && self.broker.is_none_or(|b| b == broker)
            && head.client_id.starts_with(&self.client)
            && self.commits.is_none_or(|c| head.commits == Some(c))
    }
}

/// A rule with its counts.
pub(super) struct ActiveRule {
    rule: Rule,
    met: AtomicU64,
    matched: AtomicU64,
    pub(super) released: Notify,
    /// What the broker answered to a held request, once it was released.
    late_answer: Mutex<Option<Vec<u8>>>,
}

impl ActiveRule {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            met: AtomicU64::new(0),
            matched: AtomicU64::new(0),
            released: Notify::new(),
            late_answer: Mutex::default(),
        }
    }

    pub(super) fn action_on(&self, side: Side, broker: usize, head: &RequestHead) -> Option<Action> {
        if !self.rule.describes(side, broker, head) {
            return None;
        }
        let met = self.met.fetch_add(1, Ordering::Relaxed);
        let disturbed = met >= self.rule.skip && met - self.rule.skip < self.rule.times;
        disturbed.then(|| {
            self.matched.fetch_add(1, Ordering::Relaxed);
            self.rule.action
        })
    }

    /// A frame that matched could not be disturbed as it should have been: it does not count.
    pub(super) fn not_done(&self) {
        self.matched.fetch_sub(1, Ordering::Relaxed);
    }

    /// How long a frame takes that this rule delays.
    pub(super) fn delay(&self, bytes: usize) -> Duration {
        match self.rule.action {
            Action::Delay(time) => time,
            Action::Slow(line) => line.delay(self.matched.load(Ordering::Relaxed), bytes),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn answered_late(&self, answer: Vec<u8>) {
        *self.late_answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

/// A rule in force; dropped, it is in force no more, and what it holds is released.
pub struct Armed {
    active: Arc<ActiveRule>,
    shared: Arc<Shared>,
}

impl Armed {
    pub(super) fn new(active: Arc<ActiveRule>, shared: Arc<Shared>) -> Self {
        Self { active, shared }
    }

    /// Frames disturbed so far. Zero at the end: the fault was not injected.
    pub fn matched(&self) -> u64 {
        self.active.matched.load(Ordering::Relaxed)
    }

    /// Waits until so many frames were disturbed.
    pub fn wait_matched(&self, frames: u64, limit: Duration) -> bool {
        wait(limit, || self.matched() >= frames)
    }

    /// Lets a held request go on to the broker.
    pub fn release(&self) {
        // Stored if the holder does not wait yet.
        self.active.released.notify_one();
    }

    /// Waits for what the broker says to a request that was held and released: the frame, beginning with its correlation id.
    pub fn late_answer(&self, limit: Duration) -> Option<Vec<u8>> {
        let taken = || {
            self.active
                .late_answer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        };
        wait(limit, || taken().is_some());
        taken()
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.shared.remove_rule(&self.active);
        self.release();
    }
}

fn wait(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Which connections hear nothing.
#[derive(Clone, Debug, Default)]
pub struct Wall {
    /// Only of clients whose id begins with this; empty: of all.
    pub client: String,
    /// Only to these brokers; `None`: to all.
    pub brokers: Option<Vec<usize>>,
    /// `None`: both directions.
    pub side: Option<Side>,
}

impl Wall {
    pub(super) fn stands_before(&self, side: Side, broker: usize, client_id: &str) -> bool {
        self.side.is_none_or(|s| s == side)
            && self.brokers.as_ref().is_none_or(|all| all.contains(&broker))
            && client_id.starts_with(&self.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(api_key: i16, client: &str) -> RequestHead {
        RequestHead {
            api_key,
            version: 1,
            correlation: 0,
            client_id: client.to_owned(),
            commits: Some(true),
        }
    }

    #[test]
    fn a_rule_acts_on_the_nth_frame_of_its_client_only() {
        let rule = Rule::new(26, Side::Request, Action::Drop)
            .client("a")
            .broker(1)
            .skip(1)
            .times(2);
        let active = ActiveRule::new(rule);
        let ask = |broker, client| active.action_on(Side::Request, broker, &head(26, client)).is_some();
        let seen = [(1, "a1"), (1, "b"), (0, "a1"), (1, "a2"), (1, "a1"), (1, "a1")].map(|(b, c)| ask(b, c));
        assert_eq!(seen, [false, false, false, true, true, false]);
        assert_eq!(active.matched.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn frames_of_a_slow_line_take_all_times_up_to_its_latency_and_long_ones_longer() {
        let line = Line {
            latency: Duration::from_millis(400),
            bytes_per_second: 1_000,
        };
        let mut times: Vec<u128> = (0..100).map(|n| line.delay(n, 50).as_millis()).collect();
        times.sort_unstable();
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.max() < Some(10), "{times:?}");
        assert!(times[0] == 50 && times[99] < 450);
        let every = ActiveRule::new(Rule::every(Side::Answer, Action::Slow(line)).client("a"));
        assert!(every.action_on(Side::Answer, 2, &head(1, "a1")).is_some());
        assert!(every.action_on(Side::Answer, 0, &head(26, "b")).is_none());
        assert!(every.action_on(Side::Request, 0, &head(1, "a1")).is_none());
        assert_eq!(every.delay(1_000).as_secs(), 1);
    }

    #[test]
    fn commits_and_aborts_are_told_apart() {
        let aborts = ActiveRule::new(Rule::new(26, Side::Answer, Action::Cut).commits(false));
        assert_eq!(aborts.action_on(Side::Answer, 0, &head(26, "a")), None);
    }
}
