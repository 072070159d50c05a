test_that("a model has keras3's classes and is a function", {
  model <- loaded("mlp")
  expect_s3_class(
    model,
    c(
      "keraspredict_model",
      "keras.src.models.sequential.Sequential",
      "keras.src.models.model.Model"
    ),
    exact = FALSE
  )
  expect_true(is.function(model))
  expect_s3_class(loaded("two"), "keras.src.models.functional.Functional")
})

test_that("a model has parts", {
  model <- loaded("two")
  expect_identical(model$name, "two")
  expect_identical(model$input_names, c("a", "b"))
  expect_identical(model$output_names, c("o1", "o2"))
  expect_identical(model$input_shape, list(c(NA, 4L), c(NA, 3L)))
  expect_identical(model$output_shape, list(c(NA, 2L), c(NA, 3L)))
  expect_identical(loaded("mlp")$output_shape, c(NA, 2L))
  expect_identical(loaded("words")$input_dtype, "int32")
  expect_identical(model$count_params(), 102)
  expect_identical(model[["name"]], "two")
  layers <- loaded("nested")$layers
  expect_identical(
    vapply(layers, `[[`, "", "class_name"),
    c("Sequential", "Dense", "Activation")
  )
  expect_identical(layers[[1]]$layers[[1]]$params, 15)
  expect_identical(model$class_name, "Functional")
  expect_identical(layers[[1]]$params, 15)
  expect_snapshot(print(layers[[2]]))
  case <- cases()$mlp
  expect_close(loaded("mlp")$predict(case$x), case$y)
  expect_close(loaded("mlp")$predict_on_batch(case$x), case$y)
  expect_snapshot(error = TRUE, {
    model$weight
    model$name <- "other"
    model$stop_predicting <- "yes"
  })
  expect_true("layers" %in% utils:::.DollarNames(model, "^la"))
})

test_that("a saved model predicts the same when it is read", {
  model <- loaded("two")
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  saveRDS(model, file)
  again <- readRDS(file)
  expect_identical(class(again), class(model))
  expect_identical(predict(again, cases()$two$x), predict(model, cases()$two$x))
  # Also what was never used in this session.
  saveRDS(readRDS(file), file)
  expect_identical(
    predict(readRDS(file), cases()$two$x),
    predict(model, cases()$two$x)
  )
  expect_identical(format(readRDS(file)), format(model))
})

test_that("every way of serializing a model works", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  expected <- predict(model, x)
  for (version in 2:3) {
    bytes <- serialize(model, NULL, version = version)
    expect_identical(predict(unserialize(bytes), x), expected)
  }
  ascii <- serialize(model, NULL, ascii = TRUE)
  expect_identical(predict(unserialize(ascii), x), expected)
  file <- tempfile()
  on.exit(unlink(file))
  save(model, file = file)
  rm(model)
  load(file)
  expect_identical(predict(model, x), expected)
  expect_identical(predict(load_model(environment(model)$handle), x), expected)
})

test_that("a model saved here predicts in a fresh session that loads nothing", {
  file <- tempfile(fileext = ".rds")
  on.exit(unlink(file))
  saveRDS(loaded("mlp"), file)
  out <- run_r(c(
    sprintf("model <- readRDS(%s)", deparse(file)),
    "x <- matrix(c(1, 2, 3, 4), 1)",
    "cat(format(predict(model, x, verbose = 0), digits = 5))"
  ))
  expected <- predict(loaded("mlp"), matrix(c(1, 2, 3, 4), 1))
  expect_identical(out, paste(format(expected, digits = 5), collapse = " "))
})

test_that("a model travels to a PSOCK worker", {
  skip_on_cran()
  cluster <- parallel::makePSOCKcluster(1)
  on.exit(parallel::stopCluster(cluster))
  parallel::clusterCall(
    cluster,
    function(paths) {
      Sys.unsetenv("TESTTHAT")
      .libPaths(paths)
    },
    .libPaths()
  )
  x <- cases()$mlp$x
  got <- parallel::clusterCall(
    cluster,
    function(model, x) predict(model, x, verbose = 0),
    loaded("mlp"),
    x
  )
  expect_identical(got[[1]], predict(loaded("mlp"), x))
  text <- parallel::clusterCall(
    cluster,
    function(model, x) capture.output(y <- predict(model, x)),
    loaded("mlp"),
    x
  )
  expect_match(text[[1]], "^1/1 - 0s - [0-9]+[mu]s/step$")
})

test_that("a fork predicts after its parent did", {
  skip_on_os("windows")
  # In a process of its own: processx and parallel don't share children.
  expect_identical(
    run_r(c(
      "library(keraspredict)",
      sprintf(
        "model <- load_model(%s)",
        deparse(normalizePath(fixture("image")))
      ),
      "x <- array(sin(1:24000), c(800, 6, 5, 1))",
      "expected <- predict(model, x, verbose = 0)",
      "got <- parallel::mclapply(1:2, function(i) predict(model, x, verbose = 0), mc.cores = 2)",
      "cat(identical(got, list(expected, expected)))"
    )),
    "TRUE"
  )
})

