//! Tables: rows, views of rows, who knows old values; aggregations, groupings, joins of tables.
use std::collections::BTreeMap;

use super::{
    super::plan::{Fold, Key, Kind, Mapping, Text, joined, text},
    Does, Message, World,
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
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) origin: Origin,
    pub(super) stored: bool,
    pub(super) tells_old: bool,
    /// Node whose children take the updates.
    pub(super) node: usize,
    pub(super) rows: BTreeMap<Text, (String, i64)>,
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
            Origin::Filter { of, .. } | Origin::Map { of, .. } => self.want_rows(of),
            Origin::Join { left, right, .. } => {
                self.want_rows(left);
                self.want_rows(right);
            }
        }
    }

    pub(super) fn row(&self, table: usize, key: &Text) -> Row {
        let this = &self.tables[table];
        match this.origin {
            _ if this.stored => this.rows.get(key).cloned(),
            Origin::Source | Origin::Aggregate => None,
            Origin::Filter { of, letter } => self.row(of, key).filter(|(value, _)| value.contains(letter)),
            Origin::Map { of, by } => self.row(of, key).and_then(|(v, time)| Some((by.row(&v)?, time))),
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
    /// Sets or deletes; gives the row before.
    fn set(&mut self, table: usize, key: &Text, value: &Text, time: i64) -> Row {
        let rows = &mut self.tables[table].rows;
        match value {
            Some(value) => rows.insert(key.clone(), (value.clone(), time)),
            None => rows.remove(key),
        }
    }

    /// An update reaches the node of a table.
    pub(super) fn update(&mut self, node: usize, table: usize, m: &Message) {
        let (origin, stored, tells) = {
            let t = &self.tables[table];
            (t.origin, t.stored, t.tells_old)
        };
        let mut new = m.new.clone();
        let mut old = m.old.clone();
        let mut given = false;
        match origin {
            Origin::Source if m.key.is_none() => {
                self.dropped += 1;
                return;
            }
            Origin::Source | Origin::Aggregate => {}
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
        // What was not there is not deleted, where that is known.
        if matches!(origin, Origin::Filter { .. }) && tells && new.is_none() && old.is_none() {
            return;
        }
        if stored {
            self.set(table, &m.key, &new, m.time);
        }
        self.forward(node, &Message { new, old, ..m.clone() });
    }

    pub(super) fn aggregate(&mut self, node: usize, table: usize, fold: Fold, m: &Message) {
        let (Some(_), Some(value)) = (&m.key, &m.new) else {
            self.dropped += 1;
            return;
        };
        let before = self.row(table, &m.key);
        let old = before.as_ref().map(|(v, _)| v.clone());
        let so_far = old.clone().unwrap_or_default();
        let new = match fold {
            Fold::Count => Some((so_far.parse::<u32>().unwrap_or(0) + 1).to_string()),
            Fold::Text if value == "2" => None,
            Fold::Text | Fold::Reduce => Some(so_far + value),
        };
        let time = before.map_or(m.time, |(_, time)| time.max(m.time));
        self.set(table, &m.key, &new, time);
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
                key: m.key.clone(),
                new,
                old,
                time,
            },
        );
    }

    /// A row goes to other groups: out of the old one, then into the new one; in one record if that is the same.
    pub(super) fn group(&mut self, by: Key, topic: usize, m: &Message) {
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
        self.set(table, &m.key, &new, time);
        let old = old.filter(|_| self.tables[table].tells_old);
        self.forward(
            node,
            &Message {
                key: m.key.clone(),
                new,
                old,
                time,
            },
        );
    }

    /// An update of one side of a join of tables.
    pub(super) fn join_rows(&mut self, table: usize, from_left: bool, m: &Message) {
        let Origin::Join { left, right, kind } = self.tables[table].origin else {
            return;
        };
        let other = self.row(if from_left { right } else { left }, &m.key);
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
            key: m.key.clone(),
            new: result(&m.new),
            old,
            time,
        };
        let node = self.tables[table].node;
        self.update(node, table, &update);
    }

    pub(super) fn join_table(&mut self, node: usize, table: usize, left: bool, m: &Message) {
        if m.new.is_none() || (m.key.is_none() && !left) {
            self.dropped += 1;
            return;
        }
        let row = m.key.as_ref().and_then(|_| self.row(table, &m.key));
        if row.is_some() || left {
            let value = joined(m.new.as_deref(), row.as_ref().map(|(v, _)| v.as_str()));
            self.forward(
                node,
                &Message {
                    new: Some(value),
                    ..m.clone()
                },
            );
        }
    }

    /// Adds a table whose updates pass the node made for it.
    pub(super) fn add_table(&mut self, origin: Origin, stored: bool) -> usize {
        self.nodes.push(super::Node {
            does: Does::Pass,
            children: Vec::new(),
        });
        self.tables.push(Table {
            origin,
            stored: stored || matches!(origin, Origin::Aggregate),
            tells_old: false,
            node: self.nodes.len() - 1,
            rows: BTreeMap::new(),
        });
        self.tables.len() - 1
    }
}
