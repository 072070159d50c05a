//! What is done to the results of products and convolutions: first the steps
//! that fit the registers the results are in (bias, residual, bounds), then the
//! rest of the elementwise program, while a block of results is in the cache.

use std::ops::{Deref, Range};
use std::sync::Arc;

use smallvec::SmallVec;

use super::simd::{prefetch, Num, Simd};
use super::Shared;
use super::{Compiled, Request};
use crate::error::Result;
use crate::graph::{self, Binary, Const, Op, Program, Unary};
use crate::tensor::{numel, DType, View};

/// A step on a register of results.
#[derive(Copy, Clone)]
pub(super) enum Step<E> {
    /// Adds a number for each column.
    AddColumns(*const E),
    /// Multiplies by a number for each column.
    MulColumns(*const E),
    /// Multiplies by a number for each column and adds another.
    Affine(*const E, *const E),
    /// Adds elements of a tensor that lies as the result does, and the result.
    AddSame(*const E, *const E),
    Add(E),
    Max(E),
    Min(E),
}

impl<E: Copy> Step<E> {
    /// What the step needs for `n` columns from `first` on.
    ///
    /// # Safety
    /// The columns exist, and the processor has the instructions of `S`.
    #[inline(always)]
    pub unsafe fn column<S: Simd<E = E>>(&self, first: usize, n: usize) -> S::V {
        match *self {
            Step::AddColumns(p) | Step::MulColumns(p) | Step::Affine(p, _) => {
                S::load_part(p.add(first), n)
            }
            Step::Add(v) | Step::Max(v) | Step::Min(v) => S::splat(v),
            Step::AddSame(..) => S::zero(),
        }
    }

    /// The step on `n` results of columns from `first` on, whose place in the
    /// output is `out`.
    ///
    /// # Safety
    /// As [`Step::column`], which gave `column`.
    #[inline(always)]
    pub unsafe fn apply<S: Simd<E = E>>(
        &self,
        v: S::V,
        column: S::V,
        out: *const E,
        (first, n): (usize, usize),
    ) -> S::V {
        match *self {
            Step::AddColumns(_) | Step::Add(_) => S::add(v, column),
            Step::MulColumns(_) => S::fma(v, column, S::zero()),
            Step::Affine(_, q) => S::fma(v, column, S::load_part(q.add(first), n)),
            // NaN stays: it is the second operand.
            Step::Max(_) => S::max(column, v),
            Step::Min(_) => S::min(column, v),
            Step::AddSame(p, base) => S::add(v, S::load_part(p.offset(out.offset_from(base)), n)),
        }
    }
}

impl<E> Step<E> {
    /// Asks for what the step reads besides columns, for the result at `out`.
    #[inline(always)]
    pub fn prefetch(&self, out: *const E) {
        if let Step::AddSame(p, base) = *self {
            prefetch(p.wrapping_byte_offset((out as isize).wrapping_sub(base as isize)));
        }
    }
}

/// Steps in order.
pub(super) struct Steps<E>(SmallVec<[Step<E>; 4]>);

// SAFETY: what the pointers point to is only read.
unsafe impl<E: Sync> Sync for Steps<E> {}

impl<E> Steps<E> {
    pub fn none() -> Self {
        Steps(SmallVec::new())
    }
}

impl<E> Deref for Steps<E> {
    type Target = [Step<E>];
    fn deref(&self) -> &[Step<E>] {
        &self.0
    }
}

/// A step of an epilogue before its operand is known; which input that is.
enum Kind {
    AddColumns(usize),
    MulColumns(usize),
    AddSame(usize),
    Add(f32),
    Max(f32),
    Min(f32),
}

/// The elementwise program that finishes results.
pub(super) struct Epilogue {
    /// The first steps, as far as they are of the kinds above.
    kinds: Vec<Kind>,
    /// The other steps.
    program: Option<Compiled>,
    /// Where its operands start among the node's inputs.
    extras: usize,
    /// Whether a product and the sum after it are rounded once. Convolutions do
    /// so whatever their size; other kernels may leave either to the program.
    affine: bool,
}

impl Epilogue {
    /// `program`'s operands are the inputs from `extras` on.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) for programs that don't fit.
    pub fn new(program: &Option<Arc<Program>>, req: &Request, extras: usize) -> Result<Self> {
        let kinds = match program {
            Some(program)
                if dtypes(req, extras)
                    .iter()
                    .chain(&program.dtypes)
                    .all(|d| *d == DType::F32) =>
            {
                first_steps(program, req, extras)
            }
            _ => vec![],
        };
        Self::after(kinds, program, req, extras)
    }

