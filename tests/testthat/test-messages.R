# Messages that no other test shows.
hide_paths <- function(lines) {
  for (path in c(normalizePath(tempdir(), winslash = "/"), tempdir())) {
    lines <- gsub(path, "<tmp>", lines, fixed = TRUE)
  }
  gsub(getwd(), "<wd>", lines, fixed = TRUE)
}

tmp <- function(name) file.path(tempdir(), name)

test_that("files that can't be read are told", {
  skip_if_not_installed("png")
  model <- load_model(keraspredict_example("iris"))
  writeLines("no image", tmp("text.png"))
  writeLines(c("a,b,c,d", "1,2,3,4", "1,2,3,4,5"), tmp("long.csv"))
  writeLines('{"0": ["n1", "one"]}', tmp("index.json"))
  zipped <- memCompress(charToRaw("a model"), "gzip")
  writeBin(c(as.raw(c(0x1f, 0x8b)), zipped), tmp("model.h5.gz"))
  expect_snapshot(error = TRUE, transform = hide_paths, {
    load_model(tmp("model.h5.gz"))
    predict(model, csv_batches("nowhere.csv"))
    image_load("nowhere.png")
    image_load(tmp("text.png"))
    application_decode_predictions(
      preds = matrix(0, 1, 1000),
      class_index = "nowhere.json"
    )
    keraspredict_example("tulips")
  })
  expect_error(
    predict(model, csv_batches(tmp("long.csv"))),
    class = "keraspredict_error_bad_input"
  )
})

test_that("lines of another number of fields are told", {
  old <- options(keraspredict.class_index = tmp("index.json"))
  on.exit(options(old))
  writeLines('{"0": ["n1", "one"]}', tmp("index.json"))
  expect_snapshot(error = TRUE, transform = hide_paths, {
    parse_csv("1,2,3", c("a", "b"), ",", "NA", NULL, "base")
    parse_csv(c("1,2", "3"), c("a", "b"), ",", "NA", NULL, "base")
    application_decode_predictions(preds = matrix(0, 1, 1000))
  })
})

test_that("text that isn't valid, files that are there and other objects are told", {
  text <- matrix(c("fine", "\xff\xfe"), 1)
  Encoding(text) <- "UTF-8"
  file <- tmp("there.keras")
  file.create(file)
  expect_snapshot(error = TRUE, transform = hide_paths, {
    predict(loaded("text"), text)
    save_model(loaded("mlp"), file)
    reset_state("model")
  })
})

test_that("weights that don't fit are told where they may be left out", {
  weights <- tempfile(fileext = ".weights.h5")
  on.exit(unlink(weights))
  save_model_weights(loaded("two"), weights)
  expect_snapshot(invisible(load_model_weights(
    loaded("mlp"),
    weights,
    skip_mismatch = TRUE
  )))
})

test_that("graphs that can't be followed are told", {
  tensor <- function(layer, call = 0, output = 0) {
    sprintf(
      '{"class_name": "__keras_tensor__", "config": {"shape": [null, 2],
        "dtype": "float32", "keras_history": ["%s", %d, %d]}}',
      layer,
      call,
      output
    )
  }
  layer <- function(
    name,
    from,
    nodes = sprintf('[{"args": [%s], "kwargs": {}}]', from)
  ) {
    sprintf(
      '{"class_name": "ReLU", "config": {"name": "%s"}, "name": "%1$s",
        "inbound_nodes": %s}',
      name,
      nodes
    )
  }
  graph <- function(..., input = '["x", 0, 0]', output = '["y", 0, 0]') {
    load_model(charToRaw(sprintf(
      '{"class_name": "Functional", "config": {"name": "graph", "layers": [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
          "config": {"name": "x", "batch_shape": [null, 2]}}, %s],
        "input_layers": [%s], "output_layers": [%s]}}',
      paste(..., sep = ", "),
      input,
      output
    )))
  }
  expect_snapshot(error = TRUE, {
    graph(layer("y", tensor("none")))
    graph(layer("y", tensor("x", 3)))
    graph(layer("y", tensor("z")), layer("z", tensor("y")))
    graph(layer("y", nodes = "[3]"))
    graph(layer("y", tensor("x")), input = '["y", 0, 0]')
    graph(layer("y", tensor("x")), input = "3")
    graph(layer("y", tensor("x")), output = '["none", 0, 0]')
    predict(graph(layer("y", tensor("x", 0, 2))), matrix(0, 1, 2))
  })
})

