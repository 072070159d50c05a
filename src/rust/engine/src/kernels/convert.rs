//! Kernels for dtypes they were not written for: the inputs are converted, the
//! kernel runs, the outputs are converted back.

use std::sync::Arc;

use half::bf16;
use half::slice::HalfFloatSliceExt;

use super::{halves, Kernel, Operand, Par, Request};
use crate::error::Result;
use crate::graph::Const;
use crate::tensor::{lines, DType, Elem, Fact, Line, Tensor, View, ViewMut};

/// The dtype that products, convolutions and the like are computed in.
fn compute_dtype(dtype: DType) -> DType {
    match dtype {
        DType::F32 | DType::F64 => dtype,
        DType::F16 | DType::BF16 => DType::F32,
        _ => DType::I64,
    }
}

/// Converts between a dtype and the one it is computed in. Integers wrap.
fn convert(from: View, mut to: ViewMut) {
    fn ints<T: Elem>(from: View, to: &mut ViewMut, f: impl Fn(T) -> i64) {
        for (d, s) in to.as_mut::<i64>().iter_mut().zip(from.as_slice::<T>()) {
            *d = f(*s);
        }
    }
    fn back<T: Elem>(from: View, to: &mut ViewMut, f: impl Fn(i64) -> T) {
        for (d, s) in to.as_mut::<T>().iter_mut().zip(from.as_slice::<i64>()) {
            *d = f(*s);
        }
    }
    match (from.dtype, to.dtype) {
        (DType::F16, DType::F32) => halves::to_f32(from.as_slice(), to.as_mut()),
        (DType::BF16, DType::F32) => from.as_slice::<bf16>().convert_to_f32_slice(to.as_mut()),
        (DType::F32, DType::F16) => halves::from_f32(from.as_slice(), to.as_mut()),
        (DType::F32, DType::BF16) => to.as_mut::<bf16>().convert_from_f32_slice(from.as_slice()),
        (DType::Bool | DType::U8, DType::I64) => ints(from, &mut to, |x: u8| x as i64),
        (DType::U16, DType::I64) => ints(from, &mut to, |x: u16| x as i64),
        (DType::U32, DType::I64) => ints(from, &mut to, |x: u32| x as i64),
        (DType::I8, DType::I64) => ints(from, &mut to, |x: i8| x as i64),
        (DType::I16, DType::I64) => ints(from, &mut to, |x: i16| x as i64),
        (DType::I32, DType::I64) => ints(from, &mut to, |x: i32| x as i64),
        (DType::I64, DType::U8) => back(from, &mut to, |x| x as u8),
        (DType::I64, DType::U16) => back(from, &mut to, |x| x as u16),
        (DType::I64, DType::U32) => back(from, &mut to, |x| x as u32),
        (DType::I64, DType::I8) => back(from, &mut to, |x| x as i8),
        (DType::I64, DType::I16) => back(from, &mut to, |x| x as i16),
        (DType::I64, DType::I32) => back(from, &mut to, |x| x as i32),
        // The same dtype, and u64, which is i64 to wrapping arithmetic.
        _ => to.bytes().copy_from_slice(from.bytes()),
    }
}

type Prepare = fn(&Request) -> Result<Box<dyn Kernel>>;

/// Prepares a kernel that exists for three dtypes: floats of 16 bits are
/// computed in f32, integers (which wrap) in i64.
pub(super) fn prepare_num(
    req: &Request,
    f32: Prepare,
    f64: Prepare,
    i64: Prepare,
) -> Result<Box<dyn Kernel>> {
    let (to, kernel) = match compute_dtype(req.ins[0].fact.dtype) {
        DType::F32 => (DType::F32, f32),
        DType::F64 => (DType::F64, f64),
        _ => (DType::I64, i64),
    };
    let mut dtypes = req.ins.iter().map(|o| o.fact.dtype);
    if dtypes.any(|d| d != to && d != DType::Bool) || req.outs[0].dtype != to {
        return prepare(req, to, kernel);
    }
    kernel(req)
}

struct Converted {
    inner: Box<dyn Kernel>,
    /// Constants are converted once, other inputs when they are of another dtype.
    consts: Vec<Option<Arc<Const>>>,
    ins: Vec<Fact>,
    outs: Vec<Fact>,
}

/// Prepares a kernel that computes in `to`. Masks (bool) stay as they are
/// where other inputs are floats.
fn prepare(
    req: &Request,
    to: DType,
    inner: impl FnOnce(&Request) -> Result<Box<dyn Kernel>>,
) -> Result<Box<dyn Kernel>> {
    let kept = |d: DType| d == to || (d == DType::Bool && to.is_float());
    let fact_to = |f: &Fact| match kept(f.dtype) {
        true => f.clone(),
        false => Fact::new(to, f.shape.clone()),
    };
    let facts: Vec<Fact> = req.ins.iter().map(|o| fact_to(o.fact)).collect();
    let outs: Vec<Fact> = req.outs.iter().map(fact_to).collect();
    let consts: Vec<Option<Arc<Const>>> = req
        .ins
        .iter()
        .map(|o| {
            let c = o.constant.filter(|c| !kept(c.tensor.dtype()))?;
            Some(req.packs.get(c, to.name(), || {
                let mut tensor = Tensor::zeros(Fact::new(to, c.tensor.shape()));
                convert(c.tensor.view(), tensor.view_mut());
                Const {
                    id: c.id,
                    tensor: tensor.into(),
                }
            }))
        })
        .collect();
    let ins: Vec<Operand> = req
        .ins
        .iter()
        .zip(&facts)
        .zip(&consts)
        .map(|((o, fact), c)| Operand {
            fact,
            constant: c.as_ref().or(o.constant),
        })
        .collect();
    let inner = inner(&Request {
        op: req.op,
        ins: &ins,
        outs: &outs,
        path: req.path,
        packs: req.packs,
    })?;
    Ok(Box::new(Converted {
        inner,
        consts,
        ins: facts,
        outs,
    }))
}

impl Kernel for Converted {
    fn scratch(&self) -> usize {
        let sizes = self.ins.iter().chain(&self.outs).map(|f| lines(f.bytes()));
        (lines(self.inner.scratch()) + sizes.sum::<usize>()) * size_of::<Line>()
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        _aliased: Option<usize>,
        par: Par,
    ) -> Result<()> {
        let (inner, mut rest) = scratch.split_at_mut(lines(self.inner.scratch()));
        let mut take = |bytes: usize| {
            let (part, tail) = std::mem::take(&mut rest).split_at_mut(lines(bytes));
            rest = tail;
            &mut bytemuck::cast_slice_mut::<Line, u8>(part)[..bytes]
        };
        let mut views = Vec::with_capacity(ins.len());
        for ((view, fact), constant) in ins.iter().zip(&self.ins).zip(&self.consts) {
            views.push(match constant {
                Some(c) => c.tensor.view(),
                None if view.dtype == fact.dtype => *view,
                None => {
                    let part = take(fact.bytes());
                    convert(*view, ViewMut::new(fact.dtype, &fact.shape, part));
                    View::new(fact.dtype, &fact.shape, part)
                }
            });
        }
        let mut results: Vec<ViewMut> = self
            .outs
            .iter()
            .map(|fact| ViewMut::new(fact.dtype, &fact.shape, take(fact.bytes())))
            .collect();
        self.inner.run(&views, &mut results, inner, None, par)?;
        for (result, out) in results.iter().zip(outs) {
            convert(
                result.view(),
                ViewMut::new(out.dtype, out.shape, out.bytes()),
            );
        }
        Ok(())
    }
}
