//! What the applications are fed: few keys, so that much happens to each, and unique values, so that each record can be told
//! from all others.

use crate::applications::Application;

const KEYS: u64 = 12;
const BEGIN_MS: i64 = 1_700_000_000_000;
const APART_MS: i64 = 700;

/// Key, value, and time in milliseconds since the epoch.
pub(super) type Fed = (String, Option<String>, i64);

/// The records of a topic.
pub(super) fn of(application: Application, topic: &str, records: u64) -> Vec<Fed> {
    (0..records)
        .map(|n| {
            let key = format!("k{}", scattered(n, topic) % KEYS);
            let at_ms = BEGIN_MS + i64::try_from(n).unwrap_or_default() * APART_MS - late(application, n);
            (key, value(application, topic, n), at_ms)
        })
        .collect()
}

/// Neighbours have different keys; different topics have different ones at the same time.
fn scattered(n: u64, topic: &str) -> u64 {
    (n + topic.len() as u64).wrapping_mul(2_654_435_761) >> 7
}

/// Records out of order, by up to half a minute.
fn late(application: Application, n: u64) -> i64 {
    match application {
        Application::WindowedCount | Application::SessionCount if n.is_multiple_of(5) => {
            i64::try_from(scattered(n, "late") % 30_000).unwrap_or_default()
        }
        _ => 0,
    }
}

fn value(application: Application, topic: &str, n: u64) -> Option<String> {
    let is_table = application == Application::TableJoin || topic == "table";
    if is_table && n % 6 == 5 {
        return None;
    }
    match topic {
        "in" if application == Application::Numbers && n % 8 == 7 => None,
        "in" if application == Application::Numbers && n % 5 == 2 => Some(format!("no number {n}")),
        "in" => Some(n.to_string()),
        _ => Some(format!("{}{n}", &topic[..1])),
    }
}
