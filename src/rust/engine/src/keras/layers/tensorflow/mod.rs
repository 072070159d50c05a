//! Functions of TensorFlow that stand as layers in models of Keras 2.
//!
//! Most have a like in `keras.ops`: [`translate`] gives it, which is also how such
//! a model is saved for Keras 3. Sizes that a graph computes from shapes are known
//! here, since a model is lowered for given shapes: they become plain numbers
//! first. What `keras.ops` lacks is written in primitives, a file for each kind.
//!
//! [`translate`]: crate::keras::legacy::translate

mod args;
mod arithmetic;
mod blocks;
mod boxes;
mod colour;
mod decompositions;
mod diagonals;
mod image;
mod like;
mod losses;
mod matrices;
mod moves;
mod nets;
mod order;
mod places;
mod quantized;
mod segments;
mod signal;
mod sizes;
mod special;
mod statistics;

use args::Args;
pub use image::resized_before_2;

use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::layer::Call;
use crate::keras::legacy::has_like;
use crate::keras::{Built, Cfg, Cx, Layer, LayerNode, Nested, OfComplex, Out, T};

/// A function by the parts of its name in TensorFlow, such as `math.add`.
struct Name<'a> {
    space: &'a str,
    function: &'a str,
    /// As it was in version 1.
    old: bool,
}

impl<'a> Name<'a> {
    fn of(symbol: &'a str) -> Name<'a> {
        let plain = symbol.strip_prefix("compat.v1.");
        let old = plain.is_some();
        let plain = plain.unwrap_or(symbol);
        let (space, function) = plain.rsplit_once('.').unwrap_or(("", plain));
        Name {
            space,
            function,
            old,
        }
    }
}

/// Functions of one kind that are written in primitives.
struct Family {
    names: &'static [&'static str],
    /// `None` for those that `keras.ops` has.
    lower: fn(&mut Cx, &Name, &Args) -> Result<Option<Out>>,
    /// Whether it knows complex numbers, rather than taking pairs for numbers.
    complex: bool,
}

macro_rules! family {
    ($module:ident, complex: $complex:literal) => {
        Family {
            names: &$module::NAMES,
            lower: $module::lower,
            complex: $complex,
        }
    };
}

const FAMILIES: [Family; 19] = [
    family!(moves, complex: true),
    family!(sizes, complex: false),
    family!(places, complex: false),
    family!(order, complex: false),
    family!(arithmetic, complex: false),
    family!(nets, complex: false),
    family!(matrices, complex: false),
    family!(diagonals, complex: false),
    family!(decompositions, complex: false),
    family!(special, complex: true),
    family!(losses, complex: false),
    family!(segments, complex: false),
    family!(statistics, complex: false),
    family!(quantized, complex: false),
    family!(signal, complex: true),
    family!(colour, complex: true),
    family!(image, complex: false),
    family!(blocks, complex: false),
    family!(boxes, complex: false),
];

/// The functions that are lowered here or have a like in `keras.ops`.
pub(crate) fn runs(symbol: &str) -> bool {
    const SPACES: [&str; 14] = [
        "dtypes",
        "keras.backend",
        "",
        "math",
        "math.special",
        "quantization",
        "nn",
        "linalg",
        "image",
        "bitwise",
        "__operators__",
        "activations",
        "keras.activations",
        "signal",
    ];
    let Name {
        space, function, ..
    } = Name::of(symbol);
    SPACES.contains(&space)
        && (FAMILIES.iter().any(|f| f.names.contains(&function)) || has_like(function))
}

struct Function {
    symbol: String,
}

/// A function by its name in TensorFlow.
pub fn function(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let symbol = cfg.str("function")?.to_string();
    Ok(Built::new(Function { symbol }))
}

impl Layer for Function {
    fn parameters(&self) -> &'static [&'static str] {
        &[]
    }

    fn autocast(&self) -> bool {
        false
    }

    fn of_complex(&self) -> OfComplex {
        OfComplex::Take
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        let name = Name::of(&self.symbol);
        let args = Args::of(cx, name.function, call)?;
        if cx.functions.is_some() {
            let call = args.recorded(cx)?;
            cx.functions
                .iter_mut()
                .for_each(|all| all.push(call.clone()));
        }
        let family = FAMILIES.iter().find(|f| f.names.contains(&name.function));
        let out = match family {
            None => None,
            Some(family) => {
                if !family.complex {
                    cx.check_real(call.tensors())?;
                }
                (family.lower)(cx, &name, &args)?
            }
        };
        let out = match out {
            Some(out) => {
                if let Some(key) = args.unread() {
                    return Err(
                        cx.call_error(format!("`tf.{}` can't be run with `{key}`", self.symbol))
                    );
                }
                out
            }
            None => args.translated(cx, &self.symbol)?,
        };
        // Masks end here.
        out.map(&mut |t: &T| Ok(t.value.into()))
    }
}

/// A matrix of bools, by row and column.
fn by_place(
    cx: &mut Cx,
    rows: usize,
    columns: usize,
    is: impl Fn(usize, usize) -> bool,
) -> Result<ValueId> {
    cx.generated_bools([rows, columns], |p| is(p / columns, p % columns))
}
