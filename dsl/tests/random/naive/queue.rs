//! What is next: the topic with the earliest head, the schedule that is due first; between equal ones whatever a
//! `java.util.PriorityQueue` does.

/// A binary heap of numbers by time.
#[derive(Default)]
pub(super) struct Heads(Vec<(i64, usize)>);

impl Heads {
    pub(super) fn push(&mut self, time: i64, topic: usize) {
        self.0.push((time, topic));
        let mut child = self.0.len() - 1;
        while child > 0 && self.0[child].0 < self.0[(child - 1) / 2].0 {
            self.0.swap(child, (child - 1) / 2);
            child = (child - 1) / 2;
        }
    }

    pub(super) fn first(&self) -> Option<i64> {
        self.0.first().map(|(time, _)| *time)
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let (_, topic) = self.0.swap_remove(0);
        let mut parent = 0;
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            let smaller = match (self.0.get(left), self.0.get(right)) {
                (None, _) => break,
                (Some(l), Some(r)) if r.0 < l.0 => right,
                _ => left,
            };
            if self.0[smaller].0 >= self.0[parent].0 {
                break;
            }
            self.0.swap(parent, smaller);
            parent = smaller;
        }
        Some(topic)
    }
}
