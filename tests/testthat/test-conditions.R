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
