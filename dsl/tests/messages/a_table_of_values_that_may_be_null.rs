//! A table has rows; null deletes them.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let table: KTable<String, String> = builder.stream::<String, Option<String>>("in").to_table();
    table.to_stream().to("out");
}
