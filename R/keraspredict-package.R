#' @keywords internal
"_PACKAGE"

#' @importFrom stats predict
#' @useDynLib keraspredict, .registration = TRUE
NULL
