#' @section Options:
#' * `options(keras.verbose = )`, as in keras3: the default of `verbose` in
#'   [`predict()`][predict.keraspredict_model].
#' * The environment variable `KERASPREDICT_THREADS`: how many threads
#'   predictions use; the number of cores without it. It is read at the first
#'   prediction.
#' @keywords internal
"_PACKAGE"

#' @importFrom stats predict
#' @useDynLib keraspredict, .registration = TRUE
NULL
