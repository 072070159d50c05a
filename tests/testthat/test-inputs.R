test_that("arrays of integers and logicals are numbers", {
  model <- loaded("mlp")
  x <- matrix(c(0, 1, 1, 0, 1, 1, 0, 0), 2)
  expected <- predict(model, x)
  expect_identical(predict(model, matrix(as.integer(x), 2)), expected)
  expect_identical(predict(model, matrix(as.logical(x), 2)), expected)
  expect_identical(predict(model, list(x)), expected)
  expect_identical(predict(model, list(input_layer = x, more = 1)[1]), expected)
})

test_that("a named list goes by name, in any order, with more names", {
  model <- loaded("two")
  x <- cases()$two$x
  expect_close(predict(model, list(b = x[[2]], more = "no", a = x[[1]])), cases()$two$y)
  dict <- loaded("dict")
  d <- cases()$dict$x
  expect_close(predict(dict, list(b = d$b, a = d$a)), cases()$dict$y)
  expect_close(predict(dict, list(d$a, d$b)), cases()$dict$y)
})

test_that("a data frame is a matrix, or a column for each input", {
  frame <- as.data.frame(cases()$mlp$x)
  expect_close(predict(loaded("mlp"), frame), cases()$mlp$y)
  frame$V1 <- as.integer(frame$V1 > 0)
  frame$V2 <- frame$V2 > 0
  expect_equal(predict(loaded("mlp"), frame), predict(loaded("mlp"), as.matrix(frame)))
  single <- cases()$single
  expect_close(predict(loaded("single"), data.frame(value = single$x[, 1])), single$y)
})

test_that("a model with several inputs takes a data frame with a column for each", {
  case <- cases()$columns
  frame <- data.frame(
    kind = factor(c("a", "c", "b", "c")[seq_along(case$x$kind)], levels = c("a", "b", "c")),
    more = letters[1:4], age = case$x$age[, 1]
  )
  expect_close(predict(loaded("columns"), frame), case$y)
  expect_close(predict(loaded("columns"), as.list(frame)), case$y)
  expect_close(predict(loaded("columns"), list(case$x$age, case$x$kind)), case$y)
  expect_snapshot(error = TRUE, {
    predict(loaded("columns"), frame["age"])
    frame$kind[2] <- NA
    predict(loaded("columns"), frame)
  })
})

test_that("strings are read and written as UTF-8", {
  model <- loaded("text")
  x <- matrix(c("a", "\u00e9", "", "\u4e2d\u6587", "long text", "z"), 3)
  expect_identical(predict(model, x), x)
  expect_identical(predict(model, x, batch_size = 2), x)
  latin <- x
  latin[2, 1] <- iconv("\u00e9", "UTF-8", "latin1")
  expect_identical(predict(model, latin), x)
  expect_identical(predict(model, as.data.frame(x)), x)
  expect_identical(predict(model, array(factor(x), c(3, 2))), x)
  x[1, 2] <- NA
  expect_snapshot(error = TRUE, {
    predict(model, x)
    predict(model, matrix(1, 1, 2))
  })
})

test_that("a plain vector is one column", {
  case <- cases()$single
  expect_close(predict(loaded("single"), case$x[, 1]), case$y)
  expect_close(predict(loaded("single"), as.data.frame(case$x)), case$y)
})

test_that("a last axis of 1 may be left out or added", {
  case <- cases()$image
  expect_close(predict(loaded("image"), array(case$x, c(4, 6, 5))), case$y)
  case <- cases()$mlp
  expect_close(predict(loaded("mlp"), array(case$x, c(7, 4, 1))), case$y)
})

test_that("doubles are truncated in integer inputs, factors count from 0", {
  model <- loaded("words")
  case <- cases()$words
  expect_close(predict(model, case$x + 0.9), case$y)
  one <- factor(c("b", "a"), levels = c("a", "b"))
  expect_identical(predict(model, matrix(c(1L, 0L), 2)), predict(model, array(as.integer(one) - 1L, c(2, 1))))
})

