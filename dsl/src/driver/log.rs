//! The bytes of produced records in one growing buffer, so that keeping a record allocates nothing of its own.
use millstream_state::Headers;

use super::capture::ProducedRef;

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

struct Entry {
    topic: usize,
    key: Option<Span>,
    value: Option<Span>,
    timestamp: Option<i64>,
    headers: Option<Box<Headers>>,
}

/// An append-only list of records.
#[derive(Default)]
pub(super) struct RecordLog {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl RecordLog {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn append(&mut self, part: Option<&[u8]>) -> Option<Span> {
        let part = part?;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        Some(Span {
            start,
            end: self.bytes.len(),
        })
    }

    /// Gives the position of the record.
    pub(super) fn push(
        &mut self,
        topic: usize,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Option<i64>,
        headers: Option<&Headers>,
    ) -> usize {
        let key = self.append(key);
        let value = self.append(value);
        let headers = headers.filter(|h| !h.is_empty()).map(|h| Box::new(h.clone()));
        self.entries.push(Entry {
            topic,
            key,
            value,
            timestamp,
            headers,
        });
        self.entries.len() - 1
    }

    pub(super) fn topic(&self, at: usize) -> usize {
        self.entries[at].topic
    }

    pub(super) fn read<T>(&self, at: usize, topic: &str, f: impl FnOnce(ProducedRef<'_>) -> T) -> T {
        let entry = &self.entries[at];
        let part = |span: Option<Span>| span.map(|s| &self.bytes[s.start..s.end]);
        f(ProducedRef {
            topic,
            key: part(entry.key),
            value: part(entry.value),
            timestamp: entry.timestamp,
            headers: entry.headers.as_deref(),
        })
    }

    /// Keeps the first `len` records.
    pub(super) fn truncate(&mut self, len: usize) {
        if len < self.entries.len() {
            let end = self.entries[..len]
                .iter()
                .rev()
                .find_map(|e| e.value.or(e.key))
                .map_or(0, |span| span.end);
            self.bytes.truncate(end);
            self.entries.truncate(len);
        }
    }
}
