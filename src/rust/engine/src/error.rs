//! The one error type of the engine.
//!
//! Errors carry data, not only text: the R side turns `kind`, `message` and
//! `data` into a classed condition.

use std::fmt;

/// A layer (or operation) that this engine can't run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The layer's path in the model.
    pub name: String,
    /// Its Keras class, such as `Conv2D`.
    pub class: String,
    /// What can be done about it, in one sentence.
    pub hint: String,
    /// The name of a function of the caller that could stand in for it.
    pub key: Option<String>,
}

/// Everything that can go wrong between a file and its predictions.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// There is no file (or folder) at `path`.
    FileMissing { path: String },
    /// The bytes are not a Keras model at all.
    NotAModel { path: String, reason: String },
    /// A Keras model whose bytes are incomplete or inconsistent.
    Damaged { path: String, reason: String },
    /// A format or a version of it that is not known.
    UnknownFormat { path: String, reason: String },
    /// A file can't be written.
    CantWrite { path: String, reason: String },
    /// Layers that the form to save in doesn't have, all of them.
    CantSave { layers: Vec<String> },
    /// Layers that can't be run, all of them.
    UnsupportedLayers { layers: Vec<Unsupported> },
    /// A config key that would be ignored, which could make predictions wrong.
    UnknownKey {
        layer: String,
        class: String,
        key: String,
        value: String,
    },
    /// A config value of the wrong kind.
    BadConfig {
        layer: String,
        class: String,
        key: String,
        expected: String,
        given: String,
    },
    /// A stored weight that is missing or has another shape or dtype.
    BadWeight {
        layer: String,
        weight: String,
        expected: String,
        given: String,
    },
    /// The model has an architecture only.
    NoWeights,
    /// A function of the caller that stands for a layer failed.
    Custom {
        layer: String,
        class: String,
        reason: String,
    },
    /// A function of the caller gave something else than it did for zeros.
    CustomOutput {
        layer: String,
        class: String,
        expected: String,
        given: String,
    },
    /// Tensors that no model can be made of.
    BadGraph { message: String },
    /// Shapes or dtypes that a layer can't take, found while lowering.
    Lowering { layer: String, message: String },
    /// Values that a layer can't take, found while running.
    Values { layer: String, message: String },
    /// Arguments of a layer's or operation's call that can't be used.
    Call { layer: String, message: String },
    /// Model inputs of the wrong number, shape or dtype.
    BadInput {
        input: String,
        expected: String,
        given: String,
    },
    /// More memory than there is.
    Memory {
        layer: String,
        /// What it is for, such as a tensor of some shape.
        what: String,
        bytes: usize,
        /// What there is, where that is known.
        available: Option<usize>,
    },
    /// An index that a lookup layer has no row for, found while running.
    Index {
        layer: String,
        index: i64,
        size: usize,
    },
    /// A value that a table without a place for unknown ones does not hold, found
    /// while running.
    OutOfVocabulary { layer: String, value: String },
    /// The user asked to stop.
    Interrupted,
    /// A defect of the engine.
    Internal { message: String },
}

