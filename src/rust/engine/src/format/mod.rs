//! Files to configs and weights; no Keras meaning beyond where things are stored.
//!
//! What a file is follows from its first bytes, never from its name: zip
//! archives (`.keras`), HDF5 (`.h5`, `.hdf5`, `.weights.h5`), JSON text, the
//! engine's own container ([`native`]), or a folder with the members of a
//! `.keras` archive.

mod archive;
mod bytes;
mod hdf5;
mod hdf5_write;
pub mod json;
pub mod native;
mod shards;
mod source;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use bytes::Bytes;
pub use hdf5::CHECKPOINT_LAYERS;
use source::Source;
pub use write::{write_keras, write_weights};

/// A weight as stored: the tensor and the name the file gives it.
#[derive(Clone, Debug)]
pub struct StoredWeight {
    pub name: String,
    pub tensor: Arc<Tensor>,
}

/// The tree of a Keras 3 weights store: a group's own `vars/0`, `vars/1`, ...
/// in order, and its child groups (`layers/dense_1`, `cell`, ...), keyed by
/// one path component each.
#[derive(Clone, Debug, Default)]
pub struct WeightTree {
    pub vars: Vec<StoredWeight>,
    pub children: BTreeMap<String, WeightTree>,
}

/// Weights of a legacy h5 file: per layer name, the flat list in `weight_names`
/// order, layers in `layer_names` order.
pub type LegacyWeights = Vec<(String, Vec<StoredWeight>)>;

#[derive(Clone, Debug)]
pub enum Weights {
    /// Keras 3 `.weights.h5`, npz or sharded store.
    Tree(WeightTree),
    /// `model_weights` of a legacy whole-model h5, or a legacy weights-only h5.
    Legacy(LegacyWeights),
}

/// Files that layers keep beside their weights, such as vocabularies: path
/// below `assets/` to bytes.
pub type Assets = BTreeMap<String, Arc<[u8]>>;

/// What a model file holds, read and checked but not yet interpreted.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// `{"module", "class_name", "config", ...}` as Keras wrote it. Numbers that
    /// JSON can't hold are the strings of [`json::number`].
    pub config: Json,
    /// Version of the Keras that wrote it, such as `3.15.1`; `None` where the file doesn't say.
    pub keras_version: Option<String>,
    /// What Keras ran on when it wrote an older file, such as `tensorflow`.
    pub backend: Option<String>,
    /// `None` where the file holds an architecture only.
    pub weights: Option<Weights>,
    pub assets: Assets,
}

const CONFIG: &str = "config.json";
const METADATA: &str = "metadata.json";
const WEIGHTS_H5: &str = "model.weights.h5";
const WEIGHTS_NPZ: &str = "model.weights.npz";
const ASSETS: &str = "assets/";

/// Reads a model from a file, or from a folder with the members of a `.keras` archive.
///
/// # Errors
/// `FileMissing`, `NotAModel`, `Damaged` or `UnknownFormat`.
pub fn read(path: &Path) -> Result<ModelFile> {
    let label = path.display().to_string();
    if is_folder(path, &label)? {
        return read_folder(path, &label);
    }
    read_model(open(path, &label)?, &label)
}

/// Reads a model from the bytes of a file; `label` names them in errors.
///
/// # Errors
/// `NotAModel`, `Damaged` or `UnknownFormat`.
pub fn read_bytes(bytes: Vec<u8>, label: &str) -> Result<ModelFile> {
    read_model(Source::Memory(Bytes::new(bytes)), label)
}

/// Reads the weights alone: of a `.weights.h5` or of the shards that a
/// `.weights.json` lists, of a legacy weights file, or those inside a
/// whole-model file of any kind.
///
/// # Errors
/// As [`read`]; `NotAModel` also where there are no weights.
pub fn read_weights(path: &Path) -> Result<Weights> {
    let label = path.display().to_string();
    if is_folder(path, &label)? {
        return read_folder(path, &label)?
            .weights
            .ok_or_else(|| no_weights(&label));
    }
    let source = open(path, &label)?;
    if let Some(weights) = shards::read(path, &source, &label)? {
        return Ok(weights);
    }
    read_weights_from(source, &label)
}

/// As [`read_weights`], from the bytes of a file.
///
/// # Errors
/// As [`read_weights`].
pub fn read_weights_bytes(bytes: Vec<u8>, label: &str) -> Result<Weights> {
    read_weights_from(Source::Memory(Bytes::new(bytes)), label)
}

fn read_model(source: Source, label: &str) -> Result<ModelFile> {
    let whole = || source.bytes().map_err(|e| io_error(&e, label));
    match Kind::of(&source, label)? {
        Kind::Zip => read_archive(source, label),
        Kind::Hdf5 => hdf5::read_model(source, label),
        Kind::Native => native::read(&whole()?, label),
        Kind::Text => read_text(&whole()?, label),
    }
}

