//! Dtypes, facts, tensors and the views that kernels work on.
//!
//! Every tensor is dense and row-major. Numbers live in 64-byte aligned
//! buffers; strings in a vector of their own.

use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};

use crate::memory;

/// Element types, those of Keras.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
    /// Complex numbers stand at the borders of graphs only: within, their real and
    /// imaginary parts lie along a last axis.
    C64,
    C128,
    Str,
}

impl DType {
    /// Bytes an element takes in a buffer (0 for strings, which have none).
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::U16 | DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::U32 | DType::I32 | DType::F32 => 4,
            DType::U64 | DType::I64 | DType::F64 | DType::C64 => 8,
            DType::C128 => 16,
            DType::Str => 0,
        }
    }

    /// Keras' name, such as `float32`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "uint8",
            DType::U16 => "uint16",
            DType::U32 => "uint32",
            DType::U64 => "uint64",
            DType::I8 => "int8",
            DType::I16 => "int16",
            DType::I32 => "int32",
            DType::I64 => "int64",
            DType::F16 => "float16",
            DType::BF16 => "bfloat16",
            DType::F32 => "float32",
            DType::F64 => "float64",
            DType::C64 => "complex64",
            DType::C128 => "complex128",
            DType::Str => "string",
        }
    }

    /// The dtype of a Keras name.
    pub fn parse(name: &str) -> Option<DType> {
        Some(match name {
            "bool" => DType::Bool,
            "uint8" => DType::U8,
            "uint16" => DType::U16,
            "uint32" => DType::U32,
            "uint64" => DType::U64,
            "int8" => DType::I8,
            "int16" => DType::I16,
            "int32" | "int" => DType::I32,
            "int64" => DType::I64,
            "float16" | "half" => DType::F16,
            "bfloat16" => DType::BF16,
            "float32" | "float" => DType::F32,
            "float64" | "double" => DType::F64,
            "complex64" => DType::C64,
            "complex128" => DType::C128,
            "string" | "str" => DType::Str,
            _ => return None,
        })
    }

    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// Signed or unsigned integers, without bool.
    pub fn is_int(self) -> bool {
        !self.is_float() && !self.is_complex() && !matches!(self, DType::Bool | DType::Str)
    }

    pub fn is_complex(self) -> bool {
        self.part().is_some()
    }

    /// The dtype of the parts of complex numbers.
    pub fn part(self) -> Option<DType> {
        match self {
            DType::C64 => Some(DType::F32),
            DType::C128 => Some(DType::F64),
            _ => None,
        }
    }

    /// The complex dtype whose parts are of this one.
    pub fn complex(self) -> Option<DType> {
        match self {
            DType::F32 => Some(DType::C64),
            DType::F64 => Some(DType::C128),
            _ => None,
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Sizes of the axes, outermost first.
pub type Shape = Vec<usize>;

/// Number of elements of a shape, or the largest there is where they are more.
pub fn numel(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n, &d| n.saturating_mul(d))
}

/// What is known of a value before anything runs: its dtype and shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fact {
    pub dtype: DType,
    pub shape: Shape,
}

impl Fact {
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Fact {
            dtype,
            shape: shape.into(),
        }
    }

    pub fn f32(shape: impl Into<Shape>) -> Self {
        Fact::new(DType::F32, shape)
    }

    pub fn numel(&self) -> usize {
        numel(&self.shape)
    }

    pub fn bytes(&self) -> usize {
        self.numel().saturating_mul(self.dtype.size())
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.dtype, show_shape(&self.shape))
    }
}

/// A shape as Keras users know it: `(2, 3)`, `(2,)`, `()`.
pub fn show_shape(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(|d| d.to_string()).collect();
    match dims.len() {
        1 => format!("({},)", dims[0]),
        _ => format!("({})", dims.join(", ")),
    }
}

/// Choices in words: `a, b or c`.
pub fn either(choices: &[&str]) -> String {
    match choices {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => choices.concat(),
    }
}

