//! Aggregations in windows: what a record is added to, and which windows have closed.
use std::collections::BTreeMap;

use super::{
    super::plan::{Cut, Text, text, windowed},
    Message, World,
};

/// A row of a windowed table: its key, and its window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) key: Text,
    pub(super) start: i64,
    pub(super) end: i64,
    session: bool,
}
impl Place {
    /// Its bytes as a key of a store, which is what waiting updates are sorted by.
    pub(super) fn order(&self) -> Vec<u8> {
        let times = if self.session {
            vec![self.end, self.start]
        } else {
            vec![self.start]
        };
        let mut bytes = self.key.clone().unwrap_or_default().into_bytes();
        bytes.extend(times.iter().flat_map(|time| time.to_be_bytes()));
        bytes
    }
}

/// Which of the streams of an aggregation a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// There is one: its value `2` deletes the row.
    Only,
    First,
    Second,
}
impl Input {
    /// What the record makes of the row.
    pub(super) fn add(self, row: &str, value: &Text) -> Text {
        match self {
            Self::Only if text(value) == "2" => None,
            Self::Only | Self::First => Some(format!("{row}{}", text(value))),
            Self::Second => Some(format!("{row}&{}", text(value))),
        }
    }
}

/// Rows of windows.
#[derive(Debug)]
pub(super) struct Windows {
    cut: Cut,
    grace: i64,
    on_close: bool,
    rows: BTreeMap<Place, (String, i64)>,
    /// The latest start (of sessions: end) of a row that was ever written.
    latest: i64,
    /// Until when windows have been emitted on close.
    emitted: Option<i64>,
}

/// What comes of a record: results in order, and how often it was dropped.
#[derive(Default)]
pub(super) struct Added {
    pub(super) results: Vec<Message>,
    pub(super) dropped: u64,
}

impl Windows {
    pub(super) fn new(cut: Cut, grace: i64, on_close: bool) -> Self {
        Self {
            cut,
            grace,
            on_close,
            rows: BTreeMap::new(),
            latest: -1,
            emitted: None,
        }
    }
    pub(super) fn place(&self, key: &Text, start: i64, end: i64) -> Place {
        Place {
            key: key.clone(),
            start,
            end,
            session: matches!(self.cut, Cut::Session { .. }),
        }
    }
    /// How long rows are kept, by default.
    fn retention(&self) -> i64 {
        match self.cut {
            Cut::Aligned { size, .. } => size + self.grace,
            Cut::Sliding { size } => 2 * size + self.grace,
            Cut::Session { gap } => gap + self.grace,
            Cut::Unlimited { .. } => i64::MAX,
        }
    }
    /// Whether readers still see a row.
    fn shows(&self, place: &Place) -> bool {
        let at = if place.session { place.end } else { place.start };
        // The store of windows that are emitted on close is sorted by time, and shows one millisecond more.
        let oldest = if self.on_close && !place.session { 0 } else { 1 };
        at >= self.latest.saturating_sub(self.retention()) + oldest
    }
    /// Rows of a key that can be seen, earliest first.
    pub(super) fn seen(&self, key: &Text) -> Vec<(Place, (String, i64))> {
        let rows = self
            .rows
            .iter()
            .filter(|(place, _)| place.key == *key && self.shows(place));
        rows.map(|(place, row)| (place.clone(), row.clone())).collect()
    }
    /// Rows are kept in segments of at least a minute.
    fn keeps(&self, place: &Place) -> bool {
        let segment = (self.retention() / 2).max(60_000);
        let at = if place.session { place.end } else { place.start };
        at / segment >= (self.latest.saturating_sub(self.retention())).max(0) / segment
    }
    /// False: it is so old that its segment is gone.
    pub(super) fn set(&mut self, place: &Place, row: Option<(String, i64)>) -> bool {
        self.latest = self.latest.max(if place.session { place.end } else { place.start });
        match row {
            Some(row) => self.rows.insert(place.clone(), row),
            None => self.rows.remove(place),
        };
        self.keeps(place)
    }

    /// Adds the record to what is in the window so far.
    pub(super) fn fold(
        &mut self,
        place: Place,
        base: Option<(String, i64)>,
        input: Input,
        m: &Message,
        added: &mut Added,
    ) {
        let time = base.as_ref().map_or(m.time, |(_, time)| m.time.max(*time));
        let so_far = base.map(|(value, _)| value).unwrap_or_default();
        let new = input.add(&so_far, &m.new);
        if !self.set(&place, new.clone().map(|value| (value, time))) {
            added.dropped += 1;
        }
        self.tell(place, new, time, m, added);
    }
    /// A result, unless results wait until the window closes.
    pub(super) fn tell(&self, place: Place, new: Text, time: i64, m: &Message, added: &mut Added) {
        if !self.on_close {
            added.results.push(Self::result(place, new, time, m));
        }
    }
    fn result(place: Place, new: Text, time: i64, m: &Message) -> Message {
        Message {
            key: windowed(&place.key, place.start, place.end),
            new,
            time,
            header: m.header.clone(),
            place: Some(place),
            ..Message::default()
        }
    }

    fn add_aligned(&mut self, starts: Vec<(i64, i64)>, closed: i64, input: Input, m: &Message) -> Added {
        let mut added = Added::default();
        for (start, end) in starts {
            if end <= closed {
                added.dropped += 1;
                continue;
            }
            let place = self.place(&m.key, start, end);
            let base = self.rows.get(&place).filter(|_| self.shows(&place)).cloned();
            self.fold(place, base, input, m, &mut added);
        }
        added
    }

