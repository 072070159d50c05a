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
  expect_close(
    predict(model, list(b = x[[2]], more = "no", a = x[[1]])),
    cases()$two$y
  )
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
  expect_equal(
    predict(loaded("mlp"), frame),
    predict(loaded("mlp"), as.matrix(frame))
  )
  single <- cases()$single
  expect_close(
    predict(loaded("single"), data.frame(value = single$x[, 1])),
    single$y
  )
})

test_that("a model with several inputs takes a data frame with a column for each", {
  case <- cases()$columns
  frame <- data.frame(
    kind = factor(
      c("a", "c", "b", "c")[seq_along(case$x$kind)],
      levels = c("a", "b", "c")
    ),
    more = letters[1:4],
    age = case$x$age[, 1]
  )
  expect_close(predict(loaded("columns"), frame), case$y)
  expect_close(predict(loaded("columns"), as.list(frame)), case$y)
  expect_close(
    predict(loaded("columns"), list(case$x$age, case$x$kind)),
    case$y
  )
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
  expect_identical(
    predict(model, matrix(c(1L, 0L), 2)),
    predict(model, array(as.integer(one) - 1L, c(2, 1)))
  )
})

test_that("sequences of any length work", {
  model <- loaded("words")
  x <- cases()$words$x
  for (n in 1:5) {
    expect_identical(dim(predict(model, x[, 1:n, drop = FALSE])), c(4L, 2L))
  }
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
  expect_identical(
    predict(model, methods::as(sparse, "TsparseMatrix")),
    expected
  )
  expect_identical(
    predict(model, methods::as(sparse, "RsparseMatrix")),
    expected
  )
  expect_identical(predict(model, sparse > 0), predict(model, x > 0))
  expect_identical(
    predict(model, methods::as(sparse > 0, "nMatrix")),
    predict(model, x > 0)
  )
  expect_identical(model(sparse), expected)
  expect_error(
    predict(model, sparse[, 1:3]),
    class = "keraspredict_error_bad_input"
  )
})

test_that("every class of the package Matrix is read", {
  skip_if_not_installed("Matrix")
  model <- loaded("mlp")
  set.seed(4)
  square <- matrix(rbinom(16, 3, 0.4), 4)
  sparse <- Matrix::Matrix(square, sparse = TRUE)
  twice <- Matrix::sparseMatrix(
    i = c(1, 1, 3),
    j = c(2, 2, 4),
    x = c(1, 2, 3),
    dims = c(4, 4),
    repr = "T"
  )
  kinds <- list(
    dgC = sparse,
    dgR = methods::as(sparse, "RsparseMatrix"),
    dgT = twice,
    lgC = sparse > 0,
    ngC = methods::as(sparse > 0, "nMatrix"),
    dsC = Matrix::crossprod(sparse),
    dtC = Matrix::triu(sparse),
    unit = Matrix::Matrix(
      diag(4) + matrix(c(0, 0, 0, 0, 1, 0, 0, 0), 4, 4) * upper.tri(square),
      sparse = TRUE
    ),
    diagonal = Matrix::Diagonal(4, 1:4),
    identity = Matrix::Diagonal(4),
    index = methods::as(c(2L, 4L, 1L, 3L), "indMatrix"),
    permutation = methods::as(c(2L, 4L, 1L, 3L), "pMatrix"),
    dense = Matrix::Matrix(square, sparse = FALSE),
    symmetric = Matrix::crossprod(Matrix::Matrix(square, sparse = FALSE))
  )
  for (kind in names(kinds)) {
    expect_equal(
      predict(model, kinds[[kind]]),
      predict(model, unname(as.matrix(kinds[[kind]]) + 0)),
      label = kind
    )
  }
  named <- sparse
  dimnames(named) <- list(letters[1:4], NULL)
  expect_identical(rownames(predict(model, named)), letters[1:4])
  sparse[2, 2] <- NA
  expect_error(
    predict(model, sparse > 0),
    class = "keraspredict_error_bad_input"
  )
})

test_that("bytes are numbers from 0 to 255", {
  model <- loaded("mlp")
  x <- matrix(c(0, 1, 2, 200, 255, 3, 4, 5), 2)
  bytes <- array(as.raw(x), dim(x))
  expect_identical(predict(model, bytes), predict(model, x))
  expect_identical(predict(model, bytes, batch_size = 1), predict(model, x))
  frame <- data.frame(
    a = as.raw(c(0, 1)),
    b = c(2, 200),
    c = as.raw(c(255, 3)),
    d = c(4L, 5L)
  )
  expect_identical(
    predict(model, frame),
    predict(model, as.matrix(as.data.frame(lapply(frame, as.integer))))
  )
  words <- loaded("words")
  expect_identical(
    predict(words, array(as.raw(0:5), c(2, 3))),
    predict(words, matrix(0:5, 2))
  )
  image <- cases()$image$x
  whole <- array(as.integer(abs(image) * 9), dim(image))
  expect_identical(
    predict(loaded("image"), array(as.raw(whole), dim(whole))),
    predict(loaded("image"), whole)
  )
})

