//! One batch that is computed while R fetches the next.

use std::os::raw::{c_int, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once};
use std::thread::JoinHandle;
use std::time::Duration;

use extendr_api::prelude::*;
use extendr_ffi::{
    R_ClearExternalPtr, R_ExternalPtrAddr, R_MakeExternalPtr, R_NilValue, R_RegisterCFinalizerEx,
    Rboolean, SEXP, SEXPTYPE, TYPEOF,
};
use keraspredict_engine::tensor::{Fact, Tensor, ViewMut};
use keraspredict_engine::{memory, Error, Model, Result, RunOptions, Source};

use crate::sink::Outputs;
use crate::source::{Input, Inputs};

/// How many operations a batch must have for another thread to be worth its start
/// and the copy of the input: a millisecond or so.
pub const WORTH_A_THREAD: f64 = 2e7;

/// Numbers that are no longer R's, which may change its arrays meanwhile.
pub struct Owned {
    inputs: Vec<Option<Tensor>>,
    masks: bool,
}

impl Owned {
    pub fn new(inputs: &Inputs) -> Result<Owned> {
        let owned = inputs.inputs.iter();
        let owned = owned.map(|i| i.as_ref().map(Input::to_tensor).transpose());
        Ok(Owned {
            inputs: owned.collect::<Result<_>>()?,
            masks: inputs.masks,
        })
    }
}

impl Source for Owned {
    fn fact(&self, input: usize) -> Option<Fact> {
        Some(self.inputs.get(input)?.as_ref()?.fact().clone())
    }

    fn masks(&self) -> bool {
        self.masks
    }

    fn fill(&self, input: usize, rows: std::ops::Range<usize>, mut dst: ViewMut) {
        if let Some(Some(tensor)) = self.inputs.get(input) {
            let row = tensor.bytes().len() / tensor.shape().first().map_or(1, |&n| n.max(1));
            let bytes = &tensor.bytes()[rows.start * row..rows.end * row];
            dst.bytes().copy_from_slice(bytes);
        }
    }
}

/// How many tasks compute. A process forks only when none does: the child has no
/// thread that would unlock what they hold.
static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

struct Running;

impl Running {
    fn new() -> Running {
        static FORKS_WAIT: Once = Once::new();
        FORKS_WAIT.call_once(wait_before_forks);
        *running() += 1;
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *running() -= 1;
        ENDED.notify_all();
    }
}

fn running() -> MutexGuard<'static, usize> {
    RUNNING.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(unix)]
fn wait_before_forks() {
    type Handler = Option<unsafe extern "C" fn()>;
    extern "C" {
        fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
    }
    unsafe extern "C" fn prepare() {
        let _none = ENDED.wait_while(running(), |n| *n > 0);
    }
    // SAFETY: the handler lives as long as the shared object, and doesn't unwind.
    unsafe { pthread_atfork(Some(prepare), None, None) };
}

#[cfg(not(unix))]
fn wait_before_forks() {}

/// A computation under way. Dropping it ends it.
pub struct Task {
    thread: Option<JoinHandle<()>>,
    done: Receiver<(Result<()>, Outputs)>,
    cancel: Arc<AtomicBool>,
    process: u32,
}

impl Task {
    /// Computes `rows` rows as one batch into `outputs`, whose arrays R keeps until
    /// the task is gone.
    pub fn start(model: Arc<Model>, inputs: Owned, outputs: Outputs, rows: usize) -> Result<Task> {
        let (tell, done) = sync_channel(1);
        let cancel = Arc::new(AtomicBool::new(false));
        let stop = cancel.clone();
        let running = Running::new();
        let body = move || {
            // Dropped last, also by a panic.
            let _running = running;
            let (model, inputs) = (model, inputs);
            let options = RunOptions {
                cancel: Some(&stop),
                ..RunOptions::default()
            };
            let predict = || model.predict(&inputs, &outputs, 0..rows, rows, &options);
            let result = catch_unwind(AssertUnwindSafe(predict));
            let result = result.unwrap_or_else(|panic| Err(memory::caught(panic)));
            let _ = tell.send((result, outputs));
        };
        let thread = std::thread::Builder::new()
            .name("keraspredict-ahead".into())
            .spawn(body)
            .map_err(|e| Error::internal(format!("no thread: {e}")))?;
        Ok(Task {
            thread: Some(thread),
            done,
            cancel,
            process: std::process::id(),
        })
    }

    /// The outputs, or `None` if they aren't there after `time`.
    pub fn wait(&self, time: Duration) -> Result<Option<Outputs>> {
        match self.done.recv_timeout(time) {
            Ok((result, outputs)) => result.map(|()| Some(outputs)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Error::internal("a thread has ended")),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread is not in a child of the process that started it.
            if self.process == std::process::id() {
                let _ = thread.join();
            } else {
                std::mem::forget(thread);
            }
        }
    }
}

/// An R object that owns a task, and keeps the arrays that the task writes to: R
/// runs its finalizer before it frees them.
pub fn wrap(task: Task, arrays: &Robj) -> Robj {
    let address = Box::into_raw(Box::new(task)) as *mut c_void;
    // SAFETY: main thread; the pointer is protected before the finalizer is set.
    unsafe {
        let pointer = Robj::from_sexp(R_MakeExternalPtr(address, R_NilValue, arrays.get()));
        R_RegisterCFinalizerEx(pointer.get(), Some(finalize), Rboolean::FALSE);
        pointer
    }
}

/// The task of an R object of `wrap`, if it still has one.
pub fn task_of(x: &Robj) -> Option<&Task> {
    // SAFETY: main thread; only `wrap` makes such pointers for this package's R code.
    unsafe {
        match TYPEOF(x.get()) {
            SEXPTYPE::EXTPTRSXP => (R_ExternalPtrAddr(x.get()) as *const Task).as_ref(),
            _ => None,
        }
    }
}

/// Ends the task of an R object.
pub fn end(x: &Robj) {
    if task_of(x).is_some() {
        // SAFETY: main thread; the object has a task.
        unsafe { finalize(x.get()) }
    }
}

unsafe extern "C" fn finalize(pointer: SEXP) {
    let address = R_ExternalPtrAddr(pointer) as *mut Task;
    if !address.is_null() {
        R_ClearExternalPtr(pointer);
        drop(Box::from_raw(address));
    }
}
