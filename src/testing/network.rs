//! The network of one instance: decides when, and whether, its requests and the answers arrive.

use super::world::{Leg, Parcel, SharedWorld, World, lock};
use crate::cluster::{
    ClusterError, ErrorClass,
    memory::{
        RequestKind,
        transport::{Connection, Fate, Message, Network, Trouble},
    },
};

/// How long a client waits for an answer.
const REQUEST_TIMEOUT_US: u64 = 3_000_000;
/// How late a request may still arrive after its sender has given up.
const LATEST_US: u64 = 20_000_000;

/// One incarnation of an instance as the network sees it.
pub(super) struct InstanceNetwork {
    pub(super) instance: usize,
    pub(super) world: SharedWorld,
}

impl InstanceNetwork {
    /// The legs of a request, first one first.
    fn route(&self, world: &mut World, connection: Connection, kind: RequestKind) -> Vec<(u64, Leg)> {
        let now = world.now_us;
        if world.is_cut_off(self.instance) {
            world.happens("request of a cut-off instance");
            return match world.random.chance(500) {
                true => vec![(now + 1_000, Leg::Lose(Trouble::NotSent))],
                false => vec![(now + REQUEST_TIMEOUT_US, Leg::Lose(Trouble::TimedOut))],
            };
        }
        let (out, back) = (world.latency_us(), world.latency_us());
        let arrival = world.arrival(connection, out);
        if world.is_away(kind) {
            world.happens("refused: coordinator or leader has moved");
            let code = refusal(world, kind);
            let answer = world.return_(connection, arrival, back);
            return vec![(arrival, Leg::Refuse(code)), (answer, Leg::Answer)];
        }
        if world.weather.fenced_per_mille > 0 {
            let per_mille = world.weather.fenced_per_mille;
            if let Some(code) = fencing(kind).filter(|_| world.random.chance(per_mille)) {
                world.happens("refused: as if replaced");
                let answer = world.return_(connection, arrival, back);
                return vec![(arrival, Leg::Refuse(code)), (answer, Leg::Answer)];
            }
        }
        let storm = now < world.weather.storm_until_us;
        let per_mille = world.weather.trouble_per_mille * if storm { 20 } else { 1 };
        if world.random.chance(per_mille.min(700)) {
            return trouble(world, kind, arrival, back);
        }
        let answer = world.return_(connection, arrival, back);
        vec![(arrival, Leg::Arrive), (answer, Leg::Answer)]
    }
}

/// What goes wrong with a request: these are the cases a client cannot tell apart.
fn trouble(world: &mut World, kind: RequestKind, arrival: u64, back: u64) -> Vec<(u64, Leg)> {
    let now = world.now_us;
    let broken = world.random.chance(500);
    let end = |at: u64| match broken {
        true => (at, Leg::Lose(Trouble::Broken)),
        false => (now + REQUEST_TIMEOUT_US, Leg::Lose(Trouble::TimedOut)),
    };
    match world.random.below(3) {
        0 => {
            world.happens("request lost");
            vec![end(arrival)]
        }
        1 => {
            world.happens(match kind {
                RequestKind::EndTransaction => "answer of EndTxn lost",
                RequestKind::Heartbeat => "answer of a heartbeat lost",
                RequestKind::Produce => "answer of Produce lost",
                _ => "answer lost",
            });
            vec![(arrival, Leg::Arrive), end(arrival + back)]
        }
        _ => {
            world.happens(match kind {
                RequestKind::EndTransaction => "EndTxn arrives late",
                RequestKind::InitProducerId => "InitProducerId arrives late",
                RequestKind::Produce => "Produce arrives late",
                _ => "request arrives late",
            });
            let given_up = end(arrival);
            let late = given_up.0 + world.random.spread(100, LATEST_US);
            vec![given_up, (late, Leg::Arrive)]
        }
    }
}

/// NOT_COORDINATOR and its like, by what was asked.
fn refusal(world: &mut World, kind: RequestKind) -> i32 {
    let codes: &[i32] = match kind {
        RequestKind::Heartbeat
        | RequestKind::CommitOffsets
        | RequestKind::FetchOffsets
        | RequestKind::DescribeMember => &[14, 15, 16],
        RequestKind::Produce => &[5, 6, 19],
        // CONCURRENT_TRANSACTIONS: the markers of the last transaction are still being written.
        _ => &[14, 15, 16, 51],
    };
    world.random.pick(codes).copied().unwrap_or(16)
}

/// UNKNOWN_MEMBER_ID, PRODUCER_FENCED and their like: what only somebody hears who was replaced, or whom the coordinator forgot.
fn fencing(kind: RequestKind) -> Option<i32> {
    match kind {
        RequestKind::Heartbeat => Some(25),
        RequestKind::CommitOffsets => Some(113),
        RequestKind::AddPartition | RequestKind::AddOffsets => Some(47),
        RequestKind::EndTransaction => Some(90),
        _ => None,
    }
}

pub(super) fn refused(code: i32) -> ClusterError {
    ClusterError {
        class: match code {
            25 | 47 | 90 | 113 => ErrorClass::Migrated,
            _ => ErrorClass::Retry,
        },
        code,
        message: format!("injected: error code {code}"),
        partition: None,
    }
}

impl Network for InstanceNetwork {
    fn send(&self, connection: Connection, message: Box<dyn Message>) {
        let mut world = lock(&self.world);
        let mut legs = self.route(&mut world, connection, message.kind());
        legs.reverse();
        world.put_back(Parcel {
            instance: self.instance,
            connection,
            message,
            legs,
            given_up: false,
        });
    }

    fn fate(&self, kind: RequestKind) -> Fate {
        let mut world = lock(&self.world);
        if kind == RequestKind::Admin {
            world.blocked_us += world.latency_us();
        }
        let unreachable = world.is_cut_off(self.instance) || world.is_away(kind);
        let per_mille = world.weather.trouble_per_mille;
        if !unreachable && !world.random.chance(per_mille) {
            return Fate::Answered;
        }
        if kind == RequestKind::Admin {
            world.happens("administration without answer");
            world.blocked_us += REQUEST_TIMEOUT_US;
        }
        if !unreachable && world.random.chance(500) {
            Fate::AnswerLost
        } else {
            Fate::RequestLost
        }
    }

    fn clients_ask_again(&self) -> bool {
        lock(&self.world).clients_ask_again
    }

    fn fetch_limit(&self, max_records: usize) -> usize {
        let mut world = lock(&self.world);
        if !world.weather.small_fetches {
            return max_records;
        }
        1 + world.random.below(max_records.min(20))
    }

    fn fetches_former_end(&self) -> bool {
        let mut world = lock(&self.world);
        let former = world.weather.former_ends && world.random.chance(500);
        if former {
            world.happens("former end fetched");
        }
        former
    }
}
