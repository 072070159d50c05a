#' Load a model that Keras saved
#'
#' Reads a whole model, saved by Keras from Python or from R, into the native
#' engine. The kind of file is found from its content, not from its name.
#'
#' @param model The model: the path of a `.keras` file (or of the folder it was
#'   unzipped to), or of an `.h5` or `.hdf5` file; a raw vector with the bytes of
#'   such a file; or a live model of keras3, Keras or tf_keras in Python.
#' @param custom_objects `NULL`, or a named list of R functions that stand in for
#'   layers and activations of your own, whose code is not in the file: see
#'   [register_layer()]. Without them, such a model is refused, with the names of
#'   all these layers.
#' @param compile Accepted as in keras3. Nothing is compiled: the engine
#'   predicts and doesn't train.
#' @param safe_mode Accepted as in keras3. No code that a file holds is ever
#'   run.
#' @returns A model: a function of class `keraspredict_model`. See
#'   [`predict()`][predict.keraspredict_model] for predictions in batches and
#'   [call_model] for the model as a function.
#'
#' A model can be saved with [saveRDS()] and sent to workers of parallel back
#' ends, like any other R object.
#' @section Errors:
#' Errors are conditions of class `keraspredict_error`, and of one of:
#' * `keraspredict_error_file_missing`: there is no such file.
#' * `keraspredict_error_not_a_model`: the file is something else.
#' * `keraspredict_error_damaged_file`: the file is incomplete or inconsistent.
#' * `keraspredict_error_unknown_format`: a kind, or a version, that isn't known.
#' * `keraspredict_error_unsupported_layers`: the model has layers that can't be
#'   run; all of them are listed.
#' * `keraspredict_error_unknown_config_key`: a layer has an option that isn't
#'   known, and the predictions could be wrong without it.
#' * `keraspredict_error_bad_config`, `keraspredict_error_bad_weight`: an option or a
#'   weight of a layer isn't what the layer takes.
#' * `keraspredict_error_shape`, `keraspredict_error_call`: a layer can't take what
#'   the model gives it, or is called in a way that can't be run. Where sizes of the
#'   input are open, `predict()` raises them.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' model
#' predict(model, as.matrix(iris[1:3, 1:4]), verbose = 0)
load_model <- function(
  model,
  custom_objects = NULL,
  compile = TRUE,
  safe_mode = TRUE
) {
  if (missing(model)) {
    abort(
      "bad_argument",
      "`model` is missing: it must be the path of a model file.",
      arg = "model"
    )
  }
  check_custom_objects(custom_objects, "custom_objects")
  check_flag(compile, "compile")
  check_flag(safe_mode, "safe_mode")
  new_model(load_handle(model, known_functions(custom_objects)))
}

#' @rdname load_model
#' @param filepath The path of a file with the JSON of a model's config, as
#'   [save_model_config()] writes it.
#' @description
#' `load_model_config()` reads an architecture, for [load_model_weights()].
#' @export
load_model_config <- function(filepath, custom_objects = NULL) {
  check_custom_objects(custom_objects, "custom_objects")
  new_model(load_handle(
    check_path(filepath),
    known_functions(custom_objects)
  ))
}

load_handle <- function(model, functions) {
  if (is.raw(model)) {
    return(checked(engine_load_raw(model, "the raw vector", functions)))
  }
  if (inherits(model, "keraspredict_model")) {
    return(model_handle(environment(model)))
  }
  if (is_live_model(model)) {
    file <- save_live_model(model)
    on.exit(unlink(file))
    return(checked(engine_load(file, functions)))
  }
  check_text(model, "model", "the path of a model file")
  checked(engine_load(enc2utf8(path.expand(model)), functions))
}

