test_that("a model predicts from a dataset", {
  model <- loaded("mlp")
  x <- cases()$mlp$x
  dataset <- timeseries_dataset_from_array(x, NULL, 1, batch_size = 3)
  rows <- timeseries_dataset_from_array(
    as.vector(t(x)),
    NULL,
    ncol(x),
    sequence_stride = ncol(x),
    batch_size = 2
  )
  expect_close(predict(model, rows), cases()$mlp$y)
  expect_output(predict(model, rows, verbose = 2), "/")
  expect_snapshot(error = TRUE, predict(model, rows, batch_size = 2))
  expect_snapshot(error = TRUE, predict(model, dataset))
})

test_that("iterators give one batch after the other", {
  dataset <- timeseries_dataset_from_array(1:5, NULL, 2, batch_size = 3)
  it <- as_iterator(dataset)
  expect_identical(as_iterator(it), it)
  expect_identical(iter_next(it), matrix(c(1:3, 2:4), 3))
  expect_snapshot({
    dataset
    it
  })
  expect_identical(iter_next(it), matrix(4:5, 1))
  expect_null(iter_next(it))
  expect_identical(iter_next(it, "done"), "done")
  expect_identical(iterate(dataset, nrow), c(3L, 1L))
  expect_identical(iterate(dataset, nrow, simplify = FALSE), list(3L, 1L))
  expect_invisible(iterate(dataset, function(x) NULL))
})

test_that("a dataset's batches are taken, skipped and made anew", {
  dataset <- timeseries_dataset_from_array(1:7, 11:17, 2, batch_size = 2)
  expect_identical(dataset$cardinality(), 3)
  windows <- function(...) do.call(rbind, lapply(iterate(...), `[[`, 1))
  all <- windows(dataset)
  expect_identical(windows(dataset$take(1)), all[1:2, ])
  expect_identical(windows(dataset$take(9)), all)
  expect_length(dataset$take(0), 0)
  expect_identical(windows(dataset$skip(2)), all[5:6, ])
  expect_identical(windows(dataset$skip(0)), all)
  expect_length(dataset$skip(3), 0)
  single <- dataset$unbatch()
  expect_length(single, 6)
  expect_identical(iter_next(as_iterator(single)), list(array(1:2), 11L))
  expect_identical(iterate(single$batch(4)$skip(1))[[1]][[2]], array(15:16))
  expect_snapshot(error = TRUE, {
    dataset$batch(2)
    single$batch(0)
    dataset$take(-1)
    dataset$skip("all")
  })
})

test_that("a folder's dataset tells what it is", {
  root <- data_folder("texts")
  expect_snapshot(text_dataset_from_directory(root, seed = 1))
  expect_snapshot(text_dataset_from_directory(root, labels = NULL, seed = 1))
  expect_snapshot(
    text_dataset_from_directory(
      root,
      seed = 1,
      validation_split = 0.5,
      subset = "validation"
    )
  )
})

test_that("what doesn't fit is an error", {
  x <- 1:9
  expect_snapshot(error = TRUE, {
    timeseries_dataset_from_array(list(1), NULL, 2)
    timeseries_dataset_from_array(iris, NULL, 2)
    timeseries_dataset_from_array(x, NULL, 0)
    timeseries_dataset_from_array(x, NULL, 2, sequence_stride = 9)
    timeseries_dataset_from_array(x, NULL, 2, sampling_rate = 1.5)
    timeseries_dataset_from_array(x, NULL, 2, start_index = 9)
    timeseries_dataset_from_array(x, NULL, 2, start_index = 5, end_index = 5)
    timeseries_dataset_from_array(x, 1:5, 2, start_index = 3)
    timeseries_dataset_from_array(x, NULL, 2, seed = -1)
  })
  skip_on_os("windows")
  root <- data_folder("texts")
  empty <- folder_for(environment())
  texts <- function(directory = root, ...) {
    text_dataset_from_directory(directory, ..., verbose = FALSE)
  }
  transform <- function(lines) {
    gsub(empty, "<empty>", gsub(root, "<root>", gsub(getwd(), "<wd>", lines)))
  }
  expect_snapshot(error = TRUE, transform = transform, {
    texts("none")
    texts(empty)
    texts(label_mode = "ints")
    texts(label_mode = "binary")
    texts(labels = "none")
    texts(labels = 1:3)
    texts(labels = 1:7, class_names = "a")
    texts(class_names = 1)
    texts(class_names = c("a", "x"))
    texts(validation_split = 2, subset = "training")
    texts(validation_split = 0.1)
    texts(validation_split = 0.1, subset = "none")
    texts(validation_split = 0.1, subset = "training")
    texts(validation_split = 0.1, subset = "validation", seed = 1)
  })
  expect_snapshot(error = TRUE, {
    image_dataset_from_directory(root, interpolation = "spline")
    image_dataset_from_directory(
      root,
      crop_to_aspect_ratio = TRUE,
      pad_to_aspect_ratio = TRUE
    )
    iterate(1:3)
    iter_next(list())
  })
})