test_that("classes that hold numbers are numbers", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  expected <- predict(model, x)
  expect_identical(
    predict(model, structure(x, class = c("measured", "matrix"))),
    expected
  )
  expect_identical(predict(model, stats::ts(x)), expected)
  expect_identical(predict(model, I(x)), expected)
  if (requireNamespace("units", quietly = TRUE)) {
    expect_identical(
      predict(model, units::set_units(x, "m", mode = "standard")),
      expected
    )
  }
  if (requireNamespace("bit64", quietly = TRUE)) {
    whole <- matrix(c(1, 2, 3, 4, 5, 6, 7, 8), 2)
    big <- bit64::as.integer64(whole)
    dim(big) <- dim(whole)
    expect_identical(predict(model, big), predict(model, whole))
    big[1] <- NA
    expect_snapshot(error = TRUE, predict(model, big))
    expect_snapshot(
      error = TRUE,
      predict(loaded("words"), bit64::as.integer64(2)^60)
    )
  }
})

test_that("tibbles and data.tables are data frames", {
  case <- cases()$mlp
  columns <- cases()$columns
  frame <- data.frame(
    kind = factor(c("a", "c", "b", "c"), levels = c("a", "b", "c")),
    age = columns$x$age[, 1]
  )
  if (requireNamespace("tibble", quietly = TRUE)) {
    colnames(case$x) <- letters[1:4]
    expect_close(predict(loaded("mlp"), tibble::as_tibble(case$x)), case$y)
    expect_close(
      predict(loaded("columns"), tibble::as_tibble(frame)),
      columns$y
    )
    lists <- tibble::tibble(a = list(1, 2), b = 1, c = 1, d = 1)
    expect_snapshot(error = TRUE, predict(loaded("mlp"), lists))
  }
  if (requireNamespace("data.table", quietly = TRUE)) {
    expect_close(
      predict(loaded("mlp"), data.table::as.data.table(case$x)),
      case$y
    )
    expect_close(
      predict(loaded("columns"), data.table::as.data.table(frame)),
      columns$y
    )
    bad <- data.table::data.table(a = 1, b = "x", c = TRUE, d = 1)
    expect_error(
      predict(loaded("mlp"), bad),
      "`b` is <character>",
      fixed = TRUE
    )
  }
})

test_that("tensors of the R package torch are read by as.array()", {
  # The package needs its own shared libraries: this has its methods.
  x <- cases()$mlp$x
  tensor <- function(x) {
    self <- new.env()
    self$x <- x
    self$detach <- function() tensor(x)
    self$cpu <- function() tensor(x)
    structure(self, class = c("torch_tensor", "R7"))
  }
  registerS3method(
    "as.array",
    "torch_tensor",
    function(x, ...) x$x,
    envir = asNamespace("base")
  )
  expect_close(predict(loaded("mlp"), tensor(x)), cases()$mlp$y)
  case <- cases()$two
  expect_close(predict(loaded("two"), lapply(case$x, tensor)), case$y)
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
    predict(mlp, x[1, ])
    predict(mlp, array(1:3))
    predict(mlp, array(0, c(2, 4, 3)))
    predict(mlp, letters)
    predict(mlp, matrix("a", 1, 4))
    predict(mlp, complex(4))
    predict(mlp, quote(x))
    predict(mlp, quote(x + 1))
    predict(mlp, new.env())
    predict(mlp, as.Date("2026-01-01"))
    predict(mlp, as.POSIXlt("2026-01-01", tz = "UTC"))
    predict(mlp, as.difftime(1:4, units = "days"))
    predict(mlp, stdin())
    predict(mlp, ".")
    predict(mlp, structure(list(), class = "DBIConnection"))
    predict(mlp, lm(dist ~ speed, cars))
    predict(mlp, missing)
    predict(mlp, matrix(NA, 1, 4))
    predict(mlp, list(x, x))
    predict(mlp, list(y = x))
    predict(mlp, list())
    predict(mlp, list(NULL))
    predict(
      mlp,
      data.frame(a = 1, b = "x", c = TRUE, d = as.Date("2026-01-01"))
    )
    predict(mlp, as.data.frame(matrix(letters[1:7], 1)))
    predict(mlp, data.frame(a = 1, b = I(matrix(1:3, 1))))
    predict(mlp, data.frame(a = 1:2, b = c(1, NA), c = c(TRUE, NA), d = 1))
    predict(two, x)
    predict(two, list(a))
    predict(two, list(a, b, b))
    predict(two, list(b, a))
    predict(two, list(a = a, c = b))
    predict(two, list(a, b[1:3, ]))
    predict(loaded("words"), matrix(c(0, NaN), 1))
    predict(loaded("image"), cases()$image$x[, , 1:2, , drop = FALSE])
    predict(loaded("image"), cases()$image$x[1, , , ])
    predict(two, list(a[1, ], b))
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
  expect_error(
    predict(two, list(b, a), callbacks = watch),
    class = "keraspredict_error_bad_input"
  )
  expect_false(ran)
})

test_that("an index outside of an embedding is an error, a negative one wraps", {
  model <- loaded("words")
  expect_snapshot(error = TRUE, predict(model, matrix(c(0L, 6L), 1)))
  condition <- tryCatch(predict(model, matrix(c(0L, 6L), 1)), error = identity)
  expect_s3_class(
    condition,
    c("keraspredict_error_index", "keraspredict_error", "error"),
    exact = FALSE
  )
  expect_identical(condition$layer, "table")
  expect_identical(
    predict(model, matrix(-1L, 1)),
    predict(model, matrix(5L, 1))
  )
})
