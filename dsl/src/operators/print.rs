//! Show records: `print`.
use std::{
    fmt::Debug,
    fs::File,
    io::{Stdout, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    engine::{BoxError, ProcessResult, Receiver, Record, TaskContext},
    stream::{Derived, KStream, Named},
};

type Text<K, V> = Arc<dyn Fn(&K, &V) -> String + Send + Sync>;
type Target = Arc<Mutex<dyn Write + Send>>;

/// How records are shown, and where. Kafka Streams: `Printed`.
///
/// ```
/// use std::io::Write;
/// use millstream_dsl::{operators::Printed, prelude::*, testing::Runner};
/// let path = std::env::temp_dir().join(format!("printed-{}", std::process::id()));
/// let builder = StreamsBuilder::new();
/// let shown = Printed::by(|k: &String, n: &i64| format!("{k} has {n}")).label("numbers").to_file(&path)?;
/// builder.stream("in").print_with(shown);
/// Runner::new(&builder.build()?)?.pipe("in", "a".to_owned(), 1i64)?;
/// assert_eq!(std::fs::read_to_string(&path)?, "[numbers]: a has 1\n");
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Printed<K, V> {
    text: Text<K, V>,
    label: Option<Arc<str>>,
    target: Option<Target>,
    name: Named,
}
impl<K: Debug + 'static, V: Debug + 'static> Printed<K, V> {
    /// Key and value as `Debug` shows them, on standard output.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::operators::Printed;
    /// # let builder = StreamsBuilder::new();
    /// # use std::io::BufRead;
    /// # let numbers = builder.stream::<String, i64>("in");
    /// let (reader, writer) = std::io::pipe()?;
    /// numbers.print_with(Printed::debug().label("numbers").to(writer));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// let mut line = String::new();
    /// std::io::BufReader::new(reader).read_line(&mut line)?;
    /// assert_eq!(line, "[numbers]: \"a\", 1\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn debug() -> Self {
        Self::by(|key, value| format!("{key:?}, {value:?}"))
    }
}
impl<K: 'static, V: 'static> Printed<K, V> {
    /// A text made of key and value, on standard output: for types without `Debug`, or to leave out what nobody should
    /// see.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::operators::Printed;
    /// # let builder = StreamsBuilder::new();
    /// # use std::io::BufRead;
    /// # let numbers = builder.stream::<String, i64>("in");
    /// let (reader, writer) = std::io::pipe()?;
    /// numbers.print_with(Printed::by(|key, n: &i64| format!("{key} has {}", n / 100)).label("hundreds").to(writer));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1234)?;
    /// let mut line = String::new();
    /// std::io::BufReader::new(reader).read_line(&mut line)?;
    /// assert_eq!(line, "[hundreds]: a has 12\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withKeyValueMapper")]
    pub fn by(text: impl Fn(&K, &V) -> String + Send + Sync + 'static) -> Self {
        Self {
            text: Arc::new(text),
            label: None,
            target: None,
            name: Named::default(),
        }
    }
    /// What stands in front of each line. Default: the name of the stream.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::operators::Printed;
    /// # let builder = StreamsBuilder::new();
    /// # use std::io::BufRead;
    /// # let numbers = builder.stream::<String, i64>("in");
    /// let (reader, writer) = std::io::pipe()?;
    /// numbers.print_with(Printed::debug().label("before the filter").to(writer));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// let mut line = String::new();
    /// std::io::BufReader::new(reader).read_line(&mut line)?;
    /// assert!(line.starts_with("[before the filter]: "));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withLabel")]
    #[must_use]
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Some(label.into());
        self
    }
    /// To a file, which is made anew.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::operators::Printed;
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// let path = std::env::temp_dir().join(format!("printed-to-file-{}", std::process::id()));
    /// numbers.print_with(Printed::debug().label("numbers").to_file(&path)?);
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// input.pipe("b", 2)?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "[numbers]: \"a\", 1\n[numbers]: \"b\", 2\n");
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When it cannot be made.
    #[doc(alias = "toFile")]
    pub fn to_file(self, path: impl AsRef<Path>) -> std::io::Result<Self> {
        Ok(self.to(File::create(path)?))
    }
    /// To a writer, which all tasks of the process share. It is flushed behind each line.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::operators::Printed;
    /// # let builder = StreamsBuilder::new();
    /// # use std::io::BufRead;
    /// # let numbers = builder.stream::<String, i64>("in");
    /// let (reader, writer) = std::io::pipe()?; // or a socket, a compressor, ...
    /// numbers.print_with(Printed::debug().to(writer));
    /// # let driver = TopologyTestDriver::new(&builder.build()?)?;
    /// # let input = driver.input("in", StringSerde, I64Serde)?;
    /// input.pipe("a", 1)?;
    /// let mut line = String::new();
    /// std::io::BufReader::new(reader).read_line(&mut line)?;
    /// assert_eq!(line, "[KSTREAM-SOURCE-0000000000]: \"a\", 1\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to(mut self, writer: impl Write + Send + 'static) -> Self {
        self.target = Some(Arc::new(Mutex::new(writer)));
        self
    }
    /// Name of the operator. Default: a generated one.
    ///
    /// ```
    /// # use millstream_dsl::{driver::TopologyTestDriver, prelude::*};
    /// # use millstream_dsl::operators::Printed;
    /// # let builder = StreamsBuilder::new();
    /// # let numbers = builder.stream::<String, i64>("in");
    /// numbers.print_with(Printed::debug().named("show"));
    /// assert!(builder.build()?.describe().contains("Processor: show (stores: [])"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "withName")]
    #[must_use]
    pub fn named(mut self, name: impl Into<Named>) -> Self {
        self.name = name.into();
        self
    }
}

