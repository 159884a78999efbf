//! The processor API: operators written by the user, with state and time.
mod context;
mod fixed_key;
mod node;
mod transformer;

pub use context::{ForwardError, ProcessorContext, Punctuation, RecordMetadata, Schedule};
pub use fixed_key::{FixedKey, FixedKeyContext, FixedKeyProcessor, FixedKeyRecord};
pub(crate) use node::Punctuate;
pub use node::{Connected, Processor, ProcessorNode};
pub use transformer::{TransformContext, ValueTransformer};
