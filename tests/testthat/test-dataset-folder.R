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

test_that("sounds are those of Keras", {
  root <- sound_folder()
  sounds <- function(name, ...) {
    dataset <- audio_dataset_from_directory(
      root,
      ...,
      shuffle = FALSE,
      verbose = FALSE
    )
    if (is.null(dataset_cases(name))) {
      return(dataset)
    }
    expect_folder(dataset, root, name)
  }
  sounds("sounds 1", batch_size = 3)
  sounds(
    "sounds cut 1",
    class_names = "b",
    batch_size = 3,
    output_sequence_length = 5
  )
  sounds("sounds alone 1", batch_size = NULL, labels = NULL)
  expect_snapshot(
    error = TRUE,
    iterate(sounds("", output_sequence_length = 5))
  )
  expect_snapshot(error = TRUE, {
    audio_dataset_from_directory(root, sampling_rate = 8000)
    audio_dataset_from_directory(root, ragged = TRUE)
    audio_dataset_from_directory(root, output_sequence_length = 0)
  })
})

test_that("WAV files of other forms are read, or told", {
  chunk <- function(name, ...) {
    body <- c(...)
    c(charToRaw(name), little(length(body), 4), body)
  }
  little <- function(x, size) writeBin(as.integer(x), raw(), size, "little")
  form <- function(bits = 16, format = 1, channels = 1, more = raw()) {
    header <- c(little(format, 2), little(channels, 2), little(8000, 4))
    chunk("fmt ", header, little(16000, 4), little(2, 2), little(bits, 2), more)
  }
  numbers <- c(0L, 1L, -32768L, 32767L)
  sound <- chunk("data", little(numbers, 2))
  file <- tempfile(fileext = ".wav")
  on.exit(unlink(file))
  read <- function(...) {
    body <- c(charToRaw("WAVE"), ...)
    writeBin(c(charToRaw("RIFF"), little(length(body), 4), body), file)
    read_wav(file)
  }
  expected <- matrix(numbers / 2^15)
  expect_identical(read(form(), sound), expected)
  expect_identical(
    read(form(channels = 2), sound),
    matrix(numbers / 2^15, 2, byrow = TRUE)
  )
  # Other chunks around, of odd sizes too, and longer ones of the format.
  odd <- chunk("LIST", as.raw(c(1, 2, 3)))
  expect_identical(read(odd, as.raw(0), form(), odd, sound, odd), expected)
  guid <- c(little(c(22, 16), 2), little(4, 4), little(1, 2), raw(14))
  expect_identical(read(form(format = -2, more = guid), sound), expected)
  expect_identical(read(form(more = raw(2)), chunk("data")), matrix(0, 0, 1))
  hide <- function(lines) gsub("'.*'", "'<file>'", lines)
  expect_snapshot(error = TRUE, transform = hide, {
    read(form(bits = 24), sound)
    read(form(format = 3, bits = 32), sound)
    read(sound)
    read(form(), utils::head(sound, -1))
    read(form())
    read(form(channels = 0), sound)
    read(chunk("fmt ", raw(4)), sound)
    writeBin(charToRaw("RIFX"), file)
    read_wav(file)
  })
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
