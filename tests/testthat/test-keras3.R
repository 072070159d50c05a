test_that("a script of keras3 runs with another library() call", {
  skip_if_not_installed("png")
  script <- readLines(test_path("fixtures", "scripts", "script.R"))
  expect_identical(sum(script == "library(keras3)"), 1L)
  case <- cases()$mlp
  two <- cases()$two
  given <- tempfile(fileext = ".rds")
  saveRDS(
    list(
      folder = normalizePath(test_path("fixtures")),
      x = case$x,
      both = two$x,
      picture = system.file("img", "Rlogo.png", package = "png")
    ),
    given
  )
  result <- tempfile(fileext = ".rds")
  out <- run_r(
    c(
      sprintf("list2env(readRDS(%s), globalenv())", deparse(given)) |>
        paste("|> invisible()"),
      sub("library(keras3)", "library(keraspredict)", script, fixed = TRUE),
      "rm(model, twin, two, features, kept, hidden, logger, early, Logger)",
      sprintf("saveRDS(as.list(globalenv()), %s)", deparse(result))
    ),
    env = "LC_ALL=C.UTF-8"
  )
  got <- readRDS(result)
  for (name in c(
    "scores",
    "small",
    "steps",
    "direct",
    "batch",
    "logged",
    "rows",
    "silent",
    "by_twin",
    "from_written",
    "again"
  )) {
    expect_close(got[[name]], case$y)
  }
  expect_close(got$named, two$y)
  expect_close(got$ordered, two$y)
  expect_equal(got$part, got$by_hand, tolerance = 1e-5)
  y <- got$scores
  expect_identical(got$best, array(max.col(y, "first")))
  expect_equal(got$chances, exp(y) / rowSums(exp(y)))
  expect_identical(got$column, array(y[, 1]))
  expect_identical(got$joined, cbind(y, got$chances))
  expect_identical(list(got$first, got$second), list(y[1, ], y[2, ]))
  expect_identical(got$flat, matrix(t(y), 1))
  model <- loaded("mlp")
  counts <- c(model$count_params(), length(model$weights))
  expect_identical(as.numeric(got$counted), as.numeric(counts))
  expect_identical(dim(got$image), c(1L, 24L, 24L, 3L))
  expect_equal(got$prepared, got$image / 127.5 - 1)
  expect_identical(got$named_class$class_description, "great_white_shark")
  expect_identical(got$padded, rbind(c(1L, 2L, 3L, 0L), 6:9))
  expect_identical(got$classes, rbind(c(1, 0, 0), c(0, 0, 1), c(0, 1, 0)))

  expect_identical(grep("^Model: \"mlp\"$", out), 1L)
  from <- match("steps: 3 ", out)
  expect_identical(
    trimws(out[from + 1:4]),
    c("part 1 of mlp", "part 2 of mlp", "two", "part 3 of mlp")
  )
  expect_match(out[[from + 5]], "^2/2 - 0s - [0-9]+[mu]s/step$")
  expect_match(out[[from + 6]], "^2/2 .{20} 0s [0-9]+[mu]s/step$")
  expect_length(out, from + 6)
})

# The numbers in lines, and the lines without them.
numbers_of <- function(lines) {
  as.numeric(unlist(regmatches(lines, gregexpr("-?[0-9]+[.][0-9]+", lines))))
}
words_of <- function(lines) {
  trimws(gsub("-?[0-9]+[.][0-9]+", "#", lines))
}

test_that("scripts like those of keras3's guides print what Keras does", {
  skip_if_not(l10n_info()[["UTF-8"]])
  skip_if_not_installed("png")
  sounds <- sound_folder()
  # Sounds of two channels go to no model.
  unlink(file.path(sounds, "a", "deep"), recursive = TRUE)
  for (name in c("guide", "tables", "folders")) {
    printed <- test_path("fixtures", "scripts", paste0(name, ".txt"))
    expected <- readLines(printed, encoding = "UTF-8")
    got <- run_script(
      name,
      pictures = data_folder("images"),
      texts = data_folder("texts"),
      sounds = sounds
    )
    expect_identical(words_of(got), words_of(expected), label = name)
    # The last digit that is printed may be rounded either way.
    expect_equal(numbers_of(got), numbers_of(expected), tolerance = 0.002)
  }
})

