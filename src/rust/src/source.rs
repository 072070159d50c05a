//! Model inputs in R's memory: column-major vectors, data frames and sparse
//! matrices, read row by row without a copy of the whole.

use std::ops::Range;
use std::sync::Arc;

use extendr_api::prelude::*;
use extendr_ffi::{
    R_NaString, Rf_xlength, COMPLEX, INTEGER, LOGICAL, RAW, REAL, SEXP, SEXPTYPE, STRING_ELT,
    TYPEOF,
};
use half::{bf16, f16};
use keraspredict_engine::tensor::{numel, DType, Fact, Tensor, ViewMut};
use keraspredict_engine::{Error, Result, Source};

use crate::layout::gather;

// R strings are opaque here.
#[allow(improper_ctypes)]
extern "C" {
    /// R's own UTF-8 text of a string; it lives until the call from R ends.
    fn Rf_translateCharUTF8(x: SEXP) -> *const std::os::raw::c_char;
}

/// A vector of R's; R keeps it alive while a call runs.
#[derive(Copy, Clone)]
enum Vector {
    Dbl(*const f64, usize),
    Int(*const i32, usize),
    /// Bytes, which are numbers from 0 to 255.
    Raw(*const u8, usize),
    /// Complex numbers: real and imaginary parts.
    Cplx(*const [f64; 2], usize),
}

// SAFETY: the memory is only read, and R does not run while the engine's threads do.
unsafe impl Send for Vector {}
unsafe impl Sync for Vector {}

impl Vector {
    fn new(x: &Robj) -> Option<Vector> {
        // SAFETY: main thread; the type is checked before the pointer is taken.
        unsafe {
            let sexp = x.get();
            let n = Rf_xlength(sexp) as usize;
            match TYPEOF(sexp) {
                SEXPTYPE::REALSXP => Some(Vector::Dbl(REAL(sexp), n)),
                SEXPTYPE::INTSXP => Some(Vector::Int(INTEGER(sexp), n)),
                SEXPTYPE::LGLSXP => Some(Vector::Int(LOGICAL(sexp), n)),
                SEXPTYPE::RAWSXP => Some(Vector::Raw(RAW(sexp), n)),
                SEXPTYPE::CPLXSXP => Some(Vector::Cplx(COMPLEX(sexp).cast(), n)),
                _ => None,
            }
        }
    }

    fn len(self) -> usize {
        match self {
            Vector::Dbl(_, n) | Vector::Int(_, n) | Vector::Raw(_, n) | Vector::Cplx(_, n) => n,
        }
    }
}

/// SAFETY: `p` must be valid for `n` elements for as long as the result is used.
unsafe fn slice<'a, T>(p: *const T, n: usize) -> &'a [T] {
    if n == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(p, n)
    }
}

enum Data {
    /// An array, column-major.
    Array(Vector),
    /// The columns of a data frame.
    Columns(Vec<Vector>),
    Sparse(Sparse),
    /// Strings of some rows, row-major: R's strings are read on its own thread.
    Strings {
        first: usize,
        values: Vec<Arc<str>>,
    },
}

/// One input: where its elements are, and the shape and dtype the model sees.
pub struct Input {
    fact: Fact,
    data: Data,
}

