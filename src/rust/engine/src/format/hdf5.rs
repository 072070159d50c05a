//! HDF5: whole models of Keras 1 to 3, and weights files of both layouts.

use std::cell::Cell;
use std::sync::Arc;

use hdf5_reader::error::Error as H5Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Attribute, Datatype, Hdf5File, OpenOptions};
use serde_json::Value as Json;

use super::source::Source;
use super::{
    damaged, json, not_a_model, require_model, unknown_format, Assets, LegacyWeights, ModelFile,
    StoredWeight, WeightTree, Weights,
};
use crate::error::{Error, Result};
use crate::memory;
use crate::tensor::{DType, Fact, Tensor};

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Groups nest no deeper than this.
const MAX_DEPTH: usize = 48;

/// No file has more groups or weights than this.
const MAX_OBJECTS: usize = 1 << 20;

/// Deflate can't expand a byte to more than this many.
const MAX_EXPANSION: u64 = 1032;

/// No file is read that declares more than 64 GB of weights.
const MAX_TOTAL: u64 = 64 << 30;

/// Whether HDF5's signature is at the start, or after a user block.
pub fn has_signature(source: &Source) -> bool {
    let mut found = [0; SIGNATURE.len()];
    let mut at = 0;
    while source.read_at(at, &mut found).is_ok() {
        if found == SIGNATURE {
            return true;
        }
        at = if at == 0 { 512 } else { at * 2 };
    }
    false
}

/// A whole model: config and weights.
pub fn read_model(source: Source, label: &str) -> Result<ModelFile> {
    let store = Store::open(source, label)?;
    let root = store.root()?;
    let attributes = store.attributes(&root)?;
    let Some(config) = find(&attributes, "model_config") else {
        let reason = match store.weights_at(&root)? {
            Some(_) => {
                "it holds weights but no architecture; \
                 load them into a model made from its JSON"
            }
            None => "it is an HDF5 file without a 'model_config'",
        };
        return Err(not_a_model(label, reason));
    };
    let text = store.text(config)?;
    let config = json::parse(text.as_bytes()).map_err(|e| {
        let place = json::place(&e);
        damaged(label, format!("its 'model_config' is no JSON: {place}"))
    })?;
    require_model(&config, label)?;
    let mut keras_version = store.optional_text(&attributes, "keras_version")?;
    let mut backend = store.optional_text(&attributes, "backend")?;
    let weights = match store.child(&root, "model_weights")? {
        Some(group) => {
            let attributes = store.attributes(&group)?;
            if keras_version.is_none() {
                keras_version = store.optional_text(&attributes, "keras_version")?;
            }
            if backend.is_none() {
                backend = store.optional_text(&attributes, "backend")?;
            }
            Weights::Legacy(store.legacy(&group)?)
        }
        None => return Err(damaged(label, "it has no 'model_weights'")),
    };
    if keras_version.is_none() {
        keras_version = config
            .get("keras_version")
            .and_then(Json::as_str)
            .map(str::to_string);
    }
    Ok(ModelFile {
        config,
        keras_version,
        backend,
        weights: Some(weights),
        assets: Assets::new(),
    })
}

/// The weights of a file of either layout, or those of a whole model.
pub fn read_weights(source: Source, label: &str) -> Result<Weights> {
    let store = Store::open(source, label)?;
    let root = store.root()?;
    match store.weights_at(&root)? {
        Some(Layout::Legacy(group)) => Ok(Weights::Legacy(store.legacy(&group)?)),
        Some(Layout::Tree) => Ok(Weights::Tree(store.tree(&root, "", &mut Vec::new())?)),
        None => Err(not_a_model(
            label,
            "it is an HDF5 file without weights of a Keras model",
        )),
    }
}

enum Layout {
    Legacy(Group),
    Tree,
}

struct Store<'a> {
    file: Hdf5File,
    label: &'a str,
    /// Bytes of weights that may still be read, so that a small hostile file
    /// can't ask for much memory.
    budget: Cell<u64>,
    /// The same for data that is not compressed.
    plain_budget: Cell<u64>,
    objects: Cell<usize>,
}