# A model is a function whose environment holds:
# * handle: the engine's model; it becomes bytes when R saves it.
# * info: what the R side needs to know of it.
# * stop_predicting: as in Keras, set by callbacks.
new_model <- function(handle) {
  self <- new.env(parent = topenv())
  self$self <- self
  self$handle <- handle
  info <- checked(engine_info(handle))
  for (i in seq_along(info$inputs)) {
    info$inputs[[i]]$float <- grepl("float|complex", info$inputs[[i]]$dtype)
  }
  self$info <- info
  self$stop_predicting <- FALSE
  model <- function(x, training = NULL, mask = NULL) {
    call_model(self, x, training, mask)
  }
  environment(model) <- self
  class(model) <- model_class(self$info$class)
  model
}

model_class <- function(keras_class) {
  kind <- switch(
    keras_class,
    Sequential = "keras.src.models.sequential.Sequential",
    "keras.src.models.functional.Functional"
  )
  c("keraspredict_model", kind, "keras.src.models.model.Model", "function")
}

# The engine's handle, made anew where R has saved it as plain bytes.
model_handle <- function(self) {
  if (!engine_is_handle(self$handle)) {
    functions <- checked(engine_functions(self$handle))
    self$handle <- checked(engine_load_raw(
      self$handle,
      "the saved model",
      functions
    ))
  }
  self$handle
}

#' The parts of a model
#'
#' `model$name` reads one of:
#'
#' * `name`, `class_name`: the model's name and class.
#' * `layers`: a list of its layers: see [get_layer()].
#' * `inputs`, `outputs`: lists of the tensors that it takes and gives, for
#'   [keras_model()]; `input`, `output`: the same in the model's structure.
#' * `input_names`, `output_names`: names of inputs and outputs.
#' * `input_shape`, `output_shape`: their shapes, with `NA` for open sizes (a
#'   list where there are several).
#' * `input_dtype`: the type of the inputs.
#' * `trainable`: whether training would have changed its weights.
#' * `params`, `count_params()`: the number of weights.
#' * `weights`, `get_weights()`: a list of their arrays.
#' * `get_layer()`, `get_config()`: as the functions of these names.
#' * `to_json()`: the model's config as JSON text.
#' * `summary()`: prints the table of layers.
#' * `predict()`, `predict_on_batch()`, `compile()`, `evaluate()`: as the functions
#'   of these names.
#' * `save()`, `save_weights()`, `load_weights()`: [save_model()],
#'   [save_model_weights()] and [load_model_weights()]; the first two write over a
#'   file that is there.
#' * `stop_predicting`: can be set to `TRUE` by a callback, which ends the
#'   prediction after the batch.
#'
#' @param x A model.
#' @param name,value What is read or set.
#' @returns The part; for `$<-`, the model.
#' @name model-parts
#' @keywords internal
NULL

#' @rdname model-parts
#' @export
`$.keraspredict_model` <- function(x, name) {
  self <- environment(x)
  part <- model_parts[[name]]
  if (is.null(part) && name %in% training_parts) {
    abort(
      "unknown_part",
      paste0("A model has no part `", name, "`."),
      c(i = "Models of this package predict; training them stays with Keras."),
      part = name
    )
  }
  if (is.null(part)) {
    abort_part("A model", name, names(model_parts), "`model-parts`")
  }
  part(self, x)
}

#' @rdname model-parts
#' @export
`[[.keraspredict_model` <- function(x, name) {
  `$.keraspredict_model`(x, name)
}

#' @rdname model-parts
#' @export
`$<-.keraspredict_model` <- function(x, name, value) {
  if (!identical(name, "stop_predicting")) {
    abort(
      "unknown_part",
      paste0("Can't set `", name, "` of a model."),
      c(i = "Only `stop_predicting` can be set."),
      part = name
    )
  }
  assign(
    "stop_predicting",
    check_flag(value, "stop_predicting"),
    envir = environment(x)
  )
  x
}

#' @rawNamespace S3method(utils::.DollarNames, keraspredict_model)
.DollarNames.keraspredict_model <- function(x, pattern = "") {
  grep(pattern, names(model_parts), value = TRUE)
}

