//! The operators of streams, one in each file: types, semantics, examples.
mod filter;
mod flat_map;
mod flat_map_values;
mod for_each;
mod map;
mod map_values;
mod merge;
mod peek;
mod print;
mod process;
mod process_values;
mod repartition;
mod select_key;
mod split;
mod to;

pub use process::{Processing, process_node};
pub use repartition::{RepartitionParts, repartition};
pub use split::Branches;