impl<'a> Store<'a> {
    fn open(source: Source, label: &'a str) -> Result<Self> {
        let size = source.size();
        let opened = match source {
            Source::Memory(bytes) => Hdf5File::from_owner(bytes, OpenOptions::default()),
            file => Hdf5File::from_storage(Arc::new(file)),
        };
        let file = opened.map_err(|e| h5_error(&e, label))?;
        if file.superblock().eof_address > size {
            return Err(damaged(label, "it is cut short"));
        }
        Ok(Store {
            file,
            label,
            budget: Cell::new(size.saturating_mul(MAX_EXPANSION).min(MAX_TOTAL)),
            plain_budget: Cell::new(size),
            objects: Cell::new(0),
        })
    }

    fn check<T>(&self, result: hdf5_reader::error::Result<T>) -> Result<T> {
        result.map_err(|e| h5_error(&e, self.label))
    }

    fn damaged(&self, reason: impl Into<String>) -> Error {
        damaged(self.label, reason)
    }

    fn root(&self) -> Result<Group> {
        self.check(self.file.root_group())
    }

    fn attributes(&self, group: &Group) -> Result<Vec<Attribute>> {
        self.check(group.attributes())
    }

    /// A child group, or `None` where there is none of that name.
    fn child(&self, group: &Group, name: &str) -> Result<Option<Group>> {
        match group.group(name) {
            Ok(child) => Ok(Some(child)),
            Err(e) if is_missing(&e) => Ok(None),
            Err(e) => Err(h5_error(&e, self.label)),
        }
    }

    fn weights_at(&self, root: &Group) -> Result<Option<Layout>> {
        if has_names(&self.attributes(root)?, "layer_names") {
            return Ok(Some(Layout::Legacy(root.clone())));
        }
        if let Some(group) = self.child(root, "model_weights")? {
            return Ok(Some(Layout::Legacy(group)));
        }
        let (groups, _) = self.check(root.member_names())?;
        let known = |n: &String| matches!(n.as_str(), "layers" | "vars" | CHECKPOINT_LAYERS);
        // A model without any weights leaves an empty file.
        Ok((groups.is_empty() || groups.iter().any(known)).then_some(Layout::Tree))
    }

    /// The layers of `model_weights`, or of a legacy weights file.
    fn legacy(&self, group: &Group) -> Result<LegacyWeights> {
        let mut layers = Vec::new();
        for layer in self.names(&self.attributes(group)?, "layer_names")? {
            self.count_object()?;
            let at = self
                .walk(group, &layer)?
                .ok_or_else(|| self.damaged(format!("it has no group for layer '{layer}'")))?;
            let mut weights = Vec::new();
            for name in self.names(&self.attributes(&at)?, "weight_names")? {
                let tensor = self.weight_below(&at, &layer, &name)?;
                weights.push(StoredWeight {
                    name,
                    tensor: tensor.into(),
                });
            }
            layers.push((layer, weights));
        }
        Ok(layers)
    }

