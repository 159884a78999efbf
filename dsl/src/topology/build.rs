//! From the logical graph to the topology: a node is written when all its parents are, earliest made first.
use std::collections::BTreeSet;

use super::{BuildError, Builder, GraphId, Topology, TopologyWriter, Violation};

pub(super) fn build(builder: &mut Builder) -> Result<Topology, BuildError> {
    let mut writer = TopologyWriter::default();
    for (name, message) in write_all(builder, &mut writer) {
        builder.violations.push(Violation { name, message });
    }
    let mut violations = builder.violations.clone();
    violations.append(&mut writer.violations);
    if violations.is_empty() { writer.finish() } else { Err(BuildError { violations }) }
}

fn write_all(builder: &Builder, writer: &mut TopologyWriter) -> Vec<(std::sync::Arc<str>, String)> {
    let mut written = vec![false; builder.nodes.len()];
    let mut queue = BTreeSet::from([Builder::ROOT]);
    while let Some(id) = queue.pop_first() {
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
        queue.extend(node.children.iter().copied());
    }
    Vec::new()
}

fn parent_names(builder: &Builder, id: GraphId) -> Vec<std::sync::Arc<str>> {
    let parents = builder.nodes.get(id.0).map(|n| n.parents.as_slice()).unwrap_or_default();
    parents.iter().filter(|p| **p != Builder::ROOT).filter_map(|p| builder.nodes.get(p.0)).map(|n| n.name.clone()).collect()
}
