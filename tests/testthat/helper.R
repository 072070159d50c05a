fixture <- function(name) {
  testthat::test_path("fixtures", paste0(name, ".keras"))
}

cases <- local({
  value <- NULL
  function() {
    if (is.null(value)) {
      value <<- source(testthat::test_path("fixtures", "cases.R"))$value
    }
    value
  }
})

# Differences that the design allows between us and Keras.
expect_close <- function(object, expected) {
  if (is.list(expected)) {
    testthat::expect_type(object, "list")
    testthat::expect_identical(sort(names(object)), sort(names(expected)))
    keys <- if (is.null(names(expected))) {
      seq_along(expected)
    } else {
      names(expected)
    }
    for (key in keys) {
      expect_close(object[[key]], expected[[key]])
    }
    return(invisible(object))
  }
  testthat::expect_identical(dim(object), dim(expected))
  testthat::expect_identical(typeof(object), typeof(expected))
  a <- as.numeric(object)
  b <- as.numeric(expected)
  testthat::expect_true(all(abs(a - b) <= 1e-5 + 1e-4 * abs(b)))
  invisible(object)
}

loaded <- function(name) load_model(fixture(name))

# R in a process of its own, with this package's library: its output lines.
run_r <- function(code, env = character(), stderr = FALSE) {
  script <- tempfile(fileext = ".R")
  on.exit(unlink(script))
  writeLines(c(sprintf(".libPaths(%s)", deparse1(.libPaths())), code), script)
  suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"),
    c("--vanilla", shQuote(script)),
    stdout = TRUE,
    stderr = stderr,
    env = c("TESTTHAT=", env)
  ))
}

# A Sequential model from the JSON of its layers: config keys without the name.
json_model <- function(shape, ..., dtype = "float32") {
  layers <- c(...)
  load_model(charToRaw(sprintf(
    '{"class_name": "Sequential", "config": {"name": "json", "layers": [
      {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": %s, "dtype": "%s"}}%s]}}',
    shape,
    dtype,
    paste0(
      sprintf(
        ', {"class_name": "%s", "config": {"name": "layer_%d"%s}}',
        names(layers),
        seq_along(layers),
        ifelse(nzchar(layers), paste0(", ", layers), "")
      ),
      collapse = ""
    )
  )))
}

parts_cases <- local({
  value <- NULL
  function() {
    if (is.null(value)) {
      value <<- source(testthat::test_path("fixtures", "parts.R"))$value
    }
    value
  }
})

# The message of a model of JSON: of its config, or of data of the shape given.
told <- function(shape, layer, dtype = "float32") {
  model <- tryCatch(
    json_model(shape, layer, dtype = dtype),
    keraspredict_error = conditionMessage
  )
  if (!is.character(model)) {
    sizes <- strsplit(gsub("[][ ]", "", shape), ",")[[1]]
    dims <- as.integer(sub("null", "2", sizes))
    x <- array(if (dtype == "string") "a" else 0, dims)
    model <- tryCatch(
      {
        predict(model, x)
        "no error"
      },
      keraspredict_error = conditionMessage
    )
  }
  cat(model, "", sep = "\n")
}
