#' Where the time of a prediction goes
#'
#' Runs all rows of `x` as one batch, on one thread, and measures each step of
#' the plan: what is left of the layers once they are optimized. Steps that the
#' optimizer joined (a convolution with its bias, normalization and activation)
#' are one, under the name of the layer that does most of the work. Layers over
#' large images that are computed together, some rows at a time, are one step
#' too: `operation` is `Bands`, and `layer` names them all, joined by `+`.
#'
#' @param fitted A model: see [load_model()].
#' @param x The input, as for [`predict()`][predict.keraspredict_model].
#' @param ... Not used; arguments here are an error.
#' @param repeats How often the batch is run: the least time of a step counts.
#' @returns A data frame of class `keraspredict_profile` with a row for each
#'   step, in order: `layer` (its path), `operation`, `seconds` and `share`, of
#'   the sum. `plot()` draws the layers that take most of the time.
#' @importFrom stats profile
#' @export
#' @examples
#' model <- load_model(keraspredict_example("digits"))
#' times <- profile(model, array(0, c(4, 8, 8, 1)))
#' times
#' plot(times)
profile.keraspredict_model <- function(fitted, x, ..., repeats = 10) {
  if (...length()) {
    check_dots_empty(..., known = "repeats")
  }
  if (missing(x) || is.null(x)) {
    abort_no_x()
  }
  repeats <- check_count(repeats, "repeats")
  if (is.null(repeats)) {
    repeats <- 10
  }
  self <- environment(fitted)
  input <- as_inputs(self, x)
  steps <- checked(engine_profile(
    model_handle(self),
    input$x,
    input$dims,
    input$n,
    repeats
  ))
  structure(
    data.frame(
      layer = steps$layer,
      operation = steps$operation,
      seconds = steps$seconds,
      share = steps$seconds / sum(steps$seconds),
      stringsAsFactors = FALSE
    ),
    class = c("keraspredict_profile", "data.frame")
  )
}

#' @rdname profile.keraspredict_model
#' @param n The number of layers to draw.
#' @importFrom graphics barplot par
#' @export
plot.keraspredict_profile <- function(x, ..., n = 15) {
  by_layer <- tapply(x$seconds, x$layer, sum)
  by_layer <- sort(by_layer, decreasing = TRUE)
  by_layer <- rev(by_layer[seq_len(min(n, length(by_layer)))]) * 1e3
  long <- nchar(names(by_layer)) > 30
  names(by_layer)[long] <- paste0(substr(names(by_layer)[long], 1, 27), "...")
  old <- par(mar = c(4, 2 + max(nchar(names(by_layer))) / 2, 1, 1))
  on.exit(par(old))
  barplot(by_layer, horiz = TRUE, las = 1, xlab = "milliseconds", ...)
  invisible(x)
}
