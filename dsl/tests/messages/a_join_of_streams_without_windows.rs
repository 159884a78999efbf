//! Streams are joined within windows.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let other = builder.stream::<String, String>("other");
    builder.stream::<String, String>("in").join(&other, |a, b| format!("{a}{b}")).to("out");
}
