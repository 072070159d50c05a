//! The R object that stands for a loaded model: a raw vector (ALTREP) that
//! holds the model itself and becomes its bytes only when R saves it or sends
//! it to another process. Read back, it rebuilds the model on first use.

use std::ffi::CStr;
use std::ops::Deref;
use std::os::raw::{c_int, c_void};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use extendr_api::prelude::*;
use extendr_ffi::*;
use keraspredict_engine::host::{self, Entered};
use keraspredict_engine::{Error, Model, Result};

use crate::host::Functions;

struct Handle {
    model: OnceLock<Arc<Model>>,
}

struct Class(R_altrep_class_t);
// SAFETY: the class object is made once, when R loads the package, and only read after.
unsafe impl Send for Class {}
unsafe impl Sync for Class {}

static CLASS: OnceLock<Class> = OnceLock::new();

/// The attribute in which a handle keeps the R functions of its model, so that
/// R saves them with it.
const FUNCTIONS: &CStr = c"functions";

/// Registers the class with R; called by R when it loads the shared object.
///
/// # Safety
/// `dll` must be what R passes to the package's init function.
#[no_mangle]
pub unsafe extern "C" fn keraspredict_register_handle(dll: *mut DllInfo) {
    CLASS.get_or_init(|| {
        let class = R_make_altraw_class(c"model".as_ptr(), c"keraspredict".as_ptr(), dll);
        R_set_altrep_Length_method(class, Some(length));
        R_set_altrep_Inspect_method(class, Some(inspect));
        R_set_altrep_Duplicate_method(class, Some(duplicate));
        R_set_altrep_Serialized_state_method(class, Some(serialized_state));
        R_set_altrep_Unserialize_method(class, Some(unserialize));
        R_set_altvec_Dataptr_method(class, Some(dataptr));
        R_set_altvec_Dataptr_or_null_method(class, Some(dataptr_or_null));
        Class(class)
    });
}

/// The R object of a model. Of the functions given, it keeps those that the
/// model calls.
pub fn new_handle(model: Model, functions: &Robj) -> Robj {
    let used = model.functions();
    let handle = Handle {
        model: OnceLock::from(Arc::new(model)),
    };
    // SAFETY: called by R's main thread; the result is protected by Robj.
    let value = unsafe { Robj::from_sexp(wrap(handle, R_NilValue)) };
    if !used.is_empty() {
        let all = functions.as_list().unwrap_or_default();
        let kept = all
            .iter()
            .filter(|(name, _)| used.iter().any(|u| u == name));
        let (names, values): (Vec<&str>, Vec<Robj>) = kept.unzip();
        let mut kept = List::from_values(values);
        let _ = kept.set_names(names);
        let kept: Robj = kept.into();
        // SAFETY: as above; both are protected.
        unsafe { Rf_setAttrib(value.get(), Rf_install(FUNCTIONS.as_ptr()), kept.get()) };
    }
    value
}

/// The functions that a handle keeps, as a named list, or NULL.
pub fn functions_of(x: &Robj) -> Robj {
    // SAFETY: main thread; attributes of the object are read.
    unsafe { Robj::from_sexp(Rf_getAttrib(x.get(), Rf_install(FUNCTIONS.as_ptr()))) }
}

/// Lets the engine call R functions until what is returned is dropped.
pub fn with_functions(functions: &Robj) -> Option<Entered> {
    let functions = functions.as_list()?;
    Some(host::enter(Rc::new(Functions::new(functions))))
}

/// A model that may call the functions of its handle.
pub struct Loaded {
    model: Arc<Model>,
    _functions: Option<Entered>,
}

impl Loaded {
    /// The model for other threads, which can't call functions.
    pub fn shared(&self) -> Arc<Model> {
        self.model.clone()
    }
}

impl Deref for Loaded {
    type Target = Model;
    fn deref(&self) -> &Model {
        &self.model
    }
}

/// Whether an R object is a handle that can give its model: one that was saved
/// by an old version of R's serialization is a plain raw vector.
pub fn is_handle(x: &Robj) -> bool {
    // SAFETY: reads the object's header only.
    unsafe { !handle_ptr(x.get()).is_null() }
}

/// The model of a handle, rebuilt from its bytes where it came from another session.
pub fn model_of(x: &Robj) -> Result<Loaded> {
    let functions = with_functions(&functions_of(x));
    Ok(Loaded {
        model: shared_model(x)?,
        _functions: functions,
    })
}

