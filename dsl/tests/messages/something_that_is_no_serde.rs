//! A type needs a serde, not only a name.
use millstream_dsl::prelude::*;

struct Payment;

fn main() {
    let builder = StreamsBuilder::new();
    let _ = builder.stream(Consumed::<String, Payment>::topic("in").with(StringSerde, Payment));
}
