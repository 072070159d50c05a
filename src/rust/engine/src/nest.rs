//! Nested lists and dicts, the structures Keras passes to and from models.

/// A leaf, or a list or dict of nests. Dicts keep the order of the config;
/// flattening sorts their keys, as Keras does.
#[derive(Clone, Debug, PartialEq)]
pub enum Nest<T> {
    Leaf(T),
    List(Vec<Nest<T>>),
    Dict(Vec<(String, Nest<T>)>),
    /// Python's None: an optional input left out.
    Null,
}

impl<T> Nest<T> {
    /// Leaves in Keras' order: lists in turn, dicts by sorted keys.
    pub fn flatten(&self) -> Vec<&T> {
        let mut out = Vec::new();
        self.visit(&mut |leaf| out.push(leaf));
        out
    }

    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a T)) {
        match self {
            Nest::Leaf(t) => f(t),
            Nest::List(items) => items.iter().for_each(|i| i.visit(f)),
            Nest::Dict(items) => {
                let mut sorted: Vec<_> = items.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                sorted.into_iter().for_each(|(_, v)| v.visit(f));
            }
            Nest::Null => {}
        }
    }

    /// The same structure with each leaf replaced, in flattening order.
    pub fn map<U, E>(&self, f: &mut impl FnMut(&T) -> Result<U, E>) -> Result<Nest<U>, E> {
        Ok(match self {
            Nest::Leaf(t) => Nest::Leaf(f(t)?),
            Nest::List(items) => {
                Nest::List(items.iter().map(|i| i.map(f)).collect::<Result<_, E>>()?)
            }
            Nest::Dict(items) => {
                let mut order: Vec<usize> = (0..items.len()).collect();
                order.sort_by(|&a, &b| items[a].0.cmp(&items[b].0));
                let mut out: Vec<Option<Nest<U>>> = items.iter().map(|_| None).collect();
                for i in order {
                    out[i] = Some(items[i].1.map(f)?);
                }
                Nest::Dict(
                    items
                        .iter()
                        .zip(out)
                        .map(|((k, _), v)| (k.clone(), v.unwrap_or(Nest::Null)))
                        .collect(),
                )
            }
            Nest::Null => Nest::Null,
        })
    }

    /// The only leaf, if this is one, or a list of exactly one.
    pub fn single(&self) -> Option<&T> {
        match self {
            Nest::Leaf(t) => Some(t),
            Nest::List(items) if items.len() == 1 => items[0].single(),
            _ => None,
        }
    }
}