fn shared_model(x: &Robj) -> Result<Arc<Model>> {
    // SAFETY: main thread; `handle_ptr` has checked the object.
    unsafe {
        let sexp = x.get();
        let Some(handle) = handle_ptr(sexp).as_ref() else {
            return Err(Error::internal("the model has no handle"));
        };
        if let Some(model) = handle.model.get() {
            return Ok(model.clone());
        }
        let data = R_altrep_data2(sexp);
        let bytes = bytes_of(data).to_vec();
        let model = Arc::new(Model::from_bytes(bytes, "the saved model")?);
        let _ = handle.model.set(model.clone());
        R_set_altrep_data2(sexp, R_NilValue);
        Ok(model)
    }
}

unsafe fn wrap(handle: Handle, data: SEXP) -> SEXP {
    let Some(class) = CLASS.get() else {
        return R_NilValue;
    };
    Rf_protect(data);
    let address = Box::into_raw(Box::new(handle)) as *mut c_void;
    let pointer = Rf_protect(R_MakeExternalPtr(address, R_NilValue, R_NilValue));
    R_RegisterCFinalizerEx(pointer, Some(finalize), Rboolean::FALSE);
    let value = R_new_altrep(class.0, pointer, data);
    Rf_unprotect(2);
    value
}

unsafe extern "C" fn finalize(pointer: SEXP) {
    let address = R_ExternalPtrAddr(pointer) as *mut Handle;
    if !address.is_null() {
        R_ClearExternalPtr(pointer);
        drop(Box::from_raw(address));
    }
}

unsafe fn handle_ptr(x: SEXP) -> *const Handle {
    match CLASS.get() {
        Some(class)
            if TYPEOF(x) == SEXPTYPE::RAWSXP
                && ALTREP(x) != 0
                && R_altrep_inherits(x, class.0) == Rboolean::TRUE =>
        {
            R_ExternalPtrAddr(R_altrep_data1(x)) as *const Handle
        }
        _ => std::ptr::null(),
    }
}

unsafe fn bytes_of<'a>(x: SEXP) -> &'a [u8] {
    if TYPEOF(x) != SEXPTYPE::RAWSXP {
        return &[];
    }
    std::slice::from_raw_parts(RAW(x), Rf_xlength(x) as usize)
}

/// The model's bytes as a plain raw vector, or R's NULL.
unsafe fn plain_bytes(x: SEXP) -> SEXP {
    let data = R_altrep_data2(x);
    if TYPEOF(data) == SEXPTYPE::RAWSXP {
        return data;
    }
    let bytes = catch_unwind(|| {
        let handle = handle_ptr(x).as_ref()?;
        Some(handle.model.get()?.to_bytes())
    });
    match bytes {
        Ok(Some(bytes)) => {
            let raw = Rf_allocVector(SEXPTYPE::RAWSXP, bytes.len() as R_xlen_t);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), RAW(raw), bytes.len());
            raw
        }
        _ => R_NilValue,
    }
}

/// The same, kept for R, which is given a pointer to them.
unsafe fn materialise(x: SEXP) -> SEXP {
    let data = plain_bytes(x);
    R_set_altrep_data2(x, data);
    data
}

unsafe extern "C" fn length(x: SEXP) -> R_xlen_t {
    bytes_of(materialise(x)).len() as R_xlen_t
}

unsafe extern "C" fn dataptr(x: SEXP, _writable: Rboolean) -> *mut c_void {
    let data = materialise(x);
    if TYPEOF(data) == SEXPTYPE::RAWSXP {
        RAW(data) as *mut c_void
    } else {
        std::ptr::null_mut()
    }
}

unsafe extern "C" fn dataptr_or_null(x: SEXP) -> *const c_void {
    let data = R_altrep_data2(x);
    if TYPEOF(data) == SEXPTYPE::RAWSXP {
        RAW(data) as *const c_void
    } else {
        std::ptr::null()
    }
}

unsafe extern "C" fn duplicate(x: SEXP, _deep: Rboolean) -> SEXP {
    // A model never changes, so a copy is the same model.
    x
}

unsafe extern "C" fn serialized_state(x: SEXP) -> SEXP {
    plain_bytes(x)
}

unsafe extern "C" fn unserialize(_class: SEXP, state: SEXP) -> SEXP {
    wrap(
        Handle {
            model: OnceLock::new(),
        },
        state,
    )
}

unsafe extern "C" fn inspect(
    _x: SEXP,
    _pre: c_int,
    _deep: c_int,
    _pvec: c_int,
    _subtree: Option<unsafe extern "C" fn(SEXP, c_int, c_int, c_int)>,
) -> Rboolean {
    Rboolean::FALSE
}
