//! What is counted is grouped.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let _ = builder.stream::<String, String>("in").count();
}