/// A number of things in words: `1 axis`, `2 axes`.
pub fn counted(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

/// The unit of buffers: one cache line, so that every tensor is aligned for SIMD.
#[derive(Copy, Clone, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Line([u64; 8]);

/// Bytes in a [`Line`].
pub const LINE: usize = 64;

/// Lines needed for a number of bytes.
pub fn lines(bytes: usize) -> usize {
    bytes.div_ceil(LINE)
}

/// A zeroed buffer of at least `bytes` bytes.
pub fn buffer(bytes: usize) -> Vec<Line> {
    memory::filled(Line::zeroed(), lines(bytes))
}

/// Rust types that are elements of tensors. `bool` tensors hold `u8` 0 or 1.
pub trait Elem: Pod + Send + Sync + PartialOrd {
    const DTYPE: DType;
}

macro_rules! elem {
    ($($t:ty => $d:ident),*) => { $(impl Elem for $t { const DTYPE: DType = DType::$d; })* };
}
elem!(u8 => U8, u16 => U16, u32 => U32, u64 => U64, i8 => I8, i16 => I16, i32 => I32,
      i64 => I64, f16 => F16, bf16 => BF16, f32 => F32, f64 => F64);

#[derive(Clone)]
enum Data {
    Num(Arc<Vec<Line>>),
    Str(Vec<Arc<str>>),
}

/// An owned tensor. Clones share the elements until one of them is written to.
#[derive(Clone)]
pub struct Tensor {
    fact: Fact,
    data: Data,
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({})", self.fact)
    }
}

impl Tensor {
    /// Zeros, `false` or empty strings.
    pub fn zeros(fact: Fact) -> Self {
        let data = match fact.dtype {
            DType::Str => Data::Str(memory::filled(Arc::from(""), fact.numel())),
            _ => Data::Num(Arc::new(buffer(fact.bytes()))),
        };
        Tensor { fact, data }
    }

    /// A tensor of the given elements, in row-major order.
    ///
    /// # Panics
    /// If their number is not the product of `shape`.
    pub fn from_slice<T: Elem>(shape: impl Into<Shape>, values: &[T]) -> Self {
        let mut t = Tensor::zeros(Fact::new(T::DTYPE, shape));
        t.as_mut::<T>().copy_from_slice(values);
        t
    }

    /// A tensor over little-endian bytes.
    ///
    /// # Panics
    /// If their number is not what `fact` takes.
    pub fn from_bytes(fact: Fact, bytes: &[u8]) -> Self {
        let mut t = Tensor::zeros(fact);
        t.bytes_mut().copy_from_slice(bytes);
        t
    }

    pub fn from_strings(shape: impl Into<Shape>, values: Vec<Arc<str>>) -> Self {
        let fact = Fact::new(DType::Str, shape);
        assert_eq!(fact.numel(), values.len());
        Tensor {
            fact,
            data: Data::Str(values),
        }
    }

    pub fn bools(shape: impl Into<Shape>, values: &[bool]) -> Self {
        let mut t = Tensor::zeros(Fact::new(DType::Bool, shape));
        for (d, s) in t.bytes_mut().iter_mut().zip(values) {
            *d = *s as u8;
        }
        t
    }

    /// Real numbers, float32 or float64, as complex ones.
    pub fn complex_of(real: &Tensor) -> Self {
        fn pairs<T: Elem>(real: &Tensor, dtype: DType) -> Tensor {
            let pair = |&v: &T| [v, T::zeroed()];
            let pairs: Vec<T> = real.as_slice::<T>().iter().flat_map(pair).collect();
            let fact = Fact::new(dtype, real.shape());
            Tensor::from_bytes(fact, bytemuck::cast_slice(&pairs))
        }
        match real.dtype() {
            DType::F64 => pairs::<f64>(real, DType::C128),
            _ => pairs::<f32>(real, DType::C64),
        }
    }

    /// A tensor of rank 0 of any numeric dtype; floats are truncated for integer dtypes.
    pub fn scalar(dtype: DType, value: f64) -> Self {
        let one: [usize; 0] = [];
        match dtype {
            DType::Bool => Tensor::bools(one, &[value != 0.0]),
            DType::U8 => Tensor::from_slice(one, &[value as u8]),
            DType::U16 => Tensor::from_slice(one, &[value as u16]),
            DType::U32 => Tensor::from_slice(one, &[value as u32]),
            DType::U64 => Tensor::from_slice(one, &[value as u64]),
            DType::I8 => Tensor::from_slice(one, &[value as i8]),
            DType::I16 => Tensor::from_slice(one, &[value as i16]),
            DType::I32 => Tensor::from_slice(one, &[value as i32]),
            DType::I64 => Tensor::from_slice(one, &[value as i64]),
            DType::F16 => Tensor::from_slice(one, &[f16::from_f64(value)]),
            DType::BF16 => Tensor::from_slice(one, &[bf16::from_f64(value)]),
            DType::F32 => Tensor::from_slice(one, &[value as f32]),
            DType::F64 => Tensor::from_slice(one, &[value]),
            DType::C64 => Tensor::complex_of(&Tensor::scalar(DType::F32, value)),
            DType::C128 => Tensor::complex_of(&Tensor::scalar(DType::F64, value)),
            DType::Str => Tensor::from_strings(one, vec![Arc::from(value.to_string())]),
        }
    }

