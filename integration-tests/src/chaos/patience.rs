//! What comes by itself is asked for until it is there.

use std::time::{Duration, Instant};

use super::Attempt;

const PAUSE: Duration = Duration::from_millis(100);

/// Asks until there is an answer, once at least; `None` when there was none within the limit.
pub(super) fn within<T>(limit: Duration, mut ask: impl FnMut() -> Attempt<Option<T>>) -> Attempt<Option<T>> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = ask()?;
        if answer.is_some() || Instant::now() > deadline {
            return Ok(answer);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Asks until it is so; false when it was not within the limit.
pub(super) fn becomes(limit: Duration, mut ask: impl FnMut() -> Attempt<bool>) -> Attempt<bool> {
    Ok(within(limit, || Ok(ask()?.then_some(())))?.is_some())
}
