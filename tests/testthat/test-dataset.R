# What keras.utils gives for the same data: see fixtures/datasets.py.
dataset_cases <- source(test_path("fixtures", "datasets.R"))$value

expect_batches <- function(dataset, expected, name, apart = 2e-4) {
  expect_length(dataset, length(expected))
  given <- iterate(dataset, simplify = FALSE)
  for (i in seq_along(expected)) {
    batch <- given[[i]]
    if (is.null(expected[[i]]$y)) {
      batch <- list(batch, NULL)
    }
    for (k in 1:2) {
      wanted <- expected[[i]][[c("x", "y")[[k]]]]
      if (is.null(wanted)) {
        expect_null(batch[[k]])
        next
      }
      expect_identical(dim(batch[[k]]), dim(wanted), label = name)
      if (is.character(wanted)) {
        expect_identical(as.vector(batch[[k]]), as.vector(wanted), label = name)
      } else {
        expect_lte(max(abs(batch[[k]] - c(wanted))), apart, label = name)
      }
    }
  }
}

test_that("windows are those of Keras", {
  x <- matrix(as.numeric(0:29), 15, byrow = TRUE)
  y <- 0:14 * 10
  windows <- function(name, ..., batch_size = 5, targets = NULL) {
    dataset <- timeseries_dataset_from_array(
      x,
      targets,
      ...,
      batch_size = batch_size
    )
    expect_batches(dataset, dataset_cases[[name]], name)
  }
  windows("plain", sequence_length = 4)
  windows("targets", sequence_length = 4, targets = y)
  windows(
    "stride",
    sequence_length = 3,
    sequence_stride = 4,
    sampling_rate = 2,
    targets = y
  )
  windows(
    "part",
    sequence_length = 3,
    start_index = 2,
    end_index = 11,
    targets = y
  )
  windows("few targets", sequence_length = 2, targets = matrix(y[1:5]))
  windows("begin", sequence_length = 5, start_index = 4)
  frame <- as.data.frame(x)
  expect_identical(
    iterate(timeseries_dataset_from_array(frame, NULL, 4)),
    iterate(timeseries_dataset_from_array(x, NULL, 4))
  )
  # A vector has steps of no axes.
  vector <- timeseries_dataset_from_array(1:6, NULL, 3, batch_size = NULL)
  expect_identical(iter_next(as_iterator(vector)), array(1:3))
  expect_length(vector, 4)
})

test_that("single windows have no axis of the batch", {
  x <- matrix(as.numeric(0:29), 15, byrow = TRUE)
  dataset <- timeseries_dataset_from_array(
    x,
    0:14 * 10,
    12,
    batch_size = NULL
  )
  given <- iterate(dataset)
  wanted <- dataset_cases$single
  expect_length(given, length(wanted))
  for (i in seq_along(wanted)) {
    expect_identical(given[[i]][[1]], wanted[[i]]$x)
    expect_identical(given[[i]][[2]], as.vector(wanted[[i]]$y))
  }
})

test_that("shuffled windows are all there, each with its target", {
  x <- matrix(as.numeric(0:29), 15, byrow = TRUE)
  shuffled <- function(seed) {
    timeseries_dataset_from_array(
      x,
      0:14 * 10,
      2,
      batch_size = 20,
      shuffle = TRUE,
      seed = seed
    )
  }
  wanted <- dataset_cases$shuffled[[1]]
  given <- iterate(shuffled(7))[[1]]
  # Keras mixes its batches once more.
  sorted <- function(x, y) {
    order <- order(y)
    list(unname(x[order, , ]), as.vector(y)[order])
  }
  expect_identical(
    sorted(given[[1]], given[[2]]),
    sorted(wanted$x, wanted$y)
  )
  expect_true(is.unsorted(given[[2]]))
  set.seed(1)
  one <- iterate(shuffled(NULL))
  set.seed(1)
  expect_identical(iterate(shuffled(NULL)), one)
})

test_that("orders are those of numpy, and R's random numbers are left alone", {
  # numpy.random.RandomState(seed).shuffle()
  expect_identical(numpy_order(5, 123), c(2L, 4L, 5L, 1L, 3L))
  expect_identical(numpy_order(5, 2^32 - 1), c(5L, 2L, 1L, 3L, 4L))
  expect_identical(numpy_order(0, 1), integer())
  expect_identical(numpy_order(1, 1), 1L)
  set.seed(3)
  wanted <- stats::runif(1)
  set.seed(3)
  numpy_order(9, 1)
  expect_identical(stats::runif(1), wanted)
  expect_identical(
    run_r(c(
      "library(keraspredict)",
      "x <- timeseries_dataset_from_array(1:9, NULL, 2, shuffle = TRUE, seed = 1)",
      "cat(exists('.Random.seed', globalenv()))"
    )),
    "FALSE"
  )
})

