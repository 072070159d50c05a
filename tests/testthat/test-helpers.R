helper_values <- source(test_path("fixtures", "helpers", "values.R"))$value

expect_values <- function(object, name, tolerance = 1e-6) {
  expect_equal(
    unname(object) + 0,
    helper_values[[name]] + 0,
    tolerance = tolerance,
    label = name
  )
}

test_that("pad_sequences() is Keras'", {
  seqs <- list(1:3, 4, integer(), c(5, 6, 7, 8, 9))
  expect_values(pad_sequences(seqs), "pad")
  expect_type(pad_sequences(seqs), "integer")
  expect_values(pad_sequences(seqs, maxlen = 2), "pad_short")
  expect_values(
    pad_sequences(
      seqs,
      maxlen = 4,
      padding = "post",
      truncating = "post",
      value = -1
    ),
    "pad_post"
  )
  expect_values(
    pad_sequences(seqs, maxlen = 6, dtype = "float32", value = 0.5),
    "pad_float"
  )
  steps <- list(matrix(c(1, 3, 5, 2, 4, 6), 3), matrix(c(7, 8), 1))
  expect_values(pad_sequences(steps, maxlen = 2), "pad_steps")
  expect_identical(
    pad_sequences(list(list(1, 2), 3)),
    matrix(c(1L, 0L, 2L, 3L), 2)
  )
  expect_identical(
    pad_sequences(list("a", c("b", "c")), dtype = "object", value = ""),
    matrix(c("", "b", "a", "c"), 2)
  )
  expect_identical(dim(pad_sequences(list())), c(0L, 0L))
})

test_that("to_categorical() is Keras'", {
  expect_values(to_categorical(c(0, 3, 1)), "categorical")
  expect_values(to_categorical(matrix(c(0, 2)), 4), "categorical_column")
  expect_values(to_categorical(matrix(c(0, -1, 2, 1), 2)), "categorical_matrix")
  expect_identical(
    to_categorical(factor(c("b", "a"), levels = c("a", "b", "c"))),
    rbind(c(0, 1, 0), c(1, 0, 0))
  )
})

test_that("normalize() is Keras'", {
  x <- rbind(c(3, 0, 4), 0, c(1, -2, 2))
  for (order in 1:3) {
    expect_values(normalize(x, order = order), paste0("normalize_", order))
  }
  expect_values(normalize(x, axis = 1), "normalize_first")
  expect_equal(normalize(c(3, 4)), array(c(0.6, 0.8)))
  expect_equal(normalize(x, order = Inf)[1, ], c(0.75, 0, 1))
})

test_that("images are prepared as for the models of keras.applications", {
  values <- source(test_path("fixtures", "helpers", "values.R"))$value
  small <- array(0, c(2, 3, 3))
  for (i in 1:2) {
    for (j in 1:3) {
      small[i, j, ] <- c(
        (j - 1) * 14,
        (i - 1) * 22,
        ((i - 1) * (j - 1) * 3) %% 256
      )
    }
  }
  for (mode in c("caffe", "tf", "torch", "none")) {
    expect_values(
      application_preprocess_inputs(mode, small),
      paste("preprocess", mode),
      1e-5
    )
  }
  first <- array(aperm(small, c(3, 1, 2)), c(1, 3, 2, 3))
  expect_values(
    application_preprocess_inputs(
      "caffe",
      first,
      data_format = "channels_first"
    ),
    "preprocess first",
    1e-5
  )
  named <- function(name) {
    model <- loaded("image")
    environment(model)$info$name <- name
    preprocess_mode(model)
  }
  known <- c(
    resnet50 = "caffe",
    resnet152 = "caffe",
    vgg16 = "caffe",
    vgg19 = "caffe",
    resnet50v2 = "tf",
    inception_v3 = "tf",
    inception_resnet_v2 = "tf",
    xception = "tf",
    mobilenet_1.00_224 = "tf",
    mobilenetv2_1.00_224 = "tf",
    NASNet = "tf",
    densenet121 = "torch",
    MobileNetV3Large = "none",
    efficientnetb0 = "none",
    "efficientnetv2-b0" = "none",
    convnext_tiny = "none"
  )
  for (name in names(known)) {
    expect_identical(named(name), known[[name]], label = name)
  }
})

test_that("the best classes are named", {
  index <- tempfile(fileext = ".json")
  classes <- sprintf("\"%d\": [\"n%08d\", \"class_%d\"]", 0:999, 0:999, 0:999)
  writeLines(paste0("{", paste(rev(classes), collapse = ", "), "}"), index)
  preds <- matrix(0, 2, 1000)
  preds[1, c(3, 1000)] <- c(0.75, 0.25)
  preds[2, 1] <- 1
  best <- application_decode_predictions(
    NULL,
    preds,
    top = 2,
    class_index = index
  )
  expect_length(best, 2)
  expect_identical(
    best[[1]],
    data.frame(
      class_name = c("n00000002", "n00000999"),
      class_description = c("class_2", "class_999"),
      score = c(0.75, 0.25)
    )
  )
  expect_identical(best[[2]]$class_description[[1]], "class_0")
  preds[1, 3] <- 0
  preds[1, 2] <- 0.75
  own <- application_decode_predictions(preds = preds, top = 2)[[1]]
  expect_identical(
    own,
    data.frame(
      class_name = c("n01443537", "n15075141"),
      class_description = c("goldfish", "toilet_tissue"),
      score = c(0.75, 0.25)
    )
  )
  preds[1, 2:3] <- c(0, 0.75)
  old <- options(keraspredict.class_index = index)
  on.exit(options(old))
  expect_identical(application_decode_predictions(preds = preds, top = 2), best)
})

test_that("bad arguments of helpers are errors", {
  short <- tempfile()
  writeLines("{\"0\": [\"a\", \"b\"]}", short)
  expect_snapshot(error = TRUE, {
    pad_sequences(quote(x))
    pad_sequences(list(1, sum))
    pad_sequences(list(1), padding = "both")
    pad_sequences(list(1), maxlen = 0)
    pad_sequences(list(1), dtype = "complex")
    pad_sequences(list(matrix(1:4, 2), matrix(1:3, 1)))
    to_categorical("a")
    to_categorical(c(0, NA))
    to_categorical(c(0, 3), 3)
    normalize("a")
    normalize(1:3, axis = 2)
    normalize(1:3, order = 0)
    application_preprocess_inputs("best", array(0, c(1, 1, 3)))
    application_preprocess_inputs("caffe", array(0, c(1, 1, 1)))
    application_preprocess_inputs(loaded("mlp"), array(0, c(1, 1, 3)))
    application_decode_predictions(preds = matrix(0, 1, 10))
  })
  expect_error(
    application_decode_predictions(
      preds = matrix(0, 1, 1000),
      class_index = "none.json"
    ),
    class = "keraspredict_error_file_missing"
  )
  expect_error(
    application_decode_predictions(
      preds = matrix(0, 1, 1000),
      class_index = short
    ),
    "1,000 classes, not 1"
  )
})
