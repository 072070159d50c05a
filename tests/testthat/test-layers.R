test_that("layers are found by name and by index", {
  model <- loaded("mlp")
  layers <- model$layers
  expect_identical(vapply(layers, `[[`, "", "class_name"), c("Dense", "Dense"))
  expect_identical(get_layer(model, index = 1)$name, layers[[1]]$name)
  expect_identical(get_layer(model, index = -1)$name, layers[[2]]$name)
  expect_identical(model$get_layer(index = 2)$name, layers[[2]]$name)
  # Operations have names but are no layers.
  types <- loaded("types")
  expect_true(all(vapply(types$layers, `[[`, "", "class_name") == "InputLayer"))
  expect_s3_class(get_layer(types, "greater"), "keraspredict_layer")
  expect_snapshot(error = TRUE, {
    get_layer(model)
    get_layer(model, "dense_9")
    get_layer(loaded("two"), "lefd")
    get_layer(model, 3)
    get_layer(model, index = 0)
    get_layer(model, index = 3)
    get_layer("model", "dense")
  })
})

test_that("a layer has parts", {
  model <- loaded("two")
  layer <- get_layer(model, "left")
  expect_identical(layer$input_shape, c(NA, 4L))
  expect_identical(layer$output_shape, c(NA, 5L))
  expect_identical(lapply(layer$get_weights(), dim), list(c(4L, 5L), 5L))
  expect_identical(layer$weights, get_weights(layer))
  expect_identical(layer$count_params(), 25)
  expect_identical(count_params(layer), 25)
  expect_identical(layer$dtype, "float32")
  expect_true(layer$trainable)
  config <- layer$get_config()
  expect_identical(config$units, 5L)
  expect_identical(config, get_config(layer))
  expect_identical(get_layer(model, "a")$output$name, "a")
  expect_identical(get_layer(model, "a")$input$name, "a")
  expect_identical(length(model$layers[[4]]$input), 2L)
  expect_true("weights" %in% utils:::.DollarNames(layer, "^we"))
  expect_snapshot({
    layer
    str(layer)
    get_layer(loaded("parts"), "gru")
  })
  expect_snapshot(error = TRUE, {
    layer$kernel
    layer$wieghts
    loaded("two")$layer
    loaded("two")$something
    layer$get_output_at(2)
    get_weights(1)
    get_config(1)
    count_params(1)
  })
})

test_that("a layer is a function of arrays", {
  model <- loaded("two")
  x <- cases()$two$x
  layer <- get_layer(model, "left")
  weights <- get_weights(layer)
  expect_equal(
    layer(x[[1]]),
    sweep(x[[1]] %*% weights[[1]], 2, weights[[2]], `+`),
    tolerance = 1e-5
  )
  expect_identical(get_layer(model, "a")(x[[1]]), x[[1]])
  joined <- model$layers[[4]]
  expect_identical(dim(joined(list(layer(x[[1]]), x[[2]]))), c(5L, 8L))
  expect_snapshot(error = TRUE, {
    layer()
    layer(model$inputs[[1]])
  })
})

test_that("weights come in Keras' order", {
  for (name in c("parts", "order")) {
    model <- loaded(name)
    expect_close(get_weights(model), parts_cases()[[name]]$weights)
    expect_identical(sum(lengths(get_weights(model))) + 0, count_params(model))
  }
  expect_identical(model$get_weights(), get_weights(model))
})

test_that("the config of a model is that of its file", {
  model <- loaded("mlp")
  config <- get_config(model)
  expect_identical(config$name, "mlp")
  expect_identical(
    vapply(config$layers, `[[`, "", "class_name"),
    c("InputLayer", "Dense", "Dense")
  )
  expect_identical(config$layers[[1]]$config$batch_shape, list(NULL, 4L))
  expect_identical(model$get_config(), config)
  expect_match(model$to_json(), '"class_name":"Sequential"', fixed = TRUE)
  expect_no_match(model$to_json(), "modernized", fixed = TRUE)
})

test_that("layers of a saved model are there", {
  layer <- unserialize(serialize(get_layer(loaded("two"), "left"), NULL))
  expect_identical(layer$weights, get_layer(loaded("two"), "left")$weights)
})

test_that("layers tell their vocabulary", {
  layer_of <- function(name, layer) {
    get_layer(load_model(test_path("fixtures", paste0(name, ".keras"))), layer)
  }
  words <- layer_of("scripts/review", "vectorize")
  known <- c("great", "film", "dull", "long", "not")
  expect_identical(get_vocabulary(words), c("", "[UNK]", known))
  expect_identical(get_vocabulary(words, FALSE), known)
  expect_identical(words$get_vocabulary(), c("", "[UNK]", known))
  expect_identical(words$vocabulary_size(), 7L)
  numbers <- layer_of("scripts/patient", "integer_lookup")
  expect_identical(get_vocabulary(numbers), c(0, 1))
  expect_identical(
    get_vocabulary(layer_of("scripts/patient", "string_lookup_1")),
    c("[UNK]", "normal", "fixed")
  )
  expect_identical(get_vocabulary(layer_of("strict", "strict")), c("red", "blue"))
  names <- layer_of("names", "string_lookup_1")
  expect_identical(get_vocabulary(names), c("[UNK]", "red", "gr\u00fcn", "blue"))
  expect_snapshot(error = TRUE, {
    get_vocabulary(loaded("mlp"))
    get_vocabulary(get_layer(loaded("mlp"), index = 1))
    get_vocabulary(words, "no")
  })
})