test_that("files of other kinds, and damaged ones, are told", {
  of_text <- function(text) load_model(charToRaw(text))
  good <- readBin(fixture("mlp"), "raw", file.size(fixture("mlp")))
  old <- readBin(keraspredict_example("iris.h5"), "raw", 1e6)
  changed <- function(bytes, pattern, to) {
    at <- grepRaw(pattern, bytes, fixed = TRUE)
    bytes[at - 1 + seq_along(charToRaw(to))] <- charToRaw(to)
    bytes
  }
  folder <- tempfile()
  dir.create(folder)
  empty <- file.path(tempfile(tmpdir = folder))
  saved <- file.path(folder, "saved")
  npz <- file.path(folder, "npz")
  for (dir in c(empty, saved, npz)) {
    dir.create(dir)
  }
  file.create(
    file.path(saved, "saved_model.pb"),
    file.path(npz, "model.weights.npz")
  )
  writeLines(save_model_config(loaded("mlp")), file.path(npz, "config.json"))
  on.exit(unlink(folder, recursive = TRUE))
  hide <- function(lines) {
    for (name in c(basename(empty), basename(folder))) {
      lines <- gsub(name, "<folder>", lines, fixed = TRUE)
    }
    hide_paths(lines)
  }
  expect_snapshot(error = TRUE, transform = hide, {
    load_model(raw())
    of_text("version https://git-lfs.github.com/spec/v1")
    of_text("<!DOCTYPE html><html></html>")
    of_text("xxxxTFL3xxxx")
    of_text("an image, perhaps")
    of_text("{\"a\": 1}")
    of_text("{\"a\": ")
    of_text("[1, 2]")
    of_text("{\"class_name\": \"Sequential\", \"config\": 3}")
    of_text("{\"class_name\": \"MyModel\", \"config\": {}}")
    load_model(as.raw(c(0x80, 0x04, 0x95, 0x01)))
    load_model(good[1:2000])
    load_model(changed(good, "\"class_name\"", "\"klass"))
    load_model(old[1:3000])
    load_model(changed(old, "model_config", "model_kunfig"))
    load_model(changed(old, "model_weights", "model_weighXs"))
    load_model(changed(old, "species", "speXies"))
    load_model(changed(old, "layer_names", "layer_namXs"))
    load_model(changed(old, "dense/kernel", "dense/kerXel"))
    load_model(empty)
    load_model(saved)
    load_model(npz)
    load_model_weights(loaded("mlp"), file.path(folder, "none.h5"))
    load_model_weights(loaded("mlp"), file.path(npz, "config.json"))
  })
})

test_that("files of forms that are rare are told", {
  everywhere <- function(bytes, pattern, to) {
    for (at in grepRaw(pattern, bytes, fixed = TRUE, all = TRUE)) {
      bytes[at - 1 + seq_along(charToRaw(to))] <- charToRaw(to)
    }
    bytes
  }
  good <- readBin(fixture("mlp"), "raw", file.size(fixture("mlp")))
  old <- readBin(keraspredict_example("iris.h5"), "raw", 1e6)
  plain <- everywhere(old, "model_config", "model_kunfig")
  plain <- everywhere(plain, "model_weights", "model_weighXs")
  config <- save_model_config(loaded("mlp"))
  folder <- tempfile("files")
  inside <- function(...) file.path(folder, ...)
  dir.create(inside("bare"), recursive = TRUE)
  dir.create(
    do.call(inside, as.list(c("deep", "assets", rep("a", 70)))),
    recursive = TRUE
  )
  on.exit(unlink(folder, recursive = TRUE))
  writeLines(config, inside("bare", "config.json"))
  writeLines(config, inside("deep", "config.json"))
  writeBin(plain, inside("plain.h5"))
  file.copy(keraspredict_example("iris.h5"), inside("iris.h5"))
  writeLines('{"weight_map": {"a": "../iris.h5"}}', inside("far.weights.json"))
  writeLines('{"weight_map": {"a": "iris.h5"}}', inside("old.weights.json"))
  hide <- function(lines) {
    hide_paths(gsub(basename(folder), "<folder>", lines, fixed = TRUE))
  }
  expect_snapshot(error = TRUE, transform = hide, {
    load_model(charToRaw('{"class_name" 3}'))
    load_model(charToRaw('"{\\"class_name\\": }"'))
    load_model(everywhere(good, "config.json", "kunfig.json"))
    load_model(plain)
    load_model(inside("bare"))
    load_model(inside("deep"))
    load_model_weights(loaded("mlp"), inside("plain.h5"))
    load_model_weights(loaded("mlp"), inside("far.weights.json"))
    load_model_weights(loaded("mlp"), inside("old.weights.json"))
  })
})

test_that("what can't be written is told", {
  skip_on_os("windows")
  model <- loaded("mlp")
  expect_snapshot(error = TRUE, {
    save_model(model, "/proc/nowhere/model.keras")
    save_model_weights(model, "/proc/nowhere/model.weights.h5")
    save_model(model, "model.txt")
    save_model_weights(model, "model.h5")
  })
})
