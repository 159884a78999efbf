//! What librdkafka has to say, in our log. It repeats some lines with every attempt, ten times a second while a coordinator
//! is away; each is told at once, and then once in a while with the number of times it came.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The same line is told once in this time.
const ONCE_IN: Duration = Duration::from_secs(10);
/// Lines that are remembered; more than that are not the repetition of one.
const REMEMBERED: usize = 256;

/// Writes a line of librdkafka, with the level that syslog gives it.
pub(super) fn tell(level: i32, facility: &str, message: &str) {
    static REPETITIONS: LazyLock<Mutex<Repetitions>> = LazyLock::new(Mutex::default);
    let left_out = REPETITIONS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .left_out(&(level, facility, message), Instant::now());
    let Some(left_out) = left_out else { return };
    match level {
        0..=3 => tracing::error!(target: "millstream::librdkafka", %facility, left_out, "{message}"),
        4 => tracing::warn!(target: "millstream::librdkafka", %facility, left_out, "{message}"),
        5 | 6 => tracing::info!(target: "millstream::librdkafka", %facility, left_out, "{message}"),
        _ => tracing::debug!(target: "millstream::librdkafka", %facility, "{message}"),
    }
}

/// Lines and when they were told last, with how often they have come since. By their hash: a line that is left out because it
/// looks like another is one of billions.
#[derive(Default)]
struct Repetitions(HashMap<u64, (Instant, u64)>);

impl Repetitions {
    /// `None`: not now. Otherwise how often the line was left out since it was told.
    fn left_out(&mut self, line: &impl Hash, now: Instant) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let line = hasher.finish();
        if let Some((told, left_out)) = self.0.get_mut(&line) {
            if now.duration_since(*told) < ONCE_IN {
                *left_out += 1;
                return None;
            }
            *told = now;
            return Some(std::mem::take(left_out));
        }
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, (told, _)| now.duration_since(*told) < ONCE_IN);
        }
        if self.0.len() < REMEMBERED {
            self.0.insert(line, (now, 0));
        }
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_repeats_is_told_once_in_a_while_with_its_number() {
        let (mut lines, start) = (Repetitions::default(), Instant::now());
        assert_eq!(lines.left_out(&"trying again", start), Some(0));
        for tenth in 1..100 {
            assert_eq!(lines.left_out(&"trying again", start + ONCE_IN / 100 * tenth), None);
        }
        assert_eq!(lines.left_out(&"something else", start), Some(0));
        assert_eq!(lines.left_out(&"trying again", start + ONCE_IN), Some(99));
        assert_eq!(lines.left_out(&"trying again", start + ONCE_IN * 2), Some(0));
    }

    #[test]
    fn lines_that_are_all_different_are_all_told_and_not_kept() {
        let (mut lines, start) = (Repetitions::default(), Instant::now());
        for number in 0..10 * REMEMBERED {
            assert_eq!(lines.left_out(&number, start), Some(0));
        }
        assert_eq!(lines.0.len(), REMEMBERED);
        assert_eq!(lines.left_out(&"later", start + ONCE_IN), Some(0));
        assert_eq!(lines.0.len(), 1);
    }
}