impl Input {
    /// An input from what R passes: a vector, a data frame's columns or the
    /// slots of a sparse matrix, with the shape the model sees. Strings are
    /// read for the given rows.
    ///
    /// # Errors
    /// If the elements don't fill the shape or are of a type the input can't hold.
    pub fn new(x: &Robj, dtype: DType, shape: &[usize], rows: Range<usize>) -> Result<Input> {
        let fact = Fact::new(dtype, shape);
        let bad = |given: &str| Error::internal(format!("`x` must be {fact}, not {given}"));
        let data = if let Some(list) = x.as_list() {
            let inherits_sparse = list.inherits("keraspredict_sparse");
            let parts: Vec<Robj> = list.values().collect();
            if inherits_sparse {
                let sparse = Sparse::new(&parts, shape);
                Data::Sparse(sparse.ok_or_else(|| bad("an invalid sparse matrix"))?)
            } else {
                let columns: Option<Vec<Vector>> = parts.iter().map(Vector::new).collect();
                let real = columns.filter(|c| !c.iter().any(|v| matches!(v, Vector::Cplx(..))));
                let columns = real.ok_or_else(|| bad("columns that are not numeric"))?;
                if shape.len() != 2
                    || columns.len() != shape[1]
                    || columns.iter().any(|c| c.len() != shape[0])
                {
                    return Err(bad("columns of other lengths"));
                }
                Data::Columns(columns)
            }
        } else if let Some(vector) = Vector::new(x) {
            if vector.len() != fact.numel() {
                return Err(bad(&format!("{} elements", vector.len())));
            }
            Data::Array(vector)
        } else if x.is_string() {
            if x.len() != fact.numel() {
                return Err(bad(&format!("{} elements", x.len())));
            }
            Data::Strings {
                first: rows.start,
                values: strings(x, shape, rows)?,
            }
        } else {
            return Err(bad("a vector of another type"));
        };
        let complex = matches!(data, Data::Array(Vector::Cplx(..)));
        if (dtype == DType::Str) != matches!(data, Data::Strings { .. })
            || (complex && !dtype.is_complex())
        {
            return Err(bad("a vector of another type"));
        }
        Ok(Input { fact, data })
    }

    /// All rows as a tensor.
    ///
    /// # Errors
    /// If it has no axis of rows.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let rows = self.fact.shape.first().copied();
        let rows = rows.ok_or_else(|| Error::internal("an array without axes"))?;
        let mut tensor = Tensor::zeros(self.fact.clone());
        self.fill(0..rows, tensor.view_mut());
        Ok(tensor)
    }

    fn fill(&self, rows: Range<usize>, mut dst: ViewMut) {
        match dst.dtype {
            DType::C64 => self.write_complex(
                rows,
                dst.pairs::<f32>(),
                |[re, im]| [re as f32, im as f32],
                |v| [v as f32, 0.0],
            ),
            DType::C128 => {
                self.write_complex(rows, dst.pairs::<f64>(), |v| v, |v| [v, 0.0]);
            }
            DType::F32 => self.write(rows, dst.as_mut::<f32>(), |v| v as f32, |v| v as f32),
            DType::F64 => self.write(rows, dst.as_mut::<f64>(), |v| v, f64::from),
            DType::F16 => self.write(
                rows,
                dst.as_mut::<f16>(),
                |v| f16::from_f32(v as f32),
                |v| f16::from_f32(v as f32),
            ),
            DType::BF16 => self.write(
                rows,
                dst.as_mut::<bf16>(),
                |v| bf16::from_f32(v as f32),
                |v| bf16::from_f32(v as f32),
            ),
            DType::Bool => self.write(
                rows,
                dst.as_mut::<u8>(),
                |v| (v != 0.0) as u8,
                |v| (v != 0) as u8,
            ),
            // Integers are truncated towards zero; what doesn't fit wraps around.
            DType::U8 => self.write(rows, dst.as_mut::<u8>(), |v| v as i64 as u8, |v| v as u8),
            DType::U16 => self.write(rows, dst.as_mut::<u16>(), |v| v as i64 as u16, |v| v as u16),
            DType::U32 => self.write(rows, dst.as_mut::<u32>(), |v| v as i64 as u32, |v| v as u32),
            DType::U64 => self.write(rows, dst.as_mut::<u64>(), |v| v as u64, |v| v as u64),
            DType::I8 => self.write(rows, dst.as_mut::<i8>(), |v| v as i64 as i8, |v| v as i8),
            DType::I16 => self.write(rows, dst.as_mut::<i16>(), |v| v as i64 as i16, |v| v as i16),
            DType::I32 => self.write(rows, dst.as_mut::<i32>(), |v| v as i64 as i32, |v| v),
            DType::I64 => self.write(rows, dst.as_mut::<i64>(), |v| v as i64, i64::from),
            DType::Str => {
                if let Data::Strings { first, values } = &self.data {
                    let width = numel(&self.fact.shape[1..]);
                    let from = (rows.start - first) * width;
                    let n = rows.len() * width;
                    // Where there are no rows, one is made up to learn the shapes.
                    if let Some(values) = values.get(from..from + n) {
                        dst.strings().clone_from_slice(values);
                    }
                }
            }
        }
    }

    /// Writes complex numbers, which real ones are too.
    fn write_complex<D: Copy + Send>(
        &self,
        rows: Range<usize>,
        dst: &mut [D],
        of: impl Fn([f64; 2]) -> D + Copy + Sync,
        of_real: impl Fn(f64) -> D + Copy + Sync,
    ) {
        match &self.data {
            // SAFETY: `Input::new` has checked the lengths; R keeps the vector alive.
            Data::Array(Vector::Cplx(p, n)) => {
                gather(unsafe { slice(*p, *n) }, &self.fact.shape, rows, dst, of);
            }
            _ => self.write(rows, dst, of_real, |v| of_real(f64::from(v))),
        }
    }

    fn write<D: Copy + Send>(
        &self,
        rows: Range<usize>,
        dst: &mut [D],
        from_f64: impl Fn(f64) -> D + Copy + Sync,
        from_i32: impl Fn(i32) -> D + Copy + Sync,
    ) {
        let width = numel(&self.fact.shape[1..]);
        match &self.data {
            // SAFETY: `Input::new` has checked the lengths; R keeps the vectors alive.
            Data::Array(Vector::Dbl(p, n)) => gather(
                unsafe { slice(*p, *n) },
                &self.fact.shape,
                rows,
                dst,
                from_f64,
            ),
            Data::Array(Vector::Int(p, n)) => gather(
                unsafe { slice(*p, *n) },
                &self.fact.shape,
                rows,
                dst,
                from_i32,
            ),
            Data::Array(Vector::Raw(p, n)) => {
                gather(unsafe { slice(*p, *n) }, &self.fact.shape, rows, dst, |v| {
                    from_i32(i32::from(v))
                })
            }
            // Only inputs of complex numbers hold them.
            Data::Array(Vector::Cplx(..)) => {}
            Data::Columns(columns) => {
                for (j, column) in columns.iter().enumerate() {
                    let cells = dst[j..].iter_mut().step_by(width);
                    match *column {
                        Vector::Dbl(p, n) => {
                            let values = &unsafe { slice(p, n) }[rows.clone()];
                            cells.zip(values).for_each(|(d, &v)| *d = from_f64(v));
                        }
                        Vector::Int(p, n) => {
                            let values = &unsafe { slice(p, n) }[rows.clone()];
                            cells.zip(values).for_each(|(d, &v)| *d = from_i32(v));
                        }
                        Vector::Raw(p, n) => {
                            let values = &unsafe { slice(p, n) }[rows.clone()];
                            cells
                                .zip(values)
                                .for_each(|(d, &v)| *d = from_i32(i32::from(v)));
                        }
                        Vector::Cplx(..) => {}
                    }
                }
            }
            Data::Sparse(sparse) => {
                dst.fill(from_i32(0));
                for j in 0..width {
                    sparse.column(j, &rows, |row, value| {
                        dst[(row - rows.start) * width + j] = match value {
                            Cell::Dbl(v) => from_f64(v),
                            Cell::Int(v) => from_i32(v),
                        };
                    });
                }
            }
            Data::Strings { .. } => {}
        }
    }
}

