//! Tables: rows and their history, views of rows, who knows old values; aggregations, groupings, joins of tables.
use std::collections::BTreeMap;

use super::{
    super::plan::{Fold, Key, Kind, Mapping, Rows, Text, joined, text},
    Does, Message, World,
    suppress::Prior,
    windows::Input,
};

/// Where the rows of a table come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A topic or a stream: stored by wish, or once somebody looks rows up or wants old values.
    Source,
    /// Always stored.
    Aggregate,
    Filter {
        of: usize,
        letter: char,
    },
    Map {
        of: usize,
        by: Mapping,
    },
    Join {
        left: usize,
        right: usize,
        kind: Kind,
    },
    /// Updates wait in a buffer.
    Suppressed {
        of: usize,
        buffer: usize,
    },
}

/// What a table with history remembers.
#[derive(Debug)]
pub(super) struct History {
    kept: i64,
    latest: i64,
    /// What a row was, or that there was none, from a time on.
    versions: BTreeMap<Text, BTreeMap<i64, Text>>,
}
impl History {
    fn new(kept: i64) -> Self {
        Self {
            kept,
            latest: -1,
            versions: BTreeMap::new(),
        }
    }
    fn newest(&self, key: &Text) -> Row {
        let (from, value) = self.versions.get(key)?.last_key_value()?;
        Some((value.clone()?, *from))
    }
    fn as_of(&self, key: &Text, time: i64) -> Row {
        let newest = self.newest(key).filter(|(_, from)| *from <= time);
        if newest.is_some() || time < self.latest - self.kept {
            return newest;
        }
        let (from, value) = self.versions.get(key)?.range(..=time).next_back()?;
        Some((value.clone()?, *from))
    }
    /// None: too old to be remembered. Else whether nothing newer is known of the row.
    fn put(&mut self, key: &Text, value: &Text, time: i64) -> Option<bool> {
        if time < self.latest - self.kept {
            return None;
        }
        self.latest = self.latest.max(time);
        let versions = self.versions.entry(key.clone()).or_default();
        versions.insert(time, value.clone());
        versions.last_key_value().map(|(last, _)| *last == time)
    }
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) origin: Origin,
    pub(super) stored: bool,
    pub(super) tells_old: bool,
    /// Node whose children take the updates.
    pub(super) node: usize,
    pub(super) rows: BTreeMap<Text, (String, i64)>,
    pub(super) history: Option<History>,
}

type Row = Option<(String, i64)>;

impl World {
    /// Somebody wants old values. Unless it insists, a source that is not stored stays so.
    pub(super) fn want_old(&mut self, table: usize, insist: bool) -> bool {
        let (origin, stored) = (self.tables[table].origin, self.tables[table].stored);
        let told = match origin {
            Origin::Aggregate => true,
            Origin::Source => {
                self.tables[table].stored |= insist;
                insist || stored
            }
            Origin::Filter { of, .. } | Origin::Map { of, .. } => stored || self.want_old(of, insist),
            Origin::Suppressed { of, .. } => self.want_old(of, insist),
            Origin::Join { left, right, .. } => {
                self.want_old(left, true);
                self.want_old(right, true);
                true
            }
        };
        self.tables[table].tells_old |= told;
        self.tables[table].tells_old
    }
    /// Somebody looks rows up.
    pub(super) fn want_rows(&mut self, table: usize) {
        match self.tables[table].origin {
            _ if self.tables[table].stored => {}
            Origin::Source | Origin::Aggregate => self.tables[table].stored = true,
            Origin::Filter { of, .. } | Origin::Map { of, .. } | Origin::Suppressed { of, .. } => self.want_rows(of),
            Origin::Join { left, right, .. } => {
                self.want_rows(left);
                self.want_rows(right);
            }
        }
    }

