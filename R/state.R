#' Forget what stateful layers remember
#'
#' Recurrent layers made with `stateful = TRUE` keep their last states: they
#' are where the next batch starts, be it of the same [predict()] or of the
#' next. `reset_state()` sets them to zero, where they are when a model is
#' loaded, read by [readRDS()] or sent to another process.
#'
#' A stateful model takes batches of one size, its own, which is the default of
#' `batch_size`.
#'
#' @param object A model from [load_model()].
#' @returns `object`, invisibly.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' reset_state(model)
reset_state <- function(object) {
  if (!inherits(object, "keraspredict_model")) {
    abort(
      "bad_argument",
      paste0("`object` must be a model, not ", show_value(object), "."),
      arg = "object"
    )
  }
  checked(engine_reset_state(model_handle(environment(object))))
  invisible(object)
}
