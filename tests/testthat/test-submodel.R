parts <- function(name) parts_cases()[[name]]

test_that("models between tensors give Keras' numbers", {
  model <- loaded("parts")
  case <- parts("parts")
  expect_close(predict(model, case$x), case$y)
  joined <- get_layer(model, "joined")
  expect_close(
    predict(keras_model(model$inputs, joined$output), case$x),
    case$joined
  )
  both <- keras_model(
    model$input,
    list(
      seq = get_layer(model, "gru")$output[[1]],
      two = get_layer(model, "shared")$get_output_at(2)
    )
  )
  expect_close(predict(both, case$x), case$both)
  first <- keras_model(model$inputs[[1]], get_layer(model, "shared")$output)
  expect_close(predict(first, case$x[[1]]), case$first)
  expect_identical(first$input_names, "u")
})

test_that("a model can be cut anywhere", {
  model <- loaded("parts")
  case <- parts("parts")
  rest <- keras_model(get_layer(model, "joined")$output, model$output)
  expect_close(predict(rest, case$j), case$from_joined)
  expect_identical(rest$input_names, "joined")
  rest <- keras_model(get_layer(model, "gru")$output, model$output)
  expect_close(predict(rest, case$g), case$from_gru)
  expect_identical(rest$input_names, c("gru", "gru_1"))
  expect_close(
    predict(rest, list(gru_1 = case$g[[2]], gru = case$g[[1]])),
    case$from_gru
  )
})

test_that("nested models are models with layers of their own", {
  model <- loaded("parts")
  case <- parts("parts")
  tower <- get_layer(model, "tower")
  expect_s3_class(tower, "keraspredict_model")
  norm <- keras_model(tower$inputs, get_layer(tower, "norm")$output)
  expect_close(predict(norm, case$x[[1]]), case$norm)
  expect_identical(length(get_weights(tower)), length(case$tower_weights))
  expect_close(get_weights(tower), case$tower_weights)
  inner <- loaded("nested")$layers[[1]]
  expect_identical(inner$name, "inner")
  expect_close(predict(loaded("nested"), cases()$nested$x), cases()$nested$y)
})

test_that("layers of a Sequential are tensors of a chain", {
  model <- loaded("image")
  case <- cases()$image
  features <- keras_model(
    model$inputs,
    model$layers[[1]]$output,
    name = "features"
  )
  expect_identical(features$name, "features")
  expect_identical(dim(predict(features, case$x)), c(4L, 4L, 3L, 2L))
  head <- keras_model(model$layers[[1]]$output, model$output)
  expect_close(predict(head, predict(features, case$x)), case$y)
})

test_that("parts of models are saved, printed and cut again", {
  model <- loaded("parts")
  case <- parts("parts")
  joined <- keras_model(model$inputs, get_layer(model, "joined")$output)
  again <- unserialize(serialize(joined, NULL))
  expect_close(predict(again, case$x), case$joined)
  tower <- unserialize(serialize(get_layer(model, "tower"), NULL))
  expect_close(get_weights(tower), case$tower_weights)
  first <- keras_model(again$inputs[[1]], get_layer(again, "shared")$output)
  expect_close(predict(first, case$x[[1]]), case$first)
  expect_snapshot(summary(joined))
  expect_lt(length(serialize(first, NULL)), length(serialize(model, NULL)))
})

test_that("tensors are shown as Keras shows them", {
  model <- loaded("parts")
  expect_snapshot({
    model$inputs
    model$output
    get_layer(model, "gru")$output
    get_layer(model, "shared")$get_output_at(2)
    str(model$output)
  })
  tensor <- model$output
  expect_identical(tensor$shape, c(NA, 2L))
  expect_identical(dim(tensor), c(NA, 2L))
  expect_identical(tensor$dtype, "float32")
  expect_identical(tensor[["ndim"]], 2L)
  expect_true("shape" %in% utils:::.DollarNames(tensor, "^sh"))
})

test_that("what is no model is refused", {
  model <- loaded("parts")
  expect_snapshot(error = TRUE, {
    keras_model(model$inputs[[1]], model$output)
    keras_model(model, model$output)
    keras_model(model$inputs, 1)
    keras_model(model$inputs)
    keras_model(loaded("mlp")$inputs, model$output)
    keras_model(model$inputs, get_layer(model, "tower")$output)
    keras_model(model$inputs, model$outputs, name = 1)
    keras_model(model$inputs, model$outputs, extra = 1)
    model$output$value
  })
})
