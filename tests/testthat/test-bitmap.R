# What TensorFlow and Pillow read: see fixtures/bitmaps.py.
bitmaps <- source(test_path("fixtures", "bitmaps.R"))$value
bitmap <- function(name) test_path("fixtures", "helpers", name)

test_that("BMP and GIF files are read as TensorFlow and Pillow do", {
  for (name in grep("[.]", names(bitmaps), value = TRUE)) {
    wanted <- bitmaps[[name]]
    expect_equal(tensorflow_image(bitmap(name), "rgb"), wanted$tensorflow, info = name)
    expect_equal(image_to_array(image_load(bitmap(name))), wanted$pillow, info = name)
  }
})

test_that("images are resized as only TensorFlow does", {
  root <- folder_for(environment())
  file.copy(bitmap("interlaced.gif"), file.path(root, "a.gif"))
  resized <- function(...) {
    dataset <- image_dataset_from_directory(
      root,
      labels = NULL,
      image_size = c(4, 6),
      verbose = FALSE,
      ...
    )
    iter_next(as_iterator(dataset))[1, , , ]
  }
  for (method in tensorflow_interpolations) {
    y <- resized(interpolation = method)
    expect_lte(max(abs(y - bitmaps[[method]])), 2e-3)
    y <- resized(interpolation = method, pad_to_aspect_ratio = TRUE)
    expect_lte(max(abs(y - bitmaps[[paste(method, "pad")]])), 2e-3)
  }
  expect_snapshot(
    error = TRUE,
    resized(interpolation = "gaussian", crop_to_aspect_ratio = TRUE)
  )
})

test_that("damaged files, and those of other forms, are told", {
  path <- tempfile()
  on.exit(unlink(path))
  hide <- function(lines) gsub(path, "<path>", lines, fixed = TRUE)
  write <- function(name, change) {
    bytes <- readBin(bitmap(name), "raw", 1e5)
    writeBin(change(bytes), path)
  }
  expect_snapshot(error = TRUE, transform = hide, {
    write("rgb.bmp", function(bytes) replace(bytes, 29, as.raw(1)))
    image_load(path)
    write("rgb.bmp", function(bytes) bytes[1:90])
    image_load(path)
  })
  # Whatever is cut or changed, it is read or it is an error of ours.
  set.seed(1)
  for (name in c("rgb.bmp", "palette.bmp", "plain.gif", "transparent.gif")) {
    for (i in 1:60) {
      write(name, function(bytes) {
        at <- sample(length(bytes), 3)
        bytes[at] <- as.raw(sample(0:255, 3))
        utils::head(bytes, sample(c(length(bytes), at[[1]]), 1))
      })
      result <- tryCatch(
        image_load(path),
        keraspredict_error = function(e) NULL
      )
      expect_true(is.null(result) || inherits(result, "keraspredict_image"), info = name)
    }
  }
})