fn read_weights_from(source: Source, label: &str) -> Result<Weights> {
    match Kind::of(&source, label)? {
        Kind::Hdf5 => hdf5::read_weights(source, label),
        _ => read_model(source, label)?
            .weights
            .ok_or_else(|| no_weights(label)),
    }
}

enum Kind {
    Zip,
    Hdf5,
    Native,
    Text,
}

/// Bytes at the start that tell what a file is.
const TELLING: u64 = 4096;

impl Kind {
    fn of(source: &Source, label: &str) -> Result<Kind> {
        let mut start = vec![0; source.size().min(TELLING) as usize];
        source
            .read_at(0, &mut start)
            .map_err(|e| io_error(&e, label))?;
        if start.is_empty() {
            return Err(not_a_model(label, "it is empty"));
        }
        if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
            return Ok(Kind::Zip);
        }
        if hdf5::has_signature(source) {
            return Ok(Kind::Hdf5);
        }
        if start.starts_with(native::SIGNATURE) {
            return Ok(Kind::Native);
        }
        let text = json::trim(&start);
        if matches!(text.first(), Some(b'{' | b'[' | b'"')) {
            return Ok(Kind::Text);
        }
        Err(foreign(&start, text, label))
    }
}

/// The error for bytes of no kind that can be read, with what they seem to be.
fn foreign(bytes: &[u8], text: &[u8], label: &str) -> Error {
    let unknown = |reason: &str| unknown_format(label, reason);
    if text.starts_with(b"version https://git-lfs") {
        return not_a_model(
            label,
            "it is a Git LFS pointer; fetch the file itself with `git lfs pull`",
        );
    }
    let start = &text[..text.len().min(16)].to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        return not_a_model(label, "it is a web page, perhaps of a failed download");
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return unknown("it is a TensorFlow Lite model; save the Keras model as '.keras'");
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return unknown("it is compressed with gzip; unpack it first");
    }
    if bytes.len() > 2 && bytes[0] == 0x80 && bytes[1] <= 5 {
        return unknown("it is a Python pickle; save the Keras model as '.keras'");
    }
    not_a_model(
        label,
        "it is neither a '.keras' archive, nor HDF5, nor the JSON of a model",
    )
}

fn read_file(path: &Path, label: &str) -> Result<Bytes> {
    std::fs::read(path)
        .map(Bytes::new)
        .map_err(|e| io_error(&e, label))
}

fn open(path: &Path, label: &str) -> Result<Source> {
    std::fs::File::open(path)
        .and_then(Source::file)
        .map_err(|e| io_error(&e, label))
}

fn is_folder(path: &Path, label: &str) -> Result<bool> {
    std::fs::metadata(path)
        .map(|m| m.is_dir())
        .map_err(|e| io_error(&e, label))
}

fn io_error(e: &std::io::Error, label: &str) -> Error {
    match e.kind() {
        std::io::ErrorKind::NotFound => Error::FileMissing {
            path: label.to_string(),
        },
        _ => damaged(label, format!("it can't be read ({e})")),
    }
}

fn read_archive(source: Source, label: &str) -> Result<ModelFile> {
    let mut archive = archive::Archive::open(source, label)?;
    if !archive.has(CONFIG) {
        if archive.names().any(|n| n.ends_with("saved_model.pb")) {
            return Err(saved_model(label));
        }
        return Err(not_a_model(
            label,
            "it is a zip archive without a 'config.json'",
        ));
    }
    let config = archive.read(CONFIG)?;
    let metadata = match archive.has(METADATA) {
        true => Some(archive.read(METADATA)?),
        false => None,
    };
    let weights = if archive.has(WEIGHTS_H5) {
        Some(hdf5::read_weights(archive.member(WEIGHTS_H5)?, label)?)
    } else {
        no_npz(archive.has(WEIGHTS_NPZ), label)?;
        None
    };
    let mut assets = Assets::new();
    let names: Vec<String> = archive
        .names()
        .filter(|n| n.starts_with(ASSETS) && !n.ends_with('/'))
        .map(str::to_string)
        .collect();
    for name in names {
        let data = archive.read(&name)?;
        assets.insert(name[ASSETS.len()..].to_string(), Arc::from(&data[..]));
    }
    let file = members(&config, metadata.as_deref(), weights, assets, label)?;
    require_weights(file, label)
}

fn read_folder(path: &Path, label: &str) -> Result<ModelFile> {
    let exists = |name: &str| path.join(name).is_file();
    let member = |name: &str| read_file(&path.join(name), label);
    if !exists(CONFIG) {
        if exists("saved_model.pb") {
            return Err(saved_model(label));
        }
        return Err(not_a_model(label, "it is a folder without a 'config.json'"));
    }
    let metadata = match exists(METADATA) {
        true => Some(member(METADATA)?),
        false => None,
    };
    let weights = if exists(WEIGHTS_H5) {
        let weights = open(&path.join(WEIGHTS_H5), label)?;
        Some(hdf5::read_weights(weights, label)?)
    } else {
        no_npz(exists(WEIGHTS_NPZ), label)?;
        None
    };
    let mut assets = Assets::new();
    if path.join(ASSETS).is_dir() {
        folder_assets(&path.join(ASSETS), "", 0, &mut assets, label)?;
    }
    let config = member(CONFIG)?;
    let file = members(&config, metadata.as_deref(), weights, assets, label)?;
    require_weights(file, label)
}