test_that("a generator of unknown length has no steps, and can be stopped", {
  case <- cases()$mlp
  left <- split(seq_len(7), c(1, 1, 1, 2, 2, 2, 3))
  take <- function() {
    if (length(left) == 0) {
      return(NULL)
    }
    rows <- left[[1]]
    left <<- left[-1]
    case$x[rows, , drop = FALSE]
  }
  seen <- list()
  stopper <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    seen$steps <<- list(stopper$params$steps)
    if (batch == 2) stopper$model$stop_predicting <- TRUE
  })
  expect_close(predict(loaded("mlp"), take, callbacks = stopper), case$y[1:6, ])
  expect_identical(seen$steps, list(NULL))
})

test_that("bfloat16 outputs are doubles", {
  model <- json_model(
    "[null, 2]",
    c(Rescaling = '"scale": 2.0, "offset": 0.0, "dtype": "bfloat16"')
  )
  expect_identical(predict(model, matrix(c(1, 0.5), 1)), matrix(c(2, 1), 1))
})

test_that("what sets a session up in keras3 is accepted", {
  expect_null(use_backend("tensorflow"))
  expect_null(use_backend("jax", gpu = FALSE))
  expect_null(clear_session())
  expect_message(install_keras(envname = "r-keras"), "nothing to install")
  expect_true(is_keras_available())
  expect_identical(config_backend(), "keraspredict")
  expect_identical(config_floatx(), "float32")
  expect_identical(config_epsilon(), 1e-7)
  expect_null(config_set_floatx("float64"))
  expect_null(config_set_epsilon(1e-6))
  set_random_seed(3)
  a <- runif(2)
  set.seed(3)
  expect_identical(runif(2), a)
})

test_that("Python is chosen where it is used", {
  out <- run_r(c(
    "library(keraspredict)",
    "use_virtualenv('nowhere', required = TRUE)",
    "use_condaenv('nowhere')",
    "use_python('nowhere', required = TRUE)",
    "cat(isNamespaceLoaded('reticulate'))"
  ))
  expect_identical(out, "FALSE")
  skip_if_not_installed("reticulate")
  out <- run_r(c(
    "library(reticulate)",
    "suppressPackageStartupMessages(library(keraspredict))",
    "tryCatch(use_virtualenv('nowhere', required = TRUE), error = function(e) cat('told'))"
  ))
  expect_identical(out, "told")
  out <- run_r(c(
    "library(keraspredict)",
    "use_python(R.home('nowhere'), required = FALSE)",
    "loadNamespace('reticulate') |> invisible()",
    "cat('loaded')"
  ))
  expect_identical(out, "loaded")
})

test_that("the order of an image's axes has a default", {
  on.exit(config_set_image_data_format("channels_last"))
  image <- array(1:24, 2:4)
  expect_identical(dim(image_to_array(image)), 2:4)
  expect_null(config_set_image_data_format("channels_first"))
  expect_identical(config_image_data_format(), "channels_first")
  expect_identical(dim(image_to_array(image)), c(4L, 2L, 3L))
  expect_snapshot(error = TRUE, config_set_image_data_format("first"))
})

test_that("what needs training or Python is told", {
  model <- loaded("mlp")
  # The arguments are functions that aren't there.
  expect_identical(compile(model, optimizer = optimizer_adam()), model)
  expect_identical(model$compile(loss = "mse"), model)
  expect_snapshot(error = TRUE, {
    evaluate(model, matrix(0, 2, 4), 1:2)
    model$evaluate(1)
    test_on_batch(model, matrix(0, 2, 4), 1:2)
    fit(model, matrix(0, 2, 4), 1:2)
    train_on_batch(model, matrix(0, 2, 4), 1:2)
    test_on_batch("model")
    model$fit
    keras$backend$clear_session()
    keras[["utils"]]
  })
  expect_output(print(keras), "not used by keraspredict", fixed = TRUE)
  skip_if_not_installed("generics")
  # Other classes go to the generic that has their methods.
  registerS3method(
    "evaluate",
    "kp_other",
    function(x, ...) "other",
    envir = asNamespace("generics")
  )
  expect_identical(evaluate(structure(1, class = "kp_other")), "other")
  expect_error(compile(structure(1, class = "kp_none")), "kp_none")
  expect_identical(generics::compile(model), model)
  expect_error(generics::evaluate(model), class = "keraspredict_error_not_here")
  expect_error(generics::fit(model), class = "keraspredict_error_not_here")
  expect_error(fit(structure(1, class = "kp_none")), "kp_none")
})

