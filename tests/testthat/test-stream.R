batches_of <- function(x, size, wrap = identity) {
  done <- 0
  function() {
    if (done >= nrow(x)) {
      return(NULL)
    }
    rows <- seq(done + 1, min(nrow(x), done + size))
    done <<- max(rows)
    wrap(x[rows, , drop = FALSE])
  }
}

test_that("a function is called until it returns NULL", {
  model <- loaded("mlp")
  case <- cases()$mlp
  expect_close(predict(model, batches_of(case$x, 3)), case$y)
  expect_close(
    predict(model, batches_of(case$x, 3, function(x) list(x, 1:3))),
    case$y
  )
  expect_close(
    predict(model, batches_of(case$x, 3, function(x) list(x))),
    case$y
  )
  expect_close(predict(model, batches_of(case$x, 3, as.data.frame)), case$y)
})

test_that("batches for several inputs are lists", {
  model <- loaded("two")
  case <- cases()$two
  both <- do.call(cbind, case$x)
  split <- function(x) list(x[, 1:4, drop = FALSE], x[, 5:7, drop = FALSE])
  expect_close(predict(model, batches_of(both, 2, split)), case$y)
  expect_close(
    predict(model, batches_of(both, 2, function(x) list(split(x), "y"))),
    case$y
  )
  named <- function(x) stats::setNames(split(x), c("a", "b"))
  expect_close(predict(model, batches_of(both, 2, named)), case$y)
})

test_that("the next batch is fetched while a large one is computed", {
  model <- loaded("image")
  part <- array(sin(seq_len(40000 * 30)), c(40000, 6, 5, 1))
  handle <- model_handle(environment(model))
  started <- engine_start(handle, list(part), list(dim(part)), 40000)
  expect_named(started, c("task", "arrays", "nest"))
  while (!checked(engine_wait(started, 0.05))) {
    NULL
  }
  expected <- predict(model, part)
  expect_identical(started$arrays[[1]], expected)
  expect_true(checked(engine_wait(started, 0)))
  # Too little to do, and nothing to do.
  expect_null(engine_start(
    handle,
    list(part[1, , , , drop = FALSE]),
    list(c(1, 6, 5, 1)),
    1
  ))
  expect_null(engine_start(
    handle,
    list(part[0, , , , drop = FALSE]),
    list(c(0, 6, 5, 1)),
    0
  ))

  left <- 3
  # What a generator does to an array that it gave has no effect.
  take <- function() {
    if (left == 0) {
      return(NULL)
    }
    left <<- left - 1
    part + left
  }
  y <- predict(model, take)
  expect_identical(
    y,
    rbind(predict(model, part + 2), predict(model, part + 1), expected)
  )
  left <- 3
  expect_identical(predict(model, take, steps = 2), y[1:80000, ])
  expect_identical(left, 1)
  expect_warning(
    all <- predict(model, take, steps = 2),
    class = "keraspredict_warning_input_ran_out"
  )
  expect_identical(all, expected)
})

test_that("an error while a batch is computed ends it", {
  model <- loaded("image")
  part <- array(0, c(40000, 6, 5, 1))
  calls <- 0
  broken <- function() {
    calls <<- calls + 1
    if (calls == 2) {
      stop("the source is dry")
    }
    part
  }
  expect_error(predict(model, broken), "the source is dry", fixed = TRUE)
  expect_identical(dim(predict(model, part)), c(40000L, 3L))
  # A batch that is started and forgotten is ended by R's memory.
  engine_start(
    model_handle(environment(model)),
    list(part),
    list(dim(part)),
    40000
  )
  invisible(gc())
  expect_identical(dim(predict(model, part)), c(40000L, 3L))
})

test_that("what can't be computed on another thread is not", {
  model <- loaded("stateful")
  shape <- unlist(model$input_shape)
  x <- array(0, shape)
  handle <- model_handle(environment(model))
  expect_null(engine_start(handle, list(x), list(dim(x)), dim(x)[[1]]))
  # A function in the model runs on R's own thread, before the next batch is read.
  events <- character()
  objects <- list(Twice = function(inputs) {
    events <<- c(events, "compute")
    2 * inputs
  })
  model <- with_custom_object_scope(
    objects,
    json_model("[null, 50]", Softmax = "", Twice = "", Softmax = "")
  )
  x <- matrix(0, 50000, 50)
  given <- 0
  take <- function() {
    given <<- given + 1
    events <<- if (given == 1) character() else c(events, "fetch")
    if (given < 4) x
  }
  expect_identical(dim(predict(model, take)), c(150000L, 50L))
  expect_identical(tail(events, 5), c("fetch", "compute")[c(1, 2, 1, 2, 1)])
})

