//! Show records on standard output: `print`.
use std::{fmt::Debug, io::Write as _, sync::Arc};

use crate::{
    engine::BoxError,
    stream::{Derived, KStream, Named},
};

use crate::engine::{ProcessResult, Receiver, Record, TaskContext};

struct Print {
    name: Arc<str>,
    label: Arc<str>,
}
impl<K: Debug, V: Debug> Receiver<K, V> for Print {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        let printed = cx.try_call(&self.name, || {
            writeln!(
                std::io::stdout(),
                "[{}]: {:?}, {:?}",
                self.label,
                record.key,
                record.value
            )
            .map_err(BoxError::from)
        });
        match printed {
            Ok(()) => Ok(()),
            Err(error) => cx.processing_failed(error, record.timestamp, record.headers),
        }
    }
}

impl<K: Debug + 'static, V: Debug + 'static> KStream<K, V> {
    /// Prints `[label]: key, value` for each record.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, i64>("in").print("numbers");
    /// Runner::new(&builder.build()?)?.pipe("in", "a".to_owned(), 1i64)?; // [numbers]: "a", 1
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let stream = builder.stream::<String, i64>("in");
    /// stream.print("numbers");
    /// stream.to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn print(&self, label: impl Into<Arc<str>>) {
        let label = label.into();
        let nothing: Derived<(), ()> = Self::new_both();
        let name = self.next_name(&Named::default(), "KSTREAM-PRINTER-");
        self.chain(name, nothing, move |scope, _| Print {
            name: scope.name().clone(),
            label: label.clone(),
        });
    }
}
