//! From the logical graph to the topology: a node is written when all its parents are, earliest made first.
use std::collections::BTreeSet;

use super::{BuildError, Builder, GraphId, SourceTopics, Topology, TopologyWriter, optimize};

pub(super) fn build(builder: &mut Builder) -> Result<Topology, BuildError> {
    let mut writer = TopologyWriter {
        config: builder.config.clone(),
        wrapper: builder.wrapper.clone(),
        stand_ins: builder.stand_ins.clone(),
        generated_names: builder.generated_names.clone(),
        ..TopologyWriter::default()
    };
    merge_sources(builder);
    optimize::optimize(builder, &mut writer);
    write_all(builder, &mut writer);
    let mut violations = builder.violations.clone();
    violations.append(&mut writer.violations);
    if violations.is_empty() {
        writer.finish()
    } else {
        Err(BuildError { violations })
    }
}

/// Two streams of the same topics become one source, the first; the children of the other move there.
fn merge_sources(builder: &mut Builder) {
    let sources = std::mem::take(&mut builder.stream_sources);
    for (index, source) in sources.iter().enumerate() {
        let earlier = sources
            .iter()
            .take(index)
            .find(|other| overlaps(&other.topics, &source.topics));
        let Some(first) = earlier else { continue };
        let name = builder
            .nodes
            .get(source.node.0)
            .map(|n| n.name.clone())
            .unwrap_or_else(|| "source".into());
        if first.topics != source.topics {
            builder.violation(&name, "it shares topics with another stream, but not all of them");
        } else if first.reset != source.reset {
            builder.violation(&name, "another stream of its topics has a different offset reset");
        } else if first.types != source.types {
            builder.violation(&name, "another stream of its topics has different types");
        } else {
            move_children(builder, source.node, first.node);
        }
    }
    builder.stream_sources = sources;
}

fn overlaps(a: &SourceTopics, b: &SourceTopics) -> bool {
    a.refs().iter().any(|topic| b.refs().contains(topic))
}

fn move_children(builder: &mut Builder, from: GraphId, to: GraphId) {
    let children = match builder.nodes.get_mut(from.0) {
        Some(node) => {
            node.removed = true;
            std::mem::take(&mut node.children)
        }
        None => return,
    };
    for child in children {
        // A child of both keeps one edge.
        builder.unlink(from, child);
        builder.link(to, child);
    }
}

fn write_all(builder: &Builder, writer: &mut TopologyWriter) {
    let mut written = vec![false; builder.nodes.len()];
    let priority = |id: GraphId| (builder.nodes.get(id.0).map_or(0, |n| n.priority), id);
    let mut queue = BTreeSet::from([priority(Builder::ROOT)]);
    while let Some((_, id)) = queue.pop_first() {
        let Some(node) = builder.nodes.get(id.0) else { continue };
        let ready = node.parents.iter().all(|p| written.get(p.0).copied().unwrap_or(true));
        if !ready || written.get(id.0).copied().unwrap_or(true) {
            continue;
        }
        if !node.removed {
            node.write.write(&node.name, &parent_names(builder, id), writer);
        }
        if let Some(flag) = written.get_mut(id.0) {
            *flag = true;
        }
        queue.extend(node.children.iter().map(|child| priority(*child)));
    }
}

fn parent_names(builder: &Builder, id: GraphId) -> Vec<std::sync::Arc<str>> {
    let parents = builder
        .nodes
        .get(id.0)
        .map(|n| n.parents.as_slice())
        .unwrap_or_default();
    parents
        .iter()
        .filter(|p| **p != Builder::ROOT)
        .filter_map(|p| builder.nodes.get(p.0))
        .map(|n| n.name.clone())
        .collect()
}