    /// Whether readers see the rows of a time.
    pub(super) fn has_history(&self, table: usize) -> bool {
        let this = &self.tables[table];
        match this.origin {
            _ if this.stored => this.history.is_some(),
            Origin::Filter { of, .. } | Origin::Map { of, .. } => self.has_history(of),
            _ => false,
        }
    }
    pub(super) fn row_as_of(&self, table: usize, key: &Text, time: i64) -> Row {
        self.look(table, key, Some(time))
    }
    pub(super) fn row(&self, table: usize, key: &Text) -> Row {
        self.look(table, key, None)
    }
    fn look(&self, table: usize, key: &Text, time: Option<i64>) -> Row {
        let this = &self.tables[table];
        match this.origin {
            _ if this.stored => match (&this.history, time) {
                (None, _) => this.rows.get(key).cloned(),
                (Some(history), None) => history.newest(key),
                (Some(history), Some(time)) => history.as_of(key, time),
            },
            Origin::Source | Origin::Aggregate => None,
            Origin::Filter { of, letter } => self.look(of, key, time).filter(|(value, _)| value.contains(letter)),
            Origin::Map { of, by } => self.look(of, key, time).and_then(|(v, time)| Some((by.row(&v)?, time))),
            // While an update waits, the row from before it stands; its time is not known.
            Origin::Suppressed { of, buffer } => match self.buffers[buffer].prior(key) {
                Prior::Row(row) => row.map(|value| (value, -1)),
                Prior::Unknown => self.row(of, key),
            },
            Origin::Join { left, right, kind } => {
                let (left, right) = (self.row(left, key), self.row(right, key));
                let there = match kind {
                    Kind::Inner => left.is_some() && right.is_some(),
                    Kind::Left => left.is_some(),
                    Kind::Outer => left.is_some() || right.is_some(),
                };
                let value = |row: &Row| row.as_ref().map(|(v, _)| v.clone());
                let time = left.iter().chain(&right).map(|(_, time)| *time).max()?;
                there.then(|| (joined(value(&left).as_deref(), value(&right).as_deref()), time))
            }
        }
    }
    /// Sets or deletes. None: the table refuses it as too old. Else whether nothing newer is known.
    fn put(&mut self, table: usize, key: &Text, value: &Text, time: i64) -> Option<bool> {
        let Table { rows, history, .. } = &mut self.tables[table];
        match (history, value) {
            (Some(history), value) => return history.put(key, value, time),
            (None, Some(value)) => rows.insert(key.clone(), (value.clone(), time)),
            (None, None) => rows.remove(key),
        };
        Some(true)
    }

    /// An update reaches the node of a table.
    pub(super) fn update(&mut self, node: usize, table: usize, m: &Message) {
        let (origin, stored, tells) = {
            let t = &self.tables[table];
            (t.origin, t.stored, t.tells_old)
        };
        let origin_is_view = !matches!(origin, Origin::Source | Origin::Aggregate);
        let mut new = m.new.clone();
        let mut old = m.old.clone();
        let mut given = false;
        match origin {
            Origin::Source if m.key.is_none() => {
                self.dropped += 1;
                return;
            }
            Origin::Source | Origin::Aggregate | Origin::Suppressed { .. } => {}
            Origin::Filter { letter, .. } => {
                new = new.filter(|v| v.contains(letter));
                old = old.filter(|v| v.contains(letter));
            }
            Origin::Map { by, .. } => {
                new = new.and_then(|v| by.row(&v));
                old = old.and_then(|v| by.row(&v));
            }
            Origin::Join { .. } => given = true,
        }
        if stored && !given {
            old = self.row(table, &m.key).map(|(value, _)| value);
        }
        if !tells {
            old = None;
        }
        // What was not there is not deleted, where that is known; a history is told all the same.
        let filters = matches!(origin, Origin::Filter { of, .. } if !self.has_history(of));
        if filters && tells && new.is_none() && old.is_none() {
            return;
        }
        let mut outdated = m.outdated && origin_is_view;
        if stored {
            match self.put(table, &m.key, &new, m.time) {
                None => {
                    self.dropped += 1;
                    return;
                }
                Some(is_latest) => outdated = !is_latest,
            }
        }
        self.forward(
            node,
            &Message {
                new,
                old,
                outdated,
                ..m.clone()
            },
        );
    }

    pub(super) fn aggregate(&mut self, node: usize, table: usize, (fold, input): (Fold, Input), m: &Message) {
        let (Some(_), Some(value)) = (&m.key, &m.new) else {
            self.dropped += 1;
            return;
        };
        let before = self.row(table, &m.key);
        let old = before.as_ref().map(|(v, _)| v.clone());
        let so_far = old.clone().unwrap_or_default();
        let new = match fold {
            Fold::Count => Some((so_far.parse::<u32>().unwrap_or(0) + 1).to_string()),
            Fold::Text => input.add(&so_far, &m.new),
            Fold::Reduce => Some(so_far + value),
        };
        let time = before.map_or(m.time, |(_, time)| time.max(m.time));
        self.put(table, &m.key, &new, time);
        // Where there was no row, Kafka Streams tells the initial value as the old one.
        let initial = match fold {
            Fold::Count => Some("0".to_owned()),
            Fold::Text => Some(String::new()),
            Fold::Reduce => None,
        };
        let old = old.or(initial).filter(|_| self.tables[table].tells_old);
        self.forward(
            node,
            &Message {
                new,
                old,
                time,
                ..m.clone()
            },
        );
    }

