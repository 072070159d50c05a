test_that("a saved model predicts the same", {
  for (name in c("mlp", "two", "nested", "words")) {
    case <- cases()[[name]]
    model <- loaded(name)
    expected <- predict(model, case$x)
    file <- tempfile(fileext = ".keras")
    expect_identical(save_model(model, file), model)
    expect_identical(predict(load_model(file), case$x), expected)
    expect_identical(predict(load_model(save_model(model)), case$x), expected)
    folder <- tempfile()
    save_model(model, folder, zipped = FALSE)
    expect_identical(predict(load_model(folder), case$x), expected)
    unlink(c(file, folder), recursive = TRUE)
  }
})

test_that("weights are saved and loaded", {
  case <- cases()$mlp
  model <- loaded("mlp")
  expected <- predict(model, case$x)
  file <- tempfile(fileext = ".weights.h5")
  keras <- tempfile(fileext = ".keras")
  folder <- tempfile()
  on.exit(unlink(c(file, keras, folder), recursive = TRUE))
  save_model_weights(model, file)
  save_model(model, keras)
  save_model(model, folder, zipped = FALSE)
  for (source in c(file, keras, folder)) {
    empty <- load_model(file.path(folder, "config.json"))
    expect_error(
      predict(empty, case$x),
      class = "keraspredict_error_no_weights"
    )
    expect_identical(load_model_weights(empty, source), empty)
    expect_identical(predict(empty, case$x), expected)
  }
  expect_snapshot(error = TRUE, {
    predict(load_model(file.path(folder, "config.json")), case$x)
  })
})

test_that("weights that don't fit are an error, or are skipped", {
  file <- tempfile(fileext = ".weights.h5")
  on.exit(unlink(file))
  save_model_weights(loaded("two"), file)
  model <- loaded("mlp")
  expected <- predict(model, cases()$mlp$x)
  expect_error(
    load_model_weights(model, file),
    class = "keraspredict_error_bad_weight"
  )
  expect_warning(
    load_model_weights(model, file, skip_mismatch = TRUE),
    class = "keraspredict_warning_skipped_weights"
  )
  expect_identical(dim(predict(model, cases()$mlp$x)), dim(expected))
})

test_that("what can't be saved is told", {
  model <- loaded("mlp")
  expect_snapshot(error = TRUE, {
    save_model("model", "m.keras")
    save_model(model, "model.h5")
    save_model(model, 1)
    save_model(model, "m.keras", format = "h5")
    save_model_weights(model, "m.h5")
    save_model(model, "no/such/folder/m.keras")
  })
  expect_error(
    load_model_weights(model, "gone.weights.h5"),
    class = "keraspredict_error_file_missing"
  )
  file <- tempfile(fileext = ".keras")
  on.exit(unlink(file))
  file.create(file)
  expect_error(
    save_model(model, file),
    class = "keraspredict_error_file_exists"
  )
  save_model(model, file, overwrite = TRUE)
  expect_s3_class(load_model(file), "keraspredict_model")
})
