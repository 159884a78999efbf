//! Windows whose type does not matter any more.
use std::{ops::ControlFlow, sync::Arc};

use super::{Window, Windows};

/// `Windows` without the generic function, so that it can be a trait object.
trait AnyWindows: Send + Sync {
    fn each(&self, timestamp: i64, f: &mut dyn FnMut(Window) -> ControlFlow<()>);
    fn size_ms(&self) -> i64;
    fn grace_ms(&self) -> i64;
    fn closes(&self) -> bool;
    fn problem(&self) -> Option<String>;
}
impl<W: Windows> AnyWindows for W {
    fn each(&self, timestamp: i64, f: &mut dyn FnMut(Window) -> ControlFlow<()>) {
        // What ended it is with the caller.
        let _ = Windows::each(self, timestamp, |window| match f(window) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(()),
        });
    }
    fn size_ms(&self) -> i64 {
        Windows::size_ms(self)
    }
    fn grace_ms(&self) -> i64 {
        Windows::grace_ms(self)
    }
    fn closes(&self) -> bool {
        Windows::closes(self)
    }
    fn problem(&self) -> Option<String> {
        Windows::problem(self)
    }
}

/// Any windows that are known from the time of a record alone.
#[derive(Clone)]
pub(crate) struct SharedWindows(Arc<dyn AnyWindows>);

impl SharedWindows {
    pub(crate) fn new(windows: impl Windows) -> Self {
        Self(Arc::new(windows))
    }
    /// Calls `f` for each window that holds `timestamp`, earliest start first, until `f` fails.
    pub(crate) fn each<E>(&self, timestamp: i64, mut f: impl FnMut(Window) -> Result<(), E>) -> Result<(), E> {
        let mut result = Ok(());
        self.0.each(timestamp, &mut |window| match f(window) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                result = Err(error);
                ControlFlow::Break(())
            }
        });
        result
    }
    pub(crate) fn size_ms(&self) -> i64 {
        self.0.size_ms()
    }
    pub(crate) fn grace_ms(&self) -> i64 {
        self.0.grace_ms()
    }
    pub(crate) fn closes(&self) -> bool {
        self.0.closes()
    }
    pub(crate) fn problem(&self) -> Option<String> {
        self.0.problem()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{TimeWindows, millis};

    #[test]
    fn the_first_failure_ends_the_round_and_is_told() {
        let windows = SharedWindows::new(TimeWindows::of(millis(10)).advance_by(millis(5)));
        let mut seen = Vec::new();
        let result = windows.each(12, |window| {
            seen.push(window.start);
            Err("enough")
        });
        assert_eq!((result, seen), (Err("enough"), vec![5]));
    }
}
