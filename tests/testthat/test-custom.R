custom <- function(name) parts_cases()[[name]]

scale <- function(inputs, config, weights) {
  axes <- length(dim(inputs))
  y <- sweep(inputs, axes, weights[[1]], `*`) + as.vector(weights[[2]])
  y^config$power
}

objects <- list(
  Scale = scale,
  Split = function(inputs, config, weights) {
    list(
      l = sweep(
        inputs[[1]] %*% weights[[2]],
        2,
        weights[[3]] + weights[[1]],
        `+`
      ),
      r = sweep(inputs[[2]] %*% weights[[4]], 2, weights[[5]], `+`)
    )
  },
  double = function(inputs) 2 * inputs,
  my_act = function(x) sign(x) * sqrt(abs(x)),
  squared = function(x) x * x,
  Mean = function(inputs, mask) {
    keep <- array(mask * 1, dim(inputs))
    apply(inputs * keep, c(1, 3), sum) / apply(keep, c(1, 3), sum)
  }
)

test_that("R functions stand in for layers and activations", {
  for (name in c("custom", "masked")) {
    model <- load_model(fixture(name), custom_objects = objects)
    case <- custom(name)
    expect_close(predict(model, case$x), case$y)
    # One batch, batches that don't divide, and one row at a time.
    for (size in c(1, 2, 100)) {
      expect_close(predict(model, case$x, batch_size = size), case$y)
    }
    expect_close(model(case$x), case$y)
    expect_close(predict_on_batch(model, case$x), case$y)
  }
  old <- load_model(test_path("fixtures", "old.h5"), custom_objects = objects)
  expect_close(predict(old, custom("old")$x), custom("old")$y)
})

test_that("models with functions are shown, cut and saved", {
  model <- load_model(fixture("custom"), custom_objects = objects)
  case <- custom("custom")
  expect_snapshot(model)
  again <- unserialize(serialize(model, NULL))
  expect_close(predict(again, case$x), case$y)
  expect_close(
    predict(unserialize(serialize(model, NULL, version = 2)), case$x),
    case$y
  )
  part <- keras_model(again$inputs[[1]], get_layer(again, "hidden")$output)
  expect_identical(dim(predict(part, case$x$a)), c(5L, 4L))
  expect_identical(
    predict(unserialize(serialize(part, NULL)), case$x$a),
    predict(part, case$x$a)
  )
  inner <- get_layer(model, "inner")
  expect_identical(dim(predict(inner, matrix(1, 2, 4))), c(2L, 3L))
  expect_length(get_weights(get_layer(model, "split")), 5)
  expect_true(
    "Scale" %in%
      names(checked(engine_functions(model_handle(environment(inner)))))
  )
})

test_that("models with functions travel to workers", {
  skip_on_cran()
  cluster <- parallel::makePSOCKcluster(1)
  on.exit(parallel::stopCluster(cluster))
  parallel::clusterCall(cluster, function(paths) .libPaths(paths), .libPaths())
  case <- custom("custom")
  model <- load_model(fixture("custom"), custom_objects = objects)
  got <- parallel::clusterCall(
    cluster,
    function(model, x) predict(model, x, verbose = 0),
    model,
    case$x
  )
  expect_close(got[[1]], case$y)
})

test_that("functions can be registered, or hold for a scope", {
  case <- custom("masked")
  expect_error(
    load_model(fixture("masked")),
    class = "keraspredict_error_unsupported_layers"
  )
  register_layer("shop>Scale", scale)
  expect_null(register_layer("Mean", objects$Mean))
  on.exit({
    register_layer("shop>Scale", NULL)
    register_layer("Mean", NULL)
  })
  expect_close(predict(load_model(fixture("masked")), case$x), case$y)
  ten <- with_custom_object_scope(
    list(Mean = function(inputs, mask) 10 * objects$Mean(inputs, mask)),
    {
      load_model(fixture("masked"))
    }
  )
  expect_equal(predict(ten, case$x), 10 * case$y, tolerance = 1e-5)
  twenty <- with_custom_object_scope(
    list(Mean = 3),
    load_model(
      fixture("masked"),
      list(Mean = function(inputs, mask) 20 * objects$Mean(inputs, mask))
    )
  )
  expect_equal(predict(twenty, case$x), 20 * case$y, tolerance = 1e-5)
  expect_identical(register_layer("Mean", NULL), objects$Mean)
})