test_that("a generator may stop the prediction, predict, and fork", {
  model <- loaded("image")
  part <- array(sin(seq_len(40000 * 30)), c(40000, 6, 5, 1))
  expected <- predict(model, part)
  few <- part[1:64, , , , drop = FALSE]
  calls <- 0
  stopping <- function() {
    calls <<- calls + 1
    if (calls == 2) {
      model$stop_predicting <- TRUE
    }
    part
  }
  expect_identical(predict(model, stopping), rbind(expected, expected))
  expect_identical(calls, 2)

  skip_on_os("windows")
  calls <- 0
  given <- list()
  forking <- function() {
    calls <<- calls + 1
    here <- predict(model, few)
    job <- parallel::mcparallel(predict(model, few))
    given <<- c(given, list(here), parallel::mccollect(job))
    if (calls < 4) part
  }
  expect_identical(predict(model, forking), rbind(expected, expected, expected))
  expect_length(given, 8)
  for (y in given) {
    expect_identical(y, expected[1:64, ])
  }
})

test_that("scalar outputs make one entry a batch", {
  model <- loaded("rank0")
  x <- cases()$rank0$x
  expect_close(predict(model, batches_of(x, 32)), predict(model, x))
})

test_that("steps takes so many batches", {
  model <- loaded("mlp")
  case <- cases()$mlp
  expect_close(predict(model, batches_of(case$x, 3), steps = 2), case$y[1:6, ])
  expect_snapshot(y <- predict(model, batches_of(case$x, 3), steps = 5))
  expect_close(y, case$y)
})

test_that("batch begins and ends come in pairs", {
  begun <- ended <- 0
  count <- callback_lambda(
    on_predict_batch_begin = function(batch, logs) begun <<- begun + 1,
    on_predict_batch_end = function(batch, logs) ended <<- ended + 1
  )
  predict(loaded("mlp"), batches_of(cases()$mlp$x, 3), callbacks = count)
  expect_identical(c(begun, ended), c(3, 3))
})

test_that("row names come back from all batches", {
  x <- cases()$mlp$x
  rownames(x) <- letters[1:7]
  expect_identical(
    rownames(predict(loaded("mlp"), batches_of(x, 3))),
    letters[1:7]
  )
})

test_that("bad sources are errors", {
  model <- loaded("mlp")
  expect_snapshot(error = TRUE, {
    predict(model, function() NULL)
    predict(model, batches_of(cases()$mlp$x, 3), batch_size = 3)
    predict(model, function() stop("the source is dry"))
    predict(model, function() letters)
  })
  expect_error(
    predict(model, function() stop("the source is dry")),
    "^the source is dry$"
  )
})

test_that("the total of a source is what the progress bar and callbacks see", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  steps <- list()
  look <- callback_lambda(on_predict_begin = function(logs) NULL)
  given <- batches_of(x, 3)
  run <- function(total) {
    source <- new_source(batches_of(x, 3), "a generator", total)
    utils::capture.output(
      y <- predict_stream(model, source, 2L, NULL, list(look))
    )
  }
  expect_match(run(3), "^3/3 - ")
  expect_identical(look$params$steps, 3L)
  expect_match(run(NULL), "^3/3 - ")
  expect_null(look$params$steps)
})

test_that("one batch at a time is in memory", {
  model <- loaded("mlp")
  alive <- 0
  most <- 0
  left <- 30
  take <- function() {
    if (left == 0) {
      return(NULL)
    }
    left <<- left - 1
    gc(verbose = FALSE)
    most <<- max(most, alive)
    alive <<- alive + 1
    token <- new.env()
    reg.finalizer(token, function(e) alive <<- alive - 1)
    structure(matrix(0, 2, 4), token = token)
  }
  expect_identical(dim(predict(model, take)), c(60L, 2L))
  expect_lte(most, 3)
})