# The folders of datasets.py.
data_folder <- function(kind, frame = parent.frame()) {
  root <- withr_free_tempdir(frame)
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
      file.copy(test_path("fixtures", "helpers", basename(path)), file)
    } else {
      text <- if (grepl("la", path)) "" else paste0(path, ": \u00fcber\nall")
      con <- base::file(sub("png$", "txt", file), "wb")
      writeBin(charToRaw(enc2utf8(text)), con)
      close(con)
    }
  }
  root
}

withr_free_tempdir <- function(frame) {
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
  wanted <- dataset_cases[[name]]
  if (!is.null(wanted$paths)) {
    expect_identical(
      substring(dataset$file_paths, nchar(root) + 2),
      as.vector(wanted$paths),
      label = name
    )
  }
  expect_identical(
    dataset$class_names,
    if (!is.null(wanted$classes)) as.vector(wanted$classes),
    label = name
  )
  if (!is.null(wanted$batches)) {
    expect_batches(dataset, wanted$batches, name, 2e-3)
  }
}

test_that("images are those of Keras", {
  skip_if_not_installed("png")
  root <- data_folder("images")
  images <- function(name, ..., image_size = c(4, 3)) {
    dataset <- image_dataset_from_directory(
      root,
      image_size = image_size,
      ...,
      shuffle = FALSE,
      batch_size = 4,
      verbose = FALSE
    )
    expect_folder(dataset, root, paste(name, 1))
  }
  for (method in array_interpolations) {
    images(method, interpolation = method)
  }
  images("rgba", color_mode = "rgba", class_names = c("b", "a"))
  images("grayscale", color_mode = "grayscale", class_names = list("b", "a"))
  images("crop", crop_to_aspect_ratio = TRUE, labels = NULL)
  images("pad", pad_to_aspect_ratio = TRUE, label_mode = "categorical")
  images(
    "larger",
    image_size = c(14, 19),
    color_mode = "grayscale",
    class_names = "b"
  )
  images(
    "first",
    data_format = "channels_first",
    labels = c(3, 1, 1, 0, 3, 5, 2)
  )
  images("binary", class_names = c("b", "a-c"), label_mode = "binary")
})

test_that("files are shuffled and split as Keras does", {
  root <- data_folder("images")
  files <- function(name, ...) {
    dataset <- image_dataset_from_directory(root, ..., verbose = FALSE)
    expect_folder(dataset, root, paste(name, 1))
  }
  files("seed", seed = 123)
  for (subset in c("training", "validation", "both")) {
    files(subset, seed = 11, validation_split = 0.3, subset = subset)
  }
})

test_that("texts are those of Keras", {
  root <- data_folder("texts")
  texts <- function(name, ...) {
    dataset <- text_dataset_from_directory(root, ..., verbose = FALSE)
    expect_folder(dataset, root, paste(name, 1))
  }
  texts("texts", shuffle = FALSE)
  single <- text_dataset_from_directory(
    root,
    shuffle = FALSE,
    max_length = 3,
    batch_size = NULL,
    verbose = FALSE
  )
  expect_identical(
    iterate(single),
    lapply(dataset_cases[["cut 1"]]$batches, function(batch) {
      list(as.vector(batch$x), as.integer(batch$y))
    })
  )
})

test_that("links to folders are followed where it is asked for", {
  skip_on_os("windows")
  root <- data_folder("texts")
  file.symlink(file.path(root, "b"), file.path(root, "a", "link"))
  file.symlink(root, file.path(root, "a", "loop"))
  count <- function(...) {
    dataset <- text_dataset_from_directory(
      root,
      class_names = "a",
      verbose = FALSE,
      ...
    )
    length(dataset$file_paths)
  }
  expect_identical(count(), 1L)
  expect_identical(count(follow_links = TRUE), 7L)
})

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
  empty <- withr_free_tempdir(environment())
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
    image_dataset_from_directory(root, interpolation = "gaussian")
    image_dataset_from_directory(
      root,
      crop_to_aspect_ratio = TRUE,
      pad_to_aspect_ratio = TRUE
    )
    iterate(1:3)
    iter_next(list())
  })
})
