//! The arguments of operations: tensors, literals as Keras serialized them,
//! axes and shapes.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::Result;
use crate::format::json::number;
use crate::graph::ValueId;
use crate::keras::promote::{result_type, Kind};
use crate::keras::{Arg, Call, Cfg, Cx};
use crate::tensor::{DType, Elem, Tensor};

/// One number of a literal.
#[derive(Copy, Clone, Debug, PartialEq)]
enum Num {
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl Num {
    fn parse(v: &Json) -> Option<Num> {
        match v {
            Json::Bool(b) => Some(Num::Bool(*b)),
            Json::Number(n) if n.is_f64() => Some(Num::Float(n.as_f64()?)),
            Json::Number(n) => n
                .as_i64()
                .or_else(|| n.as_u64().map(|u| u as i64))
                .map(Num::Int),
            other => number(other).map(Num::Float),
        }
    }

    fn int(self) -> i64 {
        match self {
            Num::Bool(b) => i64::from(b),
            Num::Int(i) => i,
            Num::Float(f) => f as i64,
        }
    }

    fn float(self) -> f64 {
        match self {
            Num::Bool(b) => f64::from(u8::from(b)),
            Num::Int(i) => i as f64,
            Num::Float(f) => f,
        }
    }
}

/// A nested list of numbers, in row-major order.
struct Literal {
    shape: Vec<usize>,
    values: Vec<Num>,
}

impl Literal {
    fn parse(v: &Json) -> Option<Literal> {
        let Json::Array(items) = v else {
            return Some(Literal {
                shape: vec![],
                values: vec![Num::parse(v)?],
            });
        };
        let parts: Vec<Literal> = items.iter().map(Literal::parse).collect::<Option<_>>()?;
        let inner = parts.first().map_or(vec![], |p| p.shape.clone());
        if parts.iter().any(|p| p.shape != inner) {
            return None;
        }
        Some(Literal {
            shape: [vec![parts.len()], inner].concat(),
            values: parts.into_iter().flat_map(|p| p.values).collect(),
        })
    }

    /// What TensorFlow makes of it where no dtype is asked for.
    fn dtype(&self) -> DType {
        let wide = |n: &Num| matches!(n, Num::Int(i) if i32::try_from(*i).is_err());
        if self.values.iter().any(|n| matches!(n, Num::Float(_))) || self.values.is_empty() {
            DType::F32
        } else if self.values.iter().all(|n| matches!(n, Num::Bool(_))) {
            DType::Bool
        } else if self.values.iter().any(wide) {
            DType::I64
        } else {
            DType::I32
        }
    }

    /// Integers wrap, floats are rounded.
    fn tensor(&self, dtype: DType) -> Tensor {
        fn ints<T: Elem>(l: &Literal, f: impl Fn(i64) -> T) -> Tensor {
            let v: Vec<T> = l.values.iter().map(|n| f(n.int())).collect();
            Tensor::from_slice(l.shape.clone(), &v)
        }
        fn floats<T: Elem>(l: &Literal, f: impl Fn(f64) -> T) -> Tensor {
            let v: Vec<T> = l.values.iter().map(|n| f(n.float())).collect();
            Tensor::from_slice(l.shape.clone(), &v)
        }
        match dtype {
            DType::Bool => {
                let v: Vec<bool> = self.values.iter().map(|n| n.float() != 0.0).collect();
                Tensor::bools(self.shape.clone(), &v)
            }
            DType::U8 => ints(self, |i| i as u8),
            DType::U16 => ints(self, |i| i as u16),
            DType::U32 => ints(self, |i| i as u32),
            DType::U64 => ints(self, |i| i as u64),
            DType::I8 => ints(self, |i| i as i8),
            DType::I16 => ints(self, |i| i as i16),
            DType::I32 => ints(self, |i| i as i32),
            DType::I64 => ints(self, |i| i),
            DType::F16 => floats(self, half::f16::from_f64),
            DType::BF16 => floats(self, half::bf16::from_f64),
            DType::F32 => floats(self, |f| f as f32),
            DType::F64 => floats(self, |f| f),
            DType::C64 | DType::C128 => {
                let real = self.tensor(dtype.part().unwrap_or(DType::F32));
                Tensor::complex_of(&real)
            }
            DType::Str => {
                let v = self.values.iter();
                let v = v.map(|n| Arc::from(n.float().to_string())).collect();
                Tensor::from_strings(self.shape.clone(), v)
            }
        }
    }
}

/// A Python number as a tensor of the dtype holds it: integers wrap.
pub fn number_in(v: &Json, dtype: DType) -> Option<f64> {
    let number = Literal::parse(v).filter(|l| l.shape.is_empty())?;
    number.tensor(dtype).to_f64().first().copied()
}

/// An operand of an elementwise operation.
pub enum Operand {
    /// A Python number, which takes the dtype of what it meets.
    Weak(Json, Kind),
    Strong(ValueId),
}

impl Operand {
    pub fn kind(&self, cx: &Cx) -> Kind {
        match self {
            Operand::Weak(_, kind) => *kind,
            Operand::Strong(v) => Kind::Is(cx.dtype(*v)),
        }
    }

