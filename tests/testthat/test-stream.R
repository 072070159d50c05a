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
