//! Which input has the smallest head timestamp? A binary heap whose order of equal times is that of Kafka Streams.
//!
//! An entry that is put in rises while it is strictly smaller than its parent; on removal the last entry goes to the root and
//! sinks below the smaller child (the left one when both are equal) while that child is strictly smaller. The standard library's
//! heap orders equal entries differently, and the order of outputs is part of the contract.

/// Entries are (head timestamp, input).
#[derive(Debug, Default)]
pub(super) struct Heads {
    entries: Vec<(i64, usize)>,
}

impl Heads {
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn push(&mut self, timestamp: i64, input: usize) {
        self.entries.push((timestamp, input));
        let mut at = self.entries.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.entries[at].0 >= self.entries[parent].0 {
                break;
            }
            self.entries.swap(at, parent);
            at = parent;
        }
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let last = self.entries.pop()?;
        let Some(root) = self.entries.first_mut() else {
            return Some(last.1);
        };
        let (_, input) = std::mem::replace(root, last);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let Some(l) = self.entries.get(left) else { break };
            let child = match self.entries.get(right) {
                Some(r) if r.0 < l.0 => right,
                _ => left,
            };
            if self.entries[at].0 <= self.entries[child].0 {
                break;
            }
            self.entries.swap(at, child);
            at = child;
        }
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_times_come_out_as_in_kafka_streams() {
        let mut h = Heads::default();
        for input in 0..4 {
            h.push(5, input);
        }
        // Worked out by hand from the rules above: 0 leaves, 3 goes to the root; then 3 leaves, 2 goes to the root ...
        assert_eq!(std::iter::from_fn(|| h.pop()).collect::<Vec<_>>(), [0, 3, 2, 1]);
    }

    proptest! {
        #[test]
        fn smallest_first(times in proptest::collection::vec(-3i64..3, 0..20)) {
            let mut h = Heads::default();
            for (i, t) in times.iter().enumerate() {
                h.push(*t, i);
            }
            let out: Vec<i64> = std::iter::from_fn(|| h.pop()).map(|i| times[i]).collect();
            let mut sorted = times.clone();
            sorted.sort_unstable();
            prop_assert_eq!(out, sorted);
        }
    }
}