/// The engine's result type.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A defect of the engine, to be reported.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::Internal {
            message: message.into(),
        }
    }

    /// The same, of a layer where it asks for memory for none.
    pub fn in_layer(mut self, name: &str) -> Self {
        if let Error::Memory { layer, .. } = &mut self {
            if layer.is_empty() {
                *layer = name.to_string();
            }
        }
        self
    }

    /// A short name for the kind of error; the R condition class is
    /// `keraspredict_error_<kind>`.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::FileMissing { .. } => "file_missing",
            Error::NotAModel { .. } => "not_a_model",
            Error::Damaged { .. } => "damaged_file",
            Error::UnknownFormat { .. } => "unknown_format",
            Error::CantWrite { .. } => "cant_write",
            Error::CantSave { .. } => "cant_save",
            Error::UnsupportedLayers { .. } => "unsupported_layers",
            Error::UnknownKey { .. } => "unknown_config_key",
            Error::BadConfig { .. } => "bad_config",
            Error::BadWeight { .. } => "bad_weight",
            Error::NoWeights => "no_weights",
            Error::Custom { .. } => "custom_function",
            Error::CustomOutput { .. } => "custom_output",
            Error::BadGraph { .. } => "bad_graph",
            Error::Lowering { .. } => "shape",
            Error::Values { .. } => "values",
            Error::Call { .. } => "call",
            Error::BadInput { .. } => "bad_input",
            Error::Memory { .. } => "memory",
            Error::Index { .. } => "index",
            Error::OutOfVocabulary { .. } => "out_of_vocabulary",
            Error::Interrupted => "interrupted",
            Error::Internal { .. } => "internal",
        }
    }

    /// Whether it may come of the sizes that a model is lowered for.
    pub fn is_of_sizes(&self) -> bool {
        matches!(
            self,
            Error::Lowering { .. } | Error::Call { .. } | Error::Internal { .. }
        )
    }

    /// The error's fields as name and text, for the condition object.
    pub fn data(&self) -> Vec<(&'static str, String)> {
        match self {
            Error::FileMissing { path } => vec![("path", path.clone())],
            Error::NotAModel { path, reason }
            | Error::Damaged { path, reason }
            | Error::UnknownFormat { path, reason }
            | Error::CantWrite { path, reason } => {
                vec![("path", path.clone()), ("reason", reason.clone())]
            }
            Error::CantSave { layers } => vec![("layers", layers.join("\n"))],
            Error::UnsupportedLayers { layers } => {
                let join = |f: fn(&Unsupported) -> &str| {
                    let parts: Vec<&str> = layers.iter().map(f).collect();
                    parts.join("\n")
                };
                vec![
                    ("layers", join(|l| &l.name)),
                    ("classes", join(|l| &l.class)),
                    ("hints", join(|l| &l.hint)),
                    ("functions", join(|l| l.key.as_deref().unwrap_or_default())),
                ]
            }
            Error::UnknownKey {
                layer,
                class,
                key,
                value,
            } => vec![
                ("layer", layer.clone()),
                ("class_name", class.clone()),
                ("key", key.clone()),
                ("given", value.clone()),
            ],
            Error::BadConfig {
                layer,
                class,
                key,
                expected,
                given,
            } => vec![
                ("layer", layer.clone()),
                ("class_name", class.clone()),
                ("key", key.clone()),
                ("expected", expected.clone()),
                ("given", given.clone()),
            ],
            Error::BadWeight {
                layer,
                weight,
                expected,
                given,
            } => vec![
                ("layer", layer.clone()),
                ("weight", weight.clone()),
                ("expected", expected.clone()),
                ("given", given.clone()),
            ],
            Error::Custom {
                layer,
                class,
                reason,
            } => vec![
                ("layer", layer.clone()),
                ("class_name", class.clone()),
                ("reason", reason.clone()),
            ],
            Error::CustomOutput {
                layer,
                class,
                expected,
                given,
            } => vec![
                ("layer", layer.clone()),
                ("class_name", class.clone()),
                ("expected", expected.clone()),
                ("given", given.clone()),
            ],
            Error::Lowering { layer, message }
            | Error::Values { layer, message }
            | Error::Call { layer, message } => {
                vec![("layer", layer.clone()), ("reason", message.clone())]
            }
            Error::BadInput {
                input,
                expected,
                given,
            } => vec![
                ("input", input.clone()),
                ("expected", expected.clone()),
                ("given", given.clone()),
            ],
            Error::Memory {
                layer,
                what,
                bytes,
                available,
            } => vec![
                ("layer", layer.clone()),
                ("what", what.clone()),
                ("bytes", bytes.to_string()),
                (
                    "available",
                    available.map_or(String::new(), |n| n.to_string()),
                ),
            ],
            Error::Index { layer, index, size } => vec![
                ("layer", layer.clone()),
                ("index", index.to_string()),
                ("size", size.to_string()),
            ],
            Error::OutOfVocabulary { layer, value } => {
                vec![("layer", layer.clone()), ("value", value.clone())]
            }
            Error::NoWeights
            | Error::BadGraph { .. }
            | Error::Interrupted
            | Error::Internal { .. } => vec![],
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::FileMissing { path } => write!(f, "there is no file at '{path}'"),
            Error::NotAModel { path, reason } => {
                write!(f, "'{path}' is not a Keras model: {reason}")
            }
            Error::Damaged { path, reason } => write!(f, "'{path}' is damaged: {reason}"),
            Error::UnknownFormat { path, reason } => {
                write!(f, "'{path}' has an unknown format: {reason}")
            }
            Error::CantWrite { path, reason } => write!(f, "can't write '{path}': {reason}"),
            Error::CantSave { layers } => {
                write!(f, "Keras 3 has no layers like these: {}", layers.join(", "))
            }
            Error::UnsupportedLayers { layers } => {
                write!(f, "the model has layers that are not supported:")?;
                for l in layers {
                    write!(f, "\n  {} ({}): {}", l.name, l.class, l.hint)?;
                }
                Ok(())
            }
            Error::UnknownKey {
                layer,
                class,
                key,
                value,
            } => write!(
                f,
                "layer '{layer}' ({class}): config key '{key}' = {value} is not known"
            ),
            Error::BadConfig {
                layer,
                class,
                key,
                expected,
                given,
            } => write!(
                f,
                "layer '{layer}' ({class}): config key '{key}' must be {expected}, not {given}"
            ),
            Error::BadWeight {
                layer,
                weight,
                expected,
                given,
            } => write!(
                f,
                "layer '{layer}': weight '{weight}' must be {expected}, not {given}"
            ),
            Error::NoWeights => write!(f, "the model has no weights; load them first"),
            Error::Custom {
                layer,
                class,
                reason,
            } => write!(
                f,
                "layer '{layer}' ({class}): its function failed: {reason}"
            ),
            Error::CustomOutput {
                layer,
                class,
                expected,
                given,
            } => write!(
                f,
                "layer '{layer}' ({class}): its function must give {expected}, not {given}"
            ),
            Error::BadGraph { message } => write!(f, "{message}"),
            Error::Lowering { layer, message }
            | Error::Values { layer, message }
            | Error::Call { layer, message } => {
                write!(f, "layer '{layer}': {message}")
            }
            Error::BadInput {
                input,
                expected,
                given,
            } => write!(f, "input '{input}' must be {expected}, not {given}"),
            Error::Memory {
                layer,
                what,
                bytes,
                available,
            } => {
                if !layer.is_empty() {
                    write!(f, "layer '{layer}': ")?;
                }
                write!(f, "{what} takes {bytes} bytes of memory")?;
                match available {
                    Some(n) => write!(f, ", and {n} are available"),
                    None => Ok(()),
                }
            }
            Error::Index { layer, index, size } => write!(
                f,
                "layer '{layer}': index {index} is outside of 0 to {}",
                size.saturating_sub(1)
            ),
            Error::OutOfVocabulary { layer, value } => write!(
                f,
                "layer '{layer}': {value} is not in its vocabulary, which has no index for unknown values"
            ),
            Error::Interrupted => write!(f, "interrupted"),
            Error::Internal { message } => write!(f, "internal error: {message}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_and_where() {
        let s = |text: &str| text.to_string();
        let (path, layer, class) = (|| s("m.keras"), || s("dense"), || s("Dense"));
        let memory = |layer: String, available| Error::Memory {
            layer,
            what: s("a buffer"),
            bytes: 800,
            available,
        };
        let cases = [
            (
                Error::FileMissing { path: path() },
                "there is no file at 'm.keras'",
            ),
            (
                Error::NotAModel {
                    path: path(),
                    reason: s("it is empty"),
                },
                "'m.keras' is not a Keras model: it is empty",
            ),
            (
                Error::Damaged {
                    path: path(),
                    reason: s("it is cut short"),
                },
                "'m.keras' is damaged: it is cut short",
            ),
            (
                Error::UnknownFormat {
                    path: path(),
                    reason: s("it is encrypted"),
                },
                "'m.keras' has an unknown format: it is encrypted",
            ),
            (
                Error::CantWrite {
                    path: path(),
                    reason: s("no space"),
                },
                "can't write 'm.keras': no space",
            ),
            (
                Error::CantSave {
                    layers: vec![layer(), s("mixed")],
                },
                "Keras 3 has no layers like these: dense, mixed",
            ),
            (
                Error::UnsupportedLayers {
                    layers: vec![Unsupported {
                        name: layer(),
                        class: class(),
                        hint: s("is not known"),
                        key: None,
                    }],
                },
                "the model has layers that are not supported:\n  dense (Dense): is not known",
            ),
            (
                Error::UnknownKey {
                    layer: layer(),
                    class: class(),
                    key: s("odd"),
                    value: s("3"),
                },
                "layer 'dense' (Dense): config key 'odd' = 3 is not known",
            ),
            (
                Error::BadConfig {
                    layer: layer(),
                    class: class(),
                    key: s("units"),
                    expected: s("a whole number"),
                    given: s("0.5"),
                },
                "layer 'dense' (Dense): config key 'units' must be a whole number, not 0.5",
            ),
            (
                Error::BadWeight {
                    layer: layer(),
                    weight: s("kernel"),
                    expected: s("of shape (2, 3)"),
                    given: s("(2, 4)"),
                },
                "layer 'dense': weight 'kernel' must be of shape (2, 3), not (2, 4)",
            ),
            (
                Error::NoWeights,
                "the model has no weights; load them first",
            ),
            (
                Error::Custom {
                    layer: layer(),
                    class: class(),
                    reason: s("it is late"),
                },
                "layer 'dense' (Dense): its function failed: it is late",
            ),
            (
                Error::CustomOutput {
                    layer: layer(),
                    class: class(),
                    expected: s("float32 (2, 3)"),
                    given: s("float32 (2, 4)"),
                },
                "layer 'dense' (Dense): its function must give float32 (2, 3), not float32 (2, 4)",
            ),
            (
                Error::Call {
                    layer: layer(),
                    message: s("expected a tensor"),
                },
                "layer 'dense': expected a tensor",
            ),
            (
                Error::BadInput {
                    input: s("x"),
                    expected: s("float32 (2, 3)"),
                    given: s("text"),
                },
                "input 'x' must be float32 (2, 3), not text",
            ),
            (
                memory(layer(), Some(300)),
                "layer 'dense': a buffer takes 800 bytes of memory, and 300 are available",
            ),
            (
                memory(String::new(), None),
                "a buffer takes 800 bytes of memory",
            ),
            (
                Error::Index {
                    layer: layer(),
                    index: 7,
                    size: 5,
                },
                "layer 'dense': index 7 is outside of 0 to 4",
            ),
            (
                Error::OutOfVocabulary {
                    layer: layer(),
                    value: s("\"cat\""),
                },
                "layer 'dense': \"cat\" is not in its vocabulary, which has no index for unknown \
                 values",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
