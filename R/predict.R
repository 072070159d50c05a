#' Predictions of a model
#'
#' Runs a model over data, in batches, and gives the numbers Keras would give.
#'
#' # Input
#'
#' `x` is an array, a data frame, a sparse matrix or a tensor, or a list of these
#' for a model with several inputs: the page [inputs] has all kinds and rules.
#' Or it gives batches one after the other, which are never in memory at once: a
#' TF Dataset, a function, a query of a database, a file; see [batches].
#'
#' @param object A model: see [load_model()].
#' @param x The input: see below.
#' @param ... Not used; arguments here are an error.
#' @param batch_size The number of rows per batch: a whole number, or `NULL` for
#'   32 (1,024 with files and queries). It is what callbacks and the progress bar
#'   count; the predictions don't depend on it. It can't be given with what makes
#'   its own batches.
#' @param verbose `0` is silent, `1` shows a progress bar, `2` writes one line at
#'   the end. `"auto"` is 2 while knitting and in workers of a parallel back end,
#'   0 in tests by testthat, else 1.
#' @param steps The number of batches, or `NULL` for all. With arrays and no
#'   `batch_size`, the rows are split into that many batches.
#' @param callbacks A callback or a list of them: see [Callback()].
#' @returns An array of doubles (or integers, logicals, complex numbers or strings,
#'   as the output is) with as many axes as the output has in Keras; a list of them
#'   for a model with several outputs, with names where the outputs have names (a
#'   dict in Keras). Row names of `x` come back.
#' @section Errors:
#' Errors are conditions of class `keraspredict_error`, and of one of
#' `keraspredict_error_bad_input` (the wrong number, shape or type of arrays, or
#' missing values), `keraspredict_error_bad_argument`,
#' `keraspredict_error_unknown_argument`, `keraspredict_error_index` (an index
#' outside of an embedding), `keraspredict_error_shape` (a layer can't take its
#' input), `keraspredict_error_values` (a layer can't take the values of its input),
#' `keraspredict_error_memory` (there is less memory than it takes),
#' `keraspredict_error_call` (the model calls a layer in a way that can't be run) and
#' `keraspredict_error_callback`.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' x <- as.matrix(iris[c(1, 51, 101), 1:4])
#' predict(model, x)
#' predict(model, x, verbose = 0)
predict.keraspredict_model <- function(
  object,
  x,
  ...,
  batch_size = NULL,
  verbose = getOption("keras.verbose", default = "auto"),
  steps = NULL,
  callbacks = NULL
) {
  if (...length()) {
    check_dots_empty(...)
  }
  if (missing(x) || is.null(x)) {
    abort_no_x()
  }
  # Live models of keras3 come here only while keras3 itself isn't loaded.
  if (!inherits(object, "keraspredict_model")) {
    object <- load_model(object)
  }
  self <- environment(object)
  if (!is.null(batch_size)) {
    batch_size <- check_count(batch_size, "batch_size")
  }
  if (!is.null(steps)) {
    steps <- check_count(steps, "steps")
  }
  verbose <- resolve_verbose(verbose)
  if (!is.null(callbacks)) {
    callbacks <- as_callbacks(callbacks)
  }
  if (verbose == 0L && is.null(steps) && is.null(callbacks)) {
    most <- if (is.null(batch_size)) 32 else batch_size
    predictions <- plain_batch(self, x, most, FALSE)
    if (!is.null(predictions)) {
      return(predictions)
    }
  }
  if (is.object(x) || is.function(x)) {
    source <- batch_source(x, self, batch_size)
    if (!is.null(source)) {
      return(predict_stream(object, source, verbose, steps, callbacks))
    }
  }
  predict_arrays(
    object,
    as_inputs(self, x),
    batch_size,
    verbose,
    steps,
    callbacks
  )
}

abort_no_x <- function() {
  abort("bad_input", "`x` is missing: there is nothing to predict.", arg = "x")
}

