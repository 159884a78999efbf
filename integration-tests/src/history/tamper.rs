//! The verifier is verified: a good history with one thing wrong must not pass.

use super::event::{Bytes, Event, Record, Timed};
use super::file::History;
use super::report::Invariant;
use crate::applications::OUTPUT;

/// One thing to make wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// A committed result is there twice.
    Duplicate,
    /// A committed result is missing.
    Loss,
    /// A result has another value.
    WrongValue,
    /// Two neighbours of the input change places in the output.
    Swap,
    /// A record that was acknowledged is not in the input.
    LostInput,
    /// What a reader saw while faults went on is something else afterwards.
    Rewritten,
    /// A committed offset goes back.
    OffsetBack,
    /// The last committed offset is one too high.
    OffsetTooHigh,
    /// A transaction stays open.
    Hanging,
    /// Recovery takes too long.
    SlowRecovery,
    /// Nothing recovers.
    NoRecovery,
    /// A replaced producer's record is committed.
    Zombie,
    /// A row of a store has another value.
    WrongRow,
    /// A row of a store is missing.
    MissingRow,
    /// A store claims to stand for more than its changelog has.
    MarkTooHigh,
    /// Nothing was written at all.
    NoOutput,
}

impl Tampering {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Duplicate,
        Self::Loss,
        Self::WrongValue,
        Self::Swap,
        Self::LostInput,
        Self::Rewritten,
        Self::OffsetBack,
        Self::OffsetTooHigh,
        Self::Hanging,
        Self::SlowRecovery,
        Self::NoRecovery,
        Self::Zombie,
        Self::WrongRow,
        Self::MissingRow,
        Self::MarkTooHigh,
        Self::NoOutput,
    ];

    /// What must be reported.
    pub fn violates(self) -> Invariant {
        match self {
            Self::Duplicate | Self::WrongValue | Self::Swap | Self::Rewritten | Self::NoOutput => {
                Invariant::NoDuplicates
            }
            Self::Loss | Self::LostInput => Invariant::NoLoss,
            Self::OffsetBack | Self::OffsetTooHigh => Invariant::Offsets,
            Self::Hanging => Invariant::NothingOpen,
            Self::SlowRecovery | Self::NoRecovery => Invariant::Recovery,
            Self::Zombie => Invariant::Fencing,
            Self::WrongRow | Self::MissingRow | Self::MarkTooHigh => Invariant::ChangelogIsStore,
        }
    }

    /// Makes it wrong; false if the history has nothing it could be done to.
    pub fn spoil(self, history: &mut History) -> bool {
        match self {
            Self::Duplicate => output(history, |events, at| {
                let mut again = events[at].clone();
                if let Event::Found(record) = &mut again.event {
                    record.offset += 1_000_000;
                }
                events.push(again);
            }),
            Self::Loss => output(history, |events, at| drop(events.remove(at))),
            Self::WrongValue => output(history, |events, at| {
                if let Event::Found(record) = &mut events[at].event {
                    record.value = Some(Bytes(b"wrong".to_vec()));
                }
            }),
            Self::Swap => swap(history),
            Self::LostInput => any(
                history,
                |event| matches!(event, Event::Produced(_)),
                |events, at| {
                    let Event::Produced(lost) = events[at].event.clone() else {
                        return;
                    };
                    let same = |r: &Record| r.topic == lost.topic && r.key == lost.key && r.value == lost.value;
                    events.retain(|e| !matches!(&e.event, Event::Found(r) if same(r)));
                },
            ),
            Self::Rewritten => any(
                history,
                |event| matches!(event, Event::Seen(_)),
                |events, at| {
                    if let Event::Seen(record) = &mut events[at].event {
                        record.value = Some(Bytes(b"wrong".to_vec()));
                    }
                },
            ),
            Self::NoOutput => {
                history
                    .events
                    .retain(|e| !matches!(&e.event, Event::Found(_) | Event::Seen(_) | Event::Produced(_)));
                true
            }
            _ => self.spoil_rest(history),
        }
    }

    fn spoil_rest(self, history: &mut History) -> bool {
        let found = history.events.iter_mut().any(|timed| self.spoil_event(timed));
        match self {
            Self::NoRecovery => remove(history, |event| matches!(event, Event::Recovered)),
            Self::MissingRow => remove(history, |event| matches!(event, Event::Row { .. })),
            Self::OffsetBack => any(
                history,
                |event| matches!(event, Event::Committed { .. }),
                |events, at| {
                    let mut back = events[at].clone();
                    if let Event::Committed { offset, .. } = &mut back.event {
                        *offset -= 1;
                    }
                    events.push(back);
                },
            ),
            Self::Zombie => zombie(history),
            _ => found,
        }
    }

    /// What is done to the first event that it can be done to.
    fn spoil_event(self, timed: &mut Timed) -> bool {
        match (self, &mut timed.event) {
            (
                Self::OffsetTooHigh,
                Event::AtRest {
                    committed: Some(offset),
                    ..
                },
            ) => *offset += 1,
            (Self::Hanging, Event::AtRest { stable, end, .. }) if *end > 0 => *stable -= 1,
            (Self::SlowRecovery, Event::Recovered) => timed.at_ms += 3_600_000,
            (Self::WrongRow, Event::Row { value, .. }) => value.0 = b"wrong".to_vec(),
            (Self::MarkTooHigh, Event::Mark { offset, end, .. }) => *offset = *end + 1,
            _ => return false,
        }
        true
    }
}

