#' Options of the package
#'
#' `keraspredict_options()` lists the options and environment variables that the
#' package reads, with the values they have, and checks them.
#'
# nolint start: line_length_linter. A row of a table is one line.
#' | option | environment variable | meaning |
#' |---|---|---|
#' | `keras.verbose` | | the default of `verbose` in [`predict()`][predict.keraspredict_model]: `"auto"`, 0, 1 or 2 |
#' | `keraspredict.class_index` | | a file with other names of ImageNet's classes for [application_decode_predictions()] |
#' | `keraspredict.threads` | `KERASPREDICT_THREADS` | how many threads predictions use, see [keraspredict_threads()]; the option comes first, and without both it is the number of cores, of which R's option `mc.cores` may allow fewer, and 1 in a worker of a cluster. The variable is read at the first prediction |
# nolint end
#'
#' @returns A named list of values, `NULL` where one isn't set. A value that
#'   can't be used is an error.
#' @aliases keraspredict_options
#' @export
#' @examples
#' keraspredict_options()
#'
#' old <- options(keras.verbose = 2)
#' keraspredict_options()$keras.verbose
#' options(old)
keraspredict_options <- function() {
  verbose <- getOption("keras.verbose")
  if (!is.null(verbose)) {
    resolve_verbose(verbose, "options(keras.verbose = )")
  }
  index <- getOption("keraspredict.class_index")
  if (!is.null(index)) {
    check_text(
      index,
      "options(keraspredict.class_index = )",
      "the path of a file"
    )
  }
  set <- check_count(
    getOption("keraspredict.threads"),
    "options(keraspredict.threads = )"
  )
  threads <- Sys.getenv("KERASPREDICT_THREADS", NA)
  if (!is.na(threads) && !grepl("^[1-9][0-9]*$", threads)) {
    abort(
      "bad_argument",
      paste0(
        "The environment variable `KERASPREDICT_THREADS` must be a whole number ",
        "of at least 1, not \"",
        threads,
        "\"."
      ),
      arg = "KERASPREDICT_THREADS"
    )
  }
  list(
    keras.verbose = verbose,
    keraspredict.class_index = index,
    keraspredict.threads = set,
    KERASPREDICT_THREADS = if (!is.na(threads)) as.numeric(threads)
  )
}
