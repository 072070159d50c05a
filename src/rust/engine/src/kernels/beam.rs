//! The likeliest label sequences of a classifier over time with blanks (CTC), as
//! TensorFlow searches for them: step by step, the best so many prefixes.

use std::cmp::Ordering;

use super::{Plain, Request};
use crate::error::{Error, Result};
use crate::tensor::{DType, View, ViewMut};

/// The kernel of `BeamSearch`.
pub struct Beam {
    path: String,
    width: usize,
    paths: usize,
}

impl Beam {
    pub fn new(width: usize, paths: usize, req: &Request) -> Beam {
        Beam {
            path: req.path.to_string(),
            width,
            paths,
        }
    }
}

/// Logarithms of the probabilities of a prefix: with a blank at its end, with its
/// last label there, and both.
#[derive(Copy, Clone)]
struct Chance {
    blank: f64,
    label: f64,
    total: f64,
}

const NONE: Chance = Chance {
    blank: f64::NEG_INFINITY,
    label: f64::NEG_INFINITY,
    total: f64::NEG_INFINITY,
};

/// A prefix: the one before, and a label.
struct Entry {
    parent: Option<usize>,
    label: usize,
    old: Chance,
    new: Chance,
    /// The prefixes with one label more, by label; none before they are needed.
    children: Vec<usize>,
}

impl Entry {
    fn active(&self) -> bool {
        self.new.total != f64::NEG_INFINITY
    }
}

/// `log(exp(a) + exp(b))`.
fn log_sum(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    match high == f64::NEG_INFINITY {
        true => high,
        false => high + (low - high).exp().ln_1p(),
    }
}

/// All prefixes that were met, and the best of them.
struct Search {
    entries: Vec<Entry>,
    leaves: Vec<usize>,
    width: usize,
}

impl Search {
    fn new(width: usize) -> Search {
        let root = Entry {
            parent: None,
            label: usize::MAX,
            old: NONE,
            new: Chance {
                blank: 0.0,
                label: f64::NEG_INFINITY,
                total: 0.0,
            },
            children: vec![],
        };
        Search {
            entries: vec![root],
            leaves: vec![0],
            width,
        }
    }

    fn falling(&self, a: usize, b: usize) -> Ordering {
        let total = |i: usize| self.entries[i].new.total;
        total(b).total_cmp(&total(a))
    }

    /// The leaves, the likeliest first.
    fn sorted(&self) -> Vec<usize> {
        let mut leaves = self.leaves.clone();
        leaves.sort_by(|&a, &b| self.falling(a, b));
        leaves
    }

    /// The position of the unlikeliest leaf.
    fn bottom(&self) -> usize {
        let least =
            (0..self.leaves.len()).max_by(|&a, &b| self.falling(self.leaves[a], self.leaves[b]));
        least.unwrap_or(0)
    }

    fn is_candidate(&self, total: f64) -> bool {
        total > f64::NEG_INFINITY
            && (self.leaves.len() < self.width
                || total > self.entries[self.leaves[self.bottom()]].new.total)
    }

    /// Takes logarithms of the probabilities of the labels, the blank's last.
    fn step(&mut self, logs: &[f64]) {
        let Some((&blank, logs)) = logs.split_last() else {
            return;
        };
        let branches = self.sorted();
        for &b in &branches {
            self.entries[b].old = self.entries[b].new;
        }
        for &b in &branches {
            let entry = &self.entries[b];
            let mut new = entry.new;
            if let Some(parent) = entry.parent {
                let before = &self.entries[parent];
                if before.active() {
                    let previous = match entry.label == before.label {
                        true => before.old.blank,
                        false => before.old.total,
                    };
                    new.label = log_sum(new.label, previous);
                }
                new.label += logs[entry.label];
            }
            new.blank = entry.old.total + blank;
            new.total = log_sum(new.blank, new.label);
            self.entries[b].new = new;
        }
        for &b in &branches {
            if self.is_candidate(self.entries[b].old.total) {
                self.grow(b, logs);
            }
        }
    }

