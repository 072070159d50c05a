//! The order in which Keras runs the calls of a functional model (`map_graph`).

use std::cmp::Reverse;
use std::collections::HashMap;

/// A call as the order depends on it.
pub struct Node {
    /// What is called: calls of one target count as far as the farthest of them.
    pub target: usize,
    /// The calls that it takes tensors of, in Keras' order of arguments.
    pub inputs: Vec<usize>,
}

/// Positions of calls in the order of their run, and how far each call is from an
/// output.
#[derive(Debug, PartialEq)]
pub struct Order {
    pub calls: Vec<usize>,
    pub depths: Vec<usize>,
}

/// Sorts calls. Those farthest from an output go first, and which goes first of those
/// as far follows from the order of the outputs: a layer that takes the mask off a
/// tensor does so for the calls after it. Calls that no output needs come last.
/// `None` if the graph has a loop.
pub fn run_order(nodes: &[Node], outputs: &[usize]) -> Option<Order> {
    let mut walk = Walk {
        nodes,
        states: vec![State::New; nodes.len()],
        done: vec![],
    };
    outputs.iter().try_for_each(|&call| walk.visit(call))?;
    let needed = walk.done.len();
    (0..nodes.len()).try_for_each(|call| walk.visit(call))?;

    let mut depths: Vec<Option<usize>> = vec![None; nodes.len()];
    let mut of_targets: HashMap<usize, usize> = HashMap::new();
    let mut calls = vec![];
    for &call in walk.done[..needed].iter().rev() {
        let node = &nodes[call];
        let depth = depths[call].unwrap_or_else(|| {
            calls.push(call);
            0
        });
        let of_target = of_targets.entry(node.target).or_default();
        let depth = depth.max(*of_target);
        *of_target = depth;
        depths[call] = Some(depth);
        for &input in &node.inputs {
            if depths[input].is_none() {
                calls.push(input);
            }
            depths[input] = depths[input].max(Some(depth + 1));
        }
    }
    calls.sort_by_key(|&call| Reverse(depths[call]));
    calls.extend(&walk.done[needed..]);
    let depths = depths.into_iter().map(Option::unwrap_or_default).collect();
    Some(Order { calls, depths })
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

/// A walk from outputs to inputs, depth first.
struct Walk<'a> {
    nodes: &'a [Node],
    states: Vec<State>,
    /// Calls after all that they need.
    done: Vec<usize>,
}

impl Walk<'_> {
    /// `None` if a call needs itself.
    fn visit(&mut self, call: usize) -> Option<()> {
        if self.states[call] == State::Done {
            return Some(());
        }
        self.states[call] = State::Open;
        let mut open = vec![(call, 0)];
        while let Some((call, at)) = open.last_mut() {
            let Some(&input) = self.nodes[*call].inputs.get(*at) else {
                self.states[*call] = State::Done;
                self.done.push(*call);
                open.pop();
                continue;
            };
            *at += 1;
            match self.states[input] {
                State::New => {
                    self.states[input] = State::Open;
                    open.push((input, 0));
                }
                State::Open => return None,
                State::Done => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(all: &[(usize, &[usize])]) -> Vec<Node> {
        let node = |&(target, inputs): &(usize, &[usize])| Node {
            target,
            inputs: inputs.to_vec(),
        };
        all.iter().map(node).collect()
    }

    #[test]
    fn the_last_output_runs_first_of_those_as_far() {
        let fork = nodes(&[(0, &[]), (1, &[0]), (2, &[0])]);
        let order = |outputs: &[usize]| run_order(&fork, outputs).map(|o| o.calls);
        assert_eq!(order(&[1, 2]), Some(vec![0, 2, 1]));
        assert_eq!(order(&[2, 1]), Some(vec![0, 1, 2]));
        assert_eq!(order(&[2]), Some(vec![0, 2, 1]));
    }

    #[test]
    fn calls_of_one_layer_are_as_far_as_the_farthest() {
        // b(a), and a layer called on a and on b(a).
        let shared = nodes(&[(0, &[]), (1, &[0]), (2, &[1]), (2, &[0]), (3, &[2])]);
        let order = run_order(&shared, &[3, 4]);
        let want = Order {
            calls: vec![0, 1, 2, 3, 4],
            depths: vec![3, 2, 1, 1, 0],
        };
        assert_eq!(order, Some(want));
    }

    #[test]
    fn a_loop_has_no_order() {
        assert_eq!(run_order(&nodes(&[(0, &[1]), (1, &[0])]), &[1]), None);
    }
}
