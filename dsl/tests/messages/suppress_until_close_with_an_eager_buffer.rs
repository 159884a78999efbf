//! A final result cannot leave early because a buffer is full.
use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let windows = builder.stream::<String, String>("in").group_by_key().windowed_by(TimeWindows::of(seconds(1)));
    let eager = BufferConfig::max_records(10).emit_early_when_full();
    let _ = windows.count().suppress(Suppressed::until_window_closes(eager));
}