test_that("one error tells all that is missing, and how to give it", {
  expect_snapshot(error = TRUE, {
    load_model(fixture("custom"))
    load_model(fixture("custom"), objects[c("Scale", "my_act")])
    load_model(test_path("fixtures", "old.h5"))
  })
})

test_that("the random numbers of a session without any stay so", {
  old <- if (exists(".Random.seed", globalenv())) {
    get(".Random.seed", globalenv())
  }
  on.exit(if (!is.null(old)) assign(".Random.seed", old, globalenv()))
  restore_seed(NULL)
  load_model(
    fixture("masked"),
    custom_objects = c(
      list(Mean = function(inputs, mask) {
        stats::runif(1)
        objects$Mean(inputs, mask)
      }),
      objects
    )
  )
  expect_false(exists(".Random.seed", globalenv(), inherits = FALSE))
})

test_that("functions are called with what they take", {
  told <- list(
    inputs = 1,
    config = 2,
    weights = 3,
    mask = NULL,
    training = FALSE,
    named = list(extra = 4)
  )
  expect_identical(
    custom_arguments(function(x, extra) 1, told),
    list(1, extra = 4)
  )
  expect_identical(
    custom_arguments(function(x, mask, ...) 1, told),
    list(1, extra = 4, mask = NULL)
  )
  expect_error(
    custom_arguments(function(x) 1, told),
    "called with `extra`, which the function doesn't take",
    fixed = TRUE
  )
})

test_that("errors of functions are errors that name the layer", {
  load_with <- function(fun, name = "masked") {
    load_model(fixture(name), custom_objects = c(list(Mean = fun), objects))
  }
  later <- function(f) {
    # Right for zeros, which find out the shapes, wrong for data.
    function(inputs, mask) {
      if (all(inputs == 0)) objects$Mean(inputs, mask) else f(inputs)
    }
  }
  x <- custom("masked")$x
  expect_snapshot(error = TRUE, {
    load_with(function(inputs) stop("100% {wrong}"))
    load_with(function(inputs) NULL)
    load_with(function(inputs) list())
    load_with(function(inputs) mean)
    predict(load_with(later(function(x) stop("no luck"))), x)
    predict(load_with(later(function(x) x)), x)
    predict(load_with(later(function(x) list(1, 2))), x)
  })
  error <- tryCatch(
    predict(load_with(later(function(x) stop("no luck"))), x),
    error = identity
  )
  expect_s3_class(error, "keraspredict_error_custom_function")
  expect_identical(conditionMessage(error$parent), "no luck")
  expect_identical(error$layer, "mean")
  expect_s3_class(
    tryCatch(predict(load_with(later(function(x) x)), x), error = identity),
    "keraspredict_error_custom_output"
  )
  # The model is as good as before.
  broken <- TRUE
  model <- load_with(function(inputs, mask) {
    if (broken && any(inputs != 0)) stop("now") else objects$Mean(inputs, mask)
  })
  expect_error(predict(model, x), "now")
  broken <- FALSE
  expect_close(predict(model, x), custom("masked")$y)
})

test_that("warnings and random numbers of functions come through", {
  x <- custom("masked")$x
  model <- load_model(
    fixture("masked"),
    custom_objects = c(
      list(Mean = function(inputs, mask) {
        warning("careful")
        objects$Mean(inputs, mask) + rnorm(1)
      }),
      objects
    )
  )
  expect_warning(predict(model, x), "careful")
  draw <- function() {
    set.seed(1)
    suppressWarnings(predict(model, x))
  }
  expect_identical(draw(), draw())
  set.seed(1)
  expected <- custom("masked")$y + rnorm(1)
  expect_equal(draw(), expected, tolerance = 1e-5)
})

test_that("functions take as many arguments as they have", {
  x <- custom("masked")$x
  seen <- NULL
  model <- load_model(
    fixture("masked"),
    custom_objects = c(
      list(Mean = function(inputs, config, weights, training, ...) {
        seen <<- list(config = config, weights = weights, training = training)
        inputs[, 1, ]
      }),
      objects
    )
  )
  predict(model, x)
  expect_identical(seen$config$name, "mean")
  expect_length(seen$weights, 0)
  expect_false(seen$training)
  model(x, training = TRUE)
  expect_true(seen$training)
})

test_that("arguments are checked", {
  expect_snapshot(error = TRUE, {
    load_model(fixture("mlp"), custom_objects = 1)
    load_model(fixture("mlp"), custom_objects = list(1))
    register_layer(1, mean)
    register_layer("a", 1)
    with_custom_object_scope(list(1), 1)
  })
})