# Predictions for arrays. `input` is what as_inputs() makes.
predict_arrays <- function(
  model,
  input,
  batch_size,
  verbose,
  steps,
  callbacks
) {
  self <- environment(model)
  n <- input$n
  few <- n <= if (is.null(batch_size)) 32 else batch_size
  if (
    few &&
      verbose == 0L &&
      is.null(steps) &&
      is.null(callbacks) &&
      is.na(self$info$batch)
  ) {
    # The usual case of few rows: one call of the engine.
    return(run_one_batch(self, input, FALSE, 0))
  }
  use_threads()
  handle <- model_handle(self)
  if (is.null(batch_size)) {
    batch_size <- if (!is.na(self$info$batch)) {
      self$info$batch
    } else if (is.null(steps)) {
      32
    } else {
      max(1, ceiling(n / steps))
    }
  }
  total <- ceiling(n / batch_size)
  if (!is.null(steps)) {
    if (steps > total && n > 0) {
      warn_ran_out(total, steps)
    }
    n <- min(n, steps * batch_size)
    total <- steps
  }
  if (!is.na(self$info$batch)) {
    check_whole_batches(n, batch_size, self$info$batch)
  }
  prepared <- checked(engine_prepare(
    handle,
    input$x,
    input$dims,
    n,
    batch_size
  ))
  arrays <- prepared$arrays
  done <- n
  if (n > 0) {
    # The usual case: silent, and short enough to need no look at the clock.
    if (verbose == 0L && is.null(callbacks) && n <= batch_size) {
      checked(engine_run(handle, input$x, input$dims, arrays, 0, n, batch_size))
    } else {
      done <- drive(
        model,
        input,
        prepared,
        n,
        batch_size,
        total,
        verbose,
        callbacks
      )
    }
  }
  finish_arrays(arrays, prepared$nest, n, done, input$row_names)
}

# Runs batches until all rows are done or a callback stops; gives the rows done.
# Without callbacks, as many batches per call as fit in about 0.1 s, so that
# progress and interrupts come through.
drive <- function(
  model,
  input,
  prepared,
  n,
  batch_size,
  total,
  verbose,
  callbacks
) {
  self <- environment(model)
  handle <- model_handle(self)
  arrays <- prepared$arrays
  nest <- prepared$nest
  self$stop_predicting <- FALSE
  bar <- new_progress(verbose, total)
  if (!is.null(callbacks)) {
    set_up_callbacks(
      callbacks,
      model,
      list(verbose = verbose, epochs = 1L, steps = as.integer(total))
    )
    run_hooks(callbacks, "on_predict_begin", empty_logs())
  }
  done <- 0
  batch <- 0
  batches <- 1
  while (done < n) {
    to <- min(n, done + batches * batch_size)
    if (!is.null(callbacks)) {
      run_hooks(
        callbacks,
        "on_predict_batch_begin",
        as.integer(batch + 1),
        empty_logs()
      )
    }
    started <- wall_clock()
    checked(engine_run(
      handle,
      input$x,
      input$dims,
      arrays,
      done,
      to,
      batch_size
    ))
    took <- wall_clock() - started
    batch <- batch + ceiling((to - done) / batch_size)
    if (!is.null(callbacks)) {
      outputs <- lapply(
        arrays,
        batch_rows,
        n = n,
        from = done,
        to = to,
        batch = batch,
        total = total
      )
      logs <- batch_logs(outputs, nest)
      run_hooks(callbacks, "on_predict_batch_end", as.integer(batch), logs)
    }
    done <- to
    progress_update(bar, batch)
    if (self$stop_predicting) {
      break
    }
    if (is.null(callbacks)) {
      allow_interrupt()
      batches <- max(1, floor(batches * min(16, 0.1 / max(took, 1e-6))))
    }
  }
  if (!is.null(callbacks)) {
    run_hooks(callbacks, "on_predict_end", empty_logs())
  }
  progress_finish(bar)
  done
}

# The logs after a batch; the outputs of a dict are themselves the logs, as in
# Keras.
batch_logs <- function(arrays, nest) {
  outputs <- restore_nest(arrays, nest)
  if (is.list(outputs) && !is.null(names(outputs))) {
    outputs
  } else {
    list(outputs = outputs)
  }
}

# The part of an output that one batch made. Outputs whose first axis isn't the
# rows have equal parts for all batches; a part of one number is a number.
batch_rows <- function(array, n, from, to, batch, total) {
  height <- NROW(array)
  if (height == n) {
    return(checked(engine_rows(array, from, to)))
  }
  size <- height / total
  part <- checked(engine_rows(array, (batch - 1) * size, batch * size))
  if (height == total) part[[1]] else part
}

# Arrays cut to what is done, with row names, in the model's structure.
finish_arrays <- function(arrays, nest, n, done, row_names) {
  for (i in seq_along(arrays)) {
    height <- NROW(arrays[[i]])
    if (done < n) {
      arrays[[i]] <- checked(engine_rows(
        arrays[[i]],
        0,
        ceiling(height * (done / n))
      ))
    }
    if (!is.null(row_names) && height == n) {
      arrays[[i]] <- with_row_names(arrays[[i]], row_names[seq_len(done)])
    }
  }
  restore_nest(arrays, nest)
}

with_row_names <- function(array, row_names) {
  shape <- dim(array)
  if (length(shape) > 0 && shape[[1]] == length(row_names)) {
    names <- vector("list", length(shape))
    names[[1]] <- row_names
    dimnames(array) <- names
  }
  array
}

# Flat arrays in the structure that the engine gives: numbers stand for arrays.
restore_nest <- function(arrays, nest) {
  if (is.list(nest)) {
    lapply(nest, function(part) restore_nest(arrays, part))
  } else if (is.null(nest)) {
    NULL
  } else {
    arrays[[nest]]
  }
}

