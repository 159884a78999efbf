//! `json` wants serde's traits.
use millstream_dsl::prelude::*;

struct Payment;

fn main() {
    let builder = StreamsBuilder::new();
    let _ = builder.stream(Consumed::topic("in").with(StringSerde, json::<Payment>()));
}
