//! When do results become final? The commit protocol of one stream thread, as a machine that is stepped.
//!
//! At least once: everything sent is acknowledged -> offsets are committed under the member's identity -> the caller
//! applies the overlays.
//! Exactly once: begin -> offsets and commit in one transaction -> the caller applies the overlays.
//!
//! Rules that never bend:
//! - **One incarnation, one clean outcome.** A transactional producer that reported anything but success or "try again" is
//!   dropped. A new one with the same id settles what was in flight by `init_transactions`, and fences late requests
//!   of the old one: without that a delayed EndTxn could end a *later* transaction.
//! - **An unknown outcome is never guessed.** After the new producer is ready the committed offsets are read; they equal the
//!   attempted ones exactly if the transaction was committed. [`Attempt`] makes sure that no two attempts are equal.
//! - **The identity is that of the moment**: taken when the request is built, never earlier.
//!
//! The machine reads no clock and does no I/O of its own: it is given the time and polls a [`CommitIo`].

mod attempt;
mod classify;
mod io;
mod machine;
#[cfg(test)]
mod tests;

pub(crate) use attempt::Attempt;
pub(crate) use io::CommitIo;
pub(crate) use machine::{CommitMachine, CommitStep, Outcome, Settings};
