test_that("errors have classes, a call and data", {
  condition <- tryCatch(predict(loaded("mlp"), letters), error = identity)
  expect_s3_class(
    condition,
    c(
      "keraspredict_error_bad_input",
      "keraspredict_error",
      "error",
      "condition"
    ),
    exact = TRUE
  )
  expect_identical(condition$arg, "`x`")
  expect_identical(conditionCall(condition)[[1]], quote(predict))
  model <- loaded("mlp")
  expect_identical(
    conditionCall(tryCatch(model(letters), error = identity)),
    quote(model(letters))
  )
  missing <- tryCatch(load_model("none.keras"), error = identity)
  expect_identical(missing$path, "none.keras")
  expect_identical(conditionCall(missing), quote(load_model("none.keras")))
})

test_that("failures of the engine are values that R raises", {
  failure <- engine_rows(1:3, 2, 9)
  expect_s3_class(failure, "keraspredict_failure")
  expect_error(checked(failure), class = "keraspredict_error_internal")
  expect_identical(checked(3), 3)
  told <- structure(
    class = "keraspredict_failure",
    list(
      kind = "unsupported_layers",
      message = "no",
      data = list(
        layers = "a\nb",
        classes = "Foo\nBar",
        hints = "no {x} %s\nneither"
      )
    )
  )
  expect_snapshot(error = TRUE, checked(told))
})

test_that("what a model file holds that can't be used is told", {
  weights <- tempfile(fileext = ".weights.h5")
  on.exit(unlink(weights))
  save_model_weights(loaded("mlp"), weights)
  expect_snapshot(error = TRUE, {
    json_model("[null, 4]", c(Dense = '"units": 2, "sparkle": 3'))
    json_model("[null, 4]", c(Dense = '"units": "two"'))
    json_model(
      "[null, 4, 4, 1]",
      c(Resizing = '"height": 2, "width": 2, "interpolation": "best"')
    )
    json_model("[null, 4]", c(Reshape = '"target_shape": [3]'))(matrix(0, 2, 4))
    load_model_weights(
      json_model("[null, 4]", c(Dense = '"units": 9', Dense = '"units": 2')),
      weights
    )
    predict(
      json_model(
        "[null, 1]",
        c(StringLookup = '"vocabulary": ["a", "b"], "num_oov_indices": 0'),
        dtype = "string"
      ),
      "c"
    )
  })
})

test_that("an error of the engine itself asks for a report", {
  expect_snapshot(error = TRUE, checked(engine_rows(1:3, 2, 9)))
})

test_that("calls with the package's name are calls of users", {
  condition <- tryCatch(
    keraspredict::load_model("none.keras"),
    error = identity
  )
  expect_identical(
    conditionCall(condition),
    quote(keraspredict::load_model("none.keras"))
  )
})

test_that("sentences, lists and shapes read well", {
  expect_identical(sentence("it is so"), "It is so.")
  expect_identical(sentence("`x` is so!"), "`x` is so!")
  expect_identical(enumerate("a"), "`a`")
  expect_identical(enumerate(c("a", "b")), "`a` and `b`")
  expect_identical(
    enumerate(letters[1:7], "'"),
    "'a', 'b', 'c', 'd', 'e' and 2 more"
  )
  expect_identical(show_shape(c(NA, 1000000)), "(NA, 1000000)")
  expect_identical(describe(1L), "an integer vector")
  expect_identical(describe(TRUE), "a logical vector")
  expect_identical(describe(list()), "a list")
})

test_that("a package that is missing is named", {
  expect_snapshot(
    error = TRUE,
    check_installed("nosuchpackage", "for sparse matrices")
  )
})

test_that("a model that asks for more memory than there is can't be run", {
  x <- array(0, c(1, 4, 4, 3))
  huge <- json_model(
    "[null, 4, 4, 3]",
    c(UpSampling2D = '"size": [100000, 100000]')
  )
  condition <- tryCatch(predict(huge, x), error = identity)
  expect_s3_class(condition, "keraspredict_error_memory")
  expect_identical(condition$layer, "layer_1")
  expect_gt(as.numeric(condition$bytes), 1e12)
  long <- json_model("[null, 4]", c(RepeatVector = '"n": 2147483647'))
  hide <- function(lines) lines[!grepl("B left.$", lines)]
  expect_snapshot(error = TRUE, transform = hide, {
    predict(huge, x)
    predict(long, matrix(0, 1e4, 4))
  })
})

test_that("the weights of a model from JSON are not made to count them", {
  dense <- json_model("[null, 1000000]", c(Dense = '"units": 1000000'))
  expect_identical(count_params(dense), 1e12 + 1e6)
  expect_output(print(dense), "1,000,001,000,000 (3.64 TB)", fixed = TRUE)
  x <- matrix(0, 1, 1e6)
  expect_error(predict(dense, x), class = "keraspredict_error_no_weights")
})

test_that("the session lives on without the memory a model asks for", {
  skip_on_cran()
  skip_on_os(c("windows", "mac", "solaris"))
  helper <- normalizePath(test_path("helper.R"))
  code <- c(
    "library(keraspredict)",
    sprintf("source(%s)", deparse(helper)),
    "make <- function(size, last = NULL) json_model('[null, 4, 4, 3]',",
    "  c(UpSampling2D = sprintf('\"size\": [%s, %s]', size, size), last))",
    "x <- array(1, c(1, 4, 4, 3))",
    "kind <- function(m) tryCatch({ predict(m, x, verbose = 0); 'none' },",
    "  error = function(e) cat(class(e)[[1]], e$layer, ''))",
    "large <- make('5000', c(GlobalAveragePooling2D = ''))",
    "invisible(kind(large)); invisible(kind(large))",
    "invisible(kind(make('5000')))",
    "cat(dim(predict(make('2'), x, verbose = 0)))"
  )
  out <- run_r(code, stderr = TRUE, memory = 3000000L)
  told <- paste(rep("keraspredict_error_memory layer_1", 3), collapse = " ")
  expect_identical(out, paste(told, "1 8 8 3"))
})
