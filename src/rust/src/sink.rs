//! Model outputs in R's memory.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use extendr_api::prelude::*;
use extendr_ffi::{
    cetype_t, R_DimSymbol, Rf_allocVector, Rf_mkCharLenCE, Rf_protect, Rf_setAttrib, Rf_unprotect,
    COMPLEX, INTEGER, LOGICAL, REAL, SET_STRING_ELT, SEXPTYPE,
};
use half::{bf16, f16};
use keraspredict_engine::tensor::{numel, show_shape, DType, View};
use keraspredict_engine::{memory, Error, Result, Sink};

use crate::layout::{scatter, Columns};

/// Allocates the R array of an output: doubles, integers, logicals, complex
/// numbers or strings, with its dims (none for a number).
///
/// # Errors
/// If there is no memory for it, or it is longer than R's arrays can be.
pub fn allocate(dtype: DType, shape: &[usize]) -> Result<Robj> {
    let (kind, size) = match dtype {
        DType::Bool => (SEXPTYPE::LGLSXP, 4),
        DType::I8 | DType::I16 | DType::I32 | DType::U8 | DType::U16 => (SEXPTYPE::INTSXP, 4),
        DType::Str => (SEXPTYPE::STRSXP, 8),
        DType::C64 | DType::C128 => (SEXPTYPE::CPLXSXP, 16),
        _ => (SEXPTYPE::REALSXP, 8),
    };
    let n = numel(shape);
    // R jumps past Rust where it has no memory.
    memory::ask(n.saturating_mul(size), || {
        let what = format!("an array of shape {}", show_shape(shape));
        (String::new(), what)
    })?;
    if shape.iter().any(|&d| i32::try_from(d).is_err()) {
        return Err(Error::BadGraph {
            message: format!(
                "an array of shape {} is longer than R's arrays can be",
                show_shape(shape)
            ),
        });
    }
    // SAFETY: main thread; Robj protects the array, and the stack the dims.
    unsafe {
        let array = Robj::from_sexp(Rf_allocVector(kind, n as isize));
        if !shape.is_empty() {
            let dim = Rf_protect(Rf_allocVector(SEXPTYPE::INTSXP, shape.len() as isize));
            for (i, &d) in shape.iter().enumerate() {
                *INTEGER(dim).add(i) = d as i32;
            }
            Rf_setAttrib(array.get(), R_DimSymbol, dim);
            Rf_unprotect(1);
        }
        Ok(array)
    }
}

/// A tensor as an R array.
///
/// # Errors
/// If it is longer than R's vectors can be.
pub fn array_of(view: View) -> Result<Robj> {
    let array = [allocate(view.dtype, view.shape)?];
    let outputs = Outputs::new(&array)?;
    outputs.put(0, 0..view.shape.first().copied().unwrap_or(1), view);
    outputs.finish(&array);
    let [array] = array;
    Ok(array)
}

enum Array {
    Dbl(Columns<f64>),
    Int(Columns<i32>),
    Cplx(Columns<[f64; 2]>),
    /// Strings are made by R, on its own thread: they wait here.
    Str(Mutex<Vec<Strings>>),
}

/// The strings of some rows, row-major.
struct Strings {
    first: usize,
    rows: usize,
    values: Vec<Arc<str>>,
}

struct Output {
    shape: Vec<usize>,
    array: Array,
}

/// The R arrays that a call fills.
pub struct Outputs(Vec<Output>);

impl Outputs {
    /// # Errors
    /// If an array is not one that `allocate` makes.
    pub fn new(arrays: &[Robj]) -> Result<Outputs> {
        let outputs = arrays.iter().map(|array| {
            let shape = match array.dim() {
                Some(dim) => dim.iter().map(|d| d.0 as usize).collect(),
                None => vec![],
            };
            // SAFETY: main thread; the type is checked before the pointer is taken.
            let array = unsafe {
                match array.rtype() {
                    Rtype::Doubles => Array::Dbl(Columns(REAL(array.get()))),
                    Rtype::Integers => Array::Int(Columns(INTEGER(array.get()))),
                    Rtype::Logicals => Array::Int(Columns(LOGICAL(array.get()))),
                    Rtype::Complexes => Array::Cplx(Columns(COMPLEX(array.get()).cast())),
                    Rtype::Strings => Array::Str(Mutex::new(vec![])),
                    _ => return Err(Error::internal("an output is no array")),
                }
            };
            Ok(Output { shape, array })
        });
        Ok(Outputs(outputs.collect::<Result<_>>()?))
    }

