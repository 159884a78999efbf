//! A processor with a store and a schedule.
use millstream_dsl::prelude::*;

use super::{
    super::plan::{Step, Text, text},
    Made, span,
};

/// Counts the records of a key; a record without a value starts again.
struct Counting {
    store: String,
    schedule: Option<(i64, PunctuationType)>,
}

fn count(counts: &KeyValueStore<String, i64>, key: &Text, value: &Text) -> Result<i64, BoxError> {
    let Some(key) = key else { return Ok(0) };
    let count = counts.get(key)?.unwrap_or(0) + 1;
    match value {
        Some(_) => counts.put(key, &count)?,
        None => {
            counts.delete(key)?;
        }
    }
    Ok(count)
}

impl Processor<Text, Text, Text, Text> for Counting {
    fn init(&mut self, ctx: &ProcessorContext<'_, Text, Text>) -> Result<(), BoxError> {
        if let Some((every, kind)) = self.schedule {
            ctx.schedule(span(every), kind)?;
        }
        Ok(())
    }
    fn process(
        &mut self,
        ctx: &ProcessorContext<'_, Text, Text>,
        record: Record<'_, Text, Text>,
    ) -> Result<(), BoxError> {
        let counts = ctx.store::<KeyValueStore<String, i64>>(&self.store)?;
        let count = count(&counts, record.key, record.value)?;
        let told = Some(format!("{}#{count}", text(record.value)));
        Ok(ctx.forward(record.with_value(&told))?)
    }
    fn punctuate(&mut self, ctx: &ProcessorContext<'_, Text, Text>, punctuation: Punctuation) -> Result<(), BoxError> {
        let counts = ctx.store::<KeyValueStore<String, i64>>(&self.store)?;
        let rows: Vec<_> = counts.all().collect::<Result<_, _>>()?;
        for (key, count) in rows {
            let (key, told) = (Some(key), Some(format!("={count}")));
            ctx.forward(Record::new(&key, &told, punctuation.timestamp, &Headers::new()))?;
        }
        Ok(())
    }
}

impl FixedKeyProcessor<Text, Text, Text> for Counting {
    fn process(
        &mut self,
        ctx: &FixedKeyContext<'_, '_, Text, Text>,
        record: FixedKeyRecord<'_, Text, Text>,
    ) -> Result<(), BoxError> {
        let counts = ctx.store::<KeyValueStore<String, i64>>(&self.store)?;
        let count = count(&counts, record.key(), record.value())?;
        let told = Some(format!("{}#{count}", text(record.value())));
        Ok(ctx.forward(record.with_value(&told))?)
    }
}

impl Made {
    pub(super) fn process(&mut self, step: &Step) {
        let name = self.name("counts");
        let processing = Processing::new().with_store(Store::<String, i64>::key_value(name.as_str()));
        let made = match *step {
            Step::Process { from, every, wall } => {
                let kind = if wall {
                    PunctuationType::WallClock
                } else {
                    PunctuationType::StreamTime
                };
                let counting = move || Counting {
                    store: name.clone(),
                    schedule: Some((every, kind)),
                };
                self.stream(from).process_with(counting, processing)
            }
            Step::ProcessValues { from } => {
                let counting = move || Counting {
                    store: name.clone(),
                    schedule: None,
                };
                self.stream(from).process_values_with(counting, processing)
            }
            _ => unreachable!("not a processor: {step:?}"),
        };
        self.streams.push(made);
    }
}