    /// The same without steps: all is left to [`Epilogue::apply`].
    pub fn whole(program: &Option<Arc<Program>>, req: &Request, extras: usize) -> Result<Self> {
        Self::after(vec![], program, req, extras)
    }

    fn after(
        kinds: Vec<Kind>,
        program: &Option<Arc<Program>>,
        req: &Request,
        extras: usize,
    ) -> Result<Self> {
        let rest = program.as_ref().and_then(|p| without_first(p, kinds.len()));
        let compile = |rest: Program| Compiled::new(&rest, &dtypes(req, extras));
        Ok(Epilogue {
            kinds,
            program: rest.map(compile).transpose()?,
            extras,
            affine: matches!(req.op, Op::Conv(..)),
        })
    }

    /// The steps for results whose column 0 is the output's column `first`.
    ///
    /// `out` is where the output starts.
    pub fn steps<E: Num>(&self, ins: &[View], first: usize, out: *const E) -> Steps<E> {
        let of = |i: usize| ins[i].as_slice::<E>().as_ptr();
        let number = |v: f32| bytemuck::cast_slice::<f32, E>(std::slice::from_ref(&v))[0];
        let columns = |i: usize| of(i).wrapping_add(first);
        let mut steps = SmallVec::new();
        let mut kinds = self.kinds.as_slice();
        while let [kind, rest @ ..] = kinds {
            kinds = rest;
            steps.push(match *kind {
                Kind::AddColumns(i) => Step::AddColumns(columns(i)),
                Kind::MulColumns(i) => match *rest {
                    [Kind::AddColumns(j), ref rest @ ..] if self.affine => {
                        kinds = rest;
                        Step::Affine(columns(i), columns(j))
                    }
                    _ => Step::MulColumns(columns(i)),
                },
                Kind::AddSame(i) => Step::AddSame(of(i), out),
                Kind::Add(v) => Step::Add(number(v)),
                Kind::Max(v) => Step::Max(number(v)),
                Kind::Min(v) => Step::Min(number(v)),
            });
        }
        Steps(steps)
    }

    /// Whether something is left to do after the steps.
    pub fn is_some(&self) -> bool {
        self.program.is_some()
    }

    /// Finishes elements of the row-major output, `first` of which come before,
    /// after the steps.
    pub fn apply<E: Num>(&self, block: &mut [E], first: usize, last_axis: usize, ins: &[View]) {
        if let Some(program) = &self.program {
            program.apply(block, first, last_axis, &ins[self.extras..]);
        }
    }

    /// Finishes a block of rows and columns of an output of `width` columns,
    /// after the steps.
    ///
    /// # Safety
    /// `out` is the whole output, and nobody else touches the block.
    pub unsafe fn finish<E: Num>(
        &self,
        out: Shared<E>,
        rows: Range<usize>,
        cols: Range<usize>,
        width: usize,
        ins: &[View],
    ) {
        if !self.is_some() {
            return;
        }
        let part = |first: usize, len: usize| {
            // SAFETY: inside of the output, and this task's own.
            let block = unsafe { out.part(first..first + len) };
            self.apply(block, first, width, ins);
        };
        if cols.len() == width {
            part(rows.start * width, rows.len() * width);
        } else {
            for row in rows {
                part(row * width + cols.start, cols.len());
            }
        }
    }
}

/// Dtypes of the result and of the operands.
fn dtypes(req: &Request, extras: usize) -> Vec<DType> {
    std::iter::once(req.outs[0].dtype)
        .chain(req.ins[extras..].iter().map(|o| o.fact.dtype))
        .collect()
}

