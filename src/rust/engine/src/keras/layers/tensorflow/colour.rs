//! Colours of `tf.image`.

use super::args::Args;
use super::Name;
use crate::error::Result;
use crate::graph::{Binary, Unary, ValueId};
use crate::keras::ops::image::{from_hsv, to_hsv};
use crate::keras::{Cx, Out};

/// The functions of [`lower`].
pub const NAMES: [&str; 7] = [
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "rgb_to_yiq",
    "rgb_to_yuv",
    "yiq_to_rgb",
    "yuv_to_rgb",
];

pub fn lower(cx: &mut Cx, name: &Name, a: &Args) -> Result<Option<Out>> {
    Ok(Some(coloured(cx, name.function, a)?.into()))
}

fn coloured(cx: &mut Cx, function: &str, a: &Args) -> Result<ValueId> {
    let x = a.first(cx)?;
    if !cx.dtype(x).is_float() {
        return Err(cx.call_error(format!("expected float images, not {}", cx.dtype(x))));
    }
    match function {
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
