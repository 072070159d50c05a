# Sources of batches: a function that gives the next batch as a user would pass
# it, or NULL at the end. NULL where `x` is no source but data.
batch_source <- function(x, inputs) {
  if (is.function(x) && !inherits(x, "keraspredict_model") && !is_python(x)) {
    return(structure(function() generated_batch(x, inputs), kind = "generator"))
  }
  if (is_python(x) && is_dataset(x)) {
    return(dataset_source(x))
  }
  NULL
}

# What an R generator gives: x, or list(x, y) of which y is not used. The arrays
# of a model with several inputs may come as one plain list.
generated_batch <- function(generator, inputs) {
  batch <- generator()
  plain <- is.list(batch) && !is.data.frame(batch) && !is_python(batch) && !is_sparse(batch) &&
    is.null(names(batch))
  if (!plain || length(batch) == 0 || length(batch) > 3) {
    return(batch)
  }
  is_x <- inputs > 1 && length(batch) == inputs && !is.list(batch[[1]])
  if (is_x) batch else batch[[1]]
}

predict_stream <- function(model, source, batch_size, verbose, steps, callbacks) {
  if (!is.null(batch_size)) {
    abort(
      "bad_argument",
      if (attr(source, "kind") == "dataset") {
        "batch_size can not be specified with a TF Dataset"
      } else {
        "batch_size can not be specified with a generator"
      },
      arg = "batch_size"
    )
  }
  self <- environment(model)
  next_batch <- function() {
    x <- source()
    if (is.null(x)) {
      return(NULL)
    }
    input <- as_inputs(self, x)
    input
  }
  run_batches(model, next_batch, steps, verbose, callbacks)
}

# Drives batches one by one: `next_batch()` gives inputs, or NULL at the end. The
# outputs are bound along their first axis.
run_batches <- function(model, next_batch, steps, verbose, callbacks) {
  self <- environment(model)
  handle <- model_handle(self)
  self$stop_predicting <- FALSE
  bar <- new_progress(verbose, steps)
  if (!is.null(callbacks)) {
    set_up_callbacks(callbacks, model, list(
      verbose = verbose, epochs = 1L, steps = if (!is.null(steps)) as.integer(steps)
    ))
    run_hooks(callbacks, "on_predict_begin", empty_logs())
  }
  results <- list()
  count <- 0L
  while (is.null(steps) || count < steps) {
    # A batch that has begun also ends: it is fetched before.
    input <- next_batch()
    if (is.null(input)) break
    count <- count + 1L
    if (!is.null(callbacks)) {
      run_hooks(callbacks, "on_predict_batch_begin", count, empty_logs())
    }
    result <- checked(engine_batch(handle, input$x, input$dims, input$n, FALSE, 0))
    result$row_names <- input$row_names
    results[[count]] <- result
    if (!is.null(callbacks)) {
      run_hooks(callbacks, "on_predict_batch_end", count, batch_logs(result$arrays, result$nest))
    }
    progress_update(bar, count)
    if (self$stop_predicting) break
  }
  if (count == 0L) {
    abort("bad_input", "`x` gave no data: there is nothing to predict.", arg = "x")
  }
  if (!is.null(steps) && count < steps && !self$stop_predicting) {
    warn_ran_out(count, steps)
  }
  if (!is.null(callbacks)) run_hooks(callbacks, "on_predict_end", empty_logs())
  progress_finish(bar)
  arrays <- lapply(seq_along(results[[1]]$arrays), function(i) {
    parts <- lapply(results, function(result) result$arrays[[i]])
    if (count == 1L) parts[[1]] else checked(engine_bind(parts))
  })
  row_names <- unlist(lapply(results, `[[`, "row_names"))
  if (!is.null(row_names)) {
    arrays <- lapply(arrays, with_row_names, row_names)
  }
  restore_nest(arrays, results[[1]]$nest)
}
