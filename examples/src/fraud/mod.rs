//! Fraud detection on card payments.
//!
//! | topic | key | value |
//! |---|---|---|
//! | `payments` | card | [`Payment`] |
//! | `profiles` | card | [`Profile`], a table |
//! | `card-presents` | card | [`CardPresent`]: the card was in a terminal |
//! | `alerts` (out) | card | [`Alert`] |
//!
//! Three questions are asked about every payment: does it fit the customer ([`rules::against_profile`]), are there too
//! many or too much in a minute ([`rules::in_a_minute`]), and was the card somewhere else just now ([`rules::elsewhere`])?
mod generator;
mod model;
mod program;
pub mod rules;
mod summary;
mod topology;

pub use generator::{Event, Generator, Planted};
pub use model::{Alert, CardPresent, Kind, Minute, Payment, Profile};
pub use program::{Arguments, run};
pub use summary::Summary;
pub use topology::topology;

/// `application.id` of the example.
pub const APPLICATION: &str = "fraud-detection";
/// Payments.
pub const PAYMENTS: &str = "payments";
/// Customers.
pub const PROFILES: &str = "profiles";
/// Where cards were.
pub const CARD_PRESENTS: &str = "card-presents";
/// What is found.
pub const ALERTS: &str = "alerts";