test_that("methods of a model write and read files", {
  model <- loaded("mlp")
  case <- cases()$mlp
  file <- tempfile(fileext = ".keras")
  weights <- tempfile(fileext = ".weights.h5")
  config <- tempfile(fileext = ".json")
  on.exit(unlink(c(file, weights, config)))
  model$save(file)
  model$save(file)
  expect_error(
    model$save(file, overwrite = FALSE),
    class = "keraspredict_error_file_exists"
  )
  expect_close(predict(load_model(file), case$x), case$y)
  model$save_weights(weights)
  expect_identical(save_model_config(model, config), model)
  expect_identical(readLines(config), save_model_config(model))
  empty <- load_model_config(config)
  expect_error(predict(empty, case$x), class = "keraspredict_error_no_weights")
  expect_identical(empty$load_weights(weights), empty)
  expect_close(predict(empty, case$x), case$y)
  expect_snapshot(error = TRUE, {
    load_model_config(3)
    save_model_config("model")
    save_model_config(model, "config.txt")
  })
})

test_that("arrays go where tensors go", {
  y <- matrix(c(1, 5, 2, 4, 3, 9), 2)
  expect_identical(as_tensor(y), y)
  expect_identical(as_tensor(1:6, shape = c(2, 3)), rbind(1:3, 4:6))
  expect_identical(op_convert_to_numpy(y), y)
  expect_identical(op_convert_to_tensor(y, "int32"), array(as.integer(y), 2:3))
  expect_identical(np_array(c(1.7, -1.7), "int64"), c(1, -1))
  expect_identical(np_array(1:2, "float32"), c(1, 2))
  expect_identical(keras_array(c(0, 2), "bool"), c(FALSE, TRUE))
  expect_identical(keras_array(1:2, "string"), c("1", "2"))
  expect_identical(keras_array(list(a = 1L, b = y)), list(a = 1L, b = y))
  expect_identical(
    as_tensor(data.frame(a = 1:2, b = 3:4)),
    cbind(a = 1:2, b = 3:4)
  )
  expect_snapshot(error = TRUE, {
    as_tensor(mean)
    as_tensor(1, "float33")
  })
})

test_that("ops on predictions are those of Keras", {
  y <- rbind(c(1, 5, 2), c(4, 3, 9))
  expect_identical(op_argmax(y, axis = -1), array(c(2L, 3L)))
  expect_identical(op_argmax(y, 1, zero_indexed = TRUE), array(c(1L, 0L, 1L)))
  expect_identical(op_argmax(y, 2, keepdims = TRUE), cbind(c(2L, 3L)))
  expect_identical(op_argmax(y), 6L)
  # Of equal ones, the first in the order of Keras.
  expect_identical(op_argmax(rbind(c(1, 9), c(9, 1))), 2L)
  expect_identical(op_argmax(y, keepdims = TRUE), matrix(6L))
  expect_identical(op_argmax(c(3, 4), 1), 2L)
  expect_identical(op_argmax(c(3, 4), 1, keepdims = TRUE), array(2L))
  deep <- array(c(1:11, 0), c(2, 3, 2))
  expect_identical(op_argmax(deep, 3), matrix(c(2L, 2L, 2L, 2L, 2L, 1L), 2))
  expect_equal(op_softmax(y), exp(y) / rowSums(exp(y)))
  expect_equal(op_softmax(y, 1), t(exp(t(y)) / colSums(exp(y))))
  expect_equal(op_softmax(c(1000, 1000)), c(0.5, 0.5))
  expect_equal(op_sigmoid(y), 1 / (1 + exp(-y)))
  expect_identical(op_cast(y, "int32"), array(as.integer(y), 2:3))
  expect_identical(op_reshape(y, c(3, 2)), array_reshape(y, c(3, 2)))
  expect_identical(op_expand_dims(y, 1), array(y, c(1, 2, 3)))
  expect_identical(op_expand_dims(y, -1), array(y, c(2, 3, 1)))
  expect_identical(op_expand_dims(1:2, 2), matrix(1:2))
  expect_identical(op_squeeze(array(y, c(1, 2, 1, 3))), y)
  expect_identical(op_squeeze(array(y, c(1, 2, 1, 3)), 3), array(y, c(1, 2, 3)))
  expect_identical(op_squeeze(array(3, c(1, 1))), 3)
  expect_identical(op_concatenate(list(y, y)), rbind(y, y))
  expect_identical(op_concatenate(list(y, y + 1), -1), cbind(y, y + 1))
  cube <- array(1:24, 2:4)
  both <- op_concatenate(list(cube, cube[, 1, , drop = FALSE]), 2)
  expect_identical(both[, 4, ], cube[, 1, ])
  expect_identical(both[, 1:3, ], cube)
  expect_identical(op_concatenate(list(1:2, 3L)), array(1:3))
  expect_snapshot(error = TRUE, {
    op_argmax(y, axis = 3)
    op_softmax(y, axis = 0)
    op_squeeze(y, 1)
    op_expand_dims(y, 4)
    op_concatenate(list())
    op_concatenate(list(y, y[, 1:2]))
  })
})

