//! From the topology to the operators of a task, children before parents.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use millstream_state::Headers;

use crate::engine::{
    AnyPort, NodeScope, ProcessError, ProcessErrorKind, SinkIndex, SourcePort, TaskContext, TaskEnvironment, TaskGraph,
    TopicRef, factory::Hooks, graph::Entry,
};

use super::{Topology, TopologyData, node::NodeKind};

pub(super) fn build_task(
    topology: &Topology,
    subtopology: u32,
    environment: TaskEnvironment,
) -> Result<TaskGraph, Box<ProcessError>> {
    let data = &topology.inner;
    let Some(part) = data.subtopologies.iter().find(|s| s.id == subtopology) else {
        let node: Arc<str> = "topology".into();
        let message = format!("there is no sub-topology {subtopology}");
        return Err(ProcessError::new(ProcessErrorKind::Other, &node, message));
    };
    build(data, &part.nodes, part.sources.clone(), part.sinks.clone(), environment)
}

pub(super) fn build_all(topology: &Topology, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
    let data = &topology.inner;
    let mut sources: Vec<TopicRef> = data
        .subtopologies
        .iter()
        .flat_map(|s| s.sources.iter().cloned())
        .collect();
    let sinks = data
        .subtopologies
        .iter()
        .flat_map(|s| s.sinks.iter().cloned())
        .collect();
    sources.extend(global_sources(data));
    let all: Vec<usize> = (0..data.nodes.len()).collect();
    build(data, &all, sources, sinks, environment)
}

pub(super) fn build_global(topology: &Topology, environment: TaskEnvironment) -> Result<TaskGraph, Box<ProcessError>> {
    let data = &topology.inner;
    let members: Vec<usize> = data.globals.iter().flat_map(|(_, nodes)| nodes.clone()).collect();
    build(data, &members, global_sources(data), Vec::new(), environment)
}

fn global_sources(data: &TopologyData) -> Vec<TopicRef> {
    let nodes = data.globals.iter().flat_map(|(_, nodes)| nodes);
    let topics = nodes.filter_map(|index| match data.nodes.get(*index).map(|n| &n.kind) {
        Some(NodeKind::Source { topics, .. }) => Some(topics.refs()),
        _ => None,
    });
    topics.flatten().collect()
}

fn build(
    data: &TopologyData,
    members: &[usize],
    source_topics: Vec<TopicRef>,
    sink_topics: Vec<TopicRef>,
    environment: TaskEnvironment,
) -> Result<TaskGraph, Box<ProcessError>> {
    let application_id = environment.application_id.clone();
    let context = Rc::new(TaskContext::new(environment));
    let mut hooks: Vec<Hooks> = data.nodes.iter().map(|_| Hooks::default()).collect();
    let mut ports: Vec<Option<AnyPort>> = data.nodes.iter().map(|_| None).collect();
    let mut entries: Vec<(TopicRef, Rc<dyn SourcePort>, bool)> = Vec::new();
    for index in members.iter().rev().copied() {
        let (Some(node), Some(node_hooks)) = (data.nodes.get(index), hooks.get_mut(index)) else {
            continue;
        };
        let children = node
            .children
            .iter()
            .filter_map(|c| Some((data.nodes.get(*c)?.name.clone(), ports.get(*c)?.as_ref()?)))
            .collect();
        let sink = sink_index(&node.kind, &sink_topics);
        let mut scope = NodeScope {
            name: &node.name,
            context: &context,
            children,
            stores: &node.stores,
            sink,
            hooks: node_hooks,
            topology: data,
        };
        match &node.kind {
            NodeKind::Source {
                topics,
                factory,
                global,
                ..
            } => {
                let port = factory.instantiate(&mut scope)?;
                entries.extend(topics.refs().into_iter().map(|topic| (topic, port.clone(), *global)));
            }
            NodeKind::Processor { factory } | NodeKind::Sink { factory, .. } => {
                let mut port = factory.instantiate(&mut scope)?;
                let wrapper = data.wrapper.as_ref().filter(|_| node.is_processor());
                if let Some(around) = wrapper.and_then(|w| w.wrap(&node.name, context.task_id())) {
                    context.wrap(&node.name, around.clone());
                    port = port.wrapped(&node.name, around);
                }
                if let Some(slot) = ports.get_mut(index) {
                    *slot = Some(port);
                }
            }
        }
    }
    let mut all = in_order(hooks);
    let entries = source_topics
        .iter()
        .filter_map(|topic| {
            let (_, port, global) = entries.iter().find(|(t, ..)| t == topic)?;
            Some(Entry {
                port: port.clone(),
                topic: topic.full_name(&application_id).into(),
                global: *global,
            })
        })
        .collect();
    for init in std::mem::take(&mut all.init) {
        init(&context)?;
    }
    Ok(TaskGraph {
        context,
        source_topics,
        sink_topics,
        entries,
        hooks: all,
        headers: RefCell::new(Headers::new()),
    })
}

/// Hooks in topology order: operators were made from the end.
fn in_order(per_node: Vec<Hooks>) -> Hooks {
    let mut all = Hooks::default();
    for hooks in per_node {
        all.init.extend(hooks.init);
        all.flush.extend(hooks.flush);
        all.close.extend(hooks.close);
        all.metadata.extend(hooks.metadata);
    }
    all
}

/// Place of a fixed topic among the sinks of the task.
fn sink_index(kind: &NodeKind, sink_topics: &[TopicRef]) -> Option<SinkIndex> {
    let NodeKind::Sink { target, .. } = kind else {
        return None;
    };
    let topic = target.topic()?;
    let position = sink_topics.iter().position(|t| *t == topic)?;
    u32::try_from(position).ok().map(SinkIndex)
}
