//! Histories in memory and in files.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::event::{About, Event, Timed};

/// Everything that was seen of one run, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What ran.
    pub about: About,
    /// What was seen.
    pub events: Vec<Timed>,
}

/// A history that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The file.
    #[error("the history {path} cannot be read or written: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A line that is not part of a history.
    #[error("line {line} of the history {path} is not understood: {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A file without lines.
    #[error("the history {0} is empty: it must begin with what ran")]
    Empty(PathBuf),
}

impl History {
    /// Nothing seen yet.
    pub fn new(about: About) -> Self {
        Self {
            about,
            events: Vec::new(),
        }
    }

    /// Appends.
    pub fn add(&mut self, at_ms: u64, event: Event) {
        self.events.push(Timed { at_ms, event });
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or has a line that is not understood: a history that was cut short is refused too.
    pub fn read(path: &Path) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Io {
            path: path.to_owned(),
            source,
        };
        let file = BufReader::new(File::open(path).map_err(failed)?);
        let mut history = None;
        for (number, line) in (1..).zip(file.lines()) {
            let line = line.map_err(failed)?;
            let misread = |source| HistoryError::Line {
                path: path.to_owned(),
                line: number,
                source,
            };
            match &mut history {
                None => history = Some(Self::new(serde_json::from_str(&line).map_err(misread)?)),
                Some(Self { events, .. }) => events.push(serde_json::from_str(&line).map_err(misread)?),
            }
        }
        history.ok_or_else(|| HistoryError::Empty(path.to_owned()))
    }

    /// Writes a file, replacing one that is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), HistoryError> {
        let recorder = Recorder::create(path, &self.about)?;
        for timed in &self.events {
            recorder.line(timed)?;
        }
        recorder.finish()
    }
}

/// Writes a history while the run goes on; may be shared by threads.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    began: Instant,
    file: Mutex<BufWriter<File>>,
}

impl Recorder {
    /// Begins a file, replacing one that is there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, about: &About) -> Result<Self, HistoryError> {
        let file = File::create(path).map_err(|source| HistoryError::Io {
            path: path.to_owned(),
            source,
        })?;
        let recorder = Self {
            path: path.to_owned(),
            began: Instant::now(),
            file: Mutex::new(BufWriter::new(file)),
        };
        recorder.line(about)?;
        Ok(recorder)
    }

    /// Appends what has just been seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, event: Event) -> Result<(), HistoryError> {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.line(&Timed { at_ms, event })
    }

    fn line(&self, line: &impl serde::Serialize) -> Result<(), HistoryError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_writer(&mut *file, line).map_err(std::io::Error::from);
        written
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> HistoryError {
        HistoryError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Everything is in the file when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<(), HistoryError> {
        let flushed = self.file.lock().unwrap_or_else(PoisonError::into_inner).flush();
        flushed.map_err(|source| self.failed(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applications::Application;
    use crate::history::Record;

    fn history() -> History {
        let mut history = History::new(About::new(Application::Count, "a test", true));
        history.add(3, Event::Found(Record::new("in", 0, 0, Some(b"k"), None).at_ms(5)));
        history.add(4, Event::Cleared);
        history.add(
            9,
            Event::Fault {
                who: "1".into(),
                what: "killed".into(),
            },
        );
        history
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        history().write(file.path()).unwrap();
        assert_eq!(History::read(file.path()).unwrap(), history());
    }

    #[test]
    fn what_is_no_history_is_refused_with_file_and_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = || History::read(file.path()).unwrap_err().to_string();
        assert!(read().contains("is empty"), "{}", read());
        std::fs::write(file.path(), "hello\n").unwrap();
        assert!(read().contains("line 1"), "{}", read());
        history().write(file.path()).unwrap();
        let whole = std::fs::read_to_string(file.path()).unwrap();
        std::fs::write(file.path(), &whole[..whole.len() - 8]).unwrap();
        assert!(read().contains("line 4"), "{}", read());
        std::fs::remove_file(file.path()).unwrap();
        assert!(read().contains("cannot be read"), "{}", read());
    }
}