    /// Writes the strings that have come into their R arrays.
    pub fn finish(self, arrays: &[Robj]) {
        for (output, array) in self.0.into_iter().zip(arrays) {
            let Array::Str(strings) = output.array else {
                continue;
            };
            for strings in strings.into_inner().unwrap_or_default() {
                // Where each element of the rows is, in column-major order.
                let mut order: Vec<usize> = vec![0; strings.values.len()];
                let numbers: Vec<usize> = (0..order.len()).collect();
                let shape = [&[strings.rows], output.shape.get(1..).unwrap_or(&[])].concat();
                // SAFETY: `order` has this shape, and only this thread uses it.
                unsafe {
                    let to = Columns(order.as_mut_ptr());
                    scatter(&numbers, &shape, 0..strings.rows, &to, |v| v);
                }
                let height = output.shape.first().copied().unwrap_or(1);
                for (k, &from) in order.iter().enumerate() {
                    let i = strings.first + k % strings.rows + k / strings.rows * height;
                    // R's strings can't hold NUL.
                    let text = strings.values[from].replace('\0', "\u{fffd}");
                    // SAFETY: main thread; the vector protects the new string at once.
                    unsafe {
                        let s = Rf_mkCharLenCE(
                            text.as_ptr() as *const std::os::raw::c_char,
                            text.len() as i32,
                            cetype_t::CE_UTF8,
                        );
                        SET_STRING_ELT(array.get(), i as isize, s);
                    }
                }
            }
        }
    }
}

impl Sink for Outputs {
    fn shape(&self, output: usize) -> Option<&[usize]> {
        Some(&self.0[output].shape)
    }

    fn put(&self, output: usize, rows: Range<usize>, src: View) {
        let Output { shape, array } = &self.0[output];
        let scalar = [1];
        let shape = if shape.is_empty() { &scalar[..] } else { shape };
        // SAFETY: the arrays were allocated with these shapes, and the engine
        // gives each row to one thread.
        match array {
            Array::Dbl(to) => unsafe {
                match src.dtype {
                    DType::F64 => scatter(src.as_slice::<f64>(), shape, rows, to, |v| v),
                    DType::F16 => scatter(src.as_slice::<f16>(), shape, rows, to, |v| v.to_f64()),
                    DType::BF16 => scatter(src.as_slice::<bf16>(), shape, rows, to, |v| v.to_f64()),
                    DType::U32 => scatter(src.as_slice::<u32>(), shape, rows, to, |v| v as f64),
                    DType::U64 => scatter(src.as_slice::<u64>(), shape, rows, to, |v| v as f64),
                    DType::I64 => scatter(src.as_slice::<i64>(), shape, rows, to, |v| v as f64),
                    _ => scatter(src.as_slice::<f32>(), shape, rows, to, |v| v as f64),
                }
            },
            Array::Int(to) => unsafe {
                match src.dtype {
                    DType::I8 => scatter(src.as_slice::<i8>(), shape, rows, to, |v| v as i32),
                    DType::I16 => scatter(src.as_slice::<i16>(), shape, rows, to, |v| v as i32),
                    DType::U16 => scatter(src.as_slice::<u16>(), shape, rows, to, |v| v as i32),
                    DType::I32 => scatter(src.as_slice::<i32>(), shape, rows, to, |v| v),
                    _ => scatter(src.as_slice::<u8>(), shape, rows, to, |v| v as i32),
                }
            },
            Array::Cplx(to) => unsafe {
                let wide = |[re, im]: [f32; 2]| [f64::from(re), f64::from(im)];
                match src.dtype {
                    DType::C128 => scatter(src.pairs::<f64>(), shape, rows, to, |v| v),
                    _ => scatter(src.pairs::<f32>(), shape, rows, to, wide),
                }
            },
            Array::Str(waiting) => {
                if let Ok(mut waiting) = waiting.lock() {
                    waiting.push(Strings {
                        first: rows.start,
                        rows: rows.len(),
                        values: src.strings().to_vec(),
                    });
                }
            }
        }
    }
}
