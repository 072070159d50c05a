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