/// Folders inside `assets/` deeper than this are no layer's.
const MAX_ASSET_DEPTH: usize = 64;

fn folder_assets(
    folder: &Path,
    prefix: &str,
    depth: usize,
    out: &mut Assets,
    label: &str,
) -> Result<()> {
    if depth > MAX_ASSET_DEPTH {
        return Err(damaged(label, "its assets are nested too deeply"));
    }
    for entry in std::fs::read_dir(folder).map_err(|e| io_error(&e, label))? {
        let entry = entry.map_err(|e| io_error(&e, label))?;
        let kind = entry.file_type().map_err(|e| io_error(&e, label))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            folder_assets(&entry.path(), &format!("{name}/"), depth + 1, out, label)?;
        } else if kind.is_file() {
            let data = read_file(&entry.path(), label)?;
            out.insert(name, Arc::from(&data[..]));
        }
    }
    Ok(())
}

fn members(
    config: &[u8],
    metadata: Option<&[u8]>,
    weights: Option<Weights>,
    assets: Assets,
    label: &str,
) -> Result<ModelFile> {
    let no_json =
        |name: &str, e| damaged(label, format!("'{name}' is no JSON: {}", json::place(&e)));
    let config = json::parse(config).map_err(|e| no_json(CONFIG, e))?;
    require_model(&config, label)?;
    let keras_version = match metadata {
        Some(text) => json::parse(text)
            .map_err(|e| no_json(METADATA, e))?
            .get("keras_version")
            .and_then(|v| v.as_str().map(str::to_string)),
        None => None,
    };
    Ok(ModelFile {
        config,
        keras_version,
        backend: None,
        weights,
        assets,
    })
}

fn require_weights(file: ModelFile, label: &str) -> Result<ModelFile> {
    match file.weights {
        Some(_) => Ok(file),
        None => Err(damaged(
            label,
            format!("it has no '{WEIGHTS_H5}', so its weights are lost"),
        )),
    }
}

fn no_npz(present: bool, label: &str) -> Result<()> {
    match present {
        true => Err(unknown_format(
            label,
            format!(
                "its weights are pickled Python objects ('{WEIGHTS_NPZ}'), which Keras itself \
                 doesn't read back; save the model again with weights_format 'h5'"
            ),
        )),
        false => Ok(()),
    }
}

/// The architecture as text, which may be a JSON string of JSON.
fn read_text(bytes: &[u8], label: &str) -> Result<ModelFile> {
    let no_json = |e| not_a_model(label, format!("it is no JSON: {}", json::place(&e)));
    let mut config = json::parse(bytes).map_err(|e| match e.is_eof() {
        true => damaged(
            label,
            format!("its JSON ends too early, in line {}", e.line()),
        ),
        false => no_json(e),
    })?;
    if let Json::String(inner) = &config {
        config = json::parse(inner.as_bytes()).map_err(no_json)?;
    }
    require_model(&config, label)?;
    let text = |key| config.get(key).and_then(Json::as_str).map(str::to_string);
    Ok(ModelFile {
        keras_version: text("keras_version"),
        backend: text("backend"),
        config,
        weights: None,
        assets: Assets::new(),
    })
}

/// A serialized Keras object has its class and its config.
fn require_model(config: &Json, label: &str) -> Result<()> {
    let has = |key| config.get(key).is_some();
    match has("class_name") && has("config") {
        true => Ok(()),
        false => Err(not_a_model(
            label,
            "its JSON has no 'class_name' and 'config'",
        )),
    }
}

fn saved_model(label: &str) -> Error {
    unknown_format(
        label,
        "it is a TensorFlow SavedModel, which holds a compiled program rather than layers; \
         load it in Python and save the Keras model with `model.save(\"model.keras\")`",
    )
}

fn no_weights(label: &str) -> Error {
    not_a_model(label, "it holds no weights")
}

fn not_a_model(label: &str, reason: impl Into<String>) -> Error {
    Error::NotAModel {
        path: label.to_string(),
        reason: reason.into(),
    }
}

fn damaged(label: &str, reason: impl Into<String>) -> Error {
    Error::Damaged {
        path: label.to_string(),
        reason: reason.into(),
    }
}

fn unknown_format(label: &str, reason: impl Into<String>) -> Error {
    Error::UnknownFormat {
        path: label.to_string(),
        reason: reason.into(),
    }
}
