record <- function() {
  events <- character()
  add <- function(...) events <<- c(events, paste(...))
  list(
    callback = callback_lambda(
      on_predict_begin = function(logs) {
        add("begin", length(logs), is.list(logs))
      },
      on_predict_batch_begin = function(batch, logs) {
        add("batch_begin", batch, length(logs))
      },
      on_predict_batch_end = function(batch, logs) {
        add(
          "batch_end",
          batch,
          names(logs),
          paste(dim(logs$outputs), collapse = "x")
        )
      },
      on_predict_end = function(logs) add("end", length(logs))
    ),
    events = function() events
  )
}

test_that("hooks are called in Keras' order, batches count from 1", {
  r <- record()
  predict(loaded("mlp"), cases()$mlp$x, batch_size = 3, callbacks = r$callback)
  expect_identical(
    r$events(),
    c(
      "begin 0 TRUE",
      "batch_begin 1 0",
      "batch_end 1 outputs 3x2",
      "batch_begin 2 0",
      "batch_end 2 outputs 3x2",
      "batch_begin 3 0",
      "batch_end 3 outputs 1x2",
      "end 0"
    )
  )
})

test_that("outputs in the logs are the batch's", {
  case <- cases()$mlp
  seen <- list()
  keep <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    seen[[batch]] <<- logs
  })
  predict(loaded("mlp"), case$x, batch_size = 4, callbacks = list(keep))
  expect_close(seen[[1]]$outputs, case$y[1:4, ])
  expect_close(seen[[2]]$outputs, case$y[5:7, ])
  seen <- list()
  predict(loaded("two"), cases()$two$x, batch_size = 4, callbacks = list(keep))
  expect_close(
    seen[[2]]$outputs,
    lapply(cases()$two$y, function(y) y[5, , drop = FALSE])
  )
  seen <- list()
  predict(loaded("dict"), cases()$dict$x, callbacks = list(keep))
  expect_setequal(names(seen[[1]]), c("z", "more"))
})

test_that("a class of callbacks has self, private, params, model and members", {
  Counter <- Callback(
    "Counter",
    total = 0,
    on_predict_begin = function(logs = NULL) {
      private$params <- self$params
      self$name <- self$model$name
    },
    on_predict_batch_end = function(batch, logs = NULL) {
      self$total <- self$total + nrow(logs$outputs)
    },
    seen = function() private$params,
    private = list(params = NULL)
  )
  counter <- Counter()
  expect_s3_class(
    counter,
    c("Counter", "keras.src.callbacks.callback.Callback"),
    exact = FALSE
  )
  predict(
    loaded("mlp"),
    cases()$mlp$x,
    batch_size = 3,
    callbacks = counter,
    verbose = 0
  )
  expect_identical(counter$total, 7)
  expect_identical(counter$name, "mlp")
  expect_identical(counter$seen(), list(verbose = 0L, epochs = 1L, steps = 3L))
  other <- Counter()
  expect_identical(other$total, 0)
})

test_that("initialize takes the constructor's arguments, inherit gives super", {
  Base <- Callback(
    "Base",
    initialize = function(prefix) self$prefix <- prefix,
    label = function(batch) paste(self$prefix, batch)
  )
  Loud <- Callback(
    "Loud",
    inherit = Base,
    lines = character(),
    label = function(batch) toupper(super$label(batch)),
    on_predict_batch_end = function(batch, logs) {
      self$lines <- c(self$lines, self$label(batch))
    }
  )
  loud <- Loud("batch")
  predict(loaded("mlp"), cases()$mlp$x, batch_size = 4, callbacks = loud)
  expect_identical(loud$lines, c("BATCH 1", "BATCH 2"))
  expect_snapshot(error = TRUE, Callback("None")(1))
})

test_that("stop_predicting ends the round after the batch", {
  Stop <- Callback("Stop", on_predict_batch_end = function(batch, logs = NULL) {
    if (batch == 2) self$model$stop_predicting <- TRUE
  })
  model <- loaded("mlp")
  y <- predict(model, cases()$mlp$x, batch_size = 2, callbacks = Stop())
  expect_close(y, cases()$mlp$y[1:4, ])
  expect_true(model$stop_predicting)
  expect_close(predict(model, cases()$mlp$x, batch_size = 2), cases()$mlp$y)
})

test_that("an error in a callback names callback and hook, with the error as parent", {
  Bad <- Callback("Bad", on_predict_batch_begin = function(batch, logs) {
    stop("no more")
  })
  model <- loaded("mlp")
  expect_snapshot(
    error = TRUE,
    predict(model, cases()$mlp$x, callbacks = Bad())
  )
  condition <- tryCatch(
    predict(model, cases()$mlp$x, callbacks = Bad()),
    error = identity
  )
  expect_s3_class(condition, "keraspredict_error_callback")
  expect_identical(condition$hook, "on_predict_batch_begin")
  expect_identical(conditionMessage(condition$parent), "no more")
  expect_close(predict(model, cases()$mlp$x), cases()$mlp$y)
})

test_that("constructors and other things are refused", {
  Nothing <- Callback("Nothing")
  model <- loaded("mlp")
  expect_snapshot(error = TRUE, {
    predict(model, cases()$mlp$x, callbacks = Nothing)
    callback_lambda(on_predict_begin = "no")
    Callback(3)
    Callback("A", inherit = mean)
  })
  expect_snapshot({
    Nothing()
    callback_lambda(on_predict_end = function(logs) NULL)
  })
})

test_that("a callback is told the model and the parameters", {
  told <- list()
  Told <- Callback(
    "Told",
    set_model = function(model) told$model <<- model$name,
    set_params = function(params) told$steps <<- params$steps,
    on_predict_batch_end = function(batch) told$batches <<- batch,
    on_predict_end = function() told$end <<- TRUE
  )
  predict(loaded("mlp"), cases()$mlp$x, batch_size = 4, callbacks = Told())
  expect_identical(
    told,
    list(model = "mlp", steps = 2L, batches = 2L, end = TRUE)
  )
})

test_that("parts of outputs that aren't one a row go to callbacks", {
  parts <- list()
  keep <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    parts[[batch]] <<- logs$outputs
  })
  y <- predict(
    loaded("rank0"),
    cases()$rank0$x,
    batch_size = 16,
    callbacks = keep
  )
  expect_identical(unlist(parts), as.vector(y))
})

test_that("a callback may predict", {
  model <- loaded("mlp")
  inner <- NULL
  nested <- callback_lambda(on_predict_end = function(logs) {
    inner <<- predict(model, cases()$mlp$x)
  })
  predict(model, cases()$mlp$x, callbacks = nested)
  expect_close(inner, cases()$mlp$y)
})
