//! Functions that move values of any dtype, or give back what they get.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::ValueId;
use crate::keras::layers::no_image;
use crate::keras::{ops, Arg, Cx, Out};
use crate::nest::Nest;

/// The functions of [`lower`].
pub const NAMES: [&str; 7] = [
    "convert_to_tensor",
    "convert_to_tensor_v2",
    "ensure_shape",
    "identity",
    "identity_n",
    "transpose",
    "where",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    match name.function {
        // Images are transposed otherwise than tensors.
        "transpose" => match name.space {
            "image" => transposed(cx, a).map(|v| Some(v.into())),
            _ => Ok(None),
        },
        "where" if name.old => Ok(rows_where(cx, a)?.map(Out::from)),
        "where" => Ok(None),
        "ensure_shape" => {
            let x = a.first(cx)?;
            let shape = a.json(cx, "shape")?.unwrap_or_default();
            let sizes: Vec<Option<u64>> = shape
                .as_array()
                .into_iter()
                .flatten()
                .map(|n| n.as_u64())
                .collect();
            let have = cx.keras_fact(x).shape;
            let fits = sizes.len() == have.len()
                && sizes
                    .iter()
                    .zip(&have)
                    .all(|(n, &d)| n.is_none_or(|n| n == d as u64));
            match fits || shape.is_null() {
                true => Ok(Some(x.into())),
                false => Err(cx.error(format!("{} isn't of shape {shape}", cx.fact(x)))),
            }
        }
        _ => match (a.first.as_out(), &a.first) {
            (Some(out), _) => Ok(Some(out)),
            (None, Arg::List(items)) => {
                let one = |item: &Arg| Ok(Nest::Leaf(ops::convert(cx, item)?.into()));
                let items: Result<Vec<Out>> = items.iter().map(one).collect();
                Ok(Some(Nest::List(items?)))
            }
            _ => Ok(Some(a.first(cx)?.into())),
        },
    }
}

fn transposed(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let mut perm: Vec<usize> = (0..cx.rank(x)).collect();
    let Some(at) = perm.len().checked_sub(3) else {
        return Err(no_image(cx, x));
    };
    perm.swap(at, at + 1);
    cx.transpose(x, &perm)
}

/// `tf.where` of TensorFlow 1 by a vector: it chooses rows. `None` where the
/// condition is of the rank of what it chooses from.
fn rows_where(cx: &mut Cx, a: &Args) -> Result<Option<ValueId>> {
    let condition = a.first(cx)?;
    let (Some(_), Some(_)) = (a.get("x"), a.get("y")) else {
        return Ok(None);
    };
    let (x, y) = (a.tensor(cx, "x")?, a.tensor(cx, "y")?);
    let rank = cx.rank(x);
    if cx.rank(condition) != 1 || rank < 2 {
        return Ok(None);
    }
    let condition = cx.spread_mask(condition, rank)?;
    cx.select(condition, x, y).map(Some)
}