test_that("ops reduce arrays along axes", {
  x <- array(c(1:23, 30), c(2, 3, 4))
  expect_identical(op_sum(x), sum(x))
  expect_identical(op_mean(x, axis = 2), apply(x, c(1, 3), mean))
  expect_identical(op_max(x, axis = c(1, -1)), array(apply(x, 2, max)))
  expect_identical(
    op_min(x, axis = 1, keepdims = TRUE),
    array(apply(x, c(2, 3), min), c(1, 3, 4))
  )
  expect_identical(op_mean(c(1, 3), keepdims = TRUE), array(2, 1))
  expect_identical(op_ones(c(2, 3)), matrix(1, 2, 3))
  expect_identical(op_zeros(list(2, 1), "int32"), matrix(0L, 2, 1))
  expect_error(op_sum(x, axis = 4), class = "keraspredict_error_bad_argument")
})

test_that("arrays are reshaped in the order of Keras", {
  expect_identical(array_reshape(1:6, c(2, 3)), rbind(1:3, 4:6))
  expect_identical(array_reshape(rbind(1:3, 4:6), 6), array(1:6))
  expect_identical(
    array_reshape(rbind(1:3, 4:6), c(3, -1)),
    rbind(1:2, 3:4, 5:6)
  )
  expect_identical(array_reshape(1:6, list(NULL, 2)), rbind(1:2, 3:4, 5:6))
  expect_identical(array_reshape(1:6, c(2, NA), order = "F"), matrix(1:6, 2))
  x <- array(seq_len(24), 2:4)
  y <- array_reshape(x, c(4, 6))
  expect_identical(y[1, ], c(x[1, 1, ], x[1, 2, 1:2]))
  expect_identical(array_reshape(y, 2:4), x)
  expect_snapshot(error = TRUE, {
    array_reshape(1:6, c(4, -1))
    array_reshape(1:6, c(2, 2))
    array_reshape(1:6, "2")
    array_reshape(1:6, 6, order = "A")
  })
})

test_that("a pipe and an assignment of several results are there", {
  model <- loaded("mlp")
  case <- cases()$mlp
  expect_close(model %>% predict(case$x), case$y)
  here <- environment()
  run <- function(lhs, rhs) pipe(substitute(lhs), substitute(rhs), here)
  expect_identical(run(c(4, 9), sqrt), c(2, 3))
  expect_identical(run(c(4, 9), sqrt()), c(2, 3))
  expect_identical(run(c(4, 9), base::sqrt), c(2, 3))
  expect_identical(run(2, rep(1, .)), c(1, 1))
  expect_identical(run(2, rep(3)), c(2, 2, 2))
  expect_identical(run(2, (function(x) x + 1)), 3)
  expect_identical(
    run(2, {
      . + 5
    }),
    7
  )
  expect_close(run(model, predict(case$x)), case$y)

  c(a, b) %<-% list(1, "two")
  expect_identical(list(a, b), list(1, "two"))
  one %<-% 3
  expect_identical(one, 3)
  expect_snapshot(error = TRUE, {
    c(a, b) %<-% list(1)
    c(a, b[[1]]) %<-% list(1, 2)
  })
})
