//! Functions of the caller, which stand in for layers and activations whose code
//! is not in the file.
//!
//! They may be called on the caller's own thread only: who calls the engine
//! [`enter`]s its host there, and plans with a [`Foreign`] step run on that thread.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::graph::Const;
use crate::nest::Nest;
use crate::tensor::{DType, Tensor, View};

/// Where the config of a model notes the caller's functions that stand in for layers.
pub const FUNCTIONS: &str = "host_functions";

/// An argument of a function.
#[derive(Clone, Debug)]
pub enum Given {
    /// A position in the tensors of the call.
    Tensor(usize),
    Lit(Json),
}

/// What a function stands in for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Layer,
    /// It takes the tensor alone.
    Activation,
    /// What a recurrent cell's function has beside it: it takes the number of rows.
    InitialState,
}

/// One place of a model where a function of the host is called.
#[derive(Debug)]
pub struct Foreign {
    /// The name of the function.
    pub key: String,
    /// The path of the layer, and its class, for errors.
    pub layer: String,
    pub class: String,
    pub role: Role,
    pub config: Json,
    pub weights: Vec<(String, Arc<Const>)>,
    pub inputs: Nest<Given>,
    /// Arguments that were passed by name.
    pub named: Vec<(String, Nest<Given>)>,
    /// The mask of the first input, as a position in the tensors.
    pub mask: Option<usize>,
    pub training: bool,
    /// What floating point results are.
    pub float: DType,
}

/// A result, and the mask that goes with it.
pub type Made = (Tensor, Option<Tensor>);

/// The functions of a caller.
pub trait Host {
    /// Calls a function. `probing` says that only the shapes of the results matter.
    ///
    /// # Errors
    /// `Custom` where the function fails, or `Interrupted`.
    fn call(&self, what: &Foreign, tensors: &[View], probing: bool) -> Result<Nest<Made>>;

    /// What a function that stands for a recurrent cell says of its states: as
    /// `state_size` of Keras' cells.
    fn state_size(&self, key: &str) -> Option<Json>;

    /// Whether it says what states to start from.
    fn has_initial_state(&self, key: &str) -> bool;
}

thread_local! {
    static HOSTS: RefCell<Vec<Rc<dyn Host>>> = const { RefCell::new(vec![]) };
}

/// Ends the time of a host when it is dropped.
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        HOSTS.with_borrow_mut(Vec::pop);
    }
}

/// Makes a host the one that this thread calls.
pub fn enter(host: Rc<dyn Host>) -> Entered {
    HOSTS.with_borrow_mut(|hosts| hosts.push(host));
    Entered(())
}

/// [`Host::state_size`] of the host of this thread.
pub fn state_size(key: &str) -> Option<Json> {
    let host = HOSTS.with_borrow(|hosts| hosts.last().cloned());
    host?.state_size(key)
}

/// [`Host::has_initial_state`] of the host of this thread.
pub fn has_initial_state(key: &str) -> bool {
    let host = HOSTS.with_borrow(|hosts| hosts.last().cloned());
    host.is_some_and(|host| host.has_initial_state(key))
}

impl Foreign {
    /// Calls the function of the host of this thread.
    ///
    /// # Errors
    /// As [`Host::call`]; `Custom` where there is no host.
    pub fn call(&self, tensors: &[View], probing: bool) -> Result<Nest<Made>> {
        let host = HOSTS.with_borrow(|hosts| hosts.last().cloned());
        let host = host.ok_or_else(|| self.failed("there is no function for it here"))?;
        host.call(self, tensors, probing)
    }

    /// The error of a function that gave no result.
    pub fn failed(&self, reason: impl Into<String>) -> Error {
        Error::Custom {
            layer: self.layer.clone(),
            class: self.class.clone(),
            reason: reason.into(),
        }
    }
}

/// The names of the host's functions, and which of them a model uses.
#[derive(Clone, Debug, Default)]
pub struct Functions(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    names: BTreeSet<String>,
    used: Mutex<BTreeSet<String>>,
}

impl Functions {
    pub fn new(names: impl IntoIterator<Item = String>) -> Functions {
        Functions(Arc::new(Known {
            names: names.into_iter().collect(),
            used: Mutex::default(),
        }))
    }

    /// The first of some names that there is a function for; it is used from now on.
    pub fn take<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        let name = names.into_iter().find(|n| self.0.names.contains(*n))?;
        let mut used = self.0.used.lock().unwrap_or_else(|e| e.into_inner());
        used.insert(name.to_string());
        Some(name.to_string())
    }

    /// The names in use.
    pub fn used(&self) -> Vec<String> {
        let used = self.0.used.lock().unwrap_or_else(|e| e.into_inner());
        used.iter().cloned().collect()
    }
}
