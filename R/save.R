#' Save a model
#'
#' Writes a model as Keras 3 does, so that Keras, in Python or from R, loads it
#' and predicts the same. A model that was read from a file of Keras 1 or 2 is
#' written in the form of Keras 3.
#'
#' @param model A model, see [load_model()].
#' @param filepath Where to: a path that ends in `.keras`; for
#'   `save_model_weights()` one that ends in `.weights.h5`, for
#'   `save_model_config()` in `.json`. With `NULL`, the bytes of the file are
#'   returned as a raw vector, the config as text.
#' @param overwrite Whether a file that is there already may be replaced.
#' @param zipped `FALSE` writes a folder with the members of the archive.
#' @param ... Not used.
#' @returns The model, invisibly; without a path, `save_model()` a raw vector and
#'   `save_model_config()` a string.
#' @section Errors:
#' Besides those of [load_model()]: `keraspredict_error_file_exists` where a file
#' is there and `overwrite` is `FALSE`, `keraspredict_error_cant_write` where
#' writing fails, `keraspredict_error_cant_save` where the model has layers that
#' Keras 3 doesn't have, such as LocallyConnected1D.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' file <- tempfile(fileext = ".keras")
#' save_model(model, file)
#' load_model(file)
save_model <- function(
  model,
  filepath = NULL,
  overwrite = FALSE,
  zipped = NULL,
  ...
) {
  check_model(model)
  check_no_more(...)
  check_flag(overwrite, "overwrite")
  if (!is.null(zipped)) {
    check_flag(zipped, "zipped")
  }
  handle <- model_handle(environment(model))
  if (is.null(filepath)) {
    file <- tempfile(fileext = ".keras")
    on.exit(unlink(file))
    checked(engine_save(handle, file, TRUE))
    return(readBin(file, "raw", file.size(file)))
  }
  folder <- isFALSE(zipped)
  target <- check_target(filepath, if (!folder) ".keras", overwrite)
  checked(engine_save(handle, target, !folder))
  invisible(model)
}

#' @rdname save_model
#' @export
save_model_weights <- function(model, filepath, overwrite = FALSE) {
  check_model(model)
  check_flag(overwrite, "overwrite")
  target <- check_target(filepath, ".weights.h5", overwrite)
  checked(engine_save_weights(model_handle(environment(model)), target))
  invisible(model)
}

#' Load the weights of a model
#'
#' Gives a model the weights of a file, in place. A model that was loaded from a
#' JSON config has none before. The file may be of any kind that has weights:
#' `.weights.h5`, the `.weights.json` of weights in several files, an `.h5` file of
#' weights or of a whole model, or a `.keras` file.
#'
#' @param model A model, see [load_model()].
#' @param filepath The path of the file.
#' @param skip_mismatch Whether layers that the weights don't fit keep those they
#'   have, with a warning that names them.
#' @param ... Not used.
#' @returns The model, invisibly.
#' @section Errors:
#' Those of [load_model()], and `keraspredict_error_bad_weight`, which names the
#' layer that the weights don't fit.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' file <- tempfile(fileext = ".weights.h5")
#' save_model_weights(model, file)
#' load_model_weights(model, file)
load_model_weights <- function(model, filepath, skip_mismatch = FALSE, ...) {
  check_model(model)
  check_no_more(...)
  check_flag(skip_mismatch, "skip_mismatch")
  self <- environment(model)
  loaded <- checked(
    engine_load_weights(
      model_handle(self),
      check_path(filepath),
      skip_mismatch
    ),
    holds = "a weights file"
  )
  self$handle <- loaded$handle
  if (length(loaded$skipped) > 0) {
    warn(
      "skipped_weights",
      "The weights of the file don't fit some layers, which keep those they have.",
      c(x = enumerate(loaded$skipped, "`"))
    )
  }
  invisible(model)
}

#' @rdname save_model
#' @description
#' `save_model_config()` writes the architecture alone, as JSON.
#' @export
save_model_config <- function(model, filepath = NULL, overwrite = FALSE) {
  check_model(model)
  check_flag(overwrite, "overwrite")
  json <- checked(engine_json(model_handle(environment(model))))
  if (is.null(filepath)) {
    return(json)
  }
  target <- check_target(filepath, ".json", overwrite)
  con <- file(target, "wb")
  on.exit(close(con))
  writeLines(enc2utf8(json), con, useBytes = TRUE)
  invisible(model)
}

check_model <- function(model, arg = "model") {
  if (!inherits(model, "keraspredict_model")) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be a model that `load_model()` gave, not ",
        show_value(model),
        "."
      ),
      arg = arg
    )
  }
}

check_path <- function(filepath) {
  check_text(filepath, "filepath", "the path of a file")
  enc2utf8(path.expand(filepath))
}

# The path of a file to write, whose name must end in `suffix`.
check_target <- function(filepath, suffix, overwrite) {
  path <- check_path(filepath)
  if (!is.null(suffix) && !endsWith(path, suffix)) {
    abort(
      "bad_argument",
      paste0("`filepath` must end in '", suffix, "', not be '", filepath, "'."),
      arg = "filepath"
    )
  }
  if (!overwrite && file.exists(path)) {
    abort(
      "file_exists",
      paste0("There is a file at '", filepath, "' already."),
      c(i = "`overwrite = TRUE` replaces it."),
      path = filepath
    )
  }
  path
}

check_no_more <- function(...) {
  if (...length() > 0) {
    names <- ...names()
    named <- names[nzchar(names) & !is.na(names)]
    given <- if (length(named) > 0) {
      paste0(": ", enumerate(named))
    } else {
      paste0("s: ", ...length(), " too many")
    }
    abort(
      "unknown_argument",
      paste0("Unknown argument", given, "."),
      arguments = named
    )
  }
}
