//! Kernels: typed slices in, typed slices out. They never validate; shapes and
//! dtypes were checked while lowering.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::graph::{Const, Op};
use crate::tensor::{Fact, Line, View, ViewMut};

mod attention;
pub mod bands;
mod beam;
mod bitcast;
mod blend;
mod concat;
mod conv;
mod conv_transpose;
mod convert;
mod count;
mod cumulate;
mod depthwise;
mod elementwise;
mod epilogue;
mod fft;
mod foreign;
mod gather;
mod gemm;
mod halves;
mod hash;
mod linalg;
mod matmul;
mod norm;
mod pad;
mod par;
mod pool;
mod random;
mod real;
mod reduce;
mod rnn;
mod search;
mod shared;
mod simd;
mod softmax;
mod sort;
mod special;
mod strided;
#[cfg(test)]
mod testing;
mod text;
pub mod vecmath;
mod windows;
mod winograd;
mod winograd_line;

pub use elementwise::{unary_f32, Compiled};
pub use par::{with_crew, Par};
pub use random::seeded_normals;
use shared::Shared;
pub use simd::prefetch;

/// One step of a plan, made for fixed shapes: dispatch, strides and packed
/// weights are decided when it is prepared.
pub trait Kernel: Send + Sync {
    /// Scratch memory a run needs, in bytes.
    fn scratch(&self) -> usize {
        0
    }

    /// Inputs whose buffer the first output may take over (read and written
    /// at the same element only, same size).
    fn in_place(&self) -> &[usize] {
        &[]
    }

    /// Whether it must run on the thread that called the engine.
    fn on_caller(&self) -> bool {
        false
    }

    /// Computes the outputs. When the first output took over an input's buffer,
    /// `aliased` is that input's position and its view in `ins` is empty: the
    /// elements are in the output.
    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        scratch: &mut [Line],
        aliased: Option<usize>,
        par: Par,
    ) -> Result<()>;
}

/// A kernel that needs no scratch memory and works on the thread it is given.
trait Plain: Send + Sync {
    fn compute(&self, ins: &[View], outs: &mut [ViewMut]) -> Result<()>;

    /// See [`Kernel::on_caller`].
    fn only_on_caller(&self) -> bool {
        false
    }
}

impl<P: Plain> Kernel for P {
    fn on_caller(&self) -> bool {
        self.only_on_caller()
    }

    fn run(
        &self,
        ins: &[View],
        outs: &mut [ViewMut],
        _: &mut [Line],
        _: Option<usize>,
        _: Par,
    ) -> Result<()> {
        self.compute(ins, outs)
    }
}

/// What is known of an input when a kernel is prepared.
pub struct Operand<'a> {
    pub fact: &'a Fact,
    /// The tensor, if it is constant.
    pub constant: Option<&'a Arc<Const>>,
}

type Pack = Arc<dyn std::any::Any + Send + Sync>;

/// Packed weights, shared by all plans of a model. Keys are the constant's id
/// and the name of the layout.
#[derive(Default)]
pub struct PackCache {
    packs: Mutex<HashMap<(u64, &'static str), Pack>>,
}

impl PackCache {
    /// The pack of `constant` in `layout`, made by `pack` the first time.
    pub fn get<P: Send + Sync + 'static>(
        &self,
        constant: &Const,
        layout: &'static str,
        pack: impl FnOnce() -> P,
    ) -> Arc<P> {
        let key = (constant.id, layout);
        let lock = || self.packs.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(found) = lock().get(&key).cloned() {
            if let Ok(p) = found.downcast::<P>() {
                return p;
            }
        }
        let made = Arc::new(pack());
        lock().insert(key, made.clone());
        made
    }
}

/// What a kernel is prepared from.
pub struct Request<'a> {
    pub op: &'a Op,
    pub ins: &'a [Operand<'a>],
    pub outs: &'a [Fact],
    /// The layer the node came from, for run-time errors.
    pub path: &'a str,
    pub packs: &'a PackCache,
}

impl Request<'_> {
    /// Facts of the inputs.
    pub fn facts(&self) -> Vec<&Fact> {
        self.ins.iter().map(|i| i.fact).collect()
    }
}

/// The kernel of a primitive.
///
/// # Errors
/// [`Error::Internal`] for what no kernel computes (inputs, constants, loops).
pub fn prepare(req: &Request) -> Result<Box<dyn Kernel>> {
    match req.op {
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::Map(_) => {
            elementwise::prepare(req)
        }
        Op::Attention(_) => attention::prepare(req),
        Op::Conv(..) => conv::prepare(req),
        Op::ConvTranspose(..) => conv_transpose::prepare(req),
        Op::DepthwiseConv(..) => depthwise::prepare(req),
        Op::Softmax { .. } => softmax::prepare(req),
        Op::LayerNorm { .. } => norm::prepare(req),
        Op::Rnn(_) => rnn::prepare(req),
        Op::Pool(_) => pool::prepare(req),
        Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast(_) | Op::Slice(_) => {
            strided::prepare(req)
        }
        Op::Pad(..) => pad::prepare(req),
        Op::Concat(_) => concat::prepare(req),
        Op::Gather { .. } | Op::TakeAlong { .. } | Op::Scatter { .. } => gather::prepare(req),
        Op::Count { .. } => count::prepare(req),
        Op::Lookup(table) => Ok(Box::new(text::Lookup::new(table, req))),
        Op::Tokenize(tokenizer, output) => {
            Ok(Box::new(text::Tokenize::new(tokenizer, *output, req)))
        }
        Op::Hash(attrs) => Ok(Box::new(hash::Hash(*attrs))),
        Op::HashCross { bins } => Ok(Box::new(hash::Cross(*bins))),
        Op::Fft(_) => fft::prepare(req),
        Op::Linalg(_) => linalg::prepare(req),
        Op::BeamSearch { width, paths } => Ok(Box::new(beam::Beam::new(*width, *paths, req))),
        Op::Bitcast(_) => Ok(Box::new(bitcast::Bitcast)),
        Op::Random { kind, stream } => Ok(Box::new(random::Random::new(*kind, *stream, req))),
        Op::Blend { axis } => Ok(Box::new(blend::Blend::new(*axis, req))),
        Op::Search(passing) => Ok(Box::new(search::Search(*passing))),
        Op::Sort { .. } => sort::prepare(req),
        Op::Reduce { .. } => reduce::prepare(req),
        Op::Cumulate { .. } => cumulate::prepare(req),
        Op::MatMul { .. } => matmul::prepare(req),
        Op::Foreign(what) => Ok(Box::new(foreign::ForeignKernel::new(what, req))),
        op => Err(Error::internal(format!("no kernel for {op:?}"))),
    }
}
