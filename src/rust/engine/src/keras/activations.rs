//! All activations of `keras.activations`.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;

use super::cfg::{as_f64, short, Cfg};
use super::layer::{Built, Cx, LayerNode, Nested};
use super::layers::custom_activation;
use super::policy::Policy;
use super::save::is_old_hard_sigmoid;
use crate::error::{Error, Result, Unsupported};
use crate::graph::{Binary, RnnActivation, Unary, ValueId, F};
use crate::tensor::DType;

/// An activation with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    Linear,
    Unary(Unary),
    Softmax {
        axis: isize,
        log: bool,
    },
    /// ReLU with slope below the threshold, and a maximum.
    Relu {
        slope: f64,
        max: Option<f64>,
        threshold: f64,
    },
    /// `clip(x / 6 + 0.5, 0, 1)`.
    HardSigmoid,
    /// `clip(0.2 x + 0.5, 0, 1)`, Keras before 3.
    HardSigmoidLegacy,
    HardSilu,
    HardTanh,
    Softsign,
    Mish,
    LogSigmoid,
    Celu(f64),
    Glu(isize),
    HardShrink(f64),
    SoftShrink(f64),
    TanhShrink,
    Threshold {
        threshold: f64,
        default: f64,
    },
    SparsePlus,
    Squareplus(f64),
    SparseSigmoid,
    Sparsemax(isize),
    /// Any layer.
    Layer(LayerAsFunction),
    /// A function of the caller.
    Custom(Arc<str>),
}

/// A layer that another one calls as its activation.
#[derive(Clone)]
pub struct LayerAsFunction(Arc<LayerNode>);

impl fmt::Debug for LayerAsFunction {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.class)
    }
}

impl PartialEq for LayerAsFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Activation {
    /// An activation by Keras' name.
    pub fn named(name: &str) -> Option<Activation> {
        use Activation as A;
        Some(match name {
            "linear" => A::Linear,
            "relu" => A::Unary(Unary::Relu),
            "relu6" => A::Relu {
                slope: 0.0,
                max: Some(6.0),
                threshold: 0.0,
            },
            "leaky_relu" => A::Unary(Unary::LeakyRelu(F(0.2))),
            "elu" => A::Unary(Unary::Elu(F(1.0))),
            "selu" => A::Unary(Unary::Selu),
            "celu" => A::Celu(1.0),
            "gelu" => A::Unary(Unary::Gelu),
            "silu" | "swish" => A::Unary(Unary::Silu),
            "sigmoid" => A::Unary(Unary::Sigmoid),
            "tanh" => A::Unary(Unary::Tanh),
            "exponential" => A::Unary(Unary::Exp),
            "softplus" => A::Unary(Unary::Softplus),
            "softmax" => A::Softmax {
                axis: -1,
                log: false,
            },
            "log_softmax" => A::Softmax {
                axis: -1,
                log: true,
            },
            "hard_sigmoid" => A::HardSigmoid,
            "hard_sigmoid_legacy" => A::HardSigmoidLegacy,
            "hard_silu" | "hard_swish" => A::HardSilu,
            "hard_tanh" => A::HardTanh,
            "softsign" => A::Softsign,
            "mish" => A::Mish,
            "log_sigmoid" => A::LogSigmoid,
            "glu" => A::Glu(-1),
            "hard_shrink" => A::HardShrink(0.5),
            "soft_shrink" => A::SoftShrink(0.5),
            "tanh_shrink" => A::TanhShrink,
            "threshold" => A::Threshold {
                threshold: 0.0,
                default: 0.0,
            },
            "sparse_plus" => A::SparsePlus,
            "sparse_sigmoid" => A::SparseSigmoid,
            "squareplus" => A::Squareplus(4.0),
            "sparsemax" => A::Sparsemax(-1),
            _ => return None,
        })
    }

    /// The activation under a config key: a name, or a serialized function or
    /// activation layer. Absent and null are `linear`.
    pub fn from_cfg(cfg: &Cfg, key: &str) -> Result<Activation> {
        match cfg.get(key) {
            None => Ok(Activation::Linear),
            Some(v) => match Activation::from_json(v) {
                Some(known) => Ok(known),
                None => Activation::custom(cfg, key, v),
            },
        }
    }

