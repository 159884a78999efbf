//! Which partition does an outgoing record go to? As the Java producer decides, so that keys stay where they are.

/// Murmur2 as Kafka's Java client computes it, seed 0x9747b28c.
pub(crate) fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ (data.len() as u32);
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key among `partitions` (at least 1).
pub(crate) fn partition_of(key: &[u8], partitions: i32) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) % partitions.max(1) as u32) as i32
}

/// Records without a key stay on one partition until about a batch is full, then move on: few large batches instead of
/// many small ones. Java draws the next one at random; we go round, so that a run can be repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sticky {
    partition: i32,
    bytes: usize,
}

impl Sticky {
    const BATCH_BYTES: usize = 16 << 10;

    /// Tasks begin on different partitions.
    pub(crate) fn starting_at(partition: i32) -> Self {
        Self { partition, bytes: 0 }
    }

    pub(crate) fn next(&mut self, record_bytes: usize, partitions: i32) -> i32 {
        let partitions = partitions.max(1);
        if self.bytes >= Self::BATCH_BYTES {
            self.partition = self.partition.wrapping_add(1);
            self.bytes = 0;
        }
        self.bytes += record_bytes;
        self.partition.rem_euclid(partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_java_client() {
        // The pairs Kafka's own test of murmur2 uses.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn partitions_are_never_negative() {
        assert_eq!(partition_of(b"21", 3), ((-973_932_308i32 & 0x7fff_ffff) % 3));
        assert_eq!(partition_of(b"", 1), 0);
    }

    #[test]
    fn null_keys_fill_a_batch_before_they_move_on() {
        let mut s = Sticky::starting_at(2);
        let partitions: Vec<i32> = (0..40).map(|_| s.next(1024, 3)).collect();
        assert!(partitions[..16].iter().all(|p| *p == 2));
        assert!(partitions[16..32].iter().all(|p| *p == 0));
        assert!(partitions[32..].iter().all(|p| *p == 1));
    }
}
