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

# R in a process of its own, with this package's library: its output lines. `memory`
# is what it may have, in kB.
run_r <- function(code, env = character(), stderr = FALSE, memory = NULL) {
  script <- tempfile(fileext = ".R")
  on.exit(unlink(script))
  writeLines(c(sprintf(".libPaths(%s)", deparse1(.libPaths())), code), script)
  rscript <- file.path(R.home("bin"), "Rscript")
  args <- c("--vanilla", shQuote(script))
  if (!is.null(memory)) {
    line <- paste("ulimit -v", memory, "; exec", shQuote(rscript), args[[1]])
    args <- c("-c", shQuote(paste(line, args[[2]])))
    rscript <- "sh"
  }
  suppressWarnings(system2(
    rscript,
    args,
    stdout = TRUE,
    stderr = stderr,
    env = c("TESTTHAT=", env)
  ))
}

# What a script of keras3 prints with this package; `...` are the paths it takes.
run_script <- function(name, ...) {
  folder <- normalizePath(testthat::test_path("fixtures", "scripts"))
  script <- readLines(file.path(folder, paste0(name, ".R")), encoding = "UTF-8")
  testthat::expect_identical(sum(script == "library(keras3)"), 1L)
  run_r(
    c(
      sprintf("folder <- %s", deparse(folder)),
      sprintf("%s <- %s", ...names(), vapply(list(...), deparse, "")),
      sub("library(keras3)", "library(keraspredict)", script, fixed = TRUE)
    ),
    env = "LC_ALL=C.UTF-8"
  )
}

# A Sequential model from the JSON of its layers: config keys without the name.
json_model <- function(shape, ..., dtype = "float32", custom_objects = NULL) {
  layers <- c(...)
  json <- sprintf(
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
  )
  load_model(charToRaw(json), custom_objects)
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

# The message of a model for zeros of the shapes given, also in training.
message_of <- function(model, shapes, dtype, training = FALSE) {
  tryCatch(
    {
      x <- lapply(shapes, function(shape) {
        sizes <- strsplit(gsub("[][ ]", "", shape), ",")[[1]]
        dims <- as.integer(sub("null", "2", sizes))
        array(if (dtype == "string") "a" else 0, dims)
      })
      if (training) model(x, training = TRUE) else predict(model, x)
      "no error"
    },
    keraspredict_error = conditionMessage
  )
}

# A fixture's model with its config changed, and a file of its own.
edited <- function(name, from, to, custom_objects = NULL, file = NULL, bytes = NULL) {
  folder <- tempfile("edited")
  on.exit(unlink(folder, recursive = TRUE))
  utils::unzip(fixture(name), exdir = folder)
  path <- file.path(folder, "config.json")
  config <- readLines(path, warn = FALSE)
  stopifnot(grepl(from, config, fixed = TRUE))
  writeLines(sub(from, to, config, fixed = TRUE), path)
  if (!is.null(file)) {
    writeBin(bytes, file.path(folder, file))
  }
  load_model(folder, custom_objects)
}

# The messages of calls of layers and operations, one after the other: each is a
# class, such as "ops.numpy.Add" or "layers.Dot", with the JSON of its arguments,
# in which $x and $y stand for inputs; maybe the JSON of its config, and the shapes
# x and y and the dtype of the inputs. With `total`, $x is the sum of the input.
told_calls <- function(cases) {
  for (case in cases) {
    do.call(told_call, as.list(case))
  }
}

told_call <- function(class, args = "$x", config = "", ..., training = FALSE) {
  call <- call_json(class, args, config, ...)
  title <- paste0(class, "(", args, ")", if (nzchar(config)) paste0(" {", config, "}"))
  told(title, call$json, call$shapes, call$dtype, as.logical(training))
}

call_json <- function(
  class,
  args = "$x",
  config = "",
  x = "[null, 4]",
  y = "[null, 4]",
  dtype = "float32",
  total = FALSE
) {
  shapes <- c(x = x, y = y)
  used <- vapply(c("$x", "$y"), grepl, NA, args, fixed = TRUE)
  tensors <- sprintf(
    '{"class_name": "__keras_tensor__", "config": {"shape": %s, "dtype": "%s",
      "keras_history": ["%s", 0, 0]}}',
    shapes,
    dtype,
    names(shapes)
  )
  inputs <- input_layers(shapes, dtype, "batch_shape")
  call <- gsub("$y", tensors[[2]], args, fixed = TRUE)
  call <- gsub("$x", tensors[[1]], call, fixed = TRUE)
  sum <- sprintf(
    '{"module": "keras.src.ops.numpy", "class_name": "Sum", "config": {"name": "total"},
      "name": "total", "inbound_nodes": [{"args": [%s], "kwargs": {}}]}',
    tensors[[1]]
  )
  if (as.logical(total)) {
    call <- gsub('"x", 0, 0', '"total", 0, 0', call, fixed = TRUE)
    inputs[[1]] <- paste0(inputs[[1]], ", ", sum)
  }
  module <- sub("^ops", "src.ops", sub("[.][^.]*$", "", class))
  json <- sprintf(
    '{"class_name": "Functional", "config": {"name": "calls", "layers": [%s,
      {"module": "keras.%s", "class_name": "%s", "config": {"name": "call"%s}, "name": "call",
        "inbound_nodes": [{"args": [%s], "kwargs": {}}]}],
      "input_layers": [%s], "output_layers": [["call", 0, 0]]}}',
    paste(inputs[used], collapse = ", "),
    module,
    sub(".*[.]", "", class),
    if (nzchar(config)) paste0(", ", config) else "",
    call,
    paste0('["', names(shapes)[used], '", 0, 0]', collapse = ", ")
  )
  list(json = json, shapes = shapes[used], dtype = dtype)
}

