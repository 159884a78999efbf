//! One closure serves the tasks of all threads.
use std::{cell::Cell, rc::Rc};

use millstream_dsl::prelude::*;

fn main() {
    let builder = StreamsBuilder::new();
    let seen = Rc::new(Cell::new(0));
    builder
        .stream::<String, String>("in")
        .peek(move |_, _| seen.set(seen.get() + 1))
        .to("out");
}
