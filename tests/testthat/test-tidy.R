test_that("tidy(), glance() and augment() have methods", {
  skip_if_not_installed("generics")
  model <- load_model(keraspredict_example("iris"))
  expect_identical(as.data.frame(generics::tidy(model)), as.data.frame(model))
  glance <- generics::glance(model)
  expect_identical(nrow(glance), 1L)
  expect_identical(glance$params, model$count_params())
  columns <- names(iris)[1:4]
  y <- predict(model, iris[1:3, 1:4])
  out <- generics::augment(model, iris[1:3, ], columns = columns)
  expect_identical(names(out), c(names(iris), paste0(".pred_", 1:3)))
  expect_equal(out$.pred_2, unname(y[, 2]))
  single <- data.frame(value = c(1, 2))
  expect_identical(
    names(generics::augment(loaded("single"), single)),
    c("value", ".pred")
  )
  expect_snapshot(error = TRUE, {
    generics::augment(model, 1)
    generics::augment(model, iris, columns = c("Sepal.Length", "Width"))
    generics::augment(loaded("columns"))
    generics::augment(
      loaded("two"),
      data.frame(a = I(cases()$two$x[[1]]), b = I(cases()$two$x[[2]]))
    )
  })
})

test_that("methods are registered when a package is loaded", {
  # Packages that aren't there, by a namespace with their generics.
  hooks <- getHook(packageEvent("vetiver", "onLoad"))
  expect_gt(length(hooks), 0)
  called <- FALSE
  on_package_load("keraspredictnopackage", function() called <<- TRUE)
  expect_false(called)
  for (hook in getHook(packageEvent("keraspredictnopackage", "onLoad"))) {
    hook()
  }
  expect_true(called)
  on_package_load("stats", function() called <<- "now")
  expect_identical(called, "now")
})

test_that("what bundle, butcher and vetiver ask for is there", {
  model <- load_model(keraspredict_example("iris"))
  x <- iris[1:3, 1:4]
  expect_identical(same_model(model), model)
  # What bundle_model() keeps goes through a file and back to a model.
  file <- tempfile()
  saveRDS(model_handle(environment(model)), file)
  expect_identical(predict(load_model(readRDS(file)), x), predict(model, x))
  expect_match(
    describe_model(model),
    "A Keras model, \"[a-z_0-9]+\", of [0-9]+ layers"
  )
  handle <- vetiver_handler(list(model = model))
  expect_equal(handle(list(body = x))$.pred, predict(model, x))
  prototype <- vetiver_prototype(model, prototype_data = x)
  expect_identical(as.data.frame(prototype), x[0, ])
  expect_snapshot(error = TRUE, {
    vetiver_prototype(model)
    vetiver_prototype(model, prototype_data = 1:4)
  })
})

test_that("the methods find what they need in packages that aren't installed here", {
  model <- load_model(keraspredict_example("iris"))
  out <- run_r(c(
    "stand_in <- function(name, exports) {",
    "  ns <- new.env(parent = baseenv())",
    "  info <- new.env()",
    "  info$spec <- c(name = name, version = '1.0')",
    "  assign('.__NAMESPACE__.', info, ns)",
    "  assign('.__S3MethodsTable__.', new.env(), ns)",
    "  for (f in names(exports)) assign(f, `environment<-`(exports[[f]], ns), ns)",
    "  .Internal(registerNamespace(name, ns))",
    "  invisible()",
    "}",
    "stand_in('bundle', list(",
    "  bundle = function(x, ...) UseMethod('bundle'),",
    "  bundle_constr = function(object, situate, desc_class) list(object, situate, desc_class)",
    "))",
    "stand_in('vetiver', list(",
    "  vetiver_create_meta = function(model, metadata) UseMethod('vetiver_create_meta'),",
    "  vetiver_meta = function(metadata, required_pkgs) list(required_pkgs = required_pkgs),",
    "  handler_startup = function(v) UseMethod('handler_startup', v$model),",
    "  vetiver_ptype = function(model, ...) UseMethod('vetiver_ptype'),",
    "  vetiver_type_convert = function(new_data, ptype) {",
    "    stopifnot(identical(names(new_data), names(ptype)))",
    "    as.data.frame(lapply(new_data, as.numeric))",
    "  },",
    "  handler_predict = function(v, ...) UseMethod('handler_predict', v$model),",
    "  attach_pkgs = function(pkgs) cat('attached', pkgs, '\\n')",
    "))",
    "library(keraspredict)",
    "model <- load_model(keraspredict_example('iris'))",
    "bundled <- bundle:::bundle(model)",
    "again <- bundled[[2]](unserialize(serialize(bundled[[1]], NULL)))",
    "x <- as.matrix(iris[1:3, 1:4])",
    "same <- identical(predict(again, x, verbose = 0), predict(model, x, verbose = 0))",
    "cat(same, bundled[[3]], '\\n')",
    "meta <- vetiver:::vetiver_create_meta(model, list())",
    "vetiver:::handler_startup(list(model = model, metadata = meta))",
    "rows <- iris[1:3, 1:4]",
    "ptype <- vetiver:::vetiver_ptype(model, prototype_data = rows)",
    "handle <- vetiver:::handler_predict(list(model = model, prototype = ptype))",
    "asked <- as.data.frame(lapply(rows, as.character))",
    "y <- handle(list(body = asked))$.pred",
    "cat(isTRUE(all.equal(y, predict(model, x, verbose = 0), check.attributes = FALSE)))",
    "cat('', length(serialize(bundled, NULL)) < 2 * length(serialize(bundled[[1]], NULL)))"
  ))
  expect_identical(
    trimws(out),
    c("TRUE keraspredict_model", "attached keraspredict", "TRUE TRUE")
  )
})

test_that("progress goes to progressr where it listens", {
  skip_if_not_installed("progressr")
  model <- load_model(keraspredict_example("iris"))
  x <- as.matrix(iris[, 1:4])
  amounts <- numeric()
  local_handler <- progressr::make_progression_handler(
    "test",
    reporter = list(
      update = function(config, state, progression, ...) {
        amounts <<- c(amounts, state$step)
      }
    ),
    intrusiveness = 0,
    times = Inf,
    interval = 0,
    enable = TRUE
  )
  out <- utils::capture.output(
    progressr::with_progress(
      y <- predict(model, x, batch_size = 50, verbose = 1),
      handlers = local_handler,
      enable = TRUE
    )
  )
  expect_identical(y, predict(model, x))
  expect_identical(out, character())
  expect_identical(max(amounts), 3)
})
