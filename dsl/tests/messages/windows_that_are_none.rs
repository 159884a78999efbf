//! `windowed_by` takes windows, not a length of time.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let _ = builder.stream::<String, String>("in").group_by_key().windowed_by(seconds(1));
}
