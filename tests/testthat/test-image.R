image_values <- source(test_path("fixtures", "helpers", "values.R"))$value
image_file <- function(name) test_path("fixtures", "helpers", name)

expect_image <- function(image, name, apart = 0) {
  x <- image_to_array(image)
  wanted <- image_values[[name]]
  expect_identical(dim(x), as.integer(dim(wanted)), label = name)
  expect_lte(max(abs(x - wanted)), apart, label = name)
}

test_that("files are read as Pillow reads them", {
  skip_if_not_installed("png")
  skip_if_not_installed("jpeg")
  for (file in c(
    "rgb.png",
    "rgba.png",
    "gray.png",
    "la.png",
    "palette.png",
    "rgb.jpg",
    "gray.jpg"
  )) {
    # Decoders of JPEG may differ by rounding.
    apart <- if (endsWith(file, "jpg")) 2 else 0
    expect_image(image_load(image_file(file)), paste(file, "rgb"), apart)
  }
  for (file in c("rgb.png", "rgba.png")) {
    for (mode in c("rgba", "grayscale")) {
      expect_image(image_load(image_file(file), mode), paste(file, mode))
    }
  }
})

test_that("16 bits a channel are read as Pillow reads them", {
  skip_if_not_installed("png")
  for (file in c("rgb16.png", "rgba16.png", "gray16.png", "la16.png")) {
    for (mode in c("rgb", "rgba", "grayscale")) {
      expect_image(image_load(image_file(file), mode), paste(file, mode))
    }
  }
  for (method in c("nearest", names(pillow_kernels))) {
    for (size in list(c(4, 5), c(11, 12))) {
      expect_image(
        image_load(
          image_file("gray16.png"),
          "grayscale",
          target_size = size,
          interpolation = method
        ),
        paste("deep", if (size[[1]] < 7) "small" else "large", method)
      )
    }
  }
})

test_that("files are resized as Pillow resizes them", {
  skip_if_not_installed("png")
  for (method in c("nearest", names(pillow_kernels))) {
    expect_image(
      image_load(
        image_file("rgb.png"),
        target_size = c(5, 6),
        interpolation = method
      ),
      paste("small", method)
    )
    expect_image(
      image_load(
        image_file("gray.png"),
        "grayscale",
        target_size = list(13, 20),
        interpolation = method
      ),
      paste("large", method)
    )
  }
  expect_image(
    image_load(image_file("rgba.png"), "rgba", c(5, 6), "bilinear"),
    "rgba bilinear"
  )
  expect_image(
    image_load(
      image_file("rgb.png"),
      target_size = c(6, 6),
      interpolation = "bilinear",
      keep_aspect_ratio = TRUE
    ),
    "ratio"
  )
})

test_that("arrays are cropped and resized as TensorFlow does", {
  skip_if_not_installed("png")
  x <- image_to_array(image_load(image_file("rgb.png")))
  for (method in c(
    "nearest",
    "bilinear",
    "bicubic",
    "lanczos3",
    "lanczos5",
    "area"
  )) {
    expect_close(
      image_smart_resize(x, c(5, 9), method),
      image_values[[paste("resize", method)]]
    )
  }
  batch <- array(x[1:4, 1:5, ], c(1, 4, 5, 3))
  expect_close(
    image_smart_resize(batch, c(7, 6), "bicubic"),
    image_values[["resize larger"]]
  )
  first <- aperm(x, c(3, 1, 2))
  expect_equal(
    image_smart_resize(first, c(5, 9), data_format = "channels_first"),
    aperm(image_smart_resize(x, c(5, 9)), c(3, 1, 2))
  )
})

test_that("images are arrays", {
  skip_if_not_installed("png")
  image <- image_load(image_file("rgb.png"))
  expect_output(print(image), "<image of 11 x 17 pixels, rgb>", fixed = TRUE)
  expect_identical(dim(image), c(11L, 17L, 3L))
  expect_identical(as.array(image), image_to_array(image))
  expect_identical(
    dim(image_to_array(image, "channels_first")),
    c(3L, 11L, 17L)
  )
  expect_identical(dim(image_to_array(matrix(1, 2, 3))), c(2L, 3L, 1L))
  expect_identical(
    image_smart_resize(image, c(5, 9)),
    image_smart_resize(image_to_array(image), c(5, 9))
  )
})

test_that("bad images and arguments are errors", {
  skip_if_not_installed("png")
  text <- file.path(tempdir(), "text.png")
  writeLines("no image", text)
  expect_error(
    image_load("nowhere.png"),
    class = "keraspredict_error_file_missing"
  )
  expect_error(image_load(text), "must be a PNG, JPEG, BMP or GIF file")
  expect_snapshot(error = TRUE, {
    image_load(1)
    image_load("x.png", color_mode = "cmyk")
    image_load("x.png", interpolation = "best")
    image_load(image_file("rgb.png"), target_size = 5)
    image_to_array("a")
    image_smart_resize(matrix(1, 2, 2), c(2, 2))
    image_smart_resize(array(1, c(2, 2, 1)), c(2, 0))
  })
})

test_that("arrays become the images that Keras makes of them", {
  cases <- source(test_path("fixtures", "datasets.R"))$value
  for (name in c("rgb", "whole", "same", "deep")) {
    for (scale in c(TRUE, FALSE)) {
      case <- cases[[paste("image", name, scale)]]
      image <- image_from_array(case$x, scale = scale)
      expect_identical(
        as.numeric(image$pixels),
        as.numeric(case$y),
        label = name
      )
      first <- image_from_array(
        aperm(case$x, c(3, 1, 2)),
        data_format = "channels_first",
        scale = scale
      )
      expect_identical(first, image)
    }
  }
})

test_that("images are written", {
  skip_if_not_installed("png")
  skip_if_not_installed("jpeg")
  file <- tempfile(fileext = ".png")
  on.exit(unlink(file))
  for (channels in c(1, 3, 4)) {
    x <- array(as.numeric(sample(0:255, 20 * channels, TRUE)), c(4, 5, channels))
    expect_identical(image_array_save(x, file, scale = FALSE), x)
    mode <- c("grayscale", "", "rgb", "rgba")[[channels]]
    expect_identical(image_to_array(image_load(file, mode)), x)
    # Written as it is.
    image_array_save(image_load(file, mode), file)
    expect_identical(image_to_array(image_load(file, mode)), x)
  }
  grey <- array(128, c(8, 8, 3))
  image_array_save(grey, file, file_format = "JPG", scale = FALSE)
  expect_lte(max(abs(image_to_array(image_load(file)) - 128)), 2)
  expect_snapshot(
    image_array_save(array(0, c(2, 2, 4)), tempfile(fileext = ".jpg"))
  )
  expect_snapshot(error = TRUE, {
    image_from_array("a")
    image_from_array(matrix(0, 2, 2))
    image_from_array(array(0, c(2, 2, 2)))
    image_from_array(array(NA, c(2, 2, 3)))
    image_array_save(array(0, c(2, 2, 3)), "image.gif")
    image_array_save(array(999, c(2, 2, 1)), "image.png", scale = FALSE)
  })
})
