# Sources of batches, for what isn't data in memory. A source is a list of
# * take: gives the next batch as a user would pass it, or NULL at the end,
# * kind: what it is called in errors,
# * total: the number of batches, NULL where it isn't known,
# * close: called at the end.
new_source <- function(take, kind, total = NULL, close = function() NULL) {
  list(take = take, kind = kind, total = total, close = close)
}

# The source for `x`, or NULL where `x` is data. Sources that are cut into rows
# here take a batch_size; the others make their own batches.
batch_source <- function(x, self, batch_size) {
  rows <- if (inherits(x, "keraspredict_batches")) {
    csv_source
  } else if (inherits(x, "DBIResult")) {
    query_source
  }
  if (!is.null(rows)) {
    return(rows(
      x,
      self$info,
      if (is.null(batch_size)) source_rows else batch_size
    ))
  }
  source <- if (inherits(x, "keraspredict_dataset")) {
    dataset_batches(x)
  } else if (is_python(x)) {
    kind <- dataset_kind(x)
    if (!is.null(kind)) dataset_source(x, kind)
  } else if (is.function(x) && !inherits(x, "keraspredict_model")) {
    new_source(
      function() generated_batch(x, length(self$info$inputs)),
      "a generator"
    )
  }
  if (!is.null(source) && !is.null(batch_size)) {
    abort(
      "bad_argument",
      paste("batch_size can not be specified with", source$kind),
      arg = "batch_size"
    )
  }
  source
}

# How many rows of a file or query are a batch: the table around the numbers
# makes small batches costly.
source_rows <- 1024

# What an R generator gives: x, or list(x, y) of which y is not used. The arrays
# of a model with several inputs may come as one plain list.
generated_batch <- function(generator, inputs) {
  batch <- generator()
  plain <- is_input_list(batch) && is.null(names(batch))
  if (!plain || length(batch) == 0 || length(batch) > 3) {
    return(batch)
  }
  is_x <- inputs > 1 && length(batch) == inputs && !is.list(batch[[1]])
  if (is_x) batch else batch[[1]]
}

# The rows of a DBI query that are left to fetch.
query_source <- function(result, info, rows) {
  new_source(
    function() {
      frame <- DBI::dbFetch(result, n = rows)
      if (nrow(frame) > 0) with_doubles(frame)
    },
    "a query"
  )
}

# Numbers of a data frame as doubles, where missing ones stay missing. What comes
# in parts doesn't always show what a column is of: a part of it may be empty.
with_doubles <- function(frame) {
  frame[] <- lapply(frame, function(column) {
    double <- is.integer(column) && !is.factor(column) ||
      inherits(column, "integer64") && anyNA(column) ||
      is.logical(column) && all(is.na(column))
    if (double) as.double(column) else column
  })
  frame
}

predict_stream <- function(model, source, verbose, steps, callbacks) {
  on.exit(source$close())
  self <- environment(model)
  next_batch <- function() {
    x <- source$take()
    if (!is.null(x)) as_inputs(self, x)
  }
  run_batches(model, next_batch, source$total, verbose, steps, callbacks)
}

# Drives batches one by one: `next_batch()` gives inputs, or NULL at the end;
# `total` is how many there are, if that is known. The outputs are bound along
# their first axis.
run_batches <- function(model, next_batch, total, verbose, steps, callbacks) {
  use_threads()
  self <- environment(model)
  handle <- model_handle(self)
  self$stop_predicting <- FALSE
  if (!is.null(steps)) {
    total <- steps
  }
  bar <- new_progress(verbose, total)
  if (!is.null(callbacks)) {
    set_up_callbacks(
      callbacks,
      model,
      list(
        verbose = verbose,
        epochs = 1L,
        steps = if (!is.null(total)) as.integer(total)
      )
    )
    run_hooks(callbacks, "on_predict_begin", empty_logs())
  }
  results <- list()
  count <- 0L
  fetch <- function() {
    if (is.null(steps) || count < steps) next_batch()
  }
  # A batch that has begun also ends: it is fetched before.
  input <- fetch()
  while (!is.null(input)) {
    count <- count + 1L
    row_names <- input$row_names
    if (is.null(callbacks)) {
      # Nothing is called after a batch that could end the prediction.
      more <- if (self$stop_predicting) function() NULL else fetch
      computed <- compute_and_fetch(handle, input, more)
      result <- computed$result
      input <- computed$input
    } else {
      run_hooks(callbacks, "on_predict_batch_begin", count, empty_logs())
      result <- compute_batch(handle, input)
      run_hooks(
        callbacks,
        "on_predict_batch_end",
        count,
        batch_logs(result$arrays, result$nest)
      )
    }
    result$row_names <- row_names
    results[[count]] <- result
    progress_update(bar, count)
    if (!is.null(callbacks)) {
      input <- if (!self$stop_predicting) fetch()
    }
  }
  if (count == 0L) {
    abort(
      "bad_input",
      "`x` gave no data: there is nothing to predict.",
      arg = "x"
    )
  }
  if (!is.null(steps) && count < steps && !self$stop_predicting) {
    warn_ran_out(count, steps)
  }
  if (!is.null(callbacks)) {
    run_hooks(callbacks, "on_predict_end", empty_logs())
  }
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

compute_batch <- function(handle, input) {
  checked_batch(engine_batch(
    handle,
    input$x,
    input$dims,
    input$n,
    FALSE,
    0
  ))
}

# Computes a batch and fetches the next, where it is worth while at the same time.
compute_and_fetch <- function(handle, input, fetch) {
  started <- checked(engine_start(handle, input$x, input$dims, input$n))
  if (is.null(started)) {
    return(list(result = compute_batch(handle, input), input = fetch()))
  }
  on.exit(engine_end(started))
  # An error of the batch comes before one of the next.
  input <- withCallingHandlers(fetch(), error = function(e) await(started))
  await(started)
  list(result = started[c("arrays", "nest")], input = input)
}

# Waits for a batch that was started.
await <- function(started) {
  while (!checked(engine_wait(started, 0.05))) {
    allow_interrupt()
  }
}

# R looks for the user's interrupts now and then while it evaluates; here it does
# at once.
allow_interrupt <- function() {
  Sys.sleep(0)
}