type Events = Vec<Timed>;

fn any(history: &mut History, which: impl Fn(&Event) -> bool, spoil: impl FnOnce(&mut Events, usize)) -> bool {
    let at = history.events.iter().position(|timed| which(&timed.event));
    if let Some(at) = at {
        spoil(&mut history.events, at);
    }
    at.is_some()
}

fn remove(history: &mut History, which: impl Fn(&Event) -> bool) -> bool {
    any(history, which, |events, at| drop(events.remove(at)))
}

/// The first record of the output.
fn output(history: &mut History, spoil: impl FnOnce(&mut Events, usize)) -> bool {
    any(
        history,
        |event| matches!(event, Event::Found(record) if record.topic == OUTPUT),
        spoil,
    )
}

/// The values of the first two results of a key.
fn swap(history: &mut History) -> bool {
    let mut found = Vec::new();
    for (at, timed) in history.events.iter().enumerate() {
        if let Event::Found(record) = &timed.event
            && record.topic == OUTPUT
        {
            found.push((at, record.key.clone(), record.value.clone()));
        }
    }
    let pair = found.iter().find_map(|(a, key, value)| {
        let (b, _, other) = found.iter().find(|(b, k, v)| b > a && k == key && v != value)?;
        Some((*a, *b, value.clone(), other.clone()))
    });
    let Some((a, b, first, second)) = pair else {
        return false;
    };
    for (at, value) in [(a, second), (b, first)] {
        if let Event::Found(record) = &mut history.events[at].event {
            record.value = value;
        }
    }
    true
}

/// The first result that its writer lets another one follow gets a later epoch than that.
fn zombie(history: &mut History) -> bool {
    let written = |timed: &Timed| match &timed.event {
        Event::Found(Record {
            topic,
            partition,
            writer: Some(writer),
            ..
        }) if topic == OUTPUT => Some((*partition, writer.id)),
        _ => None,
    };
    let places: Vec<_> = history.events.iter().map(written).collect();
    let first = places.iter().enumerate().position(|(at, place)| {
        let after = places.get(at + 1..).unwrap_or_default();
        place.is_some() && after.contains(place)
    });
    let Some(at) = first else { return false };
    if let Event::Found(Record {
        writer: Some(writer), ..
    }) = &mut history.events[at].event
    {
        writer.epoch = i16::MAX;
    }
    true
}
