//! What a user may set, with defaults: [`StreamsConfig`], and the table of rules it must obey.

mod properties;
mod rules;
mod streams;

pub use properties::Property;
pub use streams::{ProcessingGuarantee, StreamsConfig};
