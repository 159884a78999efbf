//! Joins by a foreign key: a row tells the table that it points to what it is, and is answered now and whenever the row
//! over there changes. Answers to what the row no longer is are ignored.
use std::collections::BTreeMap;

use super::{
    super::plan::{Text, foreign_key, joined},
    Message, World,
};

#[derive(Debug)]
pub(super) struct ForeignJoin {
    pub(super) left: usize,
    pub(super) right: usize,
    /// Whether rows that point nowhere have a result.
    pub(super) outer: bool,
    /// Topics in both directions.
    pub(super) registration: usize,
    pub(super) response: usize,
    pub(super) result: usize,
    /// What the rows were when they said so, by foreign key and key.
    pub(super) subscribers: BTreeMap<(Text, Text), Text>,
}

/// What is said over the two topics.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// The row of this key was like this when it said so.
    Subscription {
        ask: Ask,
        key: Text,
        row: Text,
    },
    Answer {
        row: Text,
        foreign: Text,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Forget,
    ForgetAndAnswer,
    KeepAndAnswer,
    KeepAndAnswerIfFound,
}

/// What a change of a row says, and to which foreign keys.
fn asks(outer: bool, m: &Message) -> Vec<(Text, Ask)> {
    let key_in = |row: &Text| row.as_deref().and_then(foreign_key);
    let (old, new) = (key_in(&m.old), key_in(&m.new));
    let has_moved = old.is_some() && old != new;
    if outer {
        let mut asks = Vec::new();
        if has_moved {
            asks.push((old, Ask::Forget));
        }
        if m.old.is_some() || m.new.is_some() {
            asks.push((new, Ask::KeepAndAnswer));
        }
        return asks;
    }
    match (old, new) {
        (Some(old), None) => vec![(Some(old), Ask::ForgetAndAnswer)],
        (Some(old), new) if has_moved => vec![(Some(old), Ask::Forget), (new, Ask::KeepAndAnswer)],
        (_, Some(new)) => vec![(Some(new), Ask::KeepAndAnswerIfFound)],
        (None, None) => Vec::new(),
    }
}

impl World {
    pub(super) fn subscribe(&mut self, join: usize, m: &Message) {
        let ForeignJoin {
            left,
            outer,
            registration,
            ..
        } = self.foreign[join];
        if m.outdated && self.has_history(left) {
            self.dropped += 1;
            return;
        }
        if !outer && m.new.as_deref().is_some_and(|row| foreign_key(row).is_none()) {
            self.dropped += 1;
        }
        for (foreign, ask) in asks(outer, m) {
            let notice = Notice::Subscription {
                ask,
                key: m.key.clone(),
                row: m.new.clone(),
            };
            self.sent.push((registration, said(m, foreign, m.time, notice)));
        }
    }

    /// The other side hears of a subscription.
    pub(super) fn keep_subscription(&mut self, join: usize, m: &Message) {
        let Some(Notice::Subscription { ask, key, row }) = &m.notice else {
            return;
        };
        let ForeignJoin { right, response, .. } = self.foreign[join];
        let place = (m.key.clone(), key.clone());
        let subscribers = &mut self.foreign[join].subscribers;
        match (&m.key, ask) {
            (None, Ask::KeepAndAnswer) => {}
            (None, _) => {
                self.dropped += 1;
                return;
            }
            (_, Ask::Forget | Ask::ForgetAndAnswer) => {
                subscribers.remove(&place);
            }
            (_, Ask::KeepAndAnswer | Ask::KeepAndAnswerIfFound) => {
                subscribers.insert(place, row.clone());
            }
        }
        let found = m.key.as_ref().and_then(|_| self.row(right, &m.key));
        if *ask == Ask::Forget || (*ask == Ask::KeepAndAnswerIfFound && found.is_none()) {
            return;
        }
        let time = found.as_ref().map_or(m.time, |(_, time)| m.time.max(*time));
        let foreign = found.map(|(value, _)| value).filter(|_| *ask != Ask::ForgetAndAnswer);
        let row = row.clone();
        self.sent
            .push((response, said(m, key.clone(), time, Notice::Answer { row, foreign })));
    }

    pub(super) fn tell_subscribers(&mut self, join: usize, m: &Message) {
        let ForeignJoin { right, response, .. } = self.foreign[join];
        if m.outdated && self.has_history(right) {
            self.dropped += 1;
            return;
        }
        let subscribers = self.foreign[join].subscribers.iter();
        let subscribers = subscribers.filter(|((foreign, _), _)| *foreign == m.key);
        let answers = subscribers.map(|((_, key), row)| {
            let (row, foreign) = (row.clone(), m.new.clone());
            (response, said(m, key.clone(), m.time, Notice::Answer { row, foreign }))
        });
        self.sent.extend(answers);
    }

    pub(super) fn respond(&mut self, join: usize, m: &Message) {
        let Some(Notice::Answer { row, foreign }) = &m.notice else {
            return;
        };
        let ForeignJoin {
            left, outer, result, ..
        } = self.foreign[join];
        let current = self.row(left, &m.key).map(|(value, _)| value);
        if current != *row {
            self.dropped += 1;
            return;
        }
        // An answer has no way to say that the foreign value is empty, but there.
        let foreign = foreign.as_ref().filter(|value| !value.is_empty());
        let there = foreign.is_some() || (outer && current.is_some());
        let new = there.then(|| joined(current.as_deref(), foreign.map(String::as_str)));
        let node = self.tables[result].node;
        let update = Message {
            notice: None,
            ..m.with_value(new)
        };
        self.update(node, result, &update);
    }
}

fn said(m: &Message, key: Text, time: i64, notice: Notice) -> Message {
    Message {
        key,
        time,
        header: m.header.clone(),
        notice: Some(notice),
        ..Message::default()
    }
}
