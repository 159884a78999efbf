//! Each record to the first branch that wants it: `split`.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use crate::{
    engine::{BoxError, NodeScope, ProcessResult, Receiver, Record, StreamPort, TaskContext, port, receiver::deliver},
    stream::{KStream, Named, factory},
    topology::{GraphId, GraphNode, TopologyWriter},
};

use super::merge::PassThrough;

type Predicate<K, V> = Arc<dyn Fn(&K, &V) -> Result<bool, BoxError> + Send + Sync>;

struct Split<K, V> {
    name: Arc<str>,
    branches: Vec<(Predicate<K, V>, StreamPort<K, V>)>,
    default: Option<StreamPort<K, V>>,
}
impl<K, V> Receiver<K, V> for Split<K, V> {
    fn receive(&self, cx: &TaskContext, record: Record<'_, K, V>) -> ProcessResult {
        for (predicate, branch) in &self.branches {
            match cx.try_call(&self.name, || predicate(record.key, record.value)) {
                Ok(true) => return deliver(cx, branch, record),
                Ok(false) => {}
                Err(error) => return cx.processing_failed(error, record.timestamp, record.headers),
            }
        }
        self.default
            .as_ref()
            .map_or(Ok(()), |branch| deliver(cx, branch, record))
    }
}

struct Rules<K, V> {
    branches: Vec<(Predicate<K, V>, Arc<str>)>,
    default: Option<Arc<str>>,
}

/// The branches of a stream while they are made. A record goes to the first branch whose predicate is true, else to
/// the default branch, else nowhere.
pub struct Branches<K, V> {
    stream: KStream<K, V>,
    name: Arc<str>,
    node: GraphId,
    rules: Rc<RefCell<Rules<K, V>>>,
}

impl<K: 'static, V: 'static> KStream<K, V> {
    /// Splits the stream into branches.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, i64>("in").split();
    /// branches.branch(|_, n| *n < 0).to("negative");
    /// branches.default_branch().to("rest");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), -1i64)?;
    /// runner.pipe("in", "b".to_owned(), 2i64)?;
    /// assert_eq!(runner.read::<String, i64>("negative"), [("a".to_owned(), -1)]);
    /// assert_eq!(runner.read::<String, i64>("rest"), [("b".to_owned(), 2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "BranchedKStream")]
    #[must_use]
    pub fn split(&self) -> Branches<K, V> {
        self.split_with(Named::default())
    }
    /// [`split`](Self::split) with a name, which is the prefix of the branches' names.
    ///
    /// ```
    /// use millstream_dsl::prelude::*;
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, i64>("in").split_with("route-");
    /// assert_eq!(branches.branch_with(|_, n| *n < 0, "negative").name(), "route-negative");
    /// assert_eq!(branches.branch(|_, n| *n == 0).name(), "route-2");
    /// assert_eq!(branches.default_branch().name(), "route-0");
    /// ```
    #[must_use]
    pub fn split_with(&self, named: impl Into<Named>) -> Branches<K, V> {
        let name = self.next_name(&named.into(), "KSTREAM-BRANCH-");
        let rules = Rc::new(RefCell::new(Rules {
            branches: Vec::new(),
            default: None,
        }));
        let made = rules.clone();
        let write = move |name: &Arc<str>, parents: &[Arc<str>], writer: &mut TopologyWriter| {
            let rules: &Rules<K, V> = &made.borrow();
            let (branches, default) = (rules.branches.clone(), rules.default.clone());
            let factory = factory(move |scope| split_port(scope, &branches, default.as_ref()));
            writer.add_processor(name, parents, factory);
        };
        let node = self
            .builder
            .borrow_mut()
            .add(&[self.node], GraphNode::new(name.clone(), write));
        Branches {
            stream: self.clone(),
            name,
            node,
            rules,
        }
    }
}

fn split_port<K: 'static, V: 'static>(
    scope: &mut NodeScope<'_>,
    rules: &[(Predicate<K, V>, Arc<str>)],
    default: Option<&Arc<str>>,
) -> Result<crate::engine::AnyPort, Box<crate::engine::ProcessError>> {
    let children = scope.named_children::<K, V>()?;
    let find = |name: &Arc<str>| children.iter().find(|(n, _)| n == name).map(|(_, p)| p.clone());
    let branches = rules
        .iter()
        .filter_map(|(f, name)| Some((f.clone(), find(name)?)))
        .collect();
    Ok(port(Split {
        name: scope.name().clone(),
        branches,
        default: default.and_then(find),
    }))
}

