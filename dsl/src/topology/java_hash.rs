//! In which order does a Java hash map iterate? It shows in texts and in what is found first.

/// Java prints sets of names in the order of a `HashSet<String>`, and people keep such texts in tests.
pub(super) fn java_set_order<S: AsRef<str>>(names: &[S]) -> Vec<&str> {
    let capacity = java_capacity(names.len());
    let mut sorted: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    sorted.sort_by_key(|name| java_bucket(name, capacity));
    sorted
}

/// Positions of these topics in a Java `HashMap` by their partition 0, which was filled from one by their names.
pub(crate) fn java_partition_order(topics: &[String]) -> Vec<usize> {
    let capacity = java_capacity(topics.len());
    let mut order: Vec<usize> = (0..topics.len()).collect();
    order.sort_by_key(|i| java_bucket(&topics[*i], capacity));
    // The hash of a partition is 31 * (31 + number) more than that of its topic.
    order.sort_by_key(|i| bucket(java_hash(&topics[*i]).wrapping_add(31 * 31), capacity));
    order
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
    bucket(java_hash(name), capacity)
}

fn bucket(hash: u32, capacity: u32) -> u32 {
    (hash ^ (hash >> 16)) & (capacity - 1)
}

/// `String.hashCode()`.
fn java_hash(name: &str) -> u32 {
    name.encode_utf16()
        .fold(0u32, |h, unit| h.wrapping_mul(31).wrapping_add(u32::from(unit)))
}
