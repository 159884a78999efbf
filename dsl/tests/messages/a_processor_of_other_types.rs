//! A processor takes what its stream has.
use millstream_dsl::prelude::*;

struct Pass;
impl Processor<String, i64, String, i64> for Pass {
    fn process(&mut self, ctx: &ProcessorContext<'_, String, i64>, record: Record<'_, String, i64>) -> Result<(), BoxError> {
        ctx.forward(record)?;
        Ok(())
    }
}

fn main() {
    let builder = StreamsBuilder::new();
    let _: KStream<String, i64> = builder.stream::<String, String>("in").process(|| Pass);
}