enum Cell {
    Dbl(f64),
    Int(i32),
}

/// A compressed sparse column matrix, with the row indices of each column sorted.
struct Sparse {
    starts: &'static [i32],
    rows: &'static [i32],
    values: Option<Vector>,
}

impl Sparse {
    /// # Errors
    /// If the slots contradict each other.
    fn new(parts: &[Robj], shape: &[usize]) -> Option<Sparse> {
        let [starts, rows, values] = parts else {
            return None;
        };
        let (Vector::Int(p, np), Vector::Int(i, ni)) = (Vector::new(starts)?, Vector::new(rows)?)
        else {
            return None;
        };
        let values = Vector::new(values);
        if matches!(values, Some(Vector::Cplx(..))) {
            return None;
        }
        // SAFETY: R keeps the slots alive while the call runs, and the value
        // does not outlive the call.
        let (starts, rows) = unsafe { (slice::<'static>(p, np), slice::<'static>(i, ni)) };
        let sound = shape.len() == 2
            && np == shape[1] + 1
            && starts[0] == 0
            && starts.windows(2).all(|w| w[0] <= w[1])
            && starts[np - 1] as usize == ni
            && rows.iter().all(|&r| r >= 0 && (r as usize) < shape[0])
            && values.is_none_or(|v| v.len() == ni);
        sound.then_some(Sparse {
            starts,
            rows,
            values,
        })
    }