    /// An activation that is a function of the caller.
    fn custom(cfg: &Cfg, key: &str, v: &Json) -> Result<Activation> {
        let Some(name) = custom_name(v) else {
            return Err(Error::BadConfig {
                layer: cfg.layer.clone(),
                class: cfg.class.clone(),
                key: key.to_string(),
                expected: "an activation of keras.activations".to_string(),
                given: short(v),
            });
        };
        let short_name = name.rsplit('>').next().filter(|_| name != LAMBDA);
        // Lambdas are told apart by the layer that has them.
        let of_layer = (name == LAMBDA).then_some(cfg.layer.as_str());
        let names = of_layer.into_iter().chain([name]).chain(short_name);
        match cfg.functions().take(names) {
            Some(found) => Ok(Activation::Custom(found.into())),
            None => Err(Error::UnsupportedLayers {
                layers: vec![Unsupported {
                    name: cfg.layer.clone(),
                    class: cfg.class.clone(),
                    hint: format!("has an activation of your own, `{name}`"),
                    key: Some(name.to_string()),
                }],
            }),
        }
    }

    /// As [`Activation::from_cfg`], of any layer with any dtype policy.
    pub fn with_layers(cfg: &Cfg, key: &str, nested: &dyn Nested) -> Result<Activation> {
        let Some(spec) = cfg.get(key).filter(|v| is_layer(v)) else {
            return Activation::from_cfg(cfg, key);
        };
        let own = Policy::parse(&spec["config"]["dtype"], "");
        if own.is_some_and(|own| Policy::of(cfg).is_ok_and(|p| p.compute == own.compute)) {
            if let Some(function) = Activation::from_json(spec) {
                return Ok(function);
            }
        }
        Ok(Activation::Layer(LayerAsFunction(nested.layer(spec)?)))
    }

    /// Adds the layer that the activation under a key is, if it is one, to those of
    /// the layer that calls it.
    pub fn child_of(&self, key: &str, built: Built) -> Built {
        match self {
            Activation::Layer(layer) => built.child(key, layer.0.clone()),
            _ => built,
        }
    }

    /// The activation under a key of an RNN, whose default depends on the key.
    pub fn from_cfg_or(
        cfg: &Cfg,
        key: &str,
        default: &str,
        nested: &dyn Nested,
    ) -> Result<Activation> {
        if cfg.has(key) {
            return Activation::with_layers(cfg, key, nested);
        }
        Activation::named(default)
            .ok_or_else(|| Error::internal(format!("no activation {default}")))
    }

