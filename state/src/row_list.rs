//! Rows in the order of their keys, in memory that the next read uses again.

#[derive(Debug)]
struct Ends {
    key: usize,
    value: usize,
}

/// Rows as they were when they were read.
#[derive(Debug, Default)]
pub struct RowList {
    bytes: Vec<u8>,
    rows: Vec<Ends>,
}

impl RowList {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key = self.bytes.len();
        self.bytes.extend_from_slice(value);
        let value = self.bytes.len();
        self.rows.push(Ends { key, value });
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut from = 0;
        self.rows.iter().map(move |ends| {
            let key = self.bytes.get(from..ends.key).unwrap_or_default();
            let value = self.bytes.get(ends.key..ends.value).unwrap_or_default();
            from = ends.value;
            (key, value)
        })
    }
}
