//! A hash of what the state of an application depends on: structure, names, stores.
use super::Subtopology;

pub(super) fn fingerprint(description: &str, subtopologies: &[Subtopology]) -> u64 {
    let mut hash = Fnv::default();
    hash.write(description);
    for subtopology in subtopologies {
        for store in &subtopology.stores {
            hash.write(&format!("{}:{:?}", store.spec.name, store.spec.kind));
        }
    }
    hash.0
}

/// FNV-1a: stable across versions of the compiler and machines, unlike the hashers of the standard library.
struct Fnv(u64);
impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}
impl Fnv {
    fn write(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
