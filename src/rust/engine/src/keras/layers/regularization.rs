//! Dropout, noise and penalties: layers that act in training only. All pass
//! the mask of their input on.

use crate::error::Result;
use crate::graph::{Binary, RandomKind, ValueId};
use crate::keras::{Built, Call, Cfg, Cx, Layer, LayerNode, Nested, OfComplex, Out, T};
use crate::tensor::DType;

/// What training does to a tensor.
enum Noise {
    Nothing,
    /// Elements become zero with probability `rate`, the others grow by `1 / (1 - rate)`.
    Dropout {
        rate: f64,
        shape: NoiseShape,
    },
    /// As dropout, for selu: dropped elements saturate; mean and variance stay.
    Alpha {
        rate: f64,
        shape: NoiseShape,
    },
    /// Elements are multiplied by normal numbers of mean 1.
    Factor {
        rate: f64,
    },
    /// Normal numbers of mean 0 are added.
    Term {
        stddev: f64,
    },
}

/// The axes along which elements are dropped one by one.
enum NoiseShape {
    All,
    /// Sizes as given; `None` is the tensor's.
    Given(Vec<Option<usize>>),
    /// Whole rows of the batch.
    Rows,
    /// The batch and the channels of a tensor of this rank.
    Maps {
        rank: usize,
        channels_first: bool,
    },
}

impl NoiseShape {
    fn from_cfg(cfg: &Cfg) -> Result<NoiseShape> {
        Ok(match cfg.opt_dims("noise_shape")? {
            Some(sizes) => NoiseShape::Given(sizes),
            None => NoiseShape::All,
        })
    }

    fn of(&self, cx: &Cx, x: ValueId) -> Result<Vec<usize>> {
        let shape = cx.shape(x);
        match self {
            NoiseShape::All => Ok(shape),
            NoiseShape::Rows => Ok((0..shape.len())
                .map(|i| if i == 0 { shape[i] } else { 1 })
                .collect()),
            NoiseShape::Given(sizes) if sizes.len() != shape.len() => Err(cx.error(format!(
                "a noise_shape of {} sizes doesn't fit a tensor of rank {}",
                sizes.len(),
                shape.len()
            ))),
            NoiseShape::Given(sizes) => {
                let sizes = sizes.iter().zip(&shape);
                Ok(sizes.map(|(s, &d)| s.unwrap_or(d)).collect())
            }
            NoiseShape::Maps {
                rank,
                channels_first,
            } => {
                cx.check_rank(x, *rank)?;
                let channels = if *channels_first { 1 } else { rank - 1 };
                let kept = |i: usize| i == 0 || i == channels;
                Ok((0..*rank)
                    .map(|i| if kept(i) { shape[i] } else { 1 })
                    .collect())
            }
        }
    }
}

/// True with probability `1 - rate`.
fn kept(cx: &mut Cx, rate: f64, shape: &[usize], dtype: DType) -> Result<ValueId> {
    let wide = if dtype == DType::F64 {
        dtype
    } else {
        DType::F32
    };
    let u = cx.random(RandomKind::Uniform, shape, wide)?;
    cx.binary_s(Binary::Ge, u, rate)
}

/// `keras.random.dropout`: elements of `noise_shape` are dropped together along
/// the axes that it has with size 1.
pub fn drop_out(cx: &mut Cx, x: ValueId, rate: f64, noise_shape: &[usize]) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    if rate <= 0.0 {
        return Ok(x);
    }
    if rate >= 1.0 {
        let fact = cx.fact(x).clone();
        return cx.full(fact, 0.0);
    }
    if !dtype.is_float() {
        return Err(cx.call_error(format!("can't drop entries of {dtype} tensors")));
    }
    let keep = kept(cx, rate, noise_shape, dtype)?;
    let scaled = cx.mul_s(x, 1.0 / (1.0 - rate))?;
    let zero = cx.scalar(dtype, 0.0);
    let shape = cx.shape(x);
    let y = cx.select(keep, scaled, zero)?;
    cx.broadcast_to(y, &shape)
}

/// `keras.random.normal` of the shape and dtype of x.
fn normal(cx: &mut Cx, x: ValueId, mean: f64, stddev: f64) -> Result<ValueId> {
    let fact = cx.fact(x).clone();
    if !fact.dtype.is_float() {
        return Err(cx.call_error(format!("can't add noise to {} tensors", fact.dtype)));
    }
    let z = cx.random(RandomKind::Normal, &fact.shape, fact.dtype)?;
    let z = cx.mul_s(z, stddev)?;
    cx.add_s(z, mean)
}

