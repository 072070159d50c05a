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
    lapply(dataset_cases("cut 1")$batches, function(batch) {
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
