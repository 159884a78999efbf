//! A global table is joined by a key of one's choice.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let names = builder.global_table::<String, String>("names");
    builder.stream::<String, String>("in").join(&names, |v, name| format!("{v}{name}")).to("out");
}
