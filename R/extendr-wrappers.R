# Written by tools/document.R from the binding crate.

#' The version of the engine.
#' @noRd
engine_version <- function() .Call(wrap__engine_version)