    /// A row goes to other groups: out of the old one, then into the new one; in one record if that is the same.
    pub(super) fn group(&mut self, by: Key, topic: usize, of: usize, m: &Message) {
        if m.outdated && self.has_history(of) {
            return;
        }
        let m = &Message {
            outdated: false,
            ..m.clone()
        };
        let place = |value: &Text| value.as_ref().and_then(|_| by.of(&m.key, value));
        let (from, to) = (place(&m.old), place(&m.new));
        if from.is_some() && from == to {
            self.sent.push((topic, Message { key: to, ..m.clone() }));
            return;
        }
        if from.is_some() {
            self.sent.push((
                topic,
                Message {
                    key: from,
                    new: None,
                    ..m.clone()
                },
            ));
        }
        if to.is_some() {
            self.sent.push((
                topic,
                Message {
                    key: to,
                    old: None,
                    ..m.clone()
                },
            ));
        }
    }
    pub(super) fn ungroup(&mut self, node: usize, table: usize, m: &Message) {
        let before = self.row(table, &m.key);
        let old = before.as_ref().map(|(v, _)| v.clone());
        let mut new = old.clone();
        if let (Some(all), Some(_)) = (&new, &m.old) {
            new = Some(format!("{all}-{}", text(&m.old)));
        }
        if m.new.is_some() {
            new = Some(format!("{}+{}", new.unwrap_or_default(), text(&m.new)));
        }
        let time = before.map_or(m.time, |(_, time)| time.max(m.time));
        self.put(table, &m.key, &new, time);
        let old = old.filter(|_| self.tables[table].tells_old);
        self.forward(
            node,
            &Message {
                new,
                old,
                time,
                ..m.clone()
            },
        );
    }

    /// An update of one side of a join of tables.
    pub(super) fn join_rows(&mut self, table: usize, from_left: bool, m: &Message) {
        let Origin::Join { left, right, kind } = self.tables[table].origin else {
            return;
        };
        let (own, other) = if from_left { (left, right) } else { (right, left) };
        if m.outdated && self.has_history(own) {
            self.dropped += 1;
            return;
        }
        let other = self.row(other, &m.key);
        // Whether this side, and the other, must be there for a row.
        let (own_needed, other_needed) = match (kind, from_left) {
            (Kind::Inner, _) => (true, true),
            (Kind::Left, true) => (true, false),
            (Kind::Left, false) => (false, true),
            (Kind::Outer, _) => (false, false),
        };
        if other.is_none() && (other_needed || (m.new.is_none() && m.old.is_none())) {
            return;
        }
        let result = |own: &Text| -> Text {
            let there = own.is_some() || (!own_needed && other.is_some());
            let other = other.as_ref().map(|(v, _)| v.as_str());
            there.then(|| {
                if from_left {
                    joined(own.as_deref(), other)
                } else {
                    joined(other, own.as_deref())
                }
            })
        };
        let time = other.as_ref().map_or(m.time, |(_, time)| m.time.max(*time));
        let old = if self.tables[table].tells_old {
            result(&m.old)
        } else {
            None
        };
        let update = Message {
            new: result(&m.new),
            old,
            time,
            ..m.clone()
        };
        let node = self.tables[table].node;
        self.update(node, table, &update);
    }

    /// Adds a table whose updates pass the node made for it.
    pub(super) fn add_table(&mut self, origin: Origin, kept: Rows) -> usize {
        self.nodes.push(super::Node {
            does: Does::Pass,
            children: Vec::new(),
        });
        self.tables.push(Table {
            origin,
            stored: kept != Rows::Asked || matches!(origin, Origin::Aggregate),
            tells_old: false,
            node: self.nodes.len() - 1,
            rows: BTreeMap::new(),
            history: match kept {
                Rows::History(ms) => Some(History::new(ms)),
                Rows::Asked | Rows::Stored => None,
            },
        });
        self.tables.len() - 1
    }
}
