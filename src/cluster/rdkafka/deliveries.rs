//! What delivery reports said: the highest offset of each partition, and the first failure.

/// An undeliverable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undelivered {
    pub(super) topic: u32,
    pub(super) partition: i32,
    pub(super) code: i32,
    /// How many records failed since the last call, this one included.
    pub(super) count: u64,
}

/// Filled by one report per record: an index and a comparison, no hashing, no allocation once a partition is known.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    /// By topic number and partition; -1: nothing new.
    highest: Vec<Vec<i64>>,
    /// Partitions with something new.
    changed: Vec<(u32, i32)>,
    failure: Option<Undelivered>,
}

impl Deliveries {
    pub(super) fn report(&mut self, topic: u32, partition: i32, offset: i64, code: i32) {
        if code != 0 {
            match &mut self.failure {
                Some(failure) => failure.count += 1,
                None => {
                    self.failure = Some(Undelivered {
                        topic,
                        partition,
                        code,
                        count: 1,
                    })
                }
            }
            return;
        }
        // No offset: the broker had the batch already and did not say where.
        let (Ok(index), true) = (usize::try_from(partition), offset >= 0) else {
            return;
        };
        let topic_index = topic as usize;
        if self.highest.len() <= topic_index {
            self.highest.resize(topic_index + 1, Vec::new());
        }
        let Some(partitions) = self.highest.get_mut(topic_index) else {
            return;
        };
        if partitions.len() <= index {
            partitions.resize(index + 1, -1);
        }
        let Some(highest) = partitions.get_mut(index) else {
            return;
        };
        if *highest < 0 {
            self.changed.push((topic, partition));
        }
        *highest = offset.max(*highest);
    }

    /// The first failure since the last call.
    pub(super) fn take_failure(&mut self) -> Option<Undelivered> {
        self.failure.take()
    }

    /// Highest offset of each partition since the last call.
    pub(super) fn take_highest(&mut self, f: &mut dyn FnMut(u32, i32, i64)) {
        for (topic, partition) in self.changed.drain(..) {
            let slot = self
                .highest
                .get_mut(topic as usize)
                .and_then(|p| p.get_mut(partition as usize));
            if let Some(highest) = slot {
                f(topic, partition, std::mem::replace(highest, -1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Deliveries;

    #[test]
    fn gives_the_highest_offset_of_each_partition_once() {
        let mut deliveries = Deliveries::default();
        for (topic, partition, offset) in [(1, 2, 5), (0, 0, 9), (1, 2, 7), (1, 2, 6)] {
            deliveries.report(topic, partition, offset, 0);
        }
        let mut seen = Vec::new();
        deliveries.take_highest(&mut |topic, partition, offset| seen.push((topic, partition, offset)));
        assert_eq!(seen, [(1, 2, 7), (0, 0, 9)]);
        seen.clear();
        deliveries.report(1, 2, 8, 0);
        deliveries.take_highest(&mut |topic, partition, offset| seen.push((topic, partition, offset)));
        assert_eq!(seen, [(1, 2, 8)]);
    }

    #[test]
    fn keeps_the_first_failure_and_counts_the_rest() {
        let mut deliveries = Deliveries::default();
        deliveries.report(0, 1, -1001, -192);
        deliveries.report(0, 2, -1001, 10);
        deliveries.report(0, 3, -1001, 0);
        let failure = deliveries.take_failure().expect("a failure");
        assert_eq!((failure.partition, failure.code, failure.count), (1, -192, 2));
        assert_eq!(deliveries.take_failure(), None);
        deliveries.take_highest(&mut |_, _, _| panic!("a report without an offset"));
    }
}
