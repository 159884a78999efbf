//! Processors that count, and when their schedules run.
use std::collections::BTreeMap;

use super::{super::plan::text, Message, World, queue::Heads};

/// A processor with its store.
pub(super) struct Counting {
    /// The node whose children take what it tells.
    node: usize,
    counts: BTreeMap<String, i64>,
}
impl Counting {
    pub(super) fn at(node: usize) -> Self {
        Self {
            node,
            counts: BTreeMap::new(),
        }
    }
}

/// When processors tell their counts: the times are kept in the same kind of queue as the heads of topics.
#[derive(Default)]
pub(super) struct Schedules {
    due: Heads,
    /// Interval of each processor.
    every: BTreeMap<usize, i64>,
}
impl Schedules {
    pub(super) fn add(&mut self, processor: usize, first: i64, every: i64) {
        self.every.insert(processor, every);
        self.due.push(first, processor);
    }
    /// The next one that is due.
    fn pop(&mut self, now: i64) -> Option<(i64, usize)> {
        let first = self.due.first()?;
        if first > now {
            return None;
        }
        Some((first, self.due.pop()?))
    }
    /// Runs that were missed are not made up for; those to come keep their distance.
    fn again(&mut self, was_due: i64, now: i64, processor: usize) {
        let every = self.every[&processor];
        let mut next = was_due + every;
        while next <= now {
            next += every;
        }
        self.due.push(next, processor);
    }
}

impl World {
    pub(super) fn count(&mut self, node: usize, processor: usize, m: &Message) {
        let mut count = 0;
        if let Some(key) = &m.key {
            let counts = &mut self.processors[processor].counts;
            count = counts.get(key).unwrap_or(&0) + 1;
            match &m.new {
                Some(_) => counts.insert(key.clone(), count),
                None => counts.remove(key),
            };
        }
        self.forward(node, &m.with_value(Some(format!("{}#{count}", text(&m.new)))));
    }
    fn tell_counts(&mut self, processor: usize, time: i64) {
        let Counting { node, counts } = &self.processors[processor];
        let node = *node;
        let told = counts.iter().map(|(key, count)| Message {
            key: Some(key.clone()),
            new: Some(format!("={count}")),
            time,
            ..Message::default()
        });
        let told: Vec<_> = told.collect();
        self.forward_all(node, &told);
    }
    pub(super) fn punctuate_stream(&mut self) {
        let now = self.stream_time;
        while let Some((was_due, processor)) = self.stream_schedules.pop(now) {
            self.tell_counts(processor, now);
            self.stream_schedules.again(was_due, now, processor);
        }
    }
    pub(super) fn punctuate_wall(&mut self) {
        let now = self.wall_clock;
        while let Some((was_due, processor)) = self.wall_schedules.pop(now) {
            self.tell_counts(processor, now);
            self.wall_schedules.again(was_due, now, processor);
        }
    }
}
