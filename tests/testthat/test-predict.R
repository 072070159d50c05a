test_that("predictions are Keras' for every fixture", {
  for (name in setdiff(names(cases()), c("types", "rank0"))) {
    case <- cases()[[name]]
    expect_close(predict(loaded(name), case$x), case$y)
  }
})

test_that("one output is a matrix with the attribute dim alone", {
  case <- cases()$mlp
  y <- predict(loaded("mlp"), case$x)
  expect_type(y, "double")
  expect_identical(attributes(y), list(dim = c(7L, 2L)))
  one <- predict(loaded("mlp"), case$x[1, , drop = FALSE])
  expect_identical(dim(one), c(1L, 2L))
  expect_close(one, case$y[1, , drop = FALSE])
})

test_that("row names of x come back", {
  x <- cases()$mlp$x
  rownames(x) <- letters[1:7]
  y <- predict(loaded("mlp"), x)
  expect_identical(dimnames(y), list(letters[1:7], NULL))
  expect_identical(
    dimnames(predict(loaded("mlp"), as.data.frame(x)))[[1]],
    letters[1:7]
  )
  plain <- as.data.frame(matrix(x, 7))
  expect_null(dimnames(predict(loaded("mlp"), plain)))
  r1 <- cases()$rank1$x
  rownames(r1) <- LETTERS[1:5]
  expect_identical(dimnames(predict(loaded("rank1"), r1)), list(LETTERS[1:5]))
  expect_identical(rownames(loaded("mlp")(x)), letters[1:7])
})

test_that("results have the rank of the output", {
  expect_identical(dim(predict(loaded("rank1"), cases()$rank1$x)), 5L)
  expect_identical(
    dim(predict(loaded("rank3"), cases()$rank3$x)),
    c(3L, 4L, 2L)
  )
})

test_that("a scalar output is a number, or one entry a batch", {
  model <- loaded("rank0")
  case <- cases()$rank0
  expect_close(predict(model, case$x), case$y)
  one <- predict(model, case$x[1:32, ])
  expect_null(attributes(one))
  expect_length(one, 1)
  expect_equal(one, case$y[[1]], tolerance = 1e-4)
})

test_that("several outputs are an unnamed list, a dict a named one with its nesting", {
  two <- predict(loaded("two"), cases()$two$x)
  expect_null(names(two))
  expect_length(two, 2)
  y <- predict(loaded("dict"), cases()$dict$x)
  expect_setequal(names(y), c("z", "more"))
  expect_named(y$more, "y")
})

test_that("types of outputs become R's", {
  y <- predict(loaded("types"), cases()$types$x)
  expected <- cases()$types$y
  expect_type(y$bool, "logical")
  for (name in c("int8", "uint16", "int32")) {
    expect_type(y[[name]], "integer")
  }
  for (name in c("int64", "uint32", "float16")) {
    expect_type(y[[name]], "double")
  }
  for (name in names(y)) {
    expect_equal(
      as.numeric(y[[name]]),
      as.numeric(expected[[name]]),
      tolerance = 1e-3
    )
    expect_identical(dim(y[[name]]), c(3L, 4L))
  }
})

test_that("all small whole numbers become integers, and large ones doubles", {
  config <- save_model_config(loaded("types"))
  x <- cases()$types$x
  kind <- function(dtype) {
    changed <- sub('"int8"', paste0('"', dtype, '"'), config)
    model <- load_model(charToRaw(changed))
    y <- predict(model, abs(x))$int8
    expect_equal(c(y), trunc(c(abs(x) * 10)))
    typeof(y)
  }
  for (dtype in c("int8", "int16", "int32", "uint8", "uint16")) {
    expect_identical(kind(dtype), "integer", label = dtype)
  }
  for (dtype in c("uint32", "int64", "uint64")) {
    expect_identical(kind(dtype), "double", label = dtype)
  }
})

test_that("no rows give arrays with no rows", {
  x <- cases()$mlp$x[0, , drop = FALSE]
  expect_identical(predict(loaded("mlp"), x), matrix(numeric(), 0, 2))
  expect_identical(loaded("mlp")(x), matrix(numeric(), 0, 2))
  two <- predict(loaded("two"), list(matrix(0, 0, 4), matrix(0, 0, 3)))
  expect_identical(lapply(two, dim), list(c(0L, 2L), c(0L, 3L)))
})

test_that("numbers become float32, and NaN stays", {
  model <- loaded("single")
  big <- predict(model, c(16777217, 16777216))
  expect_identical(big[1], big[2])
  expect_true(all(is.infinite(predict(model, c(1e39, -1e39)))))
  x <- cases()$mlp$x
  x[2, 3] <- NA
  x[4, 1] <- NaN
  y <- predict(loaded("mlp"), x)
  expect_true(all(is.nan(y[c(2, 4), ])))
  expect_close(y[-c(2, 4), ], cases()$mlp$y[-c(2, 4), ])
})

test_that("predictions don't depend on batch_size", {
  model <- loaded("two")
  x <- cases()$two$x
  expected <- predict(model, x)
  for (batch_size in c(1, 2, 3, 5, 100)) {
    expect_equal(
      predict(model, x, batch_size = batch_size),
      expected,
      tolerance = 1e-6
    )
  }
})

test_that("steps without batch_size splits all rows", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  sizes <- integer()
  record <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    sizes <<- c(sizes, nrow(logs$outputs))
  })
  expect_close(predict(model, x, steps = 3, callbacks = record), cases()$mlp$y)
  expect_identical(sizes, c(3L, 3L, 1L))
})

