#' @keywords internal
"_PACKAGE"

#' @useDynLib keraspredict, .registration = TRUE
NULL
