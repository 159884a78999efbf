//! Windows are of groups.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let _ = builder.stream::<String, String>("in").windowed_by(TimeWindows::of(seconds(1))).count();
}