warn_ran_out <- function(had, wanted) {
  warn(
    "input_ran_out",
    "The input ran out of data.",
    c(
      x = paste0(
        "`steps` is ",
        format_count(wanted),
        ", and there ",
        if (had == 1) "was 1 batch." else paste("were", format_count(had), "batches.")
      ),
      i = "The predictions are those of the rows there were."
    )
  )
}

#' @rdname predict.keraspredict_model
#' @description
#' `predict_on_batch()` runs all rows as one batch, without progress and
#' callbacks.
#' @export
predict_on_batch <- function(object, x) {
  if (is_live_model(object)) {
    object <- load_model(object)
  }
  check_model(object, "object")
  if (missing(x) || is.null(x)) {
    abort_no_x()
  }
  one_batch(environment(object), x, FALSE)
}

#' The model as a function
#'
#' A model is a function. `model(x)` runs all rows of `x` as one batch, which is
#' the fastest way for small inputs.
#'
#' @param x The input, as for [`predict()`][predict.keraspredict_model]: arrays,
#'   data frames, lists of these, Python tensors.
#' @param training Whether layers that behave differently in training do so:
#'   dropout and noise draw from R's random numbers (so that [set.seed()] makes
#'   them repeatable), batch normalization uses the statistics of the batch.
#'   Nothing in the model changes. `NULL` is `FALSE`, but for layers that were
#'   called with `training = TRUE` when the model was made.
#' @param mask `NULL`, or a logical array whose axes are the first ones of `x`
#'   (rows by steps): `FALSE` masks a step. For several inputs a list of these,
#'   with `NULL` where there is none.
#' @returns As for `predict()`.
#' @name call_model
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' model(as.matrix(iris[1:2, 1:4]))
NULL

call_model <- function(self, x, training, mask) {
  if (missing(x) || is.null(x)) {
    abort_no_x()
  }
  if (!is.null(training)) {
    training <- check_flag(training, "training")
  }
  one_batch(self, x, training, mask)
}

one_batch <- function(self, x, training, mask = NULL) {
  trains <- if (is.null(training)) self$info$trains else training
  if (!trains && is.null(mask)) {
    predictions <- plain_batch(self, x, Inf, training)
    if (!is.null(predictions)) {
      return(predictions)
    }
  }
  input <- as_inputs(self, x)
  if (!is.null(mask)) {
    input <- add_masks(self, input, mask)
  }
  seed <- if (trains) sample.int(.Machine$integer.max, 1) else 0
  run_one_batch(self, input, training, seed)
}

# States belong to the rows of a batch.
check_whole_batches <- function(n, batch_size, batch) {
  if (batch_size != batch) {
    abort(
      "bad_argument",
      paste0("`batch_size` must be ", batch, ", not ", batch_size, "."),
      c(
        x = "The model is stateful, and its states have that many rows.",
        i = "Leave `batch_size` out, or save the model for other batches."
      ),
      arg = "batch_size"
    )
  }
  if (n %% batch != 0) {
    abort(
      "bad_input",
      paste0("`x` must have a multiple of ", batch, " rows, not ", format_count(n), "."),
      c(
        x = "The model is stateful, and its states have that many rows.",
        i = "Fill the last batch up with rows, and drop their predictions."
      ),
      arg = "x"
    )
  }
}

# What the engine gives for a batch, as list(arrays, nest): one array comes bare.
checked_batch <- function(result) {
  result <- checked(result)
  if (is.list(result)) result else list(arrays = list(result), nest = 1L)
}

# The rows of a plain array of doubles as one batch, in one call of the engine;
# NULL where it isn't that simple, or there are more than `most` rows.
plain_batch <- function(self, x, most, training) {
  if (!is.double(x) || is.object(x)) {
    return(NULL)
  }
  result <- engine_array(self$handle, x, most, training)
  if (is.null(result)) {
    return(NULL)
  }
  finish_batch(result, dimnames(x)[[1L]])
}

# All rows as one batch. `input` is what as_inputs() makes.
run_one_batch <- function(self, input, training, seed) {
  use_threads()
  result <- engine_batch(
    model_handle(self),
    input$x,
    input$dims,
    input$n,
    training,
    seed
  )
  finish_batch(result, input$row_names)
}

# What the engine gives for a batch, as predict() returns it.
finish_batch <- function(result, row_names) {
  if (!is.list(result) && is.null(the$warnings)) {
    # The usual case: one array.
    return(
      if (is.null(row_names)) result else with_row_names(result, row_names)
    )
  }
  result <- checked_batch(result)
  arrays <- result$arrays
  if (!is.null(row_names)) {
    arrays <- lapply(arrays, with_row_names, row_names)
  }
  restore_nest(arrays, result$nest)
}
