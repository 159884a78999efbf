//! Named places of the commit protocol where a test lets the process die.
//!
//! Without the cargo feature `failpoints` a crossing is nothing at all. With it, `MILLSTREAM_FAILPOINT=name:n` aborts the
//! process at the n-th crossing of `name`, as `kill -9` would: nothing is flushed, no destructor runs.

/// Crosses the failpoint of that name.
macro_rules! fail_point {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::cross($name);
    };
}
pub(crate) use fail_point;

#[cfg(feature = "failpoints")]
pub(crate) fn cross(name: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };
    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static CROSSED: AtomicU64 = AtomicU64::new(0);
    let armed = ARMED.get_or_init(|| parse(&std::env::var("MILLSTREAM_FAILPOINT").ok()?));
    if let Some((wanted, n)) = armed
        && wanted == name
        && CROSSED.fetch_add(1, Ordering::Relaxed) + 1 == *n
    {
        std::process::abort();
    }
}

#[cfg(any(feature = "failpoints", test))]
fn parse(text: &str) -> Option<(String, u64)> {
    let (name, n) = text.rsplit_once(':')?;
    Some((name.to_owned(), n.parse().ok().filter(|n| *n > 0)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_variable_is_a_name_and_a_count_from_one() {
        assert_eq!(parse("commit.answered:3"), Some(("commit.answered".into(), 3)));
        for bad in ["", "x", "x:", "x:0", "x:y"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
