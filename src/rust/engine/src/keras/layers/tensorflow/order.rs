//! Order along an axis, and running sums.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::{Cumulate, ValueId};
use crate::keras::{Cx, Out};
use crate::tensor::{DType, Fact};

/// The functions of [`lower`].
pub const NAMES: [&str; 4] = ["argsort", "cumprod", "cumsum", "sort"];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out: ValueId = match name.function {
        "sort" | "argsort" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(-1) as isize;
            let descending = match a.text("direction").unwrap_or("ASCENDING") {
                "ASCENDING" => false,
                "DESCENDING" => true,
                other => return Err(cx.call_error(format!("can't sort in direction '{other}'"))),
            };
            let rank = cx.rank(x);
            let at = cx.axis(axis, rank)?;
            let mut perm: Vec<usize> = (0..rank).collect();
            perm.swap(at, rank - 1);
            let x = cx.transpose(x, &perm)?;
            let (values, places) = cx.sort(x, descending)?;
            let out = match name.function {
                "sort" => values,
                _ => cx.cast(places, DType::I32)?,
            };
            cx.transpose(out, &perm)?
        }
        "cumsum" | "cumprod" => {
            let x = a.first(cx)?;
            let axis = a.int(cx, "axis")?.unwrap_or(0) as isize;
            let reverse = a.flag("reverse");
            let kind = match name.function {
                "cumsum" => Cumulate::Sum,
                _ => Cumulate::Prod,
            };
            let x = match a.flag("exclusive") {
                false => x,
                true => {
                    let n = cx.dim(x, axis)?;
                    let len = n.saturating_sub(1);
                    let start = usize::from(reverse && n > 0);
                    let kept = cx.slice_axis(x, axis, start, start + len)?;
                    let at = cx.axis(axis, cx.rank(x))?;
                    let mut shape = cx.shape(x);
                    shape[at] = n - len;
                    let neutral = f64::from(u8::from(kind == Cumulate::Prod));
                    let fact = Fact::new(cx.dtype(x), shape);
                    let first = cx.full(fact, neutral)?;
                    match reverse {
                        true => cx.concat(&[kept, first], axis)?,
                        false => cx.concat(&[first, kept], axis)?,
                    }
                }
            };
            cx.cumulate(kind, x, axis, reverse)?
        }
        _ => return Ok(None),
    };
    Ok(Some(out.into()))
}