test_that("steps with batch_size takes that many rows", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  expect_close(
    predict(model, x, steps = 2, batch_size = 3),
    cases()$mlp$y[1:6, ]
  )
  expect_snapshot(y <- predict(model, x, steps = 9, batch_size = 3))
  expect_snapshot(y <- predict(model, x, steps = 9, batch_size = 30))
  expect_close(y, cases()$mlp$y)
  expect_warning(
    predict(model, x, steps = 5),
    class = "keraspredict_warning_input_ran_out"
  )
})

test_that("bad arguments are errors", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  expect_snapshot(error = TRUE, {
    predict(model, x, batch_size = 0)
    predict(model, x, batch_size = NA)
    predict(model, x, batch_size = 1.5)
    predict(model, x, batch_size = 1:2)
    predict(model, x, batch_size = NA_real_)
    predict(model, x, batch_size = strrep("many", 20))
    predict(model, x, batch_size = "32")
    predict(model, x, steps = -1)
    predict(model, x, verbose = 3)
    predict(model, x, verbose = "loud")
    predict(model, x, batchsize = 3, foo = 1)
    predict(model, x, 32)
    predict(model)
    predict(model, NULL)
    predict(model, x, callbacks = 1)
    predict(model, x, callbacks = list(mean))
  })
  expect_error(
    predict(model, x, foo = 1),
    class = "keraspredict_error_unknown_argument"
  )
})

test_that("predict_on_batch() and the model itself run one batch", {
  model <- loaded("two")
  case <- cases()$two
  expect_close(predict_on_batch(model, case$x), case$y)
  expect_close(model(case$x), case$y)
  expect_close(model(case$x, training = FALSE), case$y)
  expect_close(
    predict_on_batch(loaded("mlp"), as.data.frame(cases()$mlp$x)),
    cases()$mlp$y
  )
  expect_snapshot(error = TRUE, {
    model()
    model(NULL)
    model(case$x, training = "yes")
    predict_on_batch(model)
    predict_on_batch("model.keras", case$x)
  })
})

test_that("training = TRUE is the same where no layer looks at it", {
  case <- cases()$mlp
  expect_close(loaded("mlp")(case$x, training = TRUE), case$y)
  expect_close(loaded("norm")(cases()$norm$x, training = FALSE), cases()$norm$y)
})

test_that("training = TRUE drops by R's random numbers", {
  model <- loaded("dropout")
  x <- matrix(1, 1000, 10)
  expect_close(model(x), x)
  set.seed(1)
  a <- model(x, training = TRUE)
  b <- model(x, training = TRUE)
  set.seed(1)
  expect_identical(model(x, training = TRUE), a)
  expect_false(identical(a, b))
  expect_setequal(round(unique(c(a)), 5), c(0, 1.33333))
  expect_equal(mean(a == 0), 0.25, tolerance = 0.06)
  expect_close(model(x), x)
})

test_that("random numbers advance only where they are used", {
  set.seed(1)
  before <- .Random.seed
  loaded("dropout")(matrix(1, 2, 10))
  expect_identical(.Random.seed, before)
  loaded("dropout")(matrix(1, 2, 10), training = TRUE)
  expect_false(identical(.Random.seed, before))
})

test_that("mask = masks steps", {
  model <- loaded("words")
  x <- cases()$words$x
  mask <- matrix(TRUE, 4, 5)
  expect_close(model(x, mask = mask), cases()$words$y)
  expect_identical(model(x, mask = list(NULL)), model(x))
  expect_snapshot(error = TRUE, {
    model(x, mask = mask[, 1:3])
    model(x, mask = list(mask, mask))
    model(x, mask = letters)
  })
})

test_that("float64 models compute in float64", {
  case <- cases()$double
  expect_equal(predict(loaded("double"), case$x), case$y, tolerance = 1e-14)
})

test_that("many batches run in chunks with the same result", {
  model <- loaded("mlp")
  x <- matrix(rnorm(4 * 20000), ncol = 4)
  all <- predict(model, x)
  expect_identical(dim(all), c(20000L, 2L))
  some <- c(1, 33, 777, 19999, 20000)
  expect_equal(all[some, ], predict(model, x[some, ]), tolerance = 1e-6)
})

test_that("do.call() and pipes work", {
  x <- cases()$mlp$x
  expect_close(do.call(predict, list(loaded("mlp"), x)), cases()$mlp$y)
  expect_error(
    do.call(predict, list(loaded("mlp"), x[, 1:2])),
    class = "keraspredict_error_bad_input"
  )
})

test_that("complex numbers go in and come out", {
  case <- source(test_path("fixtures", "open.R"))$value$complex
  model <- loaded("complex")
  y <- predict(model, case$x, verbose = 0)
  expect_type(y[[1]], "complex")
  expect_identical(lapply(y, dim), list(c(4L, 2L, 3L), c(4L, 2L, 3L), 4L))
  for (i in 1:3) {
    expect_equal(y[[i]], case$y[[i]], tolerance = 1e-5)
  }
  expect_identical(predict(model, case$x, batch_size = 3, verbose = 0), y)
  # Real numbers are complex ones, but not the other way round.
  real <- Re(case$x)
  expect_identical(
    predict(model, real, verbose = 0)[[1]],
    predict(model, real + 0i, verbose = 0)[[1]]
  )
  expect_error(
    predict(loaded("mlp"), matrix(1i, 2, 4)),
    "numeric array",
    class = "keraspredict_error_bad_input"
  )
})

test_that("the data may decide how many rows there are", {
  case <- source(test_path("fixtures", "open.R"))$value$places
  model <- loaded("places")
  expect_identical(predict(model, case$x, verbose = 0), case$y)
  expect_error(
    predict(model, case$x, batch_size = 2, verbose = 0),
    "one batch of all rows",
    class = "keraspredict_error_bad_input"
  )
})
