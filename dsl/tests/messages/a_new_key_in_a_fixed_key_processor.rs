//! The key of a fixed-key processor is fixed.
use millstream_dsl::prelude::*;

struct Rename;
impl FixedKeyProcessor<String, String, String> for Rename {
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, String, String>,
        record: FixedKeyRecord<'_, String, String>,
    ) -> Result<(), BoxError> {
        let key = record.key().to_uppercase();
        ctx.forward(record.with_key(&key))?;
        Ok(())
    }
}

fn main() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("in").process_values(|| Rename).to("out");
}
