//! A merged stream has one type of values.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let numbers = builder.stream::<String, i64>("numbers");
    builder.stream::<String, String>("in").merge(&numbers).to("out");
}
