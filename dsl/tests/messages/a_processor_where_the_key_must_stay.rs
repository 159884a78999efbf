//! `process_values` takes processors that cannot change the key.
use millstream_dsl::prelude::*;

struct Pass;
impl Processor<String, String, String, String> for Pass {
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, String, String>,
        record: Record<'_, String, String>,
    ) -> Result<(), BoxError> {
        ctx.forward(record)?;
        Ok(())
    }
}

fn main() {
    let builder = StreamsBuilder::new();
    let _: KStream<String, String> = builder.stream::<String, String>("in").process_values(|| Pass);
}
