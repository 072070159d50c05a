text_cases <- source(test_path("fixtures", "text.R"))$value

test_that("models of text and categories give what Keras gives", {
  for (name in c("tokens", "kinds", "names", "table", "space")) {
    expect_equal(
      predict(loaded(name), text_cases[[name]]$x, verbose = 0),
      text_cases[[name]]$y,
      tolerance = 1e-5,
      info = name
    )
  }
  expect_equal(
    predict(
      loaded("sentiment"),
      text_cases$sentiment$x,
      batch_size = 2,
      verbose = 0
    ),
    text_cases$sentiment$y,
    tolerance = 1e-5
  )
})

test_that("the longest text of a batch decides its length", {
  model <- loaded("tokens")
  x <- text_cases$tokens$x
  expect_identical(
    dim(predict(model, x[1:2, , drop = FALSE], verbose = 0)),
    c(2L, 4L)
  )
  expect_identical(dim(model(x[4, , drop = FALSE])), c(1L, 0L))
  expect_error(
    predict(model, x, batch_size = 2, verbose = 0),
    "one batch of all rows",
    class = "keraspredict_error_bad_input"
  )
  # Where it doesn't show, any batches do; rows without a text of the same
  # length are padded.
  sentiment <- loaded("sentiment")
  expect_identical(
    dim(predict(sentiment, x, batch_size = 3, verbose = 0)),
    c(5L, 2L)
  )
  expect_identical(
    dim(predict(sentiment, x[0, , drop = FALSE], verbose = 0)),
    c(0L, 2L)
  )
})

test_that("texts come as vectors, factors and data frames", {
  model <- loaded("tokens")
  x <- text_cases$tokens$x
  expect_identical(
    predict(model, as.vector(x), verbose = 0),
    text_cases$tokens$y
  )
  expect_identical(
    predict(model, factor(as.vector(x), unique(as.vector(x))), verbose = 0),
    text_cases$tokens$y
  )
  expect_identical(
    predict(model, data.frame(text = as.vector(x)), verbose = 0),
    text_cases$tokens$y
  )
  kinds <- loaded("kinds")
  expect_identical(
    predict(kinds, as.data.frame(text_cases$kinds$x), verbose = 0),
    text_cases$kinds$y
  )
})

test_that("a data frame has a column per feature", {
  model <- loaded("table")
  x <- lapply(text_cases$table$x, as.vector)
  data <- data.frame(zip = as.integer(x$zip), kind = x$kind, age = x$age)
  expect_equal(
    predict(model, data, verbose = 0),
    text_cases$table$y,
    tolerance = 1e-5
  )
  data$kind <- factor(data$kind)
  expect_equal(
    predict(model, data, verbose = 0),
    text_cases$table$y,
    tolerance = 1e-5
  )
  data$kind[2] <- NA
  error <- expect_error(
    predict(model, data, verbose = 0),
    class = "keraspredict_error_bad_input"
  )
  expect_match(conditionMessage(error), "`x$kind`", fixed = TRUE)
  expect_match(conditionMessage(error), "1 value", fixed = TRUE)
})

test_that("encodings are translated, and what is no text is refused", {
  model <- loaded("kinds")
  latin <- iconv("gr\u00fcn", "UTF-8", "latin1")
  expect_identical(Encoding(latin), "latin1")
  y <- predict(model, matrix(c(latin, "red"), 1), verbose = 0)
  expect_identical(
    y,
    predict(model, matrix(c("gr\u00fcn", "red"), 1), verbose = 0)
  )
  bytes <- "gr\xfcn"
  Encoding(bytes) <- "bytes"
  expect_error(
    predict(model, matrix(c(bytes, "red"), 1)),
    "must be text",
    class = "keraspredict_error_bad_input"
  )
  expect_error(
    predict(model, matrix(c(NA, "red"), 1)),
    "1 value that is NA",
    class = "keraspredict_error_bad_input"
  )
  expect_error(
    predict(model, matrix(1:2, 1)),
    "character array",
    class = "keraspredict_error_bad_input"
  )
})

test_that("a model of text survives saveRDS", {
  path <- tempfile(fileext = ".rds")
  saveRDS(loaded("kinds"), path)
  expect_identical(
    predict(readRDS(path), text_cases$kinds$x, verbose = 0),
    text_cases$kinds$y
  )
})

test_that("what is not in a vocabulary without unknown indices is an error", {
  strict <- loaded("strict")
  expect_identical(
    predict(strict, matrix(c("red", "blue"), 1), verbose = 0),
    matrix(c(0, 1), 1)
  )
  error <- expect_error(
    predict(strict, matrix(c("red", "green"), 1), verbose = 0),
    class = "keraspredict_error_out_of_vocabulary"
  )
  expect_match(conditionMessage(error), "green", fixed = TRUE)
  expect_identical(error$layer, "strict")
  numbers <- loaded("strict_numbers")
  expect_identical(
    predict(numbers, matrix(c(5, 3), 1), verbose = 0),
    matrix(c(1, 0), 1)
  )
  expect_error(
    predict(numbers, matrix(c(5, 4), 1), verbose = 0),
    "4",
    class = "keraspredict_error_out_of_vocabulary"
  )
})