    /// Adds those prefixes with one label more that are among the best.
    fn grow(&mut self, b: usize, logs: &[f64]) {
        if self.entries[b].children.is_empty() {
            let first = self.entries.len();
            self.entries[b].children = (first..first + logs.len()).collect();
            self.entries.extend((0..logs.len()).map(|label| Entry {
                parent: Some(b),
                label,
                old: NONE,
                new: NONE,
                children: vec![],
            }));
        }
        let (own, old) = (self.entries[b].label, self.entries[b].old);
        for (label, &log) in logs.iter().enumerate() {
            let child = self.entries[b].children[label];
            if self.entries[child].active() {
                continue;
            }
            let previous = if label == own { old.blank } else { old.total };
            let total = log + previous;
            if !self.is_candidate(total) {
                self.entries[child].old = NONE;
                continue;
            }
            self.entries[child].new = Chance {
                blank: f64::NEG_INFINITY,
                label: total,
                total,
            };
            if self.leaves.len() == self.width {
                let bottom = self.bottom();
                let out = std::mem::replace(&mut self.leaves[bottom], child);
                self.entries[out].new = NONE;
            } else {
                self.leaves.push(child);
            }
        }
    }

    fn labels(&self, leaf: usize) -> Vec<usize> {
        let mut labels = vec![];
        let mut at = &self.entries[leaf];
        while let Some(parent) = at.parent {
            labels.push(at.label);
            at = &self.entries[parent];
        }
        labels.reverse();
        labels
    }
}

/// Logarithms of the softmax.
fn logs(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|v| (v - top).exp()).sum();
    let offset = top + sum.ln();
    logits.iter().map(|v| v - offset).collect()
}

fn read(view: &View, from: usize, n: usize) -> Vec<f64> {
    match view.dtype {
        DType::F64 => view.as_slice::<f64>()[from..from + n].to_vec(),
        _ => {
            let values = &view.as_slice::<f32>()[from..from + n];
            values.iter().map(|&v| f64::from(v)).collect()
        }
    }
}

impl Plain for Beam {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()> {
        let [batch, steps, classes] = ins[0].shape[..] else {
            return Err(Error::internal("a beam search of another rank"));
        };
        let lengths = ins[1].as_slice::<i32>();
        let (labels, scores) = outs.split_at_mut(1);
        let labels = labels[0].as_mut::<i32>();
        labels.fill(-1);
        for (row, &length) in lengths.iter().enumerate() {
            let length = usize::try_from(length).ok().filter(|&n| n <= steps);
            let length = length.ok_or(Error::Index {
                layer: self.path.clone(),
                index: i64::from(lengths[row]),
                size: steps + 1,
            })?;
            let mut search = Search::new(self.width);
            for step in 0..length {
                let at = (row * steps + step) * classes;
                search.step(&logs(&read(&ins[0], at, classes)));
            }
            let leaves = search.sorted();
            if leaves.len() < self.paths {
                return Err(Error::Values {
                    layer: self.path.clone(),
                    message: format!(
                        "there are fewer label sequences, {}, than the {} asked for",
                        leaves.len(),
                        self.paths
                    ),
                });
            }
            for (path, &leaf) in leaves.iter().take(self.paths).enumerate() {
                let to = &mut labels[(path * batch + row) * steps..][..steps];
                for (to, label) in to.iter_mut().zip(search.labels(leaf)) {
                    *to = label as i32;
                }
                let score = search.entries[leaf].new.total;
                let at = row * self.paths + path;
                match scores[0].dtype {
                    DType::F64 => scores[0].as_mut::<f64>()[at] = score,
                    _ => scores[0].as_mut::<f32>()[at] = score as f32,
                }
            }
        }
        Ok(())
    }
}
