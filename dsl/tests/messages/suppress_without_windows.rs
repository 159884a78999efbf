//! Only windows close.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let counts = builder.stream::<String, String>("in").group_by_key().count();
    let _ = counts.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()));
}
