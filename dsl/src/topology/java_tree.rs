//! A set that iterates as `java.util.TreeSet` does even when its order has changed between insertions.
//!
//! `Topology.describe()` keeps neighbours sorted by sizes that still grow. What then comes out is no sorted order; it
//! depends on the shape of the red-black tree at each insertion. People keep such texts in tests, so the tree is
//! followed step by step.
use std::cmp::Ordering;

/// Items in the order of Java. Links are positions in `nodes`.
#[derive(Clone, Default)]
pub(super) struct JavaTree {
    nodes: Vec<TreeNode>,
    root: Option<usize>,
}

#[derive(Clone, Copy)]
struct TreeNode {
    item: usize,
    left: Option<usize>,
    right: Option<usize>,
    parent: Option<usize>,
    red: bool,
}

impl JavaTree {
    /// Adds an item unless the way down meets an equal one.
    pub(super) fn insert(&mut self, item: usize, compare: impl Fn(usize, usize) -> Ordering) {
        let (mut parent, mut right, mut at) = (None, false, self.root);
        while let Some(node) = self.node(at).copied() {
            parent = at;
            match compare(item, node.item) {
                Ordering::Less => right = false,
                Ordering::Greater => right = true,
                Ordering::Equal => return,
            }
            at = self.child(at, right);
        }
        let new = Some(self.nodes.len());
        self.nodes.push(TreeNode {
            item,
            left: None,
            right: None,
            parent,
            red: true,
        });
        if parent.is_none() {
            self.root = new;
        }
        self.set_child(parent, right, new);
        self.balance(new);
    }

    pub(super) fn in_order(&self) -> Vec<usize> {
        let (mut out, mut open, mut at) = (Vec::new(), Vec::new(), self.root);
        loop {
            while at.is_some() {
                open.push(at);
                at = self.child(at, false);
            }
            let Some(top) = open.pop() else { return out };
            out.extend(self.node(top).map(|n| n.item));
            at = self.child(top, true);
        }
    }

    fn node(&self, at: Option<usize>) -> Option<&TreeNode> {
        self.nodes.get(at?)
    }

    fn node_mut(&mut self, at: Option<usize>) -> Option<&mut TreeNode> {
        self.nodes.get_mut(at?)
    }

    fn parent(&self, at: Option<usize>) -> Option<usize> {
        self.node(at)?.parent
    }

    fn child(&self, at: Option<usize>, right: bool) -> Option<usize> {
        self.node(at).and_then(|n| if right { n.right } else { n.left })
    }

    fn red(&self, at: Option<usize>) -> bool {
        self.node(at).is_some_and(|n| n.red)
    }

    fn paint(&mut self, at: Option<usize>, red: bool) {
        if let Some(node) = self.node_mut(at) {
            node.red = red;
        }
    }

    fn set_child(&mut self, at: Option<usize>, right: bool, child: Option<usize>) {
        match self.node_mut(at) {
            Some(node) if right => node.right = child,
            Some(node) => node.left = child,
            None => {}
        }
    }

    fn set_parent(&mut self, at: Option<usize>, parent: Option<usize>) {
        if let Some(node) = self.node_mut(at) {
            node.parent = parent;
        }
    }

    fn balance(&mut self, mut at: Option<usize>) {
        while at.is_some() && at != self.root && self.red(self.parent(at)) {
            let grand = self.parent(self.parent(at));
            let parent_is_right = self.child(grand, true) == self.parent(at);
            let uncle = self.child(grand, !parent_is_right);
            if self.red(uncle) {
                self.paint(self.parent(at), false);
                self.paint(uncle, false);
                self.paint(grand, true);
                at = grand;
            } else {
                if self.child(self.parent(at), !parent_is_right) == at {
                    at = self.parent(at);
                    self.rotate(at, parent_is_right);
                }
                let parent = self.parent(at);
                let grand = self.parent(parent);
                self.paint(parent, false);
                self.paint(grand, true);
                self.rotate(grand, !parent_is_right);
            }
        }
        self.paint(self.root, false);
    }

    /// Rotates to the right, or to the left.
    fn rotate(&mut self, at: Option<usize>, to_right: bool) {
        let up = self.child(at, !to_right);
        let moved = self.child(up, to_right);
        let parent = self.parent(at);
        self.set_child(at, !to_right, moved);
        self.set_parent(moved, at);
        self.set_parent(up, parent);
        if parent.is_none() {
            self.root = up;
        } else {
            let was_right = self.child(parent, true) == at;
            self.set_child(parent, was_right, up);
        }
        self.set_child(up, to_right, at);
        self.set_parent(at, up);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_of_a_steady_order_come_out_sorted_and_once() {
        let mut tree = JavaTree::default();
        for item in [5, 3, 9, 1, 4, 7, 8, 2, 6, 0, 5] {
            tree.insert(item, |a, b| a.cmp(&b));
        }
        assert_eq!(tree.in_order(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn an_ascending_row_is_balanced_as_in_java() {
        let mut tree = JavaTree::default();
        for item in 0..8 {
            tree.insert(item, |a, b| a.cmp(&b));
        }
        assert_eq!(tree.node(tree.root).map(|n| n.item), Some(3));
    }
}