    pub fn fact(&self) -> &Fact {
        &self.fact
    }

    pub fn dtype(&self) -> DType {
        self.fact.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.fact.shape
    }

    pub fn numel(&self) -> usize {
        self.fact.numel()
    }

    /// The same elements under another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    pub fn reshaped(mut self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        assert_eq!(numel(&shape), self.numel());
        self.fact.shape = shape;
        self
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Num(v) => &bytemuck::cast_slice(v.as_slice())[..self.fact.bytes()],
            Data::Str(_) => &[],
        }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let n = self.fact.bytes();
        match &mut self.data {
            Data::Num(v) => &mut bytemuck::cast_slice_mut(Arc::make_mut(v).as_mut_slice())[..n],
            Data::Str(_) => &mut [],
        }
    }

    /// The elements; `T` must be the dtype's type (`u8` for bool).
    pub fn as_slice<T: Elem>(&self) -> &[T] {
        debug_assert!(matches(self.dtype(), T::DTYPE));
        bytemuck::cast_slice(self.bytes())
    }

    #[allow(clippy::should_implement_trait)] // the counterpart of as_slice
    pub fn as_mut<T: Elem>(&mut self) -> &mut [T] {
        debug_assert!(matches(self.dtype(), T::DTYPE));
        bytemuck::cast_slice_mut(self.bytes_mut())
    }

    pub fn strings(&self) -> &[Arc<str>] {
        match &self.data {
            Data::Str(v) => v,
            Data::Num(_) => &[],
        }
    }

    /// Elements as f64, whatever the dtype (strings give NaN, complex numbers two each).
    pub fn to_f64(&self) -> Vec<f64> {
        match self.dtype() {
            DType::Bool | DType::U8 => self.as_slice::<u8>().iter().map(|&v| v as f64).collect(),
            DType::U16 => self.as_slice::<u16>().iter().map(|&v| v as f64).collect(),
            DType::U32 => self.as_slice::<u32>().iter().map(|&v| v as f64).collect(),
            DType::U64 => self.as_slice::<u64>().iter().map(|&v| v as f64).collect(),
            DType::I8 => self.as_slice::<i8>().iter().map(|&v| v as f64).collect(),
            DType::I16 => self.as_slice::<i16>().iter().map(|&v| v as f64).collect(),
            DType::I32 => self.as_slice::<i32>().iter().map(|&v| v as f64).collect(),
            DType::I64 => self.as_slice::<i64>().iter().map(|&v| v as f64).collect(),
            DType::F16 => self.as_slice::<f16>().iter().map(|&v| v.to_f64()).collect(),
            DType::BF16 => self
                .as_slice::<bf16>()
                .iter()
                .map(|&v| v.to_f64())
                .collect(),
            DType::F32 => self.as_slice::<f32>().iter().map(|&v| v as f64).collect(),
            DType::F64 => self.as_slice::<f64>().to_vec(),
            DType::C64 => {
                let parts: &[f32] = bytemuck::cast_slice(self.bytes());
                parts.iter().map(|&v| v as f64).collect()
            }
            DType::C128 => bytemuck::cast_slice(self.bytes()).to_vec(),
            DType::Str => vec![f64::NAN; self.numel()],
        }
    }

    pub fn view(&self) -> View<'_> {
        View {
            dtype: self.fact.dtype,
            shape: &self.fact.shape,
            data: match &self.data {
                Data::Num(_) => ViewData::Num(self.bytes()),
                Data::Str(v) => ViewData::Str(v),
            },
        }
    }

    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let n = self.fact.bytes();
        ViewMut {
            dtype: self.fact.dtype,
            shape: &self.fact.shape,
            data: match &mut self.data {
                Data::Num(v) => ViewDataMut::Num(
                    &mut bytemuck::cast_slice_mut(Arc::make_mut(v).as_mut_slice())[..n],
                ),
                Data::Str(v) => ViewDataMut::Str(v),
            },
        }
    }
}

fn matches(have: DType, want: DType) -> bool {
    have == want || (have == DType::Bool && want == DType::U8)
}