/// The steps at a program's start that are of the kinds above: each works on
/// the result of the one before, which nothing else reads.
fn first_steps(program: &Program, req: &Request, extras: usize) -> Vec<Kind> {
    let shape = &req.outs[0].shape;
    let width = shape.last().copied().unwrap_or(1);
    let mut kinds = vec![];
    let mut current = 0;
    for (i, step) in program.steps.iter().enumerate() {
        let later = program.steps[i + 1..].iter().flat_map(operands);
        if later.flatten().any(|a| a == current) {
            break;
        }
        let kind = match *step {
            graph::Step::Unary(Unary::Relu, a) if a == current => Some(Kind::Max(0.0)),
            graph::Step::Binary(op, a, b) if (a == current) != (b == current) => {
                let at = if a == current { b } else { a };
                // Operands before the steps' results, and not the product itself.
                let operand = (0 < at && at < program.inputs).then(|| extras + at - 1);
                operand.and_then(|i| {
                    let operand = &req.ins[i];
                    let number = operand
                        .constant
                        .filter(|c| c.tensor.numel() == 1)
                        .map(|c| c.tensor.as_slice::<f32>()[0])
                        .filter(|v| !v.is_nan());
                    let n = numel(&operand.fact.shape);
                    match (op, number) {
                        (Binary::Add, Some(v)) => Some(Kind::Add(v)),
                        (Binary::Max, Some(v)) => Some(Kind::Max(v)),
                        (Binary::Min, Some(v)) => Some(Kind::Min(v)),
                        (Binary::Add | Binary::Mul, None) if n == 1 => None,
                        // What is no constant has as many elements for one row only:
                        // other rows would be rounded after the product.
                        (Binary::Mul, None) if n == width && operand.constant.is_some() => {
                            Some(Kind::MulColumns(i))
                        }
                        (Binary::Add, None) if n == width => Some(Kind::AddColumns(i)),
                        (Binary::Add, None) if n == numel(shape) => Some(Kind::AddSame(i)),
                        _ => None,
                    }
                })
            }
            _ => None,
        };
        let Some(kind) = kind else { break };
        kinds.push(kind);
        current = program.inputs + i;
    }
    kinds
}

fn operands(step: &graph::Step) -> [Option<usize>; 3] {
    match *step {
        graph::Step::Unary(_, a) | graph::Step::Cast(_, a) => [Some(a), None, None],
        graph::Step::Binary(_, a, b) => [Some(a), Some(b), None],
        graph::Step::Select(c, a, b) => [Some(c), Some(a), Some(b)],
    }
}

/// The program without its first `n` steps, whose result is its input 0; `None`
/// if nothing is left.
fn without_first(program: &Program, n: usize) -> Option<Program> {
    let k = program.inputs;
    let at = |a: usize| match a {
        a if n > 0 && a + 1 == k + n => 0,
        a if a >= k => a - n,
        a => a,
    };
    let steps: Vec<graph::Step> = program.steps[n..]
        .iter()
        .map(|s| match *s {
            graph::Step::Unary(op, a) => graph::Step::Unary(op, at(a)),
            graph::Step::Binary(op, a, b) => graph::Step::Binary(op, at(a), at(b)),
            graph::Step::Select(c, a, b) => graph::Step::Select(at(c), at(a), at(b)),
            graph::Step::Cast(d, a) => graph::Step::Cast(d, at(a)),
        })
        .collect();
    (!steps.is_empty()).then(|| Program {
        inputs: k,
        steps,
        dtypes: program.dtypes[n..].to_vec(),
    })
}