test_that("sequences of any length work", {
  model <- loaded("words")
  x <- cases()$words$x
  for (n in 1:5) expect_identical(dim(predict(model, x[, 1:n, drop = FALSE])), c(4L, 2L))
})

test_that("sparse matrices are read batch by batch", {
  skip_if_not_installed("Matrix")
  model <- loaded("mlp")
  x <- matrix(rbinom(400, 2, 0.3), 100)
  expected <- predict(model, x)
  sparse <- Matrix::Matrix(x, sparse = TRUE)
  expect_s4_class(sparse, "dgCMatrix")
  expect_identical(predict(model, sparse), expected)
  expect_identical(predict(model, sparse, batch_size = 7), expected)
  expect_identical(predict(model, methods::as(sparse, "TsparseMatrix")), expected)
  expect_identical(predict(model, methods::as(sparse, "RsparseMatrix")), expected)
  expect_identical(predict(model, sparse > 0), predict(model, x > 0))
  expect_identical(predict(model, methods::as(sparse > 0, "nMatrix")), predict(model, x > 0))
  expect_identical(model(sparse), expected)
  expect_error(predict(model, sparse[, 1:3]), class = "keraspredict_error_bad_input")
})

test_that("errors say what is wrong with the input", {
  mlp <- loaded("mlp")
  two <- loaded("two")
  x <- cases()$mlp$x
  a <- cases()$two$x[[1]]
  b <- cases()$two$x[[2]]
  missing <- matrix(c(1L, NA, 3L, NA), 1)
  expect_snapshot(error = TRUE, {
    predict(mlp, x[, 1:3])
    predict(mlp, 1:3)
    predict(mlp, array(0, c(2, 4, 3)))
    predict(mlp, letters)
    predict(mlp, matrix("a", 1, 4))
    predict(mlp, complex(4))
    predict(mlp, as.raw(1:4))
    predict(mlp, quote(x))
    predict(mlp, new.env())
    predict(mlp, Sys.Date())
    predict(mlp, missing)
    predict(mlp, matrix(NA, 1, 4))
    predict(mlp, list(x, x))
    predict(mlp, list(y = x))
    predict(mlp, list())
    predict(mlp, list(NULL))
    predict(mlp, data.frame(a = 1, b = "x", c = TRUE, d = Sys.Date()))
    predict(mlp, data.frame(a = 1:2, b = c(1, NA), c = c(TRUE, NA), d = 1))
    predict(two, x)
    predict(two, list(a))
    predict(two, list(a, b, b))
    predict(two, list(b, a))
    predict(two, list(a = a, c = b))
    predict(two, list(a, b[1:3, ]))
    predict(loaded("words"), matrix(c(0, NaN), 1))
    predict(loaded("image"), cases()$image$x[, , 1:2, , drop = FALSE])
  })
})

test_that("errors don't depend on earlier calls, and nothing is computed before", {
  two <- loaded("two")
  a <- cases()$two$x[[1]]
  b <- cases()$two$x[[2]]
  predict(two, list(a, b))
  expect_error(predict(two, list(b, a)), class = "keraspredict_error_bad_input")
  ran <- FALSE
  watch <- callback_lambda(on_predict_begin = function(logs) ran <<- TRUE)
  expect_error(predict(two, list(b, a), callbacks = watch), class = "keraspredict_error_bad_input")
  expect_false(ran)
})

test_that("an index outside of an embedding is an error, a negative one wraps", {
  model <- loaded("words")
  expect_snapshot(error = TRUE, predict(model, matrix(c(0L, 6L), 1)))
  condition <- tryCatch(predict(model, matrix(c(0L, 6L), 1)), error = identity)
  expect_s3_class(condition, c("keraspredict_error_index", "keraspredict_error", "error"), exact = FALSE)
  expect_identical(condition$layer, "table")
  expect_identical(predict(model, matrix(-1L, 1)), predict(model, matrix(5L, 1)))
})