    pub fn to(&self, cx: &mut Cx, dtype: DType) -> Result<ValueId> {
        match self {
            Operand::Strong(v) => cx.cast(*v, dtype),
            Operand::Weak(v, _) => match Literal::parse(v) {
                Some(l) => Ok(cx.constant(l.tensor(dtype))),
                None => Err(cx.call_error("expected a number")),
            },
        }
    }
}

/// The argument at a position or of a name.
pub fn argument(cx: &Cx, call: &Call, position: usize, name: &str) -> Result<Arg> {
    call.arg(position, name)
        .cloned()
        .ok_or_else(|| cx.call_error(format!("argument `{name}` is missing")))
}

/// The argument as an operand: Python's ints and floats are weak.
pub fn operand(cx: &mut Cx, call: &Call, position: usize, name: &str) -> Result<Operand> {
    let arg = argument(cx, call, position, name)?;
    if let Arg::Lit(v) = &arg {
        match Num::parse(v) {
            Some(Num::Int(_)) => return Ok(Operand::Weak(v.clone(), Kind::WeakInt)),
            Some(Num::Float(_)) => return Ok(Operand::Weak(v.clone(), Kind::WeakFloat)),
            _ => {}
        }
    }
    Ok(Operand::Strong(convert(cx, &arg)?))
}

/// `keras.ops.convert_to_tensor` of an argument.
pub fn tensor(cx: &mut Cx, call: &Call, position: usize, name: &str) -> Result<ValueId> {
    let arg = argument(cx, call, position, name)?;
    convert(cx, &arg)
}

/// As [`tensor`], `None` where the argument is absent or None.
pub fn opt_tensor(
    cx: &mut Cx,
    call: &Call,
    position: usize,
    name: &str,
) -> Result<Option<ValueId>> {
    match call.arg(position, name).cloned() {
        Some(arg) => Ok(Some(convert(cx, &arg)?)),
        None => Ok(None),
    }
}

/// The tensors of a list argument.
pub fn tensors(cx: &mut Cx, call: &Call, position: usize, name: &str) -> Result<Vec<ValueId>> {
    match argument(cx, call, position, name)? {
        Arg::List(items) if !items.is_empty() => items.iter().map(|a| convert(cx, a)).collect(),
        _ => Err(cx.call_error(format!("argument `{name}` must be a list of tensors"))),
    }
}

/// A tensor, a number, an array as Keras serialized it, or nested lists of these.
pub fn convert(cx: &mut Cx, arg: &Arg) -> Result<ValueId> {
    match arg {
        Arg::Tensor(t) => Ok(t.value),
        Arg::Lit(v) => constant(cx, v),
        Arg::List(items) => match plain(arg) {
            Some(v) => constant(cx, &v),
            None => {
                let mut parts = items
                    .iter()
                    .map(|a| convert(cx, a))
                    .collect::<Result<Vec<_>>>()?;
                join(cx, &mut parts)?;
                stack(cx, &parts, 0)
            }
        },
        Arg::Dict(_) => Err(cx.call_error("expected a tensor, not a dict")),
    }
}

/// A literal list as JSON; `None` where there is a tensor in it.
fn plain(arg: &Arg) -> Option<Json> {
    match arg {
        Arg::Lit(v) => (!v.is_object()).then(|| v.clone()),
        Arg::List(items) => items
            .iter()
            .map(plain)
            .collect::<Option<_>>()
            .map(Json::Array),
        _ => None,
    }
}

fn constant(cx: &mut Cx, v: &Json) -> Result<ValueId> {
    let unknown = |cx: &Cx| cx.call_error(format!("can't make a tensor of {}", super::short(v)));
    if let Json::String(s) = v {
        if number(v).is_none() {
            let one: [usize; 0] = [];
            return Ok(cx.constant(Tensor::from_strings(one, vec![Arc::from(s.as_str())])));
        }
    }
    let (value, dtype) = match v.get("class_name").and_then(Json::as_str) {
        Some("__numpy__" | "__tensor__") => {
            let config = &v["config"];
            let dtype = config["dtype"].as_str().and_then(DType::parse);
            (&config["value"], Some(dtype.ok_or_else(|| unknown(cx))?))
        }
        Some(_) => return Err(unknown(cx)),
        None => (v, None),
    };
    let literal = Literal::parse(value).ok_or_else(|| unknown(cx))?;
    let dtype = dtype.unwrap_or_else(|| literal.dtype());
    Ok(cx.constant(literal.tensor(dtype)))
}

/// Casts tensors to the dtype they promote to.
pub fn join(cx: &mut Cx, xs: &mut [ValueId]) -> Result<DType> {
    let kinds: Vec<Kind> = xs.iter().map(|&x| Kind::Is(cx.dtype(x))).collect();
    // Operations that take lists leave a dtype that all share as it is.
    let dtype = match kinds.as_slice() {
        [Kind::Is(first), rest @ ..] if rest.iter().all(|k| *k == Kind::Is(*first)) => *first,
        kinds => result_type(kinds),
    };
    for x in xs {
        *x = cx.cast(*x, dtype)?;
    }
    Ok(dtype)
}

/// A new axis along which tensors of one shape follow each other.
pub fn stack(cx: &mut Cx, xs: &[ValueId], axis: isize) -> Result<ValueId> {
    let xs = xs
        .iter()
        .map(|&x| cx.expand_dims(x, axis))
        .collect::<Result<Vec<_>>>()?;
    cx.concat(&xs, axis)
}

/// Two operands in the dtype they promote to, where Python's numbers are weak.
pub fn weak_pair(cx: &mut Cx, call: &Call, more: &[Kind]) -> Result<(ValueId, ValueId)> {
    let (a, b) = (operand(cx, call, 0, "x1")?, operand(cx, call, 1, "x2")?);
    let kinds = [&[a.kind(cx), b.kind(cx)], more].concat();
    let dtype = result_type(&kinds);
    Ok((a.to(cx, dtype)?, b.to(cx, dtype)?))
}

/// Two operands in the dtype they promote to, where Python's numbers are int32
/// and float32 tensors.
pub fn strong_pair(
    cx: &mut Cx,
    call: &Call,
    names: [&str; 2],
    more: &[Kind],
) -> Result<(ValueId, ValueId)> {
    let a = tensor(cx, call, 0, names[0])?;
    let b = tensor(cx, call, 1, names[1])?;
    let kinds = [&[Kind::Is(cx.dtype(a)), Kind::Is(cx.dtype(b))], more].concat();
    let dtype = result_type(&kinds);
    Ok((cx.cast(a, dtype)?, cx.cast(b, dtype)?))
}

/// Floats as they are, anything else as float32 (Keras' `floatx`).
pub fn to_float(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    match cx.dtype(x).is_float() {
        true => Ok(x),
        false => cx.cast(x, DType::F32),
    }
}

/// Any dtype as bool: what is not 0.
pub fn to_bool(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    cx.cast(x, DType::Bool)
}

/// The axes under a key, sorted; null is all of them.
pub fn axes(cx: &Cx, cfg: &Cfg, key: &str, rank: usize) -> Result<Vec<usize>> {
    let Some(given) = cfg.opt_ints(key)? else {
        return Ok((0..rank).collect());
    };
    let mut axes = given
        .iter()
        .map(|&a| cx.axis(a as isize, rank))
        .collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// One axis under a key, which may count from the end.
pub fn axis(cfg: &Cfg, key: &str, default: isize) -> Result<isize> {
    Ok(cfg.int_or(key, default as i64)? as isize)
}

/// One axis under a key; where it is null, the tensor is flattened first.
pub fn flat_or_axis(cx: &mut Cx, cfg: &Cfg, key: &str, x: ValueId) -> Result<(ValueId, isize)> {
    match cfg.opt_int(key)? {
        Some(a) => Ok((x, a as isize)),
        None => Ok((flat(cx, x)?, 0)),
    }
}

/// All elements along one axis.
pub fn flat(cx: &mut Cx, x: ValueId) -> Result<ValueId> {
    let n = cx.fact(x).numel();
    cx.reshape(x, &[n])
}

/// A dtype under a key.
pub fn dtype(cfg: &Cfg, key: &str) -> Result<Option<DType>> {
    match cfg.opt_str(key)? {
        None => Ok(None),
        Some(name) => DType::parse(name)
            .map(Some)
            .ok_or_else(|| cfg.bad(key, "a dtype")),
    }
}
