//! The operators of streams, one in each file: types, semantics, examples.
mod drop_null_keys;
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
pub(crate) mod stream_aggregate;
mod stream_table_join;
mod table_filter;
mod table_map_values;
mod table_source;
mod to;
mod to_stream;
pub(crate) mod window_aggregate;

pub use process::{Processing, process_node};
pub use repartition::{RepartitionParts, repartition};
pub use split::Branches;
