//! Joins of two streams: every record of a side is remembered, and who has no partner waits.
use super::{
    super::plan::{Kind, Text, joined, text},
    Message, World,
};

#[derive(Debug)]
struct Side {
    /// Key, value and time of the records, in the order of arrival.
    kept: Vec<(Text, Text, i64)>,
    /// The latest time among them.
    latest: i64,
}

#[derive(Debug)]
pub(super) struct Join {
    kind: Kind,
    before: i64,
    after: i64,
    grace: i64,
    now: i64,
    sides: [Side; 2],
    /// Time, whether it is a left record, key, value: records without a partner so far.
    waiting: Vec<(i64, bool, Text, Text)>,
    /// The time that decides whether they are looked at.
    first_due: i64,
    /// The node that takes the results.
    pub(super) out: usize,
}
impl Join {
    pub(super) fn new(kind: Kind, before: i64, after: i64, grace: i64, out: usize) -> Self {
        let side = || Side {
            kept: Vec::new(),
            latest: -1,
        };
        Self {
            kind,
            before,
            after,
            grace,
            now: -1,
            sides: [side(), side()],
            waiting: Vec::new(),
            first_due: i64::MAX,
            out,
        }
    }
    fn retention(&self) -> i64 {
        self.before + self.after + self.grace
    }
    fn outer(&self, left: bool) -> bool {
        match self.kind {
            Kind::Inner => false,
            Kind::Left => left,
            Kind::Outer => true,
        }
    }
    fn result(left: bool, own: &Text, other: Option<&Text>) -> Text {
        let (own, other) = (Some(text(own)), other.map(text));
        Some(if left { joined(own, other) } else { joined(other, own) })
    }

    /// Records that have waited long enough, earliest first; a right one before a left one, then by key. Their results
    /// have the headers of the record that made time move on.
    ///
    /// Kafka Streams looks at what waits only once the first record is due. It takes that time from the last record it
    /// looked at, though, and it looks on while records of one side only are not due: so some leave later than they could.
    fn closed(&mut self, left: bool, m: &Message) -> Vec<Message> {
        let (before, after) = (self.before, self.after);
        let ahead = |left: bool| if left { after } else { before };
        let (grace, now) = (self.grace, self.now);
        let is_open = |time: i64, left: bool| time.wrapping_add(ahead(left) + grace) >= now;
        if is_open(self.first_due, left) {
            return Vec::new();
        }
        self.first_due = i64::MAX;
        self.waiting.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        let (mut open, mut ended) = ([false; 2], false);
        let (mut closed, mut stays) = (Vec::new(), Vec::new());
        for record in std::mem::take(&mut self.waiting) {
            let (time, left, ..) = record;
            if !ended {
                self.first_due = time;
                ended = open == [true; 2];
            }
            if ended || is_open(time, left) {
                open[usize::from(left)] = true;
                stays.push(record);
            } else {
                closed.push(record);
            }
        }
        self.waiting = stays;
        let result = |(time, left, key, value): (i64, bool, Text, Text)| Message {
            key,
            new: Self::result(left, &value, None),
            time,
            ..m.clone()
        };
        closed.into_iter().map(result).collect()
    }

    /// Results of a record, and whether it is dropped.
    fn meet(&mut self, left: bool, m: &Message) -> (Vec<Message>, bool) {
        self.now = self.now.max(m.time);
        if self.outer(left) && m.key.is_none() && m.new.is_some() {
            return (
                vec![Message {
                    new: Self::result(left, &m.new, None),
                    ..m.clone()
                }],
                false,
            );
        }
        if m.key.is_none() || m.new.is_none() {
            return (Vec::new(), true);
        }
        let mut results = if m.time == self.now {
            self.closed(left, m)
        } else {
            Vec::new()
        };
        let (behind, ahead) = if left {
            (self.before, self.after)
        } else {
            (self.after, self.before)
        };
        let (from, to) = ((m.time - behind).max(0), (m.time + ahead).max(0));
        let side = &self.sides[usize::from(left)];
        let oldest = side.latest - self.retention();
        let mut partners: Vec<_> = side
            .kept
            .iter()
            .filter(|(key, _, time)| *key == m.key && (from..=to).contains(time) && *time > oldest)
            .cloned()
            .collect();
        partners.sort_by_key(|(.., time)| *time);
        for (key, value, time) in &partners {
            self.waiting.retain(|w| !(w.0 == *time && w.1 != left && w.2 == *key));
            let result = Self::result(left, &m.new, Some(value));
            results.push(Message {
                new: result,
                time: m.time.max(*time),
                ..m.clone()
            });
        }
        if partners.is_empty() && self.outer(left) {
            if to >= self.now {
                self.first_due = self.first_due.min(m.time);
                self.waiting.push((m.time, left, m.key.clone(), m.new.clone()));
            } else {
                results.push(Message {
                    new: Self::result(left, &m.new, None),
                    ..m.clone()
                });
            }
        }
        (results, false)
    }

    /// Keeps a record for the other side. False: it is so old that its segment is gone.
    fn remember(&mut self, left: bool, m: &Message) -> bool {
        let retention = self.retention();
        let segment = (retention / 2).max(60_000);
        let side = &mut self.sides[usize::from(!left)];
        side.latest = side.latest.max(m.time);
        let first_alive = (side.latest - retention).div_euclid(segment);
        let alive = m.time.div_euclid(segment) >= first_alive;
        if alive {
            side.kept.push((m.key.clone(), m.new.clone(), m.time));
        }
        alive
    }
}

impl World {
    pub(super) fn join_stream(&mut self, join: usize, left: bool, m: &Message) {
        let (results, dropped) = self.joins[join].meet(left, m);
        self.dropped += u64::from(dropped);
        let out = self.joins[join].out;
        for result in &results {
            self.forward(out, result);
        }
        if m.key.is_some() && m.new.is_some() && !self.joins[join].remember(left, m) {
            self.dropped += 1;
        }
    }
}
