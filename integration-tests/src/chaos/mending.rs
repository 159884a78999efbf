//! A broker that runs and does not serve: what an operator restarts, and the harness with him.
//!
//! After all brokers had been killed, Kafka 4.3.1 was seen to load a partition of `__consumer_offsets` twice at once and to
//! give up ("Failed to load metadata from __consumer_offsets-1 ... Group r11-11 is not a streams group"). From then on it
//! answers NOT_COORDINATOR for the groups of that partition and no other broker takes over. Restarted, the next leader
//! reads the same log without a complaint.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use super::Attempt;

const GAVE_UP: &str = "Failed to load metadata from __consumer_offsets";

/// How far the log of a broker has been read.
#[derive(Clone, Copy, Default)]
pub(super) struct LogPosition(u64);

impl LogPosition {
    /// Whether the broker has given up a group's partition since the last time.
    pub(super) fn gave_up(&mut self, log: &Path) -> Attempt<bool> {
        let mut file = BufReader::new(File::open(log)?);
        file.seek(SeekFrom::Start(self.0))?;
        let (mut line, mut found) = (Vec::new(), false);
        loop {
            line.clear();
            let read = file.read_until(b'\n', &mut line)?;
            // What is still being written is read the next time.
            if line.last() != Some(&b'\n') {
                return Ok(found);
            }
            self.0 += read as u64;
            found |= String::from_utf8_lossy(&line).contains(GAVE_UP);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn each_giving_up_is_seen_once_and_half_a_line_later() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let mut position = LogPosition::default();
        writeln!(log, "INFO starting").unwrap();
        assert!(!position.gave_up(log.path()).unwrap());
        write!(log, "ERROR CoordinatorRuntime {GAVE_UP}-1 with epoch 23").unwrap();
        assert!(!position.gave_up(log.path()).unwrap());
        writeln!(log, " due to something").unwrap();
        assert!(position.gave_up(log.path()).unwrap());
        assert!(!position.gave_up(log.path()).unwrap());
    }
}
