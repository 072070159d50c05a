//! Arrays put together and taken apart along their first axis.

use std::ops::Range;

use extendr_api::prelude::*;
use extendr_ffi::{
    Rf_xlength, INTEGER, LOGICAL, REAL, SET_STRING_ELT, SEXP, SEXPTYPE, STRING_ELT, TYPEOF,
};
use keraspredict_engine::tensor::{show_shape, DType};
use keraspredict_engine::{Error, Result};

/// The dims of an array; a number counts as one row.
fn shape_of(x: &Robj) -> Vec<usize> {
    match x.dim() {
        Some(dim) => dim.iter().map(|d| d.0 as usize).collect(),
        None => vec![x.len()],
    }
}

/// One array of all rows.
///
/// # Errors
/// If the arrays differ in type or in a dim other than the first.
pub fn bind(arrays: &[Robj]) -> Result<Robj> {
    let Some(first) = arrays.first() else {
        return Ok(().into());
    };
    let shapes: Vec<Vec<usize>> = arrays.iter().map(shape_of).collect();
    for (array, shape) in arrays.iter().zip(&shapes) {
        if array.rtype() != first.rtype() || shape[1..] != shapes[0][1..] {
            return Err(Error::BadInput {
                input: "x".into(),
                expected: format!(
                    "in batches that give outputs of one shape, such as {}",
                    show_shape(&shapes[0])
                ),
                given: format!("a batch that gives {}", show_shape(shape)),
            });
        }
    }
    let height: usize = shapes.iter().map(|s| s[0]).sum();
    let mut shape = shapes[0].clone();
    shape[0] = height;
    let out = empty_like(first, &shape)?;
    let mut at = 0;
    for (array, from) in arrays.iter().zip(&shapes) {
        // SAFETY: both arrays have the shapes given, and the type of `first`.
        unsafe {
            copy_rows(
                array.get(),
                from[0],
                0,
                out.get(),
                height,
                at,
                &shape[1..],
                from[0],
            )
        };
        at += from[0];
    }
    Ok(out)
}

/// Some rows of an array.
///
/// # Errors
/// If there are no such rows.
pub fn rows(array: &Robj, rows: Range<usize>) -> Result<Robj> {
    let mut shape = shape_of(array);
    let height = shape[0];
    if rows.start > rows.end || rows.end > height {
        return Err(Error::internal("rows outside of the array"));
    }
    shape[0] = rows.len();
    let out = empty_like(array, &shape)?;
    // SAFETY: as in `bind`.
    unsafe {
        copy_rows(
            array.get(),
            height,
            rows.start,
            out.get(),
            rows.len(),
            0,
            &shape[1..],
            rows.len(),
        )
    };
    Ok(out)
}

fn empty_like(x: &Robj, shape: &[usize]) -> Result<Robj> {
    let dtype = match x.rtype() {
        Rtype::Doubles => DType::F64,
        Rtype::Integers => DType::I32,
        Rtype::Logicals => DType::Bool,
        Rtype::Strings => DType::Str,
        _ => return Err(Error::internal("an output is no array")),
    };
    crate::sink::allocate(dtype, shape)
}

/// Copies `count` rows, column by column.
///
/// # Safety
/// Both vectors must be of one type and as long as their heights and `inner` say.
#[allow(clippy::too_many_arguments)]
unsafe fn copy_rows(
    from: SEXP,
    from_height: usize,
    from_row: usize,
    to: SEXP,
    to_height: usize,
    to_row: usize,
    inner: &[usize],
    count: usize,
) {
    let width: usize = inner.iter().product();
    debug_assert!(Rf_xlength(from) as usize == from_height * width);
    for column in 0..width {
        let source = column * from_height + from_row;
        let target = column * to_height + to_row;
        match TYPEOF(to) {
            SEXPTYPE::REALSXP => {
                std::ptr::copy_nonoverlapping(REAL(from).add(source), REAL(to).add(target), count)
            }
            SEXPTYPE::INTSXP => std::ptr::copy_nonoverlapping(
                INTEGER(from).add(source),
                INTEGER(to).add(target),
                count,
            ),
            SEXPTYPE::LGLSXP => std::ptr::copy_nonoverlapping(
                LOGICAL(from).add(source),
                LOGICAL(to).add(target),
                count,
            ),
            _ => {
                for i in 0..count {
                    let s = STRING_ELT(from, (source + i) as isize);
                    SET_STRING_ELT(to, (target + i) as isize, s);
                }
            }
        }
    }
}
