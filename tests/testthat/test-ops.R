test_that("operations give what keras.ops gives", {
  given <- source(test_path("fixtures", "ops.R"))$value
  x <- given$x
  x$row <- as.vector(x$row)
  scope <- list2env(x, parent = asNamespace("keraspredict"))
  for (call in names(given$calls)) {
    y <- eval(str2lang(call), scope)
    expected <- given$calls[[call]]
    if (length(dim(expected)) < 2 && is.null(dim(y))) {
      # A vector of R has one axis, and a number none.
      dim(expected) <- NULL
    }
    expect_equal(y, expected, tolerance = 1e-5, label = call)
    expect_identical(is.logical(y), is.logical(expected), label = call)
  }
})

test_that("forms are told, and factors and empty arrays taken", {
  x <- array(0, c(2, 3, 4))
  expect_identical(op_shape(x), 2:4)
  expect_identical(op_shape(1:3), 3L)
  expect_identical(op_ndim(x), 3L)
  expect_identical(op_size(x), 24L)
  kinds <- factor(c("b", "a", "b"))
  expect_identical(op_one_hot(kinds), rbind(c(0, 1), c(1, 0), c(0, 1)))
  expect_identical(op_one_hot(kinds, 2, zero_indexed = TRUE), op_one_hot(kinds))
  expect_identical(op_one_hot(1, 2, dtype = "int32"), matrix(1:0, 1))
  expect_identical(op_add(matrix(0, 0, 3), 1:3), matrix(0, 0, 3))
  expect_identical(dim(op_top_k(matrix(0, 0, 3), 2)$values), c(0L, 2L))
  expect_identical(op_add(1, 2), 3)
  expect_identical(op_logsumexp(c(-Inf, -Inf)), -Inf)
})

test_that("arguments that don't fit are errors", {
  x <- matrix(1:6, 2)
  expect_snapshot(error = TRUE, {
    op_add(x, 1:2)
    op_matmul(x, x)
    op_matmul(array(1, c(1, 2, 3)), x)
    op_norm(x, 3)
    op_normalize(x, order = "fro")
    op_top_k(x, 4)
    op_transpose(x, c(1, 1))
    op_take(x, 4, axis = 2)
    op_take(x, 0)
    op_one_hot(x, 0)
    op_sort(x, 3)
  })
})
