#' @section Options: The options and environment variables are on the page
#' [keraspredict_options()].
#' @keywords internal
"_PACKAGE"

#' @importFrom stats predict
#' @useDynLib keraspredict, .registration = TRUE
NULL
