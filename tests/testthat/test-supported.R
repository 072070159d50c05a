test_that("the tables have a row for each class", {
  for (table in list(supported_layers(), supported_ops())) {
    expect_s3_class(table, "data.frame")
    expect_false(anyNA(table))
    expect_false(anyDuplicated(table$class) > 0)
    expect_type(table$runs, "logical")
    expect_true(all(nzchar(table$note[!table$runs])))
  }
  expect_named(supported_layers(), c("class", "concept", "runs", "note"))
  expect_named(supported_ops(), c("class", "module", "runs", "note"))
  layers <- supported_layers()
  expect_identical(layers$concept[layers$class == "Conv2D"], "conv")
  expect_false(layers$runs[layers$class == "Lambda"])
  expect_identical(
    supported_ops()$module[supported_ops()$class == "Einsum"],
    "numpy"
  )
})

test_that("errors say of a class what the table says", {
  table <- supported_layers()
  for (class in table$class[!table$runs]) {
    input <- paste0(
      '{"class_name":"InputLayer","config":{"name":"x","batch_shape":[null,2]},',
      '"module":"keras.layers"}'
    )
    layer <- sprintf(
      '{"class_name":"%s","config":{"name":"it"},"module":"keras.layers"}',
      class
    )
    model <- sprintf(
      '{"class_name":"Sequential","module":"keras","config":{"name":"m","layers":[%s,%s]}}',
      input,
      layer
    )
    dir <- file.path(tempfile(), "m.keras")
    utils::unzip(keraspredict_example("iris"), exdir = dir)
    writeLines(model, file.path(dir, "config.json"))
    error <- expect_error(load_model(dir), class = "keraspredict_error")
    expect_match(
      conditionMessage(error),
      table$note[table$class == class],
      fixed = TRUE
    )
  }
})

test_that("the tables hold what the installed Keras has", {
  skip_if_not_installed("reticulate")
  venv <- Sys.getenv(
    "KERASPREDICT_VENV",
    file.path(Sys.getenv("KERASPREDICT_SOURCE"), ".venv")
  )
  python <- file.path(venv, "bin", "python")
  skip_if_not(
    file.exists(python),
    "no virtual environment: run `make conformance`"
  )
  script <- tempfile(fileext = ".py")
  writeLines(
    c(
      "import importlib, inspect, keras, pkgutil",
      "import keras.src.ops as ops",
      "from keras.src.ops.operation import Operation",
      "base = ('Layer', 'Wrapper')",
      "for name in dir(keras.layers):",
      "    it = getattr(keras.layers, name)",
      "    if inspect.isclass(it) and issubclass(it, keras.Layer) and name not in base:",
      "        print('layer', name)",
      "for module in pkgutil.iter_modules(ops.__path__):",
      "    if module.name.endswith('_test') or module.name in ('operation', 'function'):",
      "        continue",
      "    found = importlib.import_module('keras.src.ops.' + module.name)",
      "    for name, it in vars(found).items():",
      "        # SegmentReduction is what its four kinds have in common.",
      "        if not inspect.isclass(it) or name in ('Operation', 'SegmentReduction'):",
      "            continue",
      "        if issubclass(it, Operation):",
      "            print('op', name)"
    ),
    script
  )
  out <- system2(
    python,
    script,
    stdout = TRUE,
    stderr = FALSE,
    env = c("TF_CPP_MIN_LOG_LEVEL=3", "KERAS_BACKEND=tensorflow")
  )
  of <- function(kind) {
    sub("^\\w+ ", "", grep(paste0("^", kind, " "), out, value = TRUE))
  }
  expect_gt(length(of("layer")), 140)
  expect_gt(length(of("op")), 300)
  expect_identical(setdiff(of("layer"), supported_layers()$class), character())
  expect_identical(setdiff(of("op"), supported_ops()$class), character())
})

test_that("README counts what the tables hold", {
  dir <- Sys.getenv("KERASPREDICT_SOURCE")
  skip_if(!nzchar(dir), "needs the source folder (KERASPREDICT_SOURCE)")
  expect_match(
    paste(readLines(file.path(dir, "README.md")), collapse = "\n"),
    sprintf(
      "%d layer classes and %d operations of graphs:",
      sum(supported_layers()$runs),
      sum(supported_ops()$runs)
    ),
    fixed = TRUE
  )
})
