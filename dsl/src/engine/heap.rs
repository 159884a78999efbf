//! What comes first of several things with a time, and which of those that come at once.
//!
//! Kafka Streams keeps topics by the time of their heads, and schedules by when they are due, in a `java.util.PriorityQueue`.
//! Which of equal ones it gives first shows in the order of results, so this heap moves its entries as that one does.

/// A binary heap, earliest first.
#[derive(Clone, Debug)]
pub(crate) struct TimeHeap<T> {
    entries: Vec<(i64, T)>,
}
impl<T> Default for TimeHeap<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> TimeHeap<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// The earliest time.
    pub(crate) fn first(&self) -> Option<i64> {
        self.entries.first().map(|(time, _)| *time)
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.entries.iter().map(|(time, entry)| (*time, entry))
    }
    fn is_earlier(&self, one: usize, two: usize) -> bool {
        let time = |at: usize| self.entries.get(at).map(|(time, _)| *time);
        time(one).is_some_and(|one| time(two).is_some_and(|two| one < two))
    }

    /// Rises while strictly earlier than the parent.
    pub(crate) fn push(&mut self, time: i64, entry: T) {
        self.entries.push((time, entry));
        let mut at = self.entries.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.is_earlier(at, parent) {
                break;
            }
            self.entries.swap(at, parent);
            at = parent;
        }
    }

    /// The last entry goes to the root and sinks below the earlier child (the left one of equal ones).
    pub(crate) fn pop(&mut self) -> Option<(i64, T)> {
        if self.entries.is_empty() {
            return None;
        }
        let top = self.entries.swap_remove(0);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.is_earlier(right, left) { right } else { left };
            if !self.is_earlier(child, at) {
                break;
            }
            self.entries.swap(at, child);
            at = child;
        }
        Some(top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(times: &[i64]) -> Vec<usize> {
        let mut heap = TimeHeap::default();
        for (i, time) in times.iter().enumerate() {
            heap.push(*time, i);
        }
        std::iter::from_fn(|| heap.pop()).map(|(_, i)| i).collect()
    }

    #[test]
    fn the_earliest_comes_first() {
        assert_eq!(drain(&[5, 1, 4, 2, 3]), [1, 3, 4, 2, 0]);
    }

    #[test]
    fn equal_times_come_in_the_order_of_a_java_priority_queue() {
        // After the root leaves, the last entry is moved up and stays, because nothing is strictly smaller.
        assert_eq!(drain(&[7, 7, 7]), [0, 2, 1]);
        assert_eq!(drain(&[7, 7, 7, 7]), [0, 3, 2, 1]);
    }
}
