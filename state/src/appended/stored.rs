//! Of which keys may the database have rows? A Bloom filter that grows: for most keys that it does not have it says so,
//! without a look into the database.

/// Bits of a filter for each key: one key in a hundred is looked up in vain.
const BITS_PER_KEY: usize = 12;
const FIRST_WORDS: usize = 256;

/// All bits of a key are in one word, so that asking for it is one miss of the cache for each part.
struct Part {
    words: Vec<u64>,
    /// How many more keys it takes.
    room: usize,
}

impl Part {
    fn new(words: usize) -> Self {
        Self {
            words: vec![0; words],
            room: words * u64::BITS as usize / BITS_PER_KEY,
        }
    }

    fn word(&self, hash: u64) -> usize {
        // A product of two numbers of 32 bits, whose upper half is below the number of words.
        usize::try_from(((hash >> 32) * self.words.len() as u64) >> 32).unwrap_or(0)
    }

    fn may_have(&self, hash: u64) -> bool {
        let bits = bits(hash);
        self.words.get(self.word(hash)).is_none_or(|word| word & bits == bits)
    }

    fn add(&mut self, hash: u64) {
        let at = self.word(hash);
        if let Some(word) = self.words.get_mut(at) {
            *word |= bits(hash);
        }
        self.room = self.room.saturating_sub(1);
    }
}

fn bits(hash: u64) -> u64 {
    (0..4).fold(0, |bits, n| bits | 1 << ((hash >> (6 * n)) & 63))
}

/// The keys, by their hashes.
#[derive(Default)]
pub(super) struct Stored {
    /// Each twice as big as the one before it.
    parts: Vec<Part>,
}

impl Stored {
    /// False: certainly not.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.parts.iter().any(|part| part.may_have(hash))
    }

    /// Gives the memory that it takes in addition.
    pub(super) fn add(&mut self, hash: u64) -> usize {
        if self.may_have(hash) {
            return 0;
        }
        if let Some(last) = self.parts.last_mut().filter(|last| last.room > 0) {
            last.add(hash);
            return 0;
        }
        let words = self.parts.last().map_or(FIRST_WORDS, |last| last.words.len() * 2);
        let mut part = Part::new(words);
        part.add(hash);
        self.parts.push(part);
        words * size_of::<u64>()
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.words.len() * size_of::<u64>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_added_are_found_and_few_others() {
        let hash = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
        let mut stored = Stored::default();
        assert!(!stored.may_have(hash(1)));
        for n in 0..100_000 {
            stored.add(hash(n));
        }
        assert!((0..100_000).all(|n| stored.may_have(hash(n))));
        let wrong = (100_000..200_000).filter(|n| stored.may_have(hash(*n))).count();
        assert!(wrong < 10_000, "{wrong} of 100,000");
        assert!(stored.bytes() < 100_000 * 4, "{} bytes", stored.bytes());
    }
}