fn alpha_dropout(cx: &mut Cx, x: ValueId, rate: f64, shape: &[usize]) -> Result<ValueId> {
    const SATURATED: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;
    let dtype = cx.dtype(x);
    if rate >= 1.0 || !dtype.is_float() {
        return Err(cx.call_error(format!(
            "can't drop entries of {dtype} tensors at rate {rate}"
        )));
    }
    let keep = kept(cx, rate, shape, dtype)?;
    let a = ((1.0 - rate) * (1.0 + rate * SATURATED * SATURATED)).powf(-0.5);
    let low = cx.scalar(dtype, SATURATED);
    let y = cx.select(keep, x, low)?;
    let y = cx.mul_s(y, a)?;
    cx.add_s(y, -a * SATURATED * rate)
}

impl Noise {
    fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        match self {
            Noise::Nothing => Ok(x),
            Noise::Dropout { rate, shape } => {
                let shape = shape.of(cx, x)?;
                drop_out(cx, x, *rate, &shape)
            }
            Noise::Alpha { rate, .. } if *rate <= 0.0 => Ok(x),
            Noise::Alpha { rate, shape } => {
                let shape = shape.of(cx, x)?;
                alpha_dropout(cx, x, *rate, &shape)
            }
            Noise::Factor { rate } if *rate <= 0.0 => Ok(x),
            Noise::Factor { rate } if *rate >= 1.0 => {
                Err(cx.call_error("Gaussian dropout at rate 1 has no finite deviation"))
            }
            Noise::Factor { rate } => {
                let factor = normal(cx, x, 1.0, (rate / (1.0 - rate)).sqrt())?;
                cx.mul(x, factor)
            }
            Noise::Term { stddev } if *stddev <= 0.0 => Ok(x),
            Noise::Term { stddev } => {
                let term = normal(cx, x, 0.0, *stddev)?;
                cx.add(x, term)
            }
        }
    }
}

struct Regularizer(Noise);

impl Layer for Regularizer {
    /// Outside of training it is the identity, as [`Identity`] is.
    fn call(&self, cx: &mut Cx, me: &LayerNode, call: &Call) -> Result<Out> {
        if !cx.training {
            return Identity.call(cx, me, call);
        }
        let x = cx.one(call)?;
        let value = self.0.apply(cx, x.value)?;
        Ok(T { value, ..x }.into())
    }
}

fn built(noise: Noise) -> Result<Built> {
    Ok(Built::new(Regularizer(noise)))
}

pub fn dropout(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    built(Noise::Dropout {
        rate: cfg.f64_or("rate", 0.0)?,
        shape: NoiseShape::from_cfg(cfg)?,
    })
}

/// Drops whole feature maps of N spatial axes.
pub fn spatial_dropout<const N: usize>(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["noise_shape"]);
    built(Noise::Dropout {
        rate: cfg.f64_or("rate", 0.0)?,
        shape: NoiseShape::Maps {
            rank: N + 2,
            channels_first: cfg.channels_first()?,
        },
    })
}

/// Drops whole rows, as ConvNeXt's blocks do.
pub fn stochastic_depth(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    built(Noise::Dropout {
        rate: cfg.f64_or("drop_path_rate", 0.0)?,
        shape: NoiseShape::Rows,
    })
}

pub fn alpha(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    built(Noise::Alpha {
        rate: cfg.f64_or("rate", 0.0)?,
        shape: NoiseShape::from_cfg(cfg)?,
    })
}

pub fn gaussian_dropout(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let rate = cfg.f64_or("rate", 0.0)?;
    built(Noise::Factor { rate })
}

pub fn gaussian_noise(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    let stddev = cfg.f64_or("stddev", 0.0)?;
    built(Noise::Term { stddev })
}

/// Adds to the loss only.
pub fn activity_regularization(cfg: &Cfg, _: &dyn Nested) -> Result<Built> {
    cfg.pass_over(&["l1", "l2"]);
    built(Noise::Nothing)
}

/// Returns its input, be it one tensor or many.
pub fn identity(_: &Cfg, _: &dyn Nested) -> Result<Built> {
    Ok(Built::new(Identity))
}

struct Identity;

impl Layer for Identity {
    fn of_complex(&self) -> OfComplex {
        OfComplex::ByParts
    }

    fn call(&self, cx: &mut Cx, _: &LayerNode, call: &Call) -> Result<Out> {
        match call.args.first() {
            Some(arg) => arg
                .as_out()
                .ok_or_else(|| cx.call_error("expected tensors")),
            None => Err(cx.call_error("expected a tensor")),
        }
    }
}
