//! From what a simulation observed to a history.

use std::collections::BTreeMap;

use millstream::testing::{Observation, Observed, SeenRecord};

use crate::history::{About, Bytes, Event, History, Record, Writer};

/// The history of a simulation.
pub fn history(about: &About, observed: &[Observed], happened: &BTreeMap<&'static str, u64>) -> History {
    let mut history = History::new(about.clone());
    for Observed { at_ms, what } in observed {
        if let Some(event) = event(what) {
            history.add(*at_ms, event);
        }
    }
    let end_ms = observed.last().map_or(0, |last| last.at_ms);
    for (what, times) in happened {
        let what = (*what).to_owned();
        history.add(end_ms, Event::Count { what, times: *times });
    }
    history
}

fn record(seen: &SeenRecord) -> Record {
    let SeenRecord {
        topic,
        partition,
        offset,
        timestamp,
        key,
        value,
    } = seen;
    Record::new(topic, *partition, *offset, key.as_deref(), value.as_deref()).at_ms(*timestamp)
}

fn instance(number: usize) -> String {
    format!("instance {number}")
}

fn event(of: &Observation) -> Option<Event> {
    Some(match of {
        Observation::Produced(seen) => Event::Produced(record(seen)),
        Observation::Seen(seen) => Event::Seen(record(seen)),
        Observation::Found { record: seen, writer } => Event::Found(Record {
            writer: Some(Writer {
                id: writer.0,
                epoch: writer.1,
            }),
            ..record(seen)
        }),
        Observation::Committed {
            topic,
            partition,
            offset,
        } => Event::Committed {
            topic: topic.to_string(),
            partition: *partition,
            offset: *offset,
        },
        Observation::Fault { instance: who, what } => Event::Fault {
            who: who.map_or_else(|| "all".to_owned(), instance),
            what: (*what).to_owned(),
        },
        Observation::Cleared => Event::Cleared,
        Observation::Recovered => Event::Recovered,
        Observation::AtRest {
            topic,
            partition,
            end,
            stable,
            committed,
            left,
        } => Event::AtRest {
            topic: topic.to_string(),
            partition: *partition,
            end: *end,
            stable: *stable,
            committed: *committed,
            left: Some(*left),
        },
        state => return state_event(state),
    })
}

fn state_event(of: &Observation) -> Option<Event> {
    Some(match of {
        Observation::Row {
            instance: who,
            store,
            partition,
            key,
            value,
        } => Event::Row {
            who: instance(*who),
            store: store.to_string(),
            partition: *partition,
            key: Bytes(key.clone()),
            value: Bytes(value.clone()),
        },
        Observation::Mark {
            instance: who,
            store,
            partition,
            offset,
            end,
        } => Event::Mark {
            who: instance(*who),
            store: store.to_string(),
            partition: *partition,
            offset: *offset,
            end: *end,
        },
        Observation::Change { store, record, writer } => Event::Change {
            store: store.to_string(),
            partition: record.partition,
            offset: record.offset,
            key: Bytes(record.key.clone().unwrap_or_default()),
            value: record.value.clone().map(Bytes),
            writer: Some(*writer),
        },
        _ => return None,
    })
}