test_that("raw vectors and other names of files load", {
  file <- fixture("mlp")
  bytes <- readBin(file, "raw", file.size(file))
  expect_close(predict(load_model(bytes), cases()$mlp$x), cases()$mlp$y)
  copy <- tempfile(fileext = ".bin")
  on.exit(unlink(copy))
  file.copy(file, copy)
  expect_close(predict(load_model(copy), cases()$mlp$x), cases()$mlp$y)
})

test_that("keras3's arguments of load_model() are accepted and checked", {
  model <- load_model(
    fixture("mlp"),
    custom_objects = list(a = 1),
    compile = FALSE,
    safe_mode = FALSE
  )
  expect_close(predict(model, cases()$mlp$x), cases()$mlp$y)
  expect_snapshot(error = TRUE, {
    load_model()
    load_model(3)
    load_model(NA_character_)
    load_model(c("a", "b"))
    load_model(fixture("mlp"), custom_objects = list(1))
    load_model(fixture("mlp"), compile = NA)
    load_model(fixture("mlp"), safe_mode = "no")
  })
})

test_that("files that can't be loaded are four different errors", {
  dir <- tempfile()
  dir.create(dir)
  on.exit(unlink(dir, recursive = TRUE))
  text <- file.path(dir, "text.keras")
  writeLines("no model at all", text)
  empty <- file.path(dir, "empty.keras")
  file.create(empty)
  cut <- file.path(dir, "cut.keras")
  bytes <- readBin(fixture("mlp"), "raw", file.size(fixture("mlp")))
  writeBin(utils::head(bytes, length(bytes) %/% 2), cut)
  expect_error(
    load_model(file.path(dir, "none.keras")),
    class = "keraspredict_error_file_missing"
  )
  expect_error(load_model(text), class = "keraspredict_error_not_a_model")
  expect_error(load_model(empty), class = "keraspredict_error")
  expect_error(load_model(cut), class = "keraspredict_error_damaged_file")
  expect_error(load_model(dir), class = "keraspredict_error")
  expect_error(
    load_model(as.raw(1:10)),
    class = "keraspredict_error_not_a_model"
  )
  hide <- function(lines) {
    gsub(dir, "<dir>", gsub(getwd(), "<wd>", lines, fixed = TRUE), fixed = TRUE)
  }
  expect_snapshot(error = TRUE, transform = hide, {
    load_model(file.path(dir, "none.keras"))
    load_model(text)
    load_model(cut)
  })
})

test_that("a model is its own model, and predicts for what has none", {
  model <- loaded("mlp")
  expect_identical(load_model(model)$name, "mlp")
  expect_close(predict(load_model(model), cases()$mlp$x), cases()$mlp$y)
})

test_that("signs that mean something elsewhere are only signs in messages", {
  expect_error(load_model("100%s %n {x} `\\"), "100%s %n {x} `\\", fixed = TRUE)
})

test_that("examples have paths", {
  expect_true(all(
    c("iris.keras", "iris.h5", "digits.keras", "language.keras") %in%
      keraspredict_example()
  ))
  expect_true(file.exists(keraspredict_example("iris")))
  expect_match(keraspredict_example("iris.h5"), "iris[.]h5$")
  expect_snapshot(error = TRUE, keraspredict_example(3))
  expect_error(
    keraspredict_example("none"),
    class = "keraspredict_error_bad_argument"
  )
})

test_that("examples predict what Keras predicted", {
  for (name in c("iris", "iris.h5", "digits", "language")) {
    data <- readRDS(sub("(keras|h5)$", "rds", keraspredict_example(name)))
    y <- predict(load_model(keraspredict_example(name)), data$x)
    expect_lt(max(abs(y - data$expected)), 1e-5)
  }
})

test_that("files go by their content, not by their names", {
  case <- as.matrix(iris[c(1, 51, 101), 1:4])
  expected <- predict(load_model(keraspredict_example("iris")), case)
  for (name in c("iris.h5", "iris.keras")) {
    for (suffix in c(".hdf5", ".hd5", ".h5", ".keras", ".bin", "")) {
      file <- tempfile(fileext = suffix)
      file.copy(keraspredict_example(name), file)
      expect_equal(predict(load_model(file), case), expected, tolerance = 1e-6)
      unlink(file)
    }
  }
})

test_that("what other versions and tools leave in a file is read or passed over", {
  case <- as.matrix(iris[c(1, 51, 101), 1:4])
  foreign <- test_path("fixtures", "foreign.h5")
  expected <- predict(load_model(keraspredict_example("iris.h5")), case)
  expect_identical(predict(load_model(foreign), case), expected)
  config <- save_model_config(load_model(foreign))
  empty <- load_model(charToRaw(config))
  expect_identical(predict(load_model_weights(empty, foreign), case), expected)
})