    fn add_to_session(&mut self, gap: i64, closed: i64, input: Input, m: &Message) -> Added {
        let mut added = Added::default();
        let near = |place: &Place| place.end >= m.time - gap && place.start <= m.time + gap;
        let mut near: Vec<_> = self.seen(&m.key).into_iter().filter(|(place, _)| near(place)).collect();
        near.sort_by_key(|(place, _)| (place.end, place.start));
        let start = near.iter().map(|(place, _)| place.start).fold(m.time, i64::min);
        let end = near.iter().map(|(place, _)| place.end).fold(m.time, i64::max);
        if end < closed {
            added.dropped += 1;
            return added;
        }
        let all = near
            .iter()
            .fold(String::new(), |all, (_, (value, _))| all + "&" + value);
        // What a session tells has no headers.
        let bare = Message {
            header: None,
            ..m.clone()
        };
        if (start, end) != (m.time, m.time) {
            for (place, _) in near {
                self.set(&place, None);
                let end = place.end;
                self.tell(place, None, end, &bare, &mut added);
            }
        }
        let place = self.place(&m.key, start, end);
        let base = Some((all, end));
        let at_end = Message { time: end, ..bare };
        self.fold(place, base, input, &at_end, &mut added);
        added
    }

    /// Windows that have closed since the last time, in the order of their time.
    pub(super) fn closing(&mut self, closed: i64, m: &Message) -> Vec<Message> {
        if self.emitted.is_some_and(|last| last >= closed) {
            return Vec::new();
        }
        let last = self.emitted;
        let (from, to) = match self.cut {
            Cut::Aligned { size, .. } => (last.map_or(0, |last| (last - size).max(0) + 1), closed - size),
            Cut::Sliding { size } => (last.map_or(0, |last| (last - size).max(0)), closed - size - 1),
            Cut::Session { .. } => (last.unwrap_or(0).max(0), closed - 1),
            Cut::Unlimited { .. } => return Vec::new(),
        };
        if to < 0 || (to < from && matches!(self.cut, Cut::Session { .. })) {
            return Vec::new();
        }
        let same = |one: i64, two: i64| starts(self.cut, one) == starts(self.cut, two);
        if matches!(self.cut, Cut::Aligned { .. }) && last.is_some() && same(to, from - 1) {
            return Vec::new();
        }
        self.emitted = Some(closed);
        let is_session = matches!(self.cut, Cut::Session { .. });
        let in_range = |place: &Place| (from..=to).contains(if is_session { &place.end } else { &place.start });
        // Sessions are shown as long as they are kept.
        let shown = |place: &Place| {
            if is_session {
                self.keeps(place)
            } else {
                self.shows(place)
            }
        };
        let mut rows: Vec<_> = self.rows.iter().filter(|(p, _)| in_range(p) && shown(p)).collect();
        rows.sort_by(|(a, _), (b, _)| {
            let order = |place: &Place| (if is_session { place.end } else { place.start }, place.start);
            (order(a), &a.key).cmp(&(order(b), &b.key))
        });
        let result = |(place, (value, time)): (&Place, &(String, i64))| {
            let time = if is_session { place.end } else { *time };
            Self::result(place.clone(), Some(value.clone()), time, m)
        };
        rows.into_iter().map(result).collect()
    }
}

/// Windows of a time, by trying every start there may be instead of a formula for the first.
fn starts(cut: Cut, time: i64) -> Vec<(i64, i64)> {
    match cut {
        Cut::Aligned { size, advance } => {
            let starts = (time - size + 1).max(0)..=time;
            let starts = starts.filter(|start| start % advance == 0);
            starts.map(|start| (start, start + size)).collect()
        }
        Cut::Unlimited { start } if time >= start => vec![(start, i64::MAX)],
        _ => Vec::new(),
    }
}

impl World {
    pub(super) fn add_to_windows(&mut self, node: usize, windows: usize, clock: usize, input: Input, m: &Message) {
        let windows = &mut self.windows[windows];
        let is_sliding = matches!(windows.cut, Cut::Sliding { .. });
        if m.key.is_none() || (is_sliding && m.new.is_none()) {
            self.dropped += 1;
            return;
        }
        let now = &mut self.clocks[clock];
        *now = (*now).max(m.time);
        let closed = *now - windows.grace;
        let mut looks_for_closed = true;
        let (added, closed) = match windows.cut {
            Cut::Aligned { .. } => (
                windows.add_aligned(starts(windows.cut, m.time), closed, input, m),
                closed,
            ),
            Cut::Unlimited { .. } => (
                windows.add_aligned(starts(windows.cut, m.time), i64::MIN, input, m),
                closed,
            ),
            Cut::Session { gap } => (windows.add_to_session(gap, closed - gap, input, m), closed - gap),
            Cut::Sliding { size } => {
                looks_for_closed = m.time >= size && m.time + size >= closed;
                (windows.add_sliding(size, closed, input, m), closed)
            }
        };
        let mut results = added.results;
        if windows.on_close && looks_for_closed {
            results.extend(windows.closing(closed, m));
        }
        self.dropped += added.dropped;
        self.forward_all(node, &results);
    }
}