#[derive(Copy, Clone)]
enum ViewData<'a> {
    Num(&'a [u8]),
    Str(&'a [Arc<str>]),
}

enum ViewDataMut<'a> {
    Num(&'a mut [u8]),
    Str(&'a mut [Arc<str>]),
}

/// A tensor that is read: dtype, shape and borrowed elements.
#[derive(Copy, Clone)]
pub struct View<'a> {
    pub dtype: DType,
    pub shape: &'a [usize],
    data: ViewData<'a>,
}

impl<'a> View<'a> {
    /// A numeric view. `bytes` must be exactly as long as dtype and shape say
    /// and aligned for the dtype.
    pub fn new(dtype: DType, shape: &'a [usize], bytes: &'a [u8]) -> Self {
        debug_assert_eq!(bytes.len(), numel(shape) * dtype.size());
        View {
            dtype,
            shape,
            data: ViewData::Num(bytes),
        }
    }

    pub fn of_strings(shape: &'a [usize], values: &'a [Arc<str>]) -> Self {
        View {
            dtype: DType::Str,
            shape,
            data: ViewData::Str(values),
        }
    }

    pub fn numel(&self) -> usize {
        numel(self.shape)
    }

    pub fn bytes(&self) -> &'a [u8] {
        match self.data {
            ViewData::Num(b) => b,
            ViewData::Str(_) => &[],
        }
    }

    pub fn as_slice<T: Elem>(&self) -> &'a [T] {
        debug_assert!(matches(self.dtype, T::DTYPE));
        // What is empty need not be aligned.
        match self.bytes() {
            [] => &[],
            bytes => bytemuck::cast_slice(bytes),
        }
    }

    /// Complex numbers as their parts, of type `T`.
    pub fn pairs<T: Elem>(&self) -> &'a [[T; 2]] {
        debug_assert_eq!(self.dtype.part(), Some(T::DTYPE));
        match self.bytes() {
            [] => &[],
            bytes => bytemuck::cast_slice(bytes),
        }
    }

    pub fn strings(&self) -> &'a [Arc<str>] {
        match self.data {
            ViewData::Str(s) => s,
            ViewData::Num(_) => &[],
        }
    }

    pub fn to_tensor(&self) -> Tensor {
        match self.data {
            ViewData::Num(b) => Tensor::from_bytes(Fact::new(self.dtype, self.shape), b),
            ViewData::Str(s) => Tensor::from_strings(self.shape, s.to_vec()),
        }
    }
}

/// A tensor that is written.
pub struct ViewMut<'a> {
    pub dtype: DType,
    pub shape: &'a [usize],
    data: ViewDataMut<'a>,
}

impl<'a> ViewMut<'a> {
    pub fn new(dtype: DType, shape: &'a [usize], bytes: &'a mut [u8]) -> Self {
        debug_assert_eq!(bytes.len(), numel(shape) * dtype.size());
        ViewMut {
            dtype,
            shape,
            data: ViewDataMut::Num(bytes),
        }
    }

    pub fn of_strings(shape: &'a [usize], values: &'a mut [Arc<str>]) -> Self {
        ViewMut {
            dtype: DType::Str,
            shape,
            data: ViewDataMut::Str(values),
        }
    }

    pub fn numel(&self) -> usize {
        numel(self.shape)
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        match &mut self.data {
            ViewDataMut::Num(b) => b,
            ViewDataMut::Str(_) => &mut [],
        }
    }

    #[allow(clippy::should_implement_trait)] // the counterpart of as_slice
    pub fn as_mut<T: Elem>(&mut self) -> &mut [T] {
        debug_assert!(matches(self.dtype, T::DTYPE));
        match self.bytes() {
            [] => &mut [],
            bytes => bytemuck::cast_slice_mut(bytes),
        }
    }

    /// Complex numbers as their parts, of type `T`.
    pub fn pairs<T: Elem>(&mut self) -> &mut [[T; 2]] {
        debug_assert_eq!(self.dtype.part(), Some(T::DTYPE));
        match self.bytes() {
            [] => &mut [],
            bytes => bytemuck::cast_slice_mut(bytes),
        }
    }

    pub fn strings(&mut self) -> &mut [Arc<str>] {
        match &mut self.data {
            ViewDataMut::Str(s) => s,
            ViewDataMut::Num(_) => &mut [],
        }
    }

    pub fn view(&self) -> View<'_> {
        View {
            dtype: self.dtype,
            shape: self.shape,
            data: match &self.data {
                ViewDataMut::Num(b) => ViewData::Num(b),
                ViewDataMut::Str(s) => ViewData::Str(s),
            },
        }
    }
}
