//! How the nodes of a topology become operators of a task.
use std::{any::Any, rc::Rc, sync::Arc};

use crate::store::StoreAccess;

use super::{
    Children, ProcessError, ProcessErrorKind, ProcessResult, Receiver, SinkIndex, StreamPort, TableChildren, TablePort,
    TableReceiver, TaskContext,
    wrapper::{Around, Wrapped},
};

/// Puts something around the port of an operator.
type Wrap = fn(&dyn Any, &Arc<str>, Rc<dyn Around>) -> Option<AnyPort>;

/// What `NodeFactory::instantiate` gives: an edge (a `StreamPort<K, V>` or a `TablePort<K, V>`) whose types are erased.
pub struct AnyPort {
    edge: Box<dyn Any>,
    /// Knows the types.
    wrap: Wrap,
}
impl AnyPort {
    /// The edge with something around its operator.
    pub(crate) fn wrapped(self, name: &Arc<str>, around: Rc<dyn Around>) -> Self {
        (self.wrap)(&*self.edge, name, around).unwrap_or(self)
    }
}

/// Makes the operator of one node for one task. Part of the topology, hence shared by all threads.
pub trait NodeFactory: Send + Sync {
    /// Makes the operator; its children exist already.
    fn instantiate(&self, scope: &mut NodeScope<'_>) -> Result<AnyPort, Box<ProcessError>>;
}
impl<F> NodeFactory for F
where
    F: Fn(&mut NodeScope<'_>) -> Result<AnyPort, Box<ProcessError>> + Send + Sync,
{
    fn instantiate(&self, scope: &mut NodeScope<'_>) -> Result<AnyPort, Box<ProcessError>> {
        self(scope)
    }
}

/// An operator on a stream as an edge.
pub fn port<K: 'static, V: 'static>(receiver: impl Receiver<K, V> + 'static) -> AnyPort {
    let port: StreamPort<K, V> = Rc::new(receiver);
    AnyPort {
        edge: Box::new(port),
        wrap: |edge, name, around| {
            let inner = edge.downcast_ref::<StreamPort<K, V>>()?.clone();
            let name = name.clone();
            Some(self::port(Wrapped { name, around, inner }))
        },
    }
}
/// An operator on a table as an edge.
pub fn table_port<K: 'static, V: 'static>(receiver: impl TableReceiver<K, V> + 'static) -> AnyPort {
    let port: TablePort<K, V> = Rc::new(receiver);
    AnyPort {
        edge: Box::new(port),
        wrap: |edge, name, around| {
            let inner = edge.downcast_ref::<TablePort<K, V>>()?.clone();
            let name = name.clone();
            Some(table_port(Wrapped { name, around, inner }))
        },
    }
}

/// A child with its name.
type Named<P> = (Arc<str>, P);
pub(crate) type Hook = Box<dyn Fn(&TaskContext) -> ProcessResult>;

/// Functions an operator wants to be called at certain moments of its task.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) init: Vec<Hook>,
    pub(crate) flush: Vec<Hook>,
    pub(crate) close: Vec<Hook>,
    pub(crate) metadata: Vec<MetadataHook>,
}
/// A value that survives in the committed metadata.
pub(crate) struct MetadataHook {
    pub(crate) name: String,
    pub(crate) get: Box<dyn Fn() -> i64>,
    pub(crate) set: Box<dyn Fn(i64)>,
}

/// One node while its operator is made.
pub struct NodeScope<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) context: &'a Rc<TaskContext>,
    pub(crate) children: Vec<(Arc<str>, &'a AnyPort)>,
    pub(crate) stores: &'a [Arc<str>],
    pub(crate) sink: Option<SinkIndex>,
    pub(crate) hooks: &'a mut Hooks,
    pub(crate) topology: &'a crate::topology::TopologyData,
}

impl NodeScope<'_> {
    /// Name of the node.
    pub fn name(&self) -> &Arc<str> {
        self.name
    }
    /// The task the operator is made for.
    pub fn context(&self) -> &Rc<TaskContext> {
        self.context
    }
    /// Names of the stores the node is connected to.
    pub fn stores(&self) -> &[Arc<str>] {
        self.stores
    }
    /// The stores the node may use: those it is connected to, and all global ones.
    pub fn store_access(&self) -> Vec<StoreAccess> {
        let data = self.topology;
        let connected = data.stores.iter().filter(|s| self.stores.contains(&s.spec.name));
        connected
            .chain(&data.global_stores_built)
            .map(|store| StoreAccess {
                name: store.spec.name.clone(),
                timestamped: store.spec.kind.is_timestamped(),
                keeps_headers: store.spec.keeps_headers(),
                serdes: store.serdes.clone(),
                context: self.context.clone(),
            })
            .collect()
    }
    /// Index of the topic, for a sink with a fixed one.
    pub fn sink(&self) -> Option<SinkIndex> {
        self.sink
    }
    /// The operators behind this one.
    pub fn children<K: 'static, V: 'static>(&self) -> Result<Children<K, V>, Box<ProcessError>> {
        Ok(Children::new(
            self.named_children()?.into_iter().map(|(_, p)| p).collect(),
        ))
    }
    /// The operators behind this one, with their names.
    pub fn named_children<K: 'static, V: 'static>(&self) -> Result<Vec<Named<StreamPort<K, V>>>, Box<ProcessError>> {
        self.typed::<StreamPort<K, V>>()
    }
    /// The operators behind this table.
    pub fn table_children<K: 'static, V: 'static>(&self) -> Result<TableChildren<K, V>, Box<ProcessError>> {
        Ok(TableChildren::new(
            self.typed::<TablePort<K, V>>()?.into_iter().map(|(_, p)| p).collect(),
        ))
    }
    fn typed<P: Clone + 'static>(&self) -> Result<Vec<Named<P>>, Box<ProcessError>> {
        self.children
            .iter()
            .map(|(name, any)| match any.edge.downcast_ref::<P>() {
                Some(port) => Ok((name.clone(), port.clone())),
                None => Err(ProcessError::new(
                    ProcessErrorKind::Other,
                    self.name,
                    format!("child {name} does not take {}", std::any::type_name::<P>()),
                )),
            })
            .collect()
    }
    /// Called once all operators exist, in topology order (`init` of processors).
    pub fn on_init(&mut self, f: impl Fn(&TaskContext) -> ProcessResult + 'static) {
        self.hooks.init.push(Box::new(f));
    }
    /// Called before every commit, in topology order: forward what the cache of the operator holds.
    pub fn on_flush(&mut self, f: impl Fn(&TaskContext) -> ProcessResult + 'static) {
        self.hooks.flush.push(Box::new(f));
    }
    /// Called when the task closes, in topology order.
    pub fn on_close(&mut self, f: impl Fn(&TaskContext) -> ProcessResult + 'static) {
        self.hooks.close.push(Box::new(f));
    }
    /// A number that survives in the committed metadata under `name`.
    pub fn keep_metadata(
        &mut self,
        name: impl Into<String>,
        get: impl Fn() -> i64 + 'static,
        set: impl Fn(i64) + 'static,
    ) {
        self.hooks.metadata.push(MetadataHook {
            name: name.into(),
            get: Box::new(get),
            set: Box::new(set),
        });
    }
}
