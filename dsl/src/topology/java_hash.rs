//! In which order does a Java `HashSet<String>` iterate? It shows in texts and in what is found first.

/// Java prints sets of names in the order of a `HashSet<String>`, and people keep such texts in tests.
pub(super) fn java_set_order<S: AsRef<str>>(names: &[S]) -> Vec<&str> {
    let capacity = java_capacity(names.len());
    let mut sorted: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    sorted.sort_by_key(|name| java_bucket(name, capacity));
    sorted
}

/// Buckets of a Java `HashMap` of this many entries.
pub(super) fn java_capacity(entries: usize) -> u32 {
    let mut capacity: u32 = 16;
    while entries as u64 * 4 > u64::from(capacity) * 3 {
        capacity *= 2;
    }
    capacity
}

/// Bucket of a string in a Java `HashMap`.
pub(super) fn java_bucket(name: &str, capacity: u32) -> u32 {
    let hash = name
        .encode_utf16()
        .fold(0u32, |h, unit| h.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) & (capacity - 1)
}