/// The constant by which a program first multiplies each column of results;
/// its operands are the inputs from `extras` on.
pub(super) fn first_scale<'a>(
    program: &Option<Arc<Program>>,
    req: &Request<'a>,
    extras: usize,
) -> Option<&'a Const> {
    let program = program.as_ref()?;
    match *program.steps.first()? {
        graph::Step::Binary(Binary::Mul, a, b) if (a == 0) != (b == 0) => {
            let at = a.max(b);
            let operand = (at < program.inputs).then(|| &req.ins[extras + at - 1])?;
            operand.constant.map(|c| &**c)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{Operand, PackCache, Request};
    use crate::graph::{Binary, Const, ConvAttrs, Op, Program, Step, Unary};
    use crate::tensor::{DType, Tensor};
    use std::sync::Arc;

    /// What folded batch normalisation, a residual and bounds leave behind a
    /// convolution is done in registers: nothing else would show that it isn't.
    #[test]
    fn convolutions_leave_no_second_pass() {
        let steps = vec![
            Step::Binary(Binary::Mul, 0, 1),
            Step::Binary(Binary::Add, 5, 2),
            Step::Binary(Binary::Add, 3, 6),
            Step::Unary(Unary::Relu, 7),
            Step::Binary(Binary::Min, 8, 4),
        ];
        let program = Some(Arc::new(Program {
            inputs: 5,
            dtypes: vec![DType::F32; steps.len()],
            steps,
        }));
        let zeros = |shape: &[usize]| Tensor::zeros(crate::tensor::Fact::f32(shape.to_vec()));
        let image = zeros(&[2, 5, 5, 8]);
        let constants: Vec<Option<Arc<Const>>> = [
            None,
            Some(zeros(&[1, 1, 8, 8])),
            Some(zeros(&[8])),
            Some(zeros(&[8])),
            None,
            Some(of(DType::F32, vec![], &[6.0])),
        ]
        .into_iter()
        .enumerate()
        .map(|(id, tensor)| {
            let tensor = tensor?.into();
            Some(Arc::new(Const {
                id: id as _,
                tensor,
            }))
        })
        .collect();
        let ins: Vec<Operand> = constants
            .iter()
            .map(|c| Operand {
                fact: c.as_ref().map_or(image.fact(), |c| c.tensor.fact()),
                constant: c.as_ref(),
            })
            .collect();
        let attrs = ConvAttrs {
            strides: vec![1, 1],
            padding: vec![(0, 0); 2],
            dilation: vec![1, 1],
            groups: 1,
        };
        let request = Request {
            op: &Op::Conv(attrs, program.clone()),
            ins: &ins,
            outs: std::slice::from_ref(image.fact()),
            path: "test",
            packs: &PackCache::default(),
        };
        let epilogue = super::Epilogue::new(&program, &request, 2).unwrap();
        assert!(!epilogue.is_some());
    }

    /// Bias, residual, bounds in registers, and a factor after them; sizes with
    /// narrow and partial panels, and more than one stretch.
    #[test]
    fn steps_and_the_rest_agree_with_plain_loops() {
        let mut rng = Rng::new(8);
        // Inputs: the product, bias, residual, low, high, factor, scale.
        let steps = vec![
            Step::Binary(Binary::Mul, 0, 6),
            Step::Binary(Binary::Add, 1, 7),
            Step::Binary(Binary::Add, 8, 2),
            Step::Binary(Binary::Max, 9, 3),
            Step::Binary(Binary::Min, 10, 4),
            Step::Binary(Binary::Mul, 11, 5),
            Step::Unary(Unary::Neg, 12),
        ];
        let program = Arc::new(Program {
            inputs: 7,
            dtypes: vec![DType::F32; steps.len()],
            steps,
        });
        for &(m, k, n) in &[
            (1, 3, 1),
            (7, 20, 5),
            (13, 40, 24),
            (100, 700, 17),
            (3, 5, 70),
        ] {
            let [a, b] = [[m, k], [k, n]].map(|s| rng.tensor(DType::F32, s.to_vec()));
            let bias = rng.tensor(DType::F32, vec![n]);
            let residual = rng.tensor(DType::F32, vec![m, n]);
            let [low, high, factor] = [-0.3, 1.2, 1.7].map(|v| of(DType::F32, vec![], &[v]));
            let scale = rng.tensor(DType::F32, vec![n]);
            let ins = [a, b, bias, residual, low, high, factor, scale];
            let v: Vec<Vec<f64>> = ins.iter().map(Tensor::to_f64).collect();
            let want: Vec<f64> = (0..m * n)
                .map(|i| {
                    let (r, c) = (i / n, i % n);
                    let dot: f64 = (0..k).map(|p| v[0][r * k + p] * v[1][p * n + c]).sum();
                    -(dot * v[7][c] + v[2][c] + v[3][i])
                        .max(v[4][0])
                        .min(v[5][0])
                        * v[6][0]
                })
                .collect();
            let op = Op::MatMul {
                ta: false,
                tb: false,
                epilogue: Some(program.clone()),
            };
            let got = run_both(&op, &ins, &[1, 4, 5, 7], DType::F32, &[vec![m, n]]);
            assert_close(&got[0], &want, &format!("{m} {k} {n}"));
        }
    }

    #[test]
    fn nan_passes_bounds() {
        let a = of(DType::F32, vec![1, 1], &[f64::NAN]);
        let ins = [
            a,
            of(DType::F32, vec![1, 1], &[1.0]),
            of(DType::F32, vec![], &[6.0]),
        ];
        let program = Program {
            inputs: 2,
            steps: vec![Step::Unary(Unary::Relu, 0), Step::Binary(Binary::Min, 2, 1)],
            dtypes: vec![DType::F32; 2],
        };
        let op = Op::MatMul {
            ta: false,
            tb: false,
            epilogue: Some(Arc::new(program)),
        };
        let got = run_both(&op, &ins, &[1, 2], DType::F32, &[vec![1, 1]]);
        assert!(got[0].to_f64()[0].is_nan());
    }
}