one_or_list <- function(x) {
  if (length(x) == 1) x[[1]] else x
}

model_parts <- list(
  name = function(self, model) self$info$name,
  class_name = function(self, model) self$info$class,
  layers = function(self, model) model_layers(self),
  inputs = function(self, model) flatten_tensors(model_ends(self, "inputs")),
  outputs = function(self, model) flatten_tensors(model_ends(self, "outputs")),
  input = function(self, model) model_ends(self, "inputs"),
  output = function(self, model) model_ends(self, "outputs"),
  input_names = function(self, model) {
    vapply(self$info$inputs, `[[`, "", "name")
  },
  output_names = function(self, model) self$info$output_names,
  input_shape = function(self, model) {
    one_or_list(lapply(self$info$inputs, `[[`, "shape"))
  },
  output_shape = function(self, model) {
    one_or_list(checked(engine_output_shapes(model_handle(self))))
  },
  input_dtype = function(self, model) {
    one_or_list(lapply(self$info$inputs, `[[`, "dtype"))
  },
  trainable = function(self, model) !isFALSE(get_config(model)$trainable),
  params = function(self, model) model_counts(self)[["total"]],
  count_params = function(self, model) {
    function() model_counts(self)[["total"]]
  },
  weights = function(self, model) get_weights(model),
  get_weights = function(self, model) function() get_weights(model),
  get_config = function(self, model) function() get_config(model),
  get_layer = function(self, model) {
    function(name = NULL, index = NULL) get_layer(model, name, index)
  },
  to_json = function(self, model) {
    function() checked(engine_json(model_handle(self)))
  },
  summary = function(self, model) function(...) summary(model, ...),
  predict = function(self, model) function(x, ...) predict(model, x, ...),
  predict_on_batch = function(self, model) {
    function(x) predict_on_batch(model, x)
  },
  save = function(self, model) {
    function(filepath, overwrite = TRUE, ...) {
      save_model(model, filepath, overwrite = overwrite, ...)
    }
  },
  save_weights = function(self, model) {
    function(filepath, overwrite = TRUE) {
      save_model_weights(model, filepath, overwrite)
    }
  },
  load_weights = function(self, model) {
    function(filepath, ...) load_model_weights(model, filepath, ...)
  },
  evaluate = function(self, model) function(...) evaluate(model, ...),
  compile = function(self, model) function(...) compile(model, ...),
  stop_predicting = function(self, model) self$stop_predicting
)

# What models of Keras have that is of no use without training.
training_parts <- c(
  "fit",
  "train_on_batch",
  "test_on_batch",
  "add",
  "add_loss",
  "pop",
  "optimizer",
  "loss",
  "losses",
  "metrics",
  "set_weights",
  "stop_training"
)

#' Model files that come with the package
#'
#' Three small models, trained with Keras on real data, for examples and tests.
#'
#' @param name The name of a model, such as `"iris"`, or of a file. `NULL` lists
#'   the files.
#' @returns The path of the file, for [load_model()]; with `NULL`, the names of
#'   all files.
#' @export
#' @examples
#' keraspredict_example()
#' load_model(keraspredict_example("iris"))
keraspredict_example <- function(name = NULL) {
  dir <- system.file("extdata", package = "keraspredict")
  files <- list.files(dir)
  if (is.null(name)) {
    return(files)
  }
  if (!(is.character(name) && length(name) == 1 && !is.na(name))) {
    abort(
      "bad_argument",
      paste0("`name` must be NULL or a name, not ", show_value(name), "."),
      arg = "name"
    )
  }
  file <- intersect(c(name, paste0(name, c(".keras", ".h5"))), files)
  if (length(file) == 0) {
    abort(
      "bad_argument",
      paste0("There is no example '", name, "'."),
      c(i = paste0("There are ", enumerate(files, "'"), ".")),
      arg = "name"
    )
  }
  file.path(dir, file[[1]])
}
