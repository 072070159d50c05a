//! `tf.quantization`: floats as if they had been quantized.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::{Unary, ValueId};
use crate::keras::{Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 5] = [
    "fake_quant_with_min_max_args",
    "fake_quant_with_min_max_vars",
    "fake_quant_with_min_max_vars_per_channel",
    "quantize_and_dequantize",
    "quantize_and_dequantize_v2",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let out = match name.function.starts_with("fake") {
        true => fake(cx, a)?,
        false => there_and_back(cx, a)?,
    };
    Ok(Some(out.into()))
}

/// Numbers under a key: one, or one for each channel.
fn numbers(cx: &Cx, a: &Args, key: &str, default: f64) -> Result<Vec<f32>> {
    let value = a.json(cx, key)?.unwrap_or(default.into());
    let one = |v: &serde_json::Value| v.as_f64().map(|v| v as f32);
    let all = match value.as_array() {
        Some(items) => items.iter().map(one).collect(),
        None => one(&value).map(|v| vec![v]),
    };
    all.ok_or_else(|| {
        cx.call_error(format!(
            "`{key}` must be numbers that are known before the run"
        ))
    })
}

fn bits(cx: &Cx, a: &Args) -> Result<i32> {
    match a.int(cx, "num_bits")?.unwrap_or(8) {
        n @ 1..=24 => Ok(n as i32),
        n => Err(cx.call_error(format!("can't quantize to {n} bits"))),
    }
}

/// Whole steps of a range that is moved so that 0 is one of them.
fn fake(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let (low, high) = (numbers(cx, a, "min", -6.0)?, numbers(cx, a, "max", 6.0)?);
    let least = if a.flag("narrow_range") { 1.0f32 } else { 0.0 };
    let most = 2f32.powi(bits(cx, a)?) - 1.0;
    if low.len() != high.len() || !(low.len() == 1 || low.len() == cx.dim(x, -1)?) {
        return Err(cx.call_error("`min` and `max` must be numbers, or one for each channel"));
    }
    // Range and step of each channel.
    let mut parts: [Vec<f32>; 4] = Default::default();
    for (&low, &high) in low.iter().zip(&high) {
        let step = (high - low) / (most - least);
        let zero = least - low / step;
        let zero = match zero {
            z if z < least => least,
            z if z > most => most,
            z => z.round(),
        };
        let bottom = (least - zero) * step;
        let values = [bottom, (most - zero) * step, step, 1.0 / step];
        for (part, value) in parts.iter_mut().zip(values) {
            part.push(if low == 0.0 && high == 0.0 {
                0.0
            } else {
                value
            });
        }
    }
    let shape: Vec<usize> = if low.len() == 1 {
        vec![]
    } else {
        vec![low.len()]
    };
    let [bottom, top, step, by] = parts.map(|p| cx.f32s(shape.clone(), &p));
    let y = cx.maximum(x, bottom)?;
    let y = cx.minimum(y, top)?;
    let y = cx.sub(y, bottom)?;
    let y = cx.mul(y, by)?;
    let y = cx.add_s(y, 0.5)?;
    let y = cx.unary(Unary::Floor, y)?;
    let y = cx.mul(y, step)?;
    cx.add(y, bottom)
}

/// Whole steps of a given range around 0.
fn there_and_back(cx: &mut Cx, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    let (low, high) = (
        numbers(cx, a, "input_min", 0.0)?,
        numbers(cx, a, "input_max", 0.0)?,
    );
    let axis = a.int(cx, "axis")?.unwrap_or(-1);
    let (&[low], &[high], true, -1) =
        (low.as_slice(), high.as_slice(), a.flag("range_given"), axis)
    else {
        return Err(cx.call_error("`range_given` must be true, and the range that of all axes"));
    };
    let bits = bits(cx, a)?;
    let signed = !a.is_off("signed_input");
    let narrow = f32::from(u8::from(a.flag("narrow_range")));
    let (least, most) = match signed {
        true => (-(2f32.powi(bits - 1)) + narrow, 2f32.powi(bits - 1) - 1.0),
        false => (0.0, 2f32.powi(bits) - 1.0),
    };
    let up = match a.text("round_mode").unwrap_or("HALF_TO_EVEN") {
        "HALF_TO_EVEN" => false,
        "HALF_UP" => true,
        other => return Err(cx.call_error(format!("can't round by '{other}'"))),
    };
    let of = |end: f32, bound: f32| match end * bound > 0.0 {
        true => end / bound,
        false => f32::MAX,
    };
    let (by_low, by_high) = (of(least, low), of(most, high));
    let (low, high, by) = match by_low < by_high {
        true => (low, most / by_low, by_low),
        false => (least / by_high, high, by_high),
    };
    let dtype = cx.dtype(x);
    let x = cx.cast(x, DType::F32)?;
    let y = cx.clip(x, Some(low.into()), Some(high.into()))?;
    let y = cx.mul_s(y, by.into())?;
    let y = match up {
        true => {
            let y = cx.add_s(y, 0.5)?;
            cx.unary(Unary::Floor, y)?
        }
        false => cx.unary(Unary::Round, y)?,
    };
    let y = cx.mul_s(y, (1.0 / by).into())?;
    cx.cast(y, dtype)
}
