//! A mistake that can be planted, to see the simulator find it. Without the cargo feature `mutants` it does not exist.

#[cfg(feature = "mutants")]
thread_local! {
    static SWALLOW: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on, on this thread, bytes that cannot be read are null where the type has null.
#[cfg(feature = "mutants")]
pub fn swallow_decode_errors(swallow: bool) {
    SWALLOW.set(swallow);
}

#[cfg(feature = "mutants")]
pub(crate) fn decode_errors_are_swallowed() -> bool {
    SWALLOW.get()
}

/// Never.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub(crate) const fn decode_errors_are_swallowed() -> bool {
    false
}