# The JSON of input layers by name.
input_layers <- function(shapes, dtype, key) {
  sprintf(
    '{"class_name": "InputLayer", "config": {"name": "%s", "%s": %s, "dtype": "%s"},
      "name": "%1$s", "inbound_nodes": []}',
    names(shapes),
    key,
    shapes,
    dtype
  )
}

# A title, and the message of a model below it.
told <- function(title, json, ...) {
  message <- message_of(load_model(charToRaw(json)), ...)
  cat(title, paste0("  ", strsplit(message, "\n")[[1]]), "", sep = "\n")
}

# The same for functions of TensorFlow, as tf.keras 2 saved them: the JSON of the
# arguments by name, in which $y is an input.
told_functions <- function(cases) {
  for (case in cases) {
    do.call(told_function, as.list(case))
  }
}

told_function <- function(
  function_name,
  args = "",
  x = "[null, 4]",
  y = "[null, 4]",
  dtype = "float32",
  first = "x"
) {
  shapes <- c(x = x, y = y)[c(TRUE, grepl("$y", args, fixed = TRUE))]
  inputs <- input_layers(shapes, dtype, "batch_input_shape")
  json <- sprintf(
    '{"class_name": "Functional", "keras_version": "2.9.0", "config": {
      "name": "calls", "layers": [%s,
      {"class_name": "TFOpLambda", "name": "call",
        "config": {"name": "call", "dtype": "float32", "function": "%s"},
        "inbound_nodes": [[%s, {%s}]]}],
      "input_layers": [%s], "output_layers": [["call", 0, 0]]}}',
    paste(inputs, collapse = ", "),
    function_name,
    if (first == "x") '"x", 0, 0' else paste0('"_CONSTANT_VALUE", -1, ', first),
    gsub("$y", '["y", 0, 0]', args, fixed = TRUE),
    paste0('["', names(shapes), '", 0, 0]', collapse = ", ")
  )
  title <- paste0("tf.", function_name, "(x", if (nzchar(args)) paste0(", ", args), ")")
  told(title, json, shapes, dtype)
}

# What keras.utils gives for the same data: see fixtures/datasets.py.
dataset_cases <- local({
  value <- NULL
  function(name) {
    if (is.null(value)) {
      value <<- source(testthat::test_path("fixtures", "datasets.R"))$value
    }
    value[[name]]
  }
})

