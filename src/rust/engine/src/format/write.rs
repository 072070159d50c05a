//! Writes the files of Keras 3.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::hdf5_write::{self, Group};
use super::{
    no_weights, ModelFile, StoredWeight, WeightTree, Weights, ASSETS, CONFIG, METADATA, WEIGHTS_H5,
};
use crate::error::{Error, Result};

/// Members of an archive above this size need the larger form of its headers.
const LARGE: u64 = u32::MAX as u64;

/// Writes a model as a `.keras` archive, or as a folder with its members.
///
/// # Errors
/// `NotAModel` where there are no weights, `CantWrite` where the target can't be written.
pub fn write_keras(file: &ModelFile, path: &Path, zipped: bool) -> Result<()> {
    let tree = tree_of(file, path)?;
    if !zipped {
        return write_folder(file, tree, path).map_err(|e| cant_write(&e, path));
    }
    replace(path, |target| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes(tree) > LARGE / 2);
        let mut zip = ZipWriter::new(BufWriter::new(target));
        for (name, text) in texts(file) {
            zip.start_file(name, options)?;
            zip.write_all(text.as_bytes())?;
        }
        zip.start_file(WEIGHTS_H5, options)?;
        hdf5_write::write(&group(tree), &mut zip)?;
        for (name, data) in &file.assets {
            zip.start_file(format!("{ASSETS}{name}"), options)?;
            zip.write_all(data)?;
        }
        zip.finish()?.flush()
    })
}

/// Writes a model's weights as `.weights.h5`.
///
/// # Errors
/// As [`write_keras`].
pub fn write_weights(file: &ModelFile, path: &Path) -> Result<()> {
    let tree = tree_of(file, path)?;
    replace(path, |target| {
        let mut out = BufWriter::new(target);
        hdf5_write::write(&group(tree), &mut out)?;
        out.flush()
    })
}

fn tree_of<'a>(file: &'a ModelFile, path: &Path) -> Result<&'a WeightTree> {
    match &file.weights {
        Some(Weights::Tree(tree)) => Ok(tree),
        Some(Weights::Legacy(_)) => Err(Error::internal("weights in the form of Keras 2")),
        None => Err(no_weights(&path.display().to_string())),
    }
}

fn write_folder(file: &ModelFile, tree: &WeightTree, path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    for (name, text) in texts(file) {
        std::fs::write(path.join(name), text)?;
    }
    let mut out = BufWriter::new(File::create(path.join(WEIGHTS_H5))?);
    hdf5_write::write(&group(tree), &mut out)?;
    out.flush()?;
    for (name, data) in &file.assets {
        let target = path.join(ASSETS).join(name);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(target, data)?;
    }
    Ok(())
}

/// The members that are text.
fn texts(file: &ModelFile) -> [(&'static str, String); 2] {
    let metadata = json!({"keras_version": file.keras_version});
    [
        (METADATA, metadata.to_string()),
        (CONFIG, super::json::text(&file.config)),
    ]
}

fn bytes(tree: &WeightTree) -> u64 {
    let own: u64 = tree
        .vars
        .iter()
        .map(|v| v.tensor.bytes().len() as u64)
        .sum();
    own + tree.children.values().map(bytes).sum::<u64>()
}

/// The groups of a store: those of its children, and `vars` with its own.
fn group(tree: &WeightTree) -> Group<'_> {
    let mut out = Group::default();
    for (name, child) in &tree.children {
        out.groups.push((name.clone(), group(child)));
    }
    if !tree.vars.is_empty() {
        let named = |v: &StoredWeight| v.name.clone();
        let vars = Group {
            datasets: tree.vars.iter().map(|v| (named(v), &*v.tensor)).collect(),
            groups: vec![],
        };
        out.groups.push(("vars".to_string(), vars));
    }
    out
}

/// Writes a file beside the target and puts it in its place when it is complete.
fn replace(path: &Path, write: impl FnOnce(File) -> io::Result<()>) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let done = File::create(&part)
        .and_then(write)
        .and_then(|()| std::fs::rename(&part, path));
    done.map_err(|e| {
        let _ = std::fs::remove_file(&part);
        cant_write(&e, path)
    })
}

fn cant_write(e: &io::Error, path: &Path) -> Error {
    Error::CantWrite {
        path: path.display().to_string(),
        reason: e.to_string(),
    }
}