struct Print<K, V> {
    name: Arc<str>,
    label: Arc<str>,
    text: Text<K, V>,
    target: Option<Target>,
    stdout: Stdout,
}
impl<K, V> Print<K, V> {
    fn print(&self, record: &Record<'_, K, V>) -> Result<(), BoxError> {
        let line = format!("[{}]: {}\n", self.label, (self.text)(record.key, record.value));
        match &self.target {
            None => self.stdout.lock().write_all(line.as_bytes())?,
            Some(target) => {
                let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
                target.write_all(line.as_bytes())?;
                target.flush()?;
            }
        }
        Ok(())
    }
}
impl<K, V> Receiver<K, V> for Print<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        match cx.try_call(&self.name, || self.print(&record)) {
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
    /// let topology = builder.build()?;
    /// assert!(topology.describe().contains("Processor: KSTREAM-PRINTER-0000000001 (stores: [])"));
    /// Runner::new(&topology)?.pipe("in", "a".to_owned(), 1i64)?; // [numbers]: "a", 1
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn print(&self, label: impl Into<Arc<str>>) {
        self.print_with(Printed::debug().label(label));
    }
}
impl<K: 'static, V: 'static> KStream<K, V> {
    /// [`print`](Self::print) with options: another text, a file, a name.
    ///
    /// ```
    /// use millstream_dsl::{operators::Printed, prelude::*, testing::Runner};
    /// let path = std::env::temp_dir().join(format!("print-with-{}", std::process::id()));
    /// let builder = StreamsBuilder::new();
    /// builder
    ///     .stream::<String, i64>("in")
    ///     .print_with(Printed::debug().label("numbers").to_file(&path)?);
    /// Runner::new(&builder.build()?)?.pipe("in", "a".to_owned(), 1i64)?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "[numbers]: \"a\", 1\n");
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn print_with(&self, printed: Printed<K, V>) {
        let Printed {
            text,
            label,
            target,
            name,
        } = printed;
        let label = label.unwrap_or_else(|| self.name.clone());
        let nothing: Derived<(), ()> = Self::new_both();
        let name = self.next_name(&name, "KSTREAM-PRINTER-");
        self.chain(name, nothing, move |scope, _| Print {
            name: scope.name().clone(),
            label: label.clone(),
            text: text.clone(),
            target: target.clone(),
            stdout: std::io::stdout(),
        });
    }
}