expect_batches <- function(dataset, expected, name, apart = 2e-4) {
  testthat::expect_length(dataset, length(expected))
  given <- iterate(dataset, simplify = FALSE)
  for (i in seq_along(expected)) {
    batch <- given[[i]]
    if (is.null(expected[[i]]$y)) {
      batch <- list(batch, NULL)
    }
    for (k in 1:2) {
      wanted <- expected[[i]][[c("x", "y")[[k]]]]
      if (is.null(wanted)) {
        testthat::expect_null(batch[[k]])
        next
      }
      testthat::expect_identical(dim(batch[[k]]), dim(wanted), label = name)
      if (is.character(wanted)) {
        testthat::expect_identical(as.vector(batch[[k]]), as.vector(wanted), label = name)
      } else {
        testthat::expect_lte(max(abs(batch[[k]] - c(wanted))), apart, label = name)
      }
    }
  }
}

# The folders of datasets.py.
data_folder <- function(kind, frame = parent.frame()) {
  root <- folder_for(frame)
  for (path in c(
    "b/rgb.png",
    "b/rgba.png",
    "b/Z/gray.png",
    "a-c/la.png",
    "a-c/palette.png",
    "a-c/gray16.png",
    "a/rgb16.png"
  )) {
    file <- file.path(root, path)
    dir.create(dirname(file), showWarnings = FALSE, recursive = TRUE)
    if (kind == "images") {
      file.copy(testthat::test_path("fixtures", "helpers", basename(path)), file)
    } else {
      text <- if (grepl("la", path)) "" else paste0(path, ": \u00fcber\nall")
      con <- base::file(sub("png$", "txt", file), "wb")
      writeBin(charToRaw(enc2utf8(text)), con)
      close(con)
    }
  }
  root
}

sound_folder <- function(frame = parent.frame()) {
  root <- folder_for(frame)
  paths <- c("b/one.wav", "b/two.wav", "a/one.wav", "a/deep/two.wav", "a/last.wav")
  for (number in seq_along(paths) - 1L) {
    channels <- if (number == 3) 2L else 1L
    steps <- seq_len(channels * (4 + 2 * number)) - 1 + 100 * number
    values <- (steps * steps * 37) %% 65536
    body <- writeBin(as.integer(values - 65536 * (values >= 32768)), raw(), 2, "little")
    little <- function(x, size) writeBin(as.integer(x), raw(), size, "little")
    file <- file.path(root, paths[[number + 1L]])
    dir.create(dirname(file), showWarnings = FALSE, recursive = TRUE)
    con <- base::file(file, "wb")
    writeBin(charToRaw("RIFF"), con)
    writeBin(little(36 + length(body), 4), con)
    writeBin(charToRaw("WAVEfmt "), con)
    writeBin(c(little(16, 4), little(c(1, channels), 2), little(c(8000, 16000), 4)), con)
    writeBin(c(little(c(2 * channels, 16), 2), charToRaw("data")), con)
    writeBin(c(little(length(body), 4), body), con)
    close(con)
  }
  root
}

folder_for <- function(frame) {
  path <- tempfile("folder")
  dir.create(path)
  do.call(
    "on.exit",
    list(bquote(unlink(.(path), recursive = TRUE)), add = TRUE),
    envir = frame
  )
  path
}

expect_folder <- function(dataset, root, name) {
  if (is.list(dataset)) {
    for (i in 1:2) {
      expect_folder(dataset[[i]], root, paste(sub(" 1$", "", name), i))
    }
    return(invisible())
  }
  wanted <- dataset_cases(name)
  if (!is.null(wanted$paths)) {
    testthat::expect_identical(
      substring(dataset$file_paths, nchar(root) + 2),
      as.vector(wanted$paths),
      label = name
    )
  }
  testthat::expect_identical(
    dataset$class_names,
    if (!is.null(wanted$classes)) as.vector(wanted$classes),
    label = name
  )
  if (!is.null(wanted$batches)) {
    expect_batches(dataset, wanted$batches, name, 2e-3)
  }
}