    fn from_json(v: &Json) -> Option<Activation> {
        match v {
            Json::String(name) => Activation::named(name),
            Json::Object(o) => {
                let class = o.get("class_name")?.as_str()?;
                let config = o.get("config")?;
                match (class, config) {
                    ("function", Json::String(name)) => Activation::named(name),
                    // Layers used as activations.
                    ("ReLU", c) => Some(Activation::Relu {
                        slope: c.get("negative_slope").and_then(as_f64).unwrap_or(0.0),
                        max: c.get("max_value").and_then(as_f64),
                        threshold: c.get("threshold").and_then(as_f64).unwrap_or(0.0),
                    }),
                    ("LeakyReLU", c) => Some(Activation::Unary(Unary::LeakyRelu(F(c
                        .get("negative_slope")
                        .or_else(|| c.get("alpha"))
                        .and_then(as_f64)
                        .unwrap_or(0.3))))),
                    ("ELU", c) => Some(Activation::Unary(Unary::Elu(F(c
                        .get("alpha")
                        .and_then(as_f64)
                        .unwrap_or(1.0))))),
                    ("Softmax", c) if c["axis"].is_array() => None,
                    ("Softmax", c) => Some(Activation::Softmax {
                        axis: c.get("axis").and_then(Json::as_i64).unwrap_or(-1) as isize,
                        log: false,
                    }),
                    ("Identity", _) => Some(Activation::Linear),
                    ("Sequential", c) if is_old_hard_sigmoid(c) => {
                        Some(Activation::HardSigmoidLegacy)
                    }
                    ("Activation", c) => Activation::from_json(c.get("activation")?),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// A serialized function of `keras.activations`.
    pub fn from_function(v: &Json) -> Option<Activation> {
        Activation::named(v["config"].as_str()?).filter(|_| v["class_name"] == "function")
    }

    /// The activation with an argument that its function has.
    pub fn with_argument(self, key: &str, v: &Json) -> Option<Activation> {
        use Activation as A;
        let axis = || v.as_i64().map(|axis| axis as isize);
        Some(match (self, key) {
            (A::Softmax { log, .. }, "axis") => A::Softmax { axis: axis()?, log },
            (A::Glu(_), "axis") => A::Glu(axis()?),
            (A::Sparsemax(_), "axis") => A::Sparsemax(axis()?),
            (A::Unary(Unary::Gelu), "approximate") => A::Unary(match v.as_bool()? {
                true => Unary::GeluTanh,
                false => Unary::Gelu,
            }),
            (A::Unary(Unary::Elu(_)), "alpha") => A::Unary(Unary::Elu(F(as_f64(v)?))),
            (A::Unary(Unary::LeakyRelu(_)), "negative_slope") => {
                A::Unary(Unary::LeakyRelu(F(as_f64(v)?)))
            }
            (A::Celu(_), "alpha") => A::Celu(as_f64(v)?),
            (A::HardShrink(_), "threshold") => A::HardShrink(as_f64(v)?),
            (A::SoftShrink(_), "threshold") => A::SoftShrink(as_f64(v)?),
            (A::Squareplus(_), "b") => A::Squareplus(as_f64(v)?),
            (A::Threshold { default, .. }, "threshold") => A::Threshold {
                threshold: as_f64(v)?,
                default,
            },
            (A::Threshold { threshold, .. }, "default_value") => A::Threshold {
                threshold,
                default: as_f64(v)?,
            },
            (A::Unary(Unary::Relu), key) => {
                let plain = A::Relu {
                    slope: 0.0,
                    max: None,
                    threshold: 0.0,
                };
                plain.with_argument(key, v)?
            }
            (
                A::Relu {
                    slope,
                    max,
                    threshold,
                },
                key,
            ) => {
                let number = || as_f64(v);
                match key {
                    "negative_slope" => A::Relu {
                        slope: number()?,
                        max,
                        threshold,
                    },
                    "max_value" if v.is_null() => A::Relu {
                        slope,
                        max: None,
                        threshold,
                    },
                    "max_value" => A::Relu {
                        slope,
                        max: Some(number()?),
                        threshold,
                    },
                    "threshold" => A::Relu {
                        slope,
                        max,
                        threshold: number()?,
                    },
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    /// Whether each element of the result depends on that element only.
    pub fn is_elementwise(&self) -> bool {
        use Activation as A;
        !matches!(
            self,
            A::Softmax { .. } | A::Glu(_) | A::Sparsemax(_) | A::Layer(_) | A::Custom(_)
        )
    }

    /// The form the fused recurrent kernels know, if they know it.
    pub fn in_rnn(&self) -> Option<RnnActivation> {
        use RnnActivation as R;
        Some(match self {
            Activation::Linear => R::Linear,
            Activation::Unary(Unary::Tanh) => R::Tanh,
            Activation::Unary(Unary::Sigmoid) => R::Sigmoid,
            Activation::Unary(Unary::Relu) => R::Relu,
            Activation::HardSigmoid => R::HardSigmoid,
            Activation::HardSigmoidLegacy => R::HardSigmoidLegacy,
            _ => return None,
        })
    }

    /// Writes the activation. The dtype of floats stays.
    pub fn apply(&self, cx: &mut Cx, x: ValueId) -> Result<ValueId> {
        use Activation as A;
        match *self {
            A::Linear => Ok(x),
            A::Layer(ref layer) => Ok(cx.call_one(&layer.0, x)?.value),
            // Keras' tanh takes integers.
            A::Unary(Unary::Tanh) if !cx.dtype(x).is_float() => {
                let x = cx.cast(x, DType::F32)?;
                cx.unary(Unary::Tanh, x)
            }
            A::Unary(Unary::LeakyRelu(F(slope))) => leaky_relu(cx, x, slope),
            A::Unary(op) => cx.unary(op, x),
            A::Softmax { axis, log } => cx.softmax(x, axis, log),
            A::Relu {
                slope,
                max,
                threshold,
            } => relu(cx, x, slope, max, threshold),
            A::HardSigmoid => hard_sigmoid(cx, x),
            A::HardSigmoidLegacy => {
                let y = cx.mul_s(x, 0.2)?;
                let y = cx.add_s(y, 0.5)?;
                cx.clip(y, Some(0.0), Some(1.0))
            }
            A::HardSilu if cx.dtype(x).is_half() => {
                // TensorFlow moves the constant factor to x.
                let y = cx.add_s(x, 3.0)?;
                let y = cx.clip(y, Some(0.0), Some(6.0))?;
                let x = cx.div_s(x, 6.0)?;
                cx.mul(x, y)
            }
            A::HardSilu => {
                let y = hard_sigmoid(cx, x)?;
                cx.mul(x, y)
            }
            A::HardTanh => cx.clip(x, Some(-1.0), Some(1.0)),
            A::Softsign => {
                let a = cx.unary(Unary::Abs, x)?;
                let d = cx.add_s(a, 1.0)?;
                cx.div(x, d)
            }
            A::Mish => {
                let s = cx.unary(Unary::Softplus, x)?;
                let t = cx.unary(Unary::Tanh, s)?;
                cx.mul(x, t)
            }
            A::LogSigmoid => {
                let n = cx.unary(Unary::Neg, x)?;
                let s = cx.unary(Unary::Softplus, n)?;
                cx.unary(Unary::Neg, s)
            }
            A::Celu(alpha) => {
                let scaled = cx.div_s(x, alpha)?;
                let low = cx.clip(scaled, None, Some(0.0))?;
                let low = cx.unary(Unary::Expm1, low)?;
                let low = cx.mul_s(low, alpha)?;
                let high = cx.clip(x, Some(0.0), None)?;
                cx.add(high, low)
            }
            A::Glu(axis) => {
                let n = cx.dim(x, axis)?;
                if n % 2 != 0 {
                    return Err(cx.error(format!("glu needs an axis of even size, not {n}")));
                }
                let a = cx.slice_axis(x, axis, 0, n / 2)?;
                let b = cx.slice_axis(x, axis, n / 2, n)?;
                let b = cx.unary(Unary::Sigmoid, b)?;
                cx.mul(a, b)
            }
            A::HardShrink(t) => {
                let a = cx.unary(Unary::Abs, x)?;
                let keep = cx.binary_s(Binary::Gt, a, t)?;
                let dtype = cx.dtype(x);
                let zero = cx.scalar(dtype, 0.0);
                cx.select(keep, x, zero)
            }
            A::SoftShrink(t) => {
                let dtype = cx.dtype(x);
                let zero = cx.scalar(dtype, 0.0);
                let above = cx.binary_s(Binary::Gt, x, t)?;
                let below = cx.binary_s(Binary::Lt, x, -t)?;
                let down = cx.add_s(x, -t)?;
                let up = cx.add_s(x, t)?;
                let rest = cx.select(below, up, zero)?;
                cx.select(above, down, rest)
            }
            A::TanhShrink => {
                let t = cx.unary(Unary::Tanh, x)?;
                cx.sub(x, t)
            }
            A::Threshold { threshold, default } => {
                let keep = cx.binary_s(Binary::Gt, x, threshold)?;
                let dtype = cx.dtype(x);
                let other = cx.scalar(dtype, default);
                cx.select(keep, x, other)
            }
            A::SparsePlus => {
                // 0 below -1, ((x + 1) / 2)^2 up to 1, x above.
                let dtype = cx.dtype(x);
                let zero = cx.scalar(dtype, 0.0);
                let low = cx.binary_s(Binary::Le, x, -1.0)?;
                let mid = cx.binary_s(Binary::Lt, x, 1.0)?;
                let s = cx.add_s(x, 1.0)?;
                let s = cx.unary(Unary::Square, s)?;
                let s = cx.mul_s(s, 0.25)?;
                let upper = cx.select(mid, s, x)?;
                cx.select(low, zero, upper)
            }
            A::Squareplus(b) => {
                let s = cx.unary(Unary::Square, x)?;
                let s = cx.add_s(s, b)?;
                let s = cx.unary(Unary::Sqrt, s)?;
                let y = cx.add(x, s)?;
                cx.div_s(y, 2.0)
            }
            A::SparseSigmoid => {
                let y = cx.add_s(x, 1.0)?;
                let y = cx.mul_s(y, 0.5)?;
                cx.clip(y, Some(0.0), Some(1.0))
            }
            A::Sparsemax(axis) => sparsemax(cx, x, axis),
            A::Custom(ref key) => custom_activation(cx, key, x),
        }
    }
}

/// Whether an activation is a serialized layer, not a function.
pub fn is_layer(v: &Json) -> bool {
    v["config"].is_object() && v["class_name"] != "__lambda__"
}

/// What a function without a name is called.
const LAMBDA: &str = "<lambda>";

/// The name of a serialized function (or activation layer) that is not Keras' own.
fn custom_name(v: &Json) -> Option<&str> {
    let object = match v {
        Json::String(name) => return Some(name),
        other => other.as_object()?,
    };
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    // Within a layer, a lambda is its code, its defaults and its closure.
    if object.get("value").is_some_and(Json::is_array) {
        return Some(LAMBDA);
    }
    match text("class_name")? {
        "__lambda__" => Some(LAMBDA),
        "function" => match (text("config"), text("registered_name")) {
            (Some(name), Some("function") | None) => Some(name),
            (_, registered) => registered,
        },
        class => text("registered_name").or(Some(class)),
    }
}

/// TensorFlow's leaky ReLU takes integers as float32.
fn leaky_relu(cx: &mut Cx, x: ValueId, slope: f64) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    let x = match dtype.is_float() || dtype == DType::Bool {
        true => x,
        false => cx.cast(x, DType::F32)?,
    };
    cx.unary(Unary::LeakyRelu(F(slope)), x)
}

/// ReLU of all options, `keras.activations.relu`.
pub fn relu(
    cx: &mut Cx,
    x: ValueId,
    slope: f64,
    max: Option<f64>,
    threshold: f64,
) -> Result<ValueId> {
    let dtype = cx.dtype(x);
    if slope == 0.0 && threshold == 0.0 {
        return match max {
            None => cx.unary(Unary::Relu, x),
            Some(m) => cx.clip(x, Some(0.0), Some(m)),
        };
    }
    if slope != 0.0 && max.is_none() && threshold == 0.0 {
        return leaky_relu(cx, x, slope);
    }
    // f(x) = max if x >= max; x if threshold <= x < max; slope * (x - threshold) otherwise.
    let above = match threshold == 0.0 {
        true => cx.unary(Unary::Relu, x)?,
        false => {
            let keep = cx.binary_s(Binary::Gt, x, threshold)?;
            let zero = cx.scalar(dtype, 0.0);
            cx.select(keep, x, zero)?
        }
    };
    let above = cx.clip(above, max.map(|_| 0.0), max)?;
    if slope == 0.0 {
        return Ok(above);
    }
    let below = cx.add_s(x, -threshold)?;
    let below = cx.unary(Unary::Neg, below)?;
    let below = cx.unary(Unary::Relu, below)?;
    let below = cx.mul_s(below, slope)?;
    cx.sub(above, below)
}

fn hard_sigmoid(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    if cx.dtype(x).is_half() {
        let y = cx.add_s(x, 3.0)?;
        let y = cx.clip(y, Some(0.0), Some(6.0))?;
        return cx.div_s(y, 6.0);
    }
    let y = cx.div_s(x, 6.0)?;
    let y = cx.add_s(y, 0.5)?;
    cx.clip(y, Some(0.0), Some(1.0))
}

/// Projection onto the simplex: Martins and Astudillo, 2016.
fn sparsemax(cx: &mut Cx, x: ValueId, axis: isize) -> Result<ValueId> {
    use crate::graph::{Cumulate, Reduce};
    let rank = cx.rank(x);
    let axis = cx.axis(axis, rank)?;
    let dtype = cx.dtype(x);
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let x = cx.transpose(x, &perm)?;
    let n = cx.dim(x, -1)?;
    let (sorted, _) = cx.sort(x, true)?;
    let sums = cx.cumulate(Cumulate::Sum, sorted, -1, false)?;
    let ranks = cx.generated([n], |i| (i + 1) as f32)?;
    let ranks = cx.cast(ranks, dtype)?;
    let excess = cx.add_s(sums, -1.0)?;
    let share = cx.div(excess, ranks)?;
    let over = cx.sub(sorted, share)?;
    let support = cx.binary_s(Binary::Gt, over, 0.0)?;
    let support = cx.cast(support, dtype)?;
    let last = [rank - 1];
    let k = cx.reduce(Reduce::Sum, support, &last, true)?;
    // Keras sums the running sums up to the last one inside.
    let inside = cx.mul(sums, support)?;
    let total = cx.reduce(Reduce::Sum, inside, &last, true)?;
    let total = cx.add_s(total, -1.0)?;
    let tau = cx.div(total, k)?;
    let y = cx.sub(x, tau)?;
    let y = cx.clip(y, Some(0.0), None)?;
    cx.transpose(y, &perm)
}
