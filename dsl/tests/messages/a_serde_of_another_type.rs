//! A serde is of the type it is given for.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let _ = builder.stream(Consumed::<String, i64>::topic("in").with(StringSerde, StringSerde));
}
