//! Murmur3 with 128 bits, as Kafka Streams hashes the value of a row: an answer is good only while the row is the same.
//!
//! The x64 variant of Austin Appleby's public-domain algorithm with Kafka Streams' seed. The two words go over the wire
//! big endian.

/// Hash of a row's value.
pub(super) type Hash = [u64; 2];

const SEED: u64 = 104_729;
const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

pub(super) fn hash128(bytes: &[u8]) -> Hash {
    let (mut h1, mut h2) = (SEED, SEED);
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        let [k1, k2] = words(block);
        h1 = (h1 ^ mix_first(k1)).rotate_left(27).wrapping_add(h2);
        h1 = h1.wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 = (h2 ^ mix_second(k2)).rotate_left(31).wrapping_add(h1);
        h2 = h2.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    if !rest.is_empty() {
        let mut block = [0; 16];
        for (to, from) in block.iter_mut().zip(rest) {
            *to = *from;
        }
        // Bytes that are not there are zero, and zero mixes to zero.
        let [k1, k2] = words(&block);
        h1 ^= mix_first(k1);
        h2 ^= mix_second(k2);
    }
    let length = bytes.len() as u64;
    h1 ^= length;
    h2 ^= length;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = finish(h1);
    h2 = finish(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    [h1, h2]
}

/// Two little-endian words.
fn words(block: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*block);
    [both as u64, (both >> 64) as u64]
}

fn mix_first(word: u64) -> u64 {
    word.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_second(word: u64) -> u64 {
    word.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::hash128;

    fn hex(text: &str) -> String {
        let [high, low] = hash128(text.as_bytes());
        format!("{high:016x}{low:016x}")
    }

    #[test]
    fn hashes_are_those_that_kafka_streams_wrote() {
        assert_eq!(hex("p,1"), "7040c9987b6955a7c4690358511d33f8");
        assert_eq!(hex("q,3"), "699586c4c50afb690987d8b28b6b7f29");
        assert_eq!(hex("zz,4"), "fd5ace855255999e176eb11e7a7c9618");
    }

    #[test]
    fn every_byte_of_every_length_counts() {
        let mut seen = std::collections::HashSet::new();
        let bytes = vec![7; 48];
        for length in 0..=bytes.len() {
            for at in 0..length {
                let mut other = bytes[..length].to_vec();
                other[at] ^= 1;
                assert!(seen.insert(hash128(&other)), "{length} bytes, byte {at}");
            }
            assert!(seen.insert(hash128(&bytes[..length])), "{length} bytes");
        }
    }
}