    fn column(&self, j: usize, rows: &Range<usize>, mut put: impl FnMut(usize, Cell)) {
        let (from, to) = (self.starts[j] as usize, self.starts[j + 1] as usize);
        let first = from + self.rows[from..to].partition_point(|&r| (r as usize) < rows.start);
        for k in first..to {
            let row = self.rows[k] as usize;
            if row >= rows.end {
                break;
            }
            let cell = match self.values {
                // SAFETY: `new` has checked that there are as many values as rows.
                Some(Vector::Dbl(p, _)) => Cell::Dbl(unsafe { *p.add(k) }),
                Some(Vector::Int(p, _)) => Cell::Int(unsafe { *p.add(k) }),
                Some(Vector::Raw(p, _)) => Cell::Int(i32::from(unsafe { *p.add(k) })),
                Some(Vector::Cplx(..)) => Cell::Int(0),
                // Pattern matrices hold TRUE.
                None => Cell::Int(1),
            };
            put(row, cell);
        }
    }
}

/// Strings of some rows, row-major, as UTF-8.
///
/// # Errors
/// If a string is no text in its encoding.
fn strings(x: &Robj, shape: &[usize], rows: Range<usize>) -> Result<Vec<Arc<str>>> {
    let n = shape[0];
    let width = numel(&shape[1..]);
    let mut index = vec![0usize; width];
    let all: Vec<usize> = (0..width).collect();
    gather(&all, &[&[1], &shape[1..]].concat(), 0..1, &mut index, |v| v);
    let mut out = Vec::with_capacity(rows.len() * width);
    for row in rows {
        for column in &index {
            // SAFETY: main thread, inside the vector; R's translation buffer is
            // copied before the next call.
            let text = unsafe {
                let s = STRING_ELT(x.get(), (row + column * n) as isize);
                std::ffi::CStr::from_ptr(Rf_translateCharUTF8(s))
            };
            let text = text.to_str();
            let text = text.map_err(|e| Error::internal(format!("a string of `x`: {e}")))?;
            out.push(Arc::from(text));
        }
    }
    Ok(out)
}

/// How many elements of an integer, logical or character vector are NA (NaN
/// counts in doubles); 0 for other types.
pub fn count_na(x: &Robj) -> usize {
    // SAFETY: main thread; the type is checked before the pointer is taken.
    unsafe {
        let sexp = x.get();
        let n = Rf_xlength(sexp) as usize;
        match TYPEOF(sexp) {
            SEXPTYPE::INTSXP => count(slice(INTEGER(sexp), n), |v| v == i32::MIN),
            SEXPTYPE::LGLSXP => count(slice(LOGICAL(sexp), n), |v| v == i32::MIN),
            SEXPTYPE::REALSXP => count(slice(REAL(sexp), n), f64::is_nan),
            SEXPTYPE::STRSXP => (0..n)
                .filter(|&i| STRING_ELT(sexp, i as isize) == R_NaString)
                .count(),
            _ => 0,
        }
    }
}

fn count<T: Copy>(values: &[T], is_na: impl Fn(T) -> bool) -> usize {
    values.iter().map(|&v| is_na(v) as usize).sum()
}

/// All inputs of a call; `None` for an optional one that is left out. Masks, if
/// there are any, follow: one for each input.
pub struct Inputs {
    pub inputs: Vec<Option<Input>>,
    pub masks: bool,
}

impl Inputs {
    /// Whether an input is of strings.
    pub fn has_text(&self) -> bool {
        let mut inputs = self.inputs.iter().flatten();
        inputs.any(|input| input.fact.dtype == DType::Str)
    }
}

impl Source for Inputs {
    fn fact(&self, input: usize) -> Option<Fact> {
        Some(self.inputs.get(input)?.as_ref()?.fact.clone())
    }

    fn masks(&self) -> bool {
        self.masks
    }

    fn together(&self) -> usize {
        // A cache line of R's doubles holds this many rows.
        8
    }

    fn fill(&self, input: usize, rows: Range<usize>, dst: ViewMut) {
        if let Some(Some(input)) = self.inputs.get(input) {
            input.fill(rows, dst)
        }
    }
}
