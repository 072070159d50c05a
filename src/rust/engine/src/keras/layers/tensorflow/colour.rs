//! Colours and brightness of `tf.image`.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Reduce, Unary, ValueId};
use crate::keras::layers::no_image;
use crate::keras::ops::image::{from_hsv, to_hsv};
use crate::keras::resize::saturated;
use crate::keras::{Cx, Out};
use crate::tensor::DType;

/// The functions of [`lower`].
pub const NAMES: [&str; 10] = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "convert_image_dtype",
    "rgb_to_yiq",
    "rgb_to_yuv",
    "yiq_to_rgb",
    "yuv_to_rgb",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    let x = a.first(cx)?;
    let own = cx.dtype(x);
    if name.function == "convert_image_dtype" {
        let to = a.dtype(cx, "dtype")?.unwrap_or(own);
        return Ok(Some(scaled(cx, x, to, a.flag("saturate"))?.into()));
    }
    let y = match (own.is_float(), name.function.starts_with("adjust")) {
        (true, _) => coloured(cx, name.function, x, a)?,
        (false, true) => {
            let x = scaled(cx, x, DType::F32, false)?;
            let y = coloured(cx, name.function, x, a)?;
            scaled(cx, y, own, true)?
        }
        _ => return Err(cx.call_error(format!("expected float images, not {own}"))),
    };
    Ok(Some(y.into()))
}

/// Images of another dtype: whole numbers reach from 0 to the largest, floats to 1.
fn scaled(cx: &mut Cx, x: ValueId, to: DType, saturates: bool) -> Result<ValueId> {
    let from = cx.dtype(x);
    let most = |d: DType| match d {
        DType::U8 => Some(255.0),
        DType::I8 => Some(127.0),
        DType::U16 => Some(65535.0),
        DType::I16 => Some(32767.0),
        DType::I32 => Some(2147483647.0),
        _ => None,
    };
    match (from.is_float(), to.is_float(), most(from), most(to)) {
        _ if from == to => Ok(x),
        (true, true, ..) => cx.cast(x, to),
        (false, true, Some(most), _) => {
            let x = cx.cast(x, to)?;
            cx.mul_s(x, f64::from((1.0 / most) as f32))
        }
        (true, false, _, Some(most)) => {
            let x = cx.mul_s(x, most + 0.5)?;
            match saturates {
                true => {
                    let x = cx.unary(Unary::Trunc, x)?;
                    saturated(cx, x, to)
                }
                false => cx.cast(x, to),
            }
        }
        _ => Err(cx.call_error(format!("can't turn images of {from} to {to}"))),
    }
}

fn coloured(cx: &mut Cx, function: &str, x: ValueId, a: &Args) -> Result<ValueId> {
    match function {
        "adjust_brightness" => {
            let delta = a.number(cx, "delta", 0.0)?;
            cx.add_s(x, delta)
        }
        "adjust_contrast" => {
            let factor = a.number(cx, "contrast_factor", 1.0)?;
            let Some(at) = cx.rank(x).checked_sub(3) else {
                return Err(no_image(cx, x));
            };
            let mean = cx.reduce(Reduce::Mean, x, &[at, at + 1], true)?;
            let y = cx.sub(x, mean)?;
            let y = cx.mul_s(y, factor)?;
            cx.add(y, mean)
        }
        "adjust_saturation" | "adjust_hue" => {
            let hsv = to_hsv(cx, x)?;
            let mut channels = [0, 1, 2].map(|i| cx.slice_axis(hsv, -1, i, i + 1));
            let (at, changed) = match function {
                "adjust_hue" => {
                    let h = std::mem::replace(&mut channels[0], Ok(x))?;
                    let delta = a.number(cx, "delta", 0.0)?;
                    let h = cx.add_s(h, delta)?;
                    let whole = cx.unary(Unary::Floor, h)?;
                    (0, cx.sub(h, whole)?)
                }
                _ => {
                    let s = std::mem::replace(&mut channels[1], Ok(x))?;
                    let factor = a.number(cx, "saturation_factor", 1.0)?;
                    let s = cx.mul_s(s, factor)?;
                    (1, cx.clip(s, Some(0.0), Some(1.0))?)
                }
            };
            channels[at] = Ok(changed);
            let channels = channels.into_iter().collect::<Result<Vec<_>>>()?;
            let hsv = cx.concat(&channels, -1)?;
            from_hsv(cx, hsv)
        }
        "adjust_gamma" => {
            let dtype = cx.dtype(x);
            let gamma = a.number(cx, "gamma", 1.0)?;
            let gain = a.number(cx, "gain", 1.0)?;
            let gamma = cx.scalar(dtype, gamma);
            let y = cx.binary(Binary::Pow, x, gamma)?;
            cx.mul_s(y, gain)
        }
        _ => {
            #[rustfmt::skip]
            let matrix: [f32; 9] = match function {
                "rgb_to_yuv" => [
                    0.299, -0.147_141_19, 0.614_975_4,
                    0.587, -0.288_869_17, -0.514_965_1,
                    0.114, 0.436_010_36, -0.100_010_26,
                ],
                "yuv_to_rgb" => [
                    1.0, 1.0, 1.0,
                    0.0, -0.394_642_33, 2.032_061_8,
                    1.139_883, -0.580_621_84, 0.0,
                ],
                "rgb_to_yiq" => [
                    0.299, 0.595_900_6, 0.2115,
                    0.587, -0.274_556_67, -0.522_736_2,
                    0.114, -0.321_343_93, 0.311_199_55,
                ],
                _ => [
                    1.0, 1.0, 1.0,
                    0.955_986_3, -0.272_012_83, -1.106_740_2,
                    0.620_824_8, -0.647_204_2, 1.704_230_5,
                ],
            };
            let matrix = cx.f32s([3, 3], &matrix);
            let dtype = cx.dtype(x);
            let matrix = cx.cast(matrix, dtype)?;
            cx.dense(x, matrix)
        }
    }
}
