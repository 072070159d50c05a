#' The number of threads
#'
#' Gives or sets the number of threads that predictions use from now on, in this
#' R process. Predictions don't depend on it.
#'
#' `keraspredict_threads(n)` sets the option `keraspredict.threads`. Without the
#' option it is the environment variable `KERASPREDICT_THREADS` that counts, and
#' without both the number of cores. While `R CMD check` limits cores
#' (`_R_CHECK_LIMIT_CORES_`), the default is two at most.
#'
#' @param n The number of threads: a whole number, or `NULL` to leave it.
#' @returns The number of threads that was used before, invisibly if `n` is
#'   given.
#' @seealso [keraspredict_options()]
#' @export
#' @examples
#' before <- keraspredict_threads(1)
#' keraspredict_threads()
#' keraspredict_threads(before)
keraspredict_threads <- function(n = NULL) {
  n <- check_count(n, "n")
  use_threads()
  before <- engine_threads(-1)
  if (is.null(n)) {
    return(before)
  }
  options(keraspredict.threads = n)
  use_threads()
  invisible(before)
}

# Tells the engine of the option, where it has changed.
use_threads <- function() {
  n <- .Options[["keraspredict.threads"]]
  if (!identical(n, the$threads)) {
    count <- check_count(n, "options(keraspredict.threads = )")
    engine_threads(if (is.null(count)) 0 else count)
    the$threads <- n
  }
}
