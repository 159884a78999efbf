//! Sliding windows: one that ends with each record, and one that starts behind each, if there is something in it.
use super::{
    Message,
    windows::{Added, Input, Windows},
};

type Row = (String, i64);

/// A record on its way into the windows of its key.
struct Arrival<'a> {
    m: &'a Message,
    input: Input,
    size: i64,
    closed: i64,
}

impl Windows {
    pub(super) fn add_sliding(&mut self, size: i64, closed: i64, input: Input, m: &Message) -> Added {
        let mut added = Added::default();
        let arrival = Arrival { m, input, size, closed };
        if m.time + size < closed {
            added.dropped += 1;
        } else if m.time < size {
            self.add_early(&arrival, &mut added);
        } else {
            self.add_late(&arrival, &mut added);
        }
        added
    }

    /// Starts of the rows of the key from `from` on, up to the one that starts behind the record.
    fn rows_between(&self, from: i64, arrival: &Arrival<'_>) -> Vec<(i64, Row)> {
        let rows = self.seen(&arrival.m.key).into_iter();
        let rows = rows.map(|(place, row)| (place.start, row));
        rows.filter(|(start, _)| (from.max(0)..=arrival.m.time + 1).contains(start))
            .collect()
    }
    fn slide(&mut self, start: i64, base: Option<Row>, arrival: &Arrival<'_>, added: &mut Added) {
        let end = start + arrival.size;
        if end < arrival.closed {
            added.dropped += 1;
            return;
        }
        let place = self.place(&arrival.m.key, start, end);
        self.fold(place, base, arrival.input, arrival.m, added);
    }
    /// The window behind the record has what others have that hold the record and later ones.
    fn start_behind(&mut self, exists: bool, later: Option<Row>, arrival: &Arrival<'_>, added: &mut Added) {
        let time = arrival.m.time;
        let Some((value, newest)) = later.filter(|(_, newest)| !exists && *newest > time) else {
            return;
        };
        let place = self.place(&arrival.m.key, time + 1, time + 1 + arrival.size);
        if !self.set(&place, Some((value.clone(), newest))) {
            added.dropped += 1;
        }
        self.tell(place, Some(value), newest, arrival.m, added);
    }

    fn add_late(&mut self, arrival: &Arrival<'_>, added: &mut Added) {
        let (time, size) = (arrival.m.time, arrival.size);
        let rows = self.rows_between(time - 2 * size, arrival);
        let exists = |start: i64| rows.iter().any(|(other, _)| *other == start);
        let mut later = None;
        let mut left = None;
        for (start, row) in rows
            .iter()
            .rev()
            .filter(|(start, _)| (time - size..=time).contains(start))
        {
            self.slide(*start, Some(row.clone()), arrival, added);
            if *start == time - size {
                left = Some(row.1);
            } else if later.is_none() {
                later = Some(row.clone());
            }
        }
        if left.is_some_and(|newest| newest >= time) {
            // A record at this time was here before: all windows exist.
            return;
        }
        let before = rows
            .iter()
            .rev()
            .find(|(start, _)| *start < time - size)
            .map(|(_, row)| row.clone());
        let previous = before.as_ref().map(|(_, newest)| *newest).or(left);
        if let Some(previous) = previous
            && !exists(previous + 1)
            && previous + 1 + size >= time
        {
            self.slide(previous + 1, None, arrival, added);
        }
        if left.is_none() {
            let reached = previous.is_some_and(|previous| previous >= time - size);
            let base = before.filter(|_| reached).map(|(value, _)| (value, time));
            self.slide(time - size, base, arrival, added);
        }
        self.start_behind(exists(time + 1), later, arrival, added);
    }

    /// Before one size has passed, all records share the window that starts at zero.
    fn add_early(&mut self, arrival: &Arrival<'_>, added: &mut Added) {
        let time = arrival.m.time;
        let rows = self.rows_between(0, arrival);
        let exists = |start: i64| rows.iter().any(|(other, _)| *other == start);
        let shared = rows.iter().find(|(start, _)| *start == 0).map(|(_, row)| row.clone());
        let mut later = None;
        for (start, row) in rows.iter().filter(|(start, _)| (1..=time).contains(start)) {
            self.slide(*start, Some(row.clone()), arrival, added);
            later = Some(row.clone());
        }
        let later = later.or_else(|| shared.clone());
        self.start_behind(exists(time + 1), later, arrival, added);
        if let Some((_, newest)) = &shared
            && *newest < time
            && !exists(newest + 1)
        {
            self.slide(newest + 1, None, arrival, added);
        }
        self.slide(0, shared, arrival, added);
    }
}
