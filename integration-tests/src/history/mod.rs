//! What happened in a run, and was it right? A history is written by whoever runs an application under faults, simulated or
//! real; the checkers read it afterwards, from memory or from a file, and need nothing else.
//!
//! A history file holds one JSON object a line (`event.rs`), the first one says which application ran. Invariants are numbered:
//!
//! - I1 nothing acknowledged is lost; I2 the committed output is the reference fold of the input, element by element, and what a
//!   reader of committed records has seen stays; I10 the output of a key is in the order of its input;
//! - I3 stores hold what the fold holds; I4 a store is what its changelog says below the offset it claims to stand for;
//! - I5 committed offsets never go back, and at rest they are at the end, also behind control records;
//! - I6 at rest nothing is open; I7 recovery stays within its bound; I8 nothing a replaced producer wrote is committed later.
//!
//! ```
//! use millstream_integration_tests::applications::Application;
//! use millstream_integration_tests::history::{About, Event, History, Record, check};
//!
//! let mut history = History::new(About::new(Application::Relay, "a test", true));
//! for (offset, value) in [(0, "a"), (1, "b")] {
//!     let record = |topic| Record::new(topic, 0, offset, Some(b"key"), Some(value.as_bytes()));
//!     history.add(0, Event::Found(record("in")));
//!     history.add(0, Event::Found(record("out")));
//! }
//! assert_eq!(check(&history).compared_records(), 2);
//!
//! // The verifier is itself verified: a planted duplicate must be found.
//! history.add(0, Event::Found(Record::new("out", 0, 2, Some(b"key"), Some(b"b"))));
//! assert_eq!(check(&history).violations().len(), 1);
//! ```
mod check;
mod compare;
mod event;
mod file;
mod report;
mod rest;
mod tamper;

pub use check::check;
pub use event::{About, Bytes, Event, Record, Timed, Writer};
pub use file::{History, HistoryError, Recorder};
pub use report::{Invariant, Report, Violation};
pub use tamper::Tampering;
