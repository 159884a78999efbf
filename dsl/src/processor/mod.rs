//! The processor API: operators written by the user, with state and time.
mod context;
mod fixed_key;
mod node;
mod transformer;

pub use context::{ForwardError, ProcessorContext, Punctuation, RecordMetadata, Schedule};
pub(crate) use fixed_key::FixedKey;
pub use fixed_key::{FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
pub use node::Processor;
pub(crate) use node::{Connected, ProcessorNode, Punctuate};
pub use transformer::{TransformContext, ValueTransformer};
