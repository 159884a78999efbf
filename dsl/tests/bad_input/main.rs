//! What a topology makes of bad input: functions that fail, bytes that cannot be read, times at the edges of what there
//! is, definitions that make no sense. Always an error that names the operator, or a dropped record; never a panic.
mod arguments;
mod definitions;
mod functions;
mod serdes;
mod tables;
mod times;

use std::{error::Error, sync::Arc};

use millstream_dsl::{engine::ProcessError, prelude::*};

type TestResult = Result<(), Box<dyn Error>>;

fn text(s: &str) -> String {
    s.to_owned()
}

/// Handlers that go on without the record.
fn continuing() -> Handlers {
    Handlers {
        processing: Arc::new(LogAndContinue),
        processing_of_global_tables: true,
        ..Handlers::default()
    }
}

/// How a function of the user goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Error,
    Panic,
}
use Way::{Error as Failing, Panic as Panicking};

/// What a user's function does first: it goes wrong at values with `bad` in them.
fn check(way: Way, value: &str) -> Result<(), String> {
    match way {
        Failing if value.contains("bad") => Err(text("it is bad")),
        Failing => Ok(()),
        Panicking => {
            check_or_panic(value);
            Ok(())
        }
    }
}

/// The same in a function that cannot return an error.
fn check_or_panic(value: &str) {
    assert!(!value.contains("bad"), "it is bad");
}

/// The error of a run that had to stop.
fn stopped<T>(what: &str, result: Result<T, Box<ProcessError>>) -> Result<Box<ProcessError>, Box<dyn Error>> {
    match result {
        Ok(_) => Err(format!("{what}: it went on").into()),
        Err(error) => Ok(error),
    }
}
