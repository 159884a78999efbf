//! Joined records have one key.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let names = builder.table::<i64, String>("names");
    builder.stream::<String, String>("in").join(&names, |v, name| format!("{v}{name}")).to("out");
}