impl<K: 'static, V: 'static> Branches<K, V> {
    /// The records for which `predicate` is the first to be true. Named by its place: 1, 2, ...
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, i64>("in").split();
    /// branches.branch(|_, n| *n < 0).to("negative");
    /// branches.branch(|_, n| *n > 9).to("large");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for n in [-1i64, 5, 10] {
    ///     runner.pipe("in", "a".to_owned(), n)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("negative"), [("a".to_owned(), -1)]);
    /// assert_eq!(runner.read::<String, i64>("large"), [("a".to_owned(), 10)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn branch(&mut self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> KStream<K, V> {
        self.add(Arc::new(move |k: &K, v: &V| Ok(predicate(k, v))), None)
    }
    /// [`branch`](Self::branch) with a name, which follows the name of the split.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, i64>("in").split_with(Named::new("sign-"));
    /// branches.branch_with(|_, n| *n < 0, "negative").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), -2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("b".to_owned(), -2)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn branch_with(
        &mut self,
        predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static,
        name: &str,
    ) -> KStream<K, V> {
        self.add(Arc::new(move |k: &K, v: &V| Ok(predicate(k, v))), Some(name))
    }
    /// [`branch`](Self::branch) by a function that can fail; an error goes to the processing handler.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, String>("in").split();
    /// branches.try_branch(|_, text| text.parse::<i64>().map(|n| n < 0)).to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "b".to_owned(), "-2".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("b".to_owned(), "-2".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_branch<E: Into<BoxError>>(
        &mut self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
    ) -> KStream<K, V> {
        self.add(Arc::new(move |k: &K, v: &V| predicate(k, v).map_err(Into::into)), None)
    }
    /// [`try_branch`](Self::try_branch) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, String>("in").split_with(Named::new("sign-"));
    /// branches.try_branch_with(|_, text| text.parse::<i64>().map(|n| n < 0), "negative").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), "1".to_owned())?;
    /// runner.pipe("in", "b".to_owned(), "-2".to_owned())?;
    /// assert_eq!(runner.read::<String, String>("out"), [("b".to_owned(), "-2".to_owned())]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_branch_with<E: Into<BoxError>>(
        &mut self,
        predicate: impl Fn(&K, &V) -> Result<bool, E> + Send + Sync + 'static,
        name: &str,
    ) -> KStream<K, V> {
        self.add(
            Arc::new(move |k: &K, v: &V| predicate(k, v).map_err(Into::into)),
            Some(name),
        )
    }
    /// The records that no branch wants.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, i64>("in").split();
    /// branches.branch(|_, n| *n < 0).to("negative");
    /// branches.default_branch().to("rest");
    /// let runner = Runner::new(&builder.build()?)?;
    /// for n in [-1i64, 5] {
    ///     runner.pipe("in", "a".to_owned(), n)?;
    /// }
    /// assert_eq!(runner.read::<String, i64>("rest"), [("a".to_owned(), 5)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn default_branch(self) -> KStream<K, V> {
        self.default_branch_with("0")
    }
    /// [`default_branch`](Self::default_branch) with a name.
    ///
    /// ```
    /// use millstream_dsl::{prelude::*, testing::Runner};
    /// let builder = StreamsBuilder::new();
    /// let mut branches = builder.stream::<String, i64>("in").split_with(Named::new("sign-"));
    /// branches.branch(|_, n| *n < 0).to("negative");
    /// branches.default_branch_with("positive").to("out");
    /// let runner = Runner::new(&builder.build()?)?;
    /// runner.pipe("in", "a".to_owned(), 1i64)?;
    /// runner.pipe("in", "b".to_owned(), -2i64)?;
    /// assert_eq!(runner.read::<String, i64>("out"), [("a".to_owned(), 1)]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn default_branch_with(self, name: &str) -> KStream<K, V> {
        let stream = self.make(format!("{}{name}", self.name).into());
        self.rules.borrow_mut().default = Some(stream.name.clone());
        stream
    }

    fn add(&mut self, predicate: Predicate<K, V>, name: Option<&str>) -> KStream<K, V> {
        let place = self.rules.borrow().branches.len() + 1;
        let name: Arc<str> = name
            .map_or_else(|| format!("{}{place}", self.name), |n| format!("{}{n}", self.name))
            .into();
        let stream = self.make(name.clone());
        self.rules.borrow_mut().branches.push((predicate, name));
        stream
    }
    fn make(&self, name: Arc<str>) -> KStream<K, V> {
        // Kafka Streams burns an index for each branch.
        self.stream.builder.borrow_mut().new_processor_name(&name);
        let splitter = KStream {
            node: self.node,
            ..self.stream.clone()
        };
        splitter.chain(name, self.stream.same(), |_, children| PassThrough { children })
    }
}
