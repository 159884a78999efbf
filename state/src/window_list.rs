//! What a read of one key gives: windows or sessions side by side, in memory that the next read uses again.

/// A window or session of a [`WindowList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedRow<'a> {
    /// Windows: start and sequence number. Sessions: end and start.
    pub(crate) times: [i64; 2],
    /// Value bytes.
    pub value: &'a [u8],
    /// Time of the last update; -1 in plain stores.
    pub timestamp: i64,
}

impl ListedRow<'_> {
    /// Start of the window, milliseconds since the epoch.
    pub fn window_start(&self) -> i64 {
        self.times[0]
    }
    /// Times of the first and the last record of a session.
    pub fn session(&self) -> (i64, i64) {
        (self.times[1], self.times[0])
    }
}

#[derive(Debug)]
struct Row {
    times: [i64; 2],
    timestamp: i64,
    /// Where its value ends.
    end: usize,
}

/// Windows or sessions of one key, in the order they were read.
#[derive(Debug, Default)]
pub struct WindowList {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl WindowList {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    pub(crate) fn push(&mut self, times: [i64; 2], value: &[u8], timestamp: i64) {
        self.bytes.extend_from_slice(value);
        let end = self.bytes.len();
        self.rows.push(Row { times, timestamp, end });
    }

    /// All of them.
    pub fn rows(&self) -> impl Iterator<Item = ListedRow<'_>> {
        let mut from = 0;
        self.rows.iter().map(move |row| {
            let value = self.bytes.get(from..row.end).unwrap_or_default();
            from = row.end;
            ListedRow {
                times: row.times,
                value,
                timestamp: row.timestamp,
            }
        })
    }

    /// Starts and values of windows.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &[u8])> {
        self.rows().map(|row| (row.window_start(), row.value))
    }
}