    /// The group at a path with slashes below a group.
    fn walk(&self, group: &Group, path: &str) -> Result<Option<Group>> {
        let mut at = group.clone();
        for part in path.split('/').filter(|p| !p.is_empty()) {
            match self.child(&at, part)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The weight at a path with slashes below a layer's group.
    fn weight_below(&self, group: &Group, layer: &str, path: &str) -> Result<Tensor> {
        let missing = || self.damaged(format!("layer '{layer}' has no weight '{path}'"));
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let at = self.walk(group, folder)?.ok_or_else(missing)?;
        match at.dataset(name) {
            Ok(dataset) => self.tensor(&dataset, &format!("{layer}/{path}")),
            Err(e) if is_missing(&e) => Err(missing()),
            Err(e) => Err(h5_error(&e, self.label)),
        }
    }

    /// A Keras 3 store below a group; `open` are the addresses of the groups around it.
    fn tree(&self, group: &Group, path: &str, open: &mut Vec<u64>) -> Result<WeightTree> {
        if open.len() >= MAX_DEPTH || open.contains(&group.address()) {
            return Err(self.damaged(format!("its groups nest without end at '{path}'")));
        }
        self.count_object()?;
        open.push(group.address());
        let mut tree = WeightTree::default();
        let (groups, _) = self.check(group.members())?;
        let in_layers = path.ends_with("/layers") || path.ends_with(CHECKPOINT_LAYERS);
        for child in groups {
            // A path's last part, since the reader may give the whole of it.
            let name = child.name().rsplit('/').next().unwrap_or_default();
            let below = format!("{path}/{name}");
            match name {
                "vars" if !in_layers => tree.vars = self.vars(&child, &below)?,
                "optimizer" if !in_layers => {}
                _ => {
                    let subtree = self.tree(&child, &below, open)?;
                    tree.children.insert(name.to_string(), subtree);
                }
            }
        }
        open.pop();
        Ok(tree)
    }

    /// The variables of a `vars` group: `0`, `1`, ... in order, then named ones.
    fn vars(&self, group: &Group, path: &str) -> Result<Vec<StoredWeight>> {
        let (_, mut datasets) = self.check(group.members())?;
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_string();
        datasets.sort_by_cached_key(|d| {
            let name = last(d.name());
            (name.parse::<u64>().unwrap_or(u64::MAX), name)
        });
        let mut vars = Vec::new();
        for dataset in &datasets {
            let name = last(dataset.name());
            let tensor = self.tensor(dataset, &format!("{path}/{name}"))?;
            vars.push(StoredWeight {
                name,
                tensor: tensor.into(),
            });
        }
        Ok(vars)
    }

    fn tensor(&self, dataset: &hdf5_reader::Dataset, path: &str) -> Result<Tensor> {
        self.count_object()?;
        let shape = dataset
            .shape()
            .iter()
            .map(|&d| usize::try_from(d).ok())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| self.damaged(format!("weight '{path}' has an impossible shape")))?;
        if let Datatype::String { .. } | Datatype::VarLen { .. } = dataset.dtype() {
            let count = self.check(dataset.raw_byte_len())?;
            self.spend(count as u64, dataset.chunks().is_some(), path)?;
            let strings = self.check(dataset.read_strings())?;
            let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
            if elements != Some(strings.len()) {
                return Err(self.damaged(format!("weight '{path}' is incomplete")));
            }
            let strings = strings.into_iter().map(Into::into).collect();
            return Ok(Tensor::from_strings(shape, strings));
        }
        let dtype = self.dtype(dataset, path)?;
        let bytes = shape
            .iter()
            .try_fold(dtype.size(), |n, &d| n.checked_mul(d))
            .filter(|&n| self.check(dataset.raw_byte_len()).ok() == Some(n))
            .ok_or_else(|| self.damaged(format!("weight '{path}' has an impossible shape")))?;
        self.spend(bytes as u64, dataset.chunks().is_some(), path)?;
        memory::ask(bytes, || (String::new(), format!("weight '{path}'")))?;
        let mut tensor = Tensor::zeros(Fact::new(dtype, shape));
        if bytes > 0 {
            self.check(dataset.read_native_bytes_into(tensor.bytes_mut()))?;
        }
        if dtype == DType::Bool {
            for b in tensor.bytes_mut() {
                *b = (*b != 0) as u8;
            }
        }
        Ok(tensor)
    }

    fn dtype(&self, dataset: &hdf5_reader::Dataset, path: &str) -> Result<DType> {
        let found = match dataset.dtype() {
            Datatype::FloatingPoint { size: 2, .. } => self.half(dataset)?,
            Datatype::FloatingPoint { size: 4, .. } => Some(DType::F32),
            Datatype::FloatingPoint { size: 8, .. } => Some(DType::F64),
            Datatype::FixedPoint { size, signed, .. } => match (size, signed) {
                (1, false) => Some(DType::U8),
                (2, false) => Some(DType::U16),
                (4, false) => Some(DType::U32),
                (8, false) => Some(DType::U64),
                (1, true) => Some(DType::I8),
                (2, true) => Some(DType::I16),
                (4, true) => Some(DType::I32),
                (8, true) => Some(DType::I64),
                _ => None,
            },
            // h5py keeps booleans as an enumeration of FALSE and TRUE.
            Datatype::Enum { base, .. } => match **base {
                Datatype::FixedPoint { size: 1, .. } => Some(DType::Bool),
                _ => None,
            },
            // Types that HDF5 doesn't know are opaque: bfloat16 says so beside, float8 is bytes.
            Datatype::Opaque { size: 1, .. } => Some(DType::U8),
            Datatype::Opaque { size: 2, .. } => match dataset.attribute("dtype") {
                Ok(a) if self.text(&a)? == "bfloat16" => Some(DType::BF16),
                _ => None,
            },
            _ => None,
        };
        found.ok_or_else(|| {
            let of = format!("{:?}", dataset.dtype());
            // The name alone, without what is in it.
            let kind = of.split([' ', '(']).next().unwrap_or_default();
            let reason = format!("weight '{path}' has the unknown type {kind}");
            unknown_format(self.label, reason)
        })
    }

    /// Which of the two-byte floats a dataset holds, by the size of the exponent.
    fn half(&self, dataset: &hdf5_reader::Dataset) -> Result<Option<DType>> {
        const EXPONENT_SIZE: usize = 13;
        let raw = self.check(dataset.raw_datatype())?;
        Ok(match raw.get(EXPONENT_SIZE) {
            Some(5) => Some(DType::F16),
            Some(8) => Some(DType::BF16),
            _ => None,
        })
    }

    fn spend(&self, bytes: u64, chunked: bool, path: &str) -> Result<()> {
        let take = |budget: &Cell<u64>| match budget.get().checked_sub(bytes) {
            Some(left) => {
                budget.set(left);
                Ok(())
            }
            None => Err(self.damaged(format!("weight '{path}' declares more than the file holds"))),
        };
        take(&self.budget)?;
        match chunked {
            true => Ok(()),
            false => take(&self.plain_budget),
        }
    }

    fn count_object(&self) -> Result<()> {
        self.objects.set(self.objects.get() + 1);
        match self.objects.get() > MAX_OBJECTS {
            true => Err(self.damaged("it declares too many weights")),
            false => Ok(()),
        }
    }

    /// A list of strings, which Keras splits into `name0`, `name1`, ... where it is long.
    fn names(&self, attributes: &[Attribute], name: &str) -> Result<Vec<String>> {
        if let Some(a) = find(attributes, name) {
            return self.texts(a);
        }
        let mut all = Vec::new();
        let mut i = 0;
        while let Some(a) = find(attributes, &format!("{name}{i}")) {
            all.extend(self.texts(a)?);
            i += 1;
        }
        Ok(all)
    }

    fn texts(&self, a: &Attribute) -> Result<Vec<String>> {
        // An empty list of no weights is an array of no floats.
        if self.check(a.num_elements())? == 0 {
            return Ok(vec![]);
        }
        let texts = self.check(a.read_strings())?;
        match texts.len() as u64 == self.check(a.num_elements())? {
            true => Ok(texts),
            false => Err(self.damaged(format!("its attribute '{}' is incomplete", a.name))),
        }
    }

    fn text(&self, a: &Attribute) -> Result<String> {
        let mut texts = self.texts(a)?;
        match texts.len() {
            1 => Ok(texts.remove(0)),
            _ => Err(self.damaged(format!("its attribute '{}' is no text", a.name))),
        }
    }

    fn optional_text(&self, attributes: &[Attribute], name: &str) -> Result<Option<String>> {
        find(attributes, name).map(|a| self.text(a)).transpose()
    }
}

/// What Keras 2.12 to 2.14 called `layers`.
pub const CHECKPOINT_LAYERS: &str = "_layer_checkpoint_dependencies";

fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|a| a.name == name)
}

fn has_names(attributes: &[Attribute], name: &str) -> bool {
    find(attributes, name).is_some() || find(attributes, &format!("{name}0")).is_some()
}

fn is_missing(e: &H5Error) -> bool {
    match e {
        H5Error::GroupNotFound(_) | H5Error::DatasetNotFound(_) => true,
        H5Error::Context { source, .. } => is_missing(source),
        _ => false,
    }
}

fn h5_error(e: &H5Error, label: &str) -> Error {
    let mut inner = e;
    while let H5Error::Context { source, .. } = inner {
        inner = source;
    }
    match inner {
        H5Error::UnsupportedSuperblockVersion(_)
        | H5Error::UnsupportedFilter(_)
        | H5Error::UnsupportedEncoding(_) => {
            unknown_format(label, format!("its HDF5 can't be read ({e})"))
        }
        _ => damaged(label, format!("its HDF5 can't be read ({e})")),
    }
}
