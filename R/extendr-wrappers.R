# Written by tools/document.R from the binding crate.

#' Loads a model from a file or folder; `functions` is a named list of R
#' functions that may stand in for layers, or NULL.
#' @noRd
engine_load <- function(path, functions) .Call(wrap__engine_load, path, functions)

#' Loads a model from the bytes of a file, or from a handle's.
#' @noRd
engine_load_raw <- function(bytes, label, functions) .Call(wrap__engine_load_raw, bytes, label, functions)

#' Writes a model as a `.keras` archive or folder.
#' @noRd
engine_save <- function(handle, path, zipped) .Call(wrap__engine_save, handle, path, zipped)

#' Writes a model's weights as `.weights.h5`.
#' @noRd
engine_save_weights <- function(handle, path) .Call(wrap__engine_save_weights, handle, path)

#' The model with the weights of a file: list(handle, skipped).
#' @noRd
engine_load_weights <- function(handle, path, skip_mismatch) .Call(wrap__engine_load_weights, handle, path, skip_mismatch)

#' Whether a model's handle can be used as it is.
#' @noRd
engine_is_handle <- function(handle) .Call(wrap__engine_is_handle, handle)

#' What R wants to know of a model before it predicts.
#' @noRd
engine_info <- function(handle) .Call(wrap__engine_info, handle)

#' The number of missing values of a vector.
#' @noRd
engine_count_na <- function(x) .Call(wrap__engine_count_na, x)

#' Sets the states of stateful layers to zero.
#' @noRd
engine_reset_state <- function(handle) .Call(wrap__engine_reset_state, handle)

#' The number of threads that predictions use; sets it where `n` isn't negative
#' (0 is the default), with the number of cores that the default keeps to.
#' @noRd
engine_threads <- function(n, cores) .Call(wrap__engine_threads, n, cores)

#' Keeps to one core where no option tells how many are this process', which is
#' one worker of several.
#' @noRd
engine_worker <- function() .Call(wrap__engine_worker)

#' How many characters go on a line of the terminal that R writes to, or 0 where
#' that isn't known.
#' @noRd
engine_columns <- function() .Call(wrap__engine_columns)

#' Times of the steps of one batch: list(layer, operation, seconds).
#' @noRd
engine_profile <- function(handle, x, dims, n, repeats) .Call(wrap__engine_profile, handle, x, dims, n, repeats)

#' Allocates the arrays of a prediction: list(arrays, nest).
#' @noRd
engine_prepare <- function(handle, x, dims, n, batch) .Call(wrap__engine_prepare, handle, x, dims, n, batch)

#' Predicts rows from..to (counted from 0) into the arrays.
#' @noRd
engine_run <- function(handle, x, dims, arrays, from, to, batch) .Call(wrap__engine_run, handle, x, dims, arrays, from, to, batch)

#' Predicts all rows as one batch: the array where the output is one, else
#' list(arrays, nest). `training` is NULL where the model's own calls decide.
#' @noRd
engine_batch <- function(handle, x, dims, n, training, seed) .Call(wrap__engine_batch, handle, x, dims, n, training, seed)

#' Starts to compute one batch while R goes on: list(task, arrays, nest), or NULL
#' where that isn't worth while, or needs R itself.
#' @noRd
engine_start <- function(handle, x, dims, n) .Call(wrap__engine_start, handle, x, dims, n)

#' Waits for what was started, but not longer than `seconds`: whether it has ended.
#' @noRd
engine_wait <- function(started, seconds) .Call(wrap__engine_wait, started, seconds)

#' Ends what was started, done or not.
#' @noRd
engine_end <- function(started) .Call(wrap__engine_end, started)

#' Predicts the rows of a plain array of doubles as one batch, the usual case of
#' few rows: the array, or NULL where the model or the input isn't that simple,
#' there are no rows or more than `most`, or the engine is to be told of options.
#' @noRd
engine_array <- function(handle, x, most, training) .Call(wrap__engine_array, handle, x, most, training)

#' Binds arrays along their first axis.
#' @noRd
engine_bind <- function(arrays) .Call(wrap__engine_bind, arrays)

#' Rows from..to (counted from 0) of an array.
#' @noRd
engine_rows <- function(array, from, to) .Call(wrap__engine_rows, array, from, to)

#' The layers and the counts of a model.
#' @noRd
engine_summary <- function(handle) .Call(wrap__engine_summary, handle)

#' The shapes of a model's outputs, with NA for open sizes.
#' @noRd
engine_output_shapes <- function(handle) .Call(wrap__engine_output_shapes, handle)

#' The R functions that a model's handle keeps.
#' @noRd
engine_functions <- function(handle) .Call(wrap__engine_functions, handle)

#' The layers of a model with their calls and the tensors of these.
#' @noRd
engine_layers <- function(handle) .Call(wrap__engine_layers, handle)

#' The tensors that a model takes and gives, and which graph they are of.
#' @noRd
engine_ends <- function(handle) .Call(wrap__engine_ends, handle)

#' A text that is equal for tensors of one graph, in this session.
#' @noRd
engine_graph_id <- function(handle) .Call(wrap__engine_graph_id, handle)

#' The model between some tensors of a model.
#' @noRd
engine_between <- function(handle, name, inputs, outputs) .Call(wrap__engine_between, handle, name, inputs, outputs)

#' A nested model as a model of its own.
#' @noRd
engine_nested <- function(handle, layer) .Call(wrap__engine_nested, handle, layer)

#' The config of a model (where `layer` is NULL) or of one of its layers.
#' @noRd
engine_config <- function(handle, layer) .Call(wrap__engine_config, handle, layer)

#' The JSON text of a model.
#' @noRd
engine_json <- function(handle) .Call(wrap__engine_json, handle)

#' The weights of a model (where `layer` is NULL) or of one of its layers.
#' @noRd
engine_weights <- function(handle, layer) .Call(wrap__engine_weights, handle, layer)

#' The vocabulary of a layer, where it has one: list(terms, how many are special).
#' @noRd
engine_vocabulary <- function(handle, layer) .Call(wrap__engine_vocabulary, handle, layer)

#' The engine's table of layers.
#' @noRd
engine_supported_layers <- function() .Call(wrap__engine_supported_layers)

#' The engine's table of operations.
#' @noRd
engine_supported_ops <- function() .Call(wrap__engine_supported_ops)
