#' The number of threads
#'
#' Gives or sets the number of threads that predictions use from now on, in this
#' R process. Predictions don't depend on it.
#'
#' `keraspredict_threads(n)` sets the option `keraspredict.threads`. Without the
#' option it is the environment variable `KERASPREDICT_THREADS` that counts, and
#' without both the number of cores:
#'
#' * those that the process may use, so that a container's limits count;
#' * no more than the option `mc.cores`, by which the workers of `future` and
#'   others are told how many cores are theirs (it is 1 there as a rule);
#' * one, without that option, in a worker of a cluster, such as
#'   `parallel::makeCluster()` or `mirai::daemons()` make;
#' * one in a forked process, such as a worker of `parallel::mclapply()`;
#' * two at most while `R CMD check` limits cores (`_R_CHECK_LIMIT_CORES_`).
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
  before <- engine_threads(-1, 0)
  if (is.null(n)) {
    return(before)
  }
  options(keraspredict.threads = n)
  use_threads()
  invisible(before)
}

# Tells the engine of the options, where they have changed.
use_threads <- function() {
  n <- .Options[["keraspredict.threads"]]
  cores <- .Options[["mc.cores"]]
  if (!identical(n, the$threads) || !identical(cores, the$cores)) {
    count <- check_count(n, "options(keraspredict.threads = )")
    engine_threads(if (is.null(count)) 0 else count, as_cores(cores))
    the$threads <- n
    the$cores <- cores
  }
}

# The option `mc.cores` is others', and may be anything: 0 where it isn't a number.
as_cores <- function(x) {
  if (is.null(x)) {
    return(as.numeric(is_cluster_worker()))
  }
  x <- suppressWarnings(as.numeric(x))
  if (length(x) == 1 && is.finite(x)) max(1, floor(x)) else 0
}

# A cluster's node (parallel, parallelly, future) or a daemon of mirai, by what it
# was started with.
is_cluster_worker <- function() {
  any(grepl("workRSOCK|mirai::(\\.)?daemon", commandArgs()))
}
