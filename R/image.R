#' Images as arrays
#'
#' @description
#' `image_load()` reads a PNG or JPEG file, by the packages png and jpeg, or a BMP or
#' GIF file (of which the first picture counts).
#' `image_to_array()` makes an array of it for a model. `image_smart_resize()`
#' crops an array to another ratio of height and width and resizes it.
#' `image_from_array()` makes an image of an array, such as a prediction, and
#' `image_array_save()` writes it to a PNG or JPEG file.
#'
#' Results are those of Keras: files are resized as Pillow does, in whole
#' numbers, and arrays as TensorFlow does, without antialiasing. Of files with
#' 16 bits a channel, the upper 8 count; a grey one that is read as
#' `"grayscale"` keeps its numbers, from 0 to 65535.
#'
#' @param path The path of a file: to write, of a `.png`, `.jpg` or `.jpeg` file.
#' @param color_mode `"rgb"`, `"rgba"` or `"grayscale"`.
#' @param target_size `NULL`, or the height and width wanted.
#' @param interpolation How pixels are found: `"nearest"`, `"bilinear"`,
#'   `"bicubic"`; for files also `"hamming"`, `"box"` and `"lanczos"`, for
#'   arrays `"lanczos3"`, `"lanczos5"` and `"area"`.
#' @param keep_aspect_ratio Whether the image is cropped in its middle to the
#'   ratio of `target_size`, and not stretched.
#' @param img An image of `image_load()`.
#' @param data_format `"channels_last"` or `"channels_first"`; `NULL` is
#'   [config_image_data_format()].
#' @param dtype Accepted as in keras3: numbers are doubles in R.
#' @param x An array (rows, columns, channels); for `image_smart_resize()` also
#'   (images, rows, columns, channels).
#' @param scale Whether values are stretched so that they run from 0 to 255. If
#'   not, they are taken as they are, without fractions.
#' @param file_format `"png"` or `"jpeg"`; `NULL` goes by the name of the file.
#' @param size The height and width wanted.
#' @param ... Not used.
#' @returns `image_load()` and `image_from_array()`: an image.
#'   `image_array_save()`: `x`, invisibly. The others: an array of doubles.
#' @name image_load
#' @export
#' @examplesIf requireNamespace("png", quietly = TRUE)
#' file <- system.file("img", "Rlogo.png", package = "png")
#' image <- image_load(file, target_size = c(32, 32), interpolation = "bilinear")
#' image
#' dim(image_to_array(image))
#' dim(image_smart_resize(image_to_array(image), c(16, 24)))
image_load <- function(
  path,
  color_mode = "rgb",
  target_size = NULL,
  interpolation = "nearest",
  keep_aspect_ratio = FALSE
) {
  check_text(path, "path", "the path of a file")
  check_choice(color_mode, "color_mode", c("rgb", "rgba", "grayscale"))
  check_choice(
    interpolation,
    "interpolation",
    c("nearest", names(pillow_kernels))
  )
  check_flag(keep_aspect_ratio, "keep_aspect_ratio")
  pixels <- read_pixels(path)
  deep <- pixels$deep && color_mode == "grayscale"
  image <- recolour(pixels$values, color_mode, pixels$deep)
  if (!is.null(target_size)) {
    size <- check_size(target_size, "target_size")
    if (!identical(dim(image)[1:2], as.integer(size))) {
      box <- if (keep_aspect_ratio) {
        crop_ranges(dim(image)[1:2], size)
      } else {
        lapply(dim(image)[1:2], seq_len)
      }
      image <- pillow_resize(
        image,
        size,
        interpolation,
        lapply(box, range),
        deep
      )
    }
  }
  storage.mode(image) <- "integer"
  structure(
    list(pixels = image, mode = color_mode),
    class = "keraspredict_image"
  )
}

#' @rdname image_load
#' @export
image_to_array <- function(img, data_format = NULL, dtype = NULL) {
  if (is.null(data_format)) {
    data_format <- config_image_data_format()
  }
  check_choice(data_format, "data_format", c("channels_last", "channels_first"))
  if (is_python(img)) {
    img <- from_python(img, "`img`")
  }
  x <- if (inherits(img, "keraspredict_image")) img$pixels else img
  if (!is_number(x) || !length(dim(x)) %in% 2:3) {
    abort(
      "bad_argument",
      paste0("`img` must be an image, not ", describe(img), "."),
      arg = "img"
    )
  }
  if (length(dim(x)) == 2) {
    dim(x) <- c(dim(x), 1L)
  }
  x <- array(as.numeric(x), dim(x))
  if (data_format == "channels_first") aperm(x, c(3, 1, 2)) else x
}

#' @rdname image_load
#' @export
image_smart_resize <- function(
  x,
  size,
  interpolation = "bilinear",
  data_format = "channels_last",
  ...
) {
  size <- check_size(size, "size")
  check_choice(
    interpolation,
    "interpolation",
    array_interpolations
  )
  check_choice(data_format, "data_format", c("channels_last", "channels_first"))
  if (inherits(x, "keraspredict_image")) {
    x <- image_to_array(x)
  }
  rank <- length(dim(x))
  if (!is_number(x) || !rank %in% 3:4) {
    abort(
      "bad_argument",
      paste0("`x` must be an array of 3 or 4 axes, not ", describe(x), "."),
      arg = "x"
    )
  }
  images <- array(as.numeric(x), c(if (rank == 3) 1, dim(x)))
  y <- resizer(size, interpolation, data_format, TRUE)(images)
  if (rank == 3) array(y, dim(y)[-1]) else y
}

#' @rdname image_load
#' @export
image_from_array <- function(
  x,
  data_format = NULL,
  scale = TRUE,
  dtype = NULL
) {
  if (is.null(data_format)) {
    data_format <- config_image_data_format()
  }
  check_choice(data_format, "data_format", c("channels_last", "channels_first"))
  check_flag(scale, "scale")
  x <- unwrap(x, "`x`")
  shape <- if (length(dim(x)) == 3) dim(x) else c(0, 0, 0)
  channels <- shape[[if (data_format == "channels_last") 3 else 1]]
  if (!is_number(x) || !channels %in% c(1, 3, 4)) {
    abort(
      "bad_argument",
      paste0(
        "`x` must be an image of 1, 3 or 4 channels, not ",
        describe(x),
        "."
      ),
      c(i = paste0("Its shape is ", show_shape(array_dim(x)), ".")),
      arg = "x"
    )
  }
  x <- single(array(as.numeric(x), dim(x)))
  if (data_format == "channels_first") {
    x <- aperm(x, c(2, 3, 1))
  }
  if (anyNA(x)) {
    abort("bad_argument", "`x` must have no missing values.", arg = "x")
  }
  if (scale) {
    # In steps of single precision, as Keras: a fraction is cut off at the end.
    x <- single(x - min(x))
    if (max(x) != 0) {
      x <- single(x / max(x))
    }
    x <- single(x * 255)
  }
  deep <- channels == 1 && max(x) > 255
  x <- trunc(x)
  x[] <- as.integer(if (deep) x else x %% 256)
  storage.mode(x) <- "integer"
  mode <- c("grayscale", "", "rgb", "rgba")[[channels]]
  structure(list(pixels = x, mode = mode), class = "keraspredict_image")
}

# Rounded to single precision.
single <- function(x) {
  x[] <- readBin(writeBin(as.vector(x), raw(), size = 4), "numeric", length(x), 4)
  x
}

#' @rdname image_load
#' @export
image_array_save <- function(
  x,
  path,
  data_format = NULL,
  file_format = NULL,
  scale = TRUE,
  ...
) {
  check_text(path, "path", "the path of a file")
  if (is.null(file_format)) {
    file_format <- sub(".*[.]", "", basename(path))
  }
  check_text(file_format, "file_format", "NULL, \"png\" or \"jpeg\"")
  format <- sub("^jpg$", "jpeg", tolower(file_format))
  if (!format %in% c("png", "jpeg")) {
    abort(
      "bad_argument",
      paste0("Can't write images as \"", file_format, "\"."),
      c(i = "`path` must end in .png, .jpg or .jpeg, or `file_format` tell it."),
      arg = "file_format"
    )
  }
  check_installed(format, paste("to write", toupper(format), "files"))
  image <- if (inherits(x, "keraspredict_image")) {
    x
  } else {
    image_from_array(x, data_format, scale)
  }
  pixels <- image$pixels
  if (max(pixels) > 255) {
    abort(
      "bad_argument",
      "Can't write grey values above 255.",
      c(i = "`scale = TRUE` brings them from 0 to 255."),
      arg = "x"
    )
  }
  if (format == "jpeg" && image$mode == "rgba") {
    warn("image", "JPEG files have no transparency: the colours are written.")
    pixels <- pixels[, , 1:3, drop = FALSE]
  }
  values <- pixels / 255
  if (dim(values)[[3]] == 1) {
    dim(values) <- dim(values)[1:2]
  }
  if (format == "png") {
    png::writePNG(values, path)
  } else {
    jpeg::writeJPEG(values, path, quality = 0.75)
  }
  invisible(x)
}

# What the engine resizes arrays by.
array_interpolations <- c(
  "nearest",
  "bilinear",
  "bicubic",
  "lanczos3",
  "lanczos5",
  "area"
)

# What only tf.image.resize() resizes by.
tensorflow_interpolations <- c("gaussian", "mitchellcubic")

# A model of the layer that resizes; if it crops, as smart_resize() does.
resizer <- function(size, interpolation, data_format, crop) {
  if (interpolation %in% tensorflow_interpolations) {
    return(tensorflow_resizer(size, interpolation))
  }
  load_model(charToRaw(sprintf(
    '{"class_name": "Sequential", "config": {"name": "resize", "layers": [
      {"class_name": "InputLayer", "config": {
        "name": "x", "batch_shape": [null, null, null, null], "dtype": "float32"}},
      {"class_name": "Resizing", "config": {
        "name": "resizing", "height": %d, "width": %d, "interpolation": "%s",
        "crop_to_aspect_ratio": %s, "data_format": "%s", "dtype": "float32"}}]}}',
    as.integer(size[[1]]),
    as.integer(size[[2]]),
    interpolation,
    if (crop) "true" else "false",
    data_format
  )))
}

# A model of tf.image.resize(), as tf.keras saves it.
tensorflow_resizer <- function(size, interpolation) {
  load_model(charToRaw(sprintf(
    '{"class_name": "Functional", "keras_version": "2.9.0", "config": {
      "name": "resize", "layers": [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [], "config": {
          "name": "x", "batch_input_shape": [null, null, null, null], "dtype": "float32"}},
        {"class_name": "TFOpLambda", "name": "resized", "config": {
          "name": "resized", "dtype": "float32", "function": "image.resize"},
          "inbound_nodes": [["x", 0, 0, {"size": [%d, %d], "method": "%s"}]]}],
      "input_layers": [["x", 0, 0]], "output_layers": [["resized", 0, 0]]}}',
    as.integer(size[[1]]),
    as.integer(size[[2]]),
    interpolation
  )))
}

# Resizes an image (1, rows, columns, channels) so that it fits, with zeros at the
# sides, as tf.image.resize_with_pad() does.
padder <- function(size, interpolation) {
  function(x) {
    shape <- dim(x)[2:3]
    fitting <- shape / max(shape / size)
    inner <- floor(fitting)
    before <- floor((size - fitting) / 2)
    y <- resizer(inner, interpolation, "channels_last", FALSE)(x)
    out <- array(0, c(1, size, dim(x)[[4]]))
    at <- lapply(1:2, function(i) before[[i]] + seq_len(inner[[i]]))
    out[, at[[1]], at[[2]], ] <- y
    out
  }
}

# An image as tf.image.decode_image() gives it: of 16 bits the upper ones count,
# transparency is left out where it isn't asked for, and grey is weighed as libpng
# does.
tensorflow_image <- function(path, color_mode) {
  pixels <- read_pixels(path, tensorflow = TRUE)
  values <- if (pixels$deep) floor(pixels$values / 256) else pixels$values
  if (color_mode != "grayscale" || dim(values)[[3]] < 3) {
    return(recolour(values, color_mode, FALSE))
  }
  x <- if (is.null(pixels$full)) values else pixels$full
  grey <- 9797 * x[, , 1] + 19234 * x[, , 2] + 3737 * x[, , 3]
  grey <- if (is.null(pixels$full)) {
    floor(grey / 2^15)
  } else {
    floor(floor((grey + 2^14) / 2^15) / 256)
  }
  array(grey, c(dim(x)[1:2], 1L))
}

#' @export
print.keraspredict_image <- function(x, ...) {
  cat(
    "<image of ",
    dim(x$pixels)[[1]],
    " x ",
    dim(x$pixels)[[2]],
    " pixels, ",
    x$mode,
    ">\n",
    sep = ""
  )
  invisible(x)
}

#' @export
dim.keraspredict_image <- function(x) dim(x$pixels)

#' @export
as.array.keraspredict_image <- function(x, ...) image_to_array(x)

check_size <- function(x, arg) {
  x <- unlist(x)
  if (
    !(is.numeric(x) &&
      length(x) == 2 &&
      !anyNA(x) &&
      all(x >= 1 & x == round(x)))
  ) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be a height and a width, not ",
        show_value(x),
        "."
      ),
      arg = arg
    )
  }
  as.numeric(x)
}

# Pixels as (rows, columns, channels), from 0 to 255, or to 65535 where the
# image is `deep`: of one channel of 16 bits. Of other images of 16 bits, the
# upper ones are taken, as Pillow does; `full` has all of them.
read_pixels <- function(path, tensorflow = FALSE) {
  if (!file.exists(path)) {
    abort(
      "file_missing",
      paste0("Can't find an image at '", path, "'."),
      c(i = paste0("The working directory is '", getwd(), "'."))
    )
  }
  start <- readBin(path, "raw", 8)
  if (identical(start[1:4], as.raw(c(0x89, 0x50, 0x4e, 0x47)))) {
    check_installed("png", "to read PNG files")
    x <- png::readPNG(path, info = TRUE)
    bits <- attr(x, "info")$bit.depth
  } else if (identical(start[1:2], as.raw(c(0xff, 0xd8)))) {
    check_installed("jpeg", "to read JPEG files")
    x <- jpeg::readJPEG(path)
    bits <- 8
  } else if (is_bmp(start)) {
    return(list(values = read_bmp(path, tensorflow), deep = FALSE))
  } else if (is_gif(start)) {
    return(list(values = read_gif(path, tensorflow), deep = FALSE))
  } else {
    abort(
      "bad_argument",
      paste0("'", path, "' must be a PNG, JPEG, BMP or GIF file."),
      arg = "path"
    )
  }
  shape <- dim(x)
  if (length(shape) == 2) {
    shape <- c(shape, 1L)
  }
  deep <- bits > 8 && shape[[3]] == 1
  values <- if (bits > 8) {
    round(65535 * as.numeric(x))
  } else {
    round(255 * as.numeric(x))
  }
  full <- if (bits > 8) array(values, shape)
  if (bits > 8 && !deep) {
    values <- floor(values / 256)
  }
  list(values = array(values, shape), deep = deep, full = full)
}

# Channels as Pillow converts them.
recolour <- function(x, mode, deep) {
  if (deep && mode != "grayscale") {
    x <- pmin(x, 255)
  }
  channels <- dim(x)[[3]]
  alpha <- if (channels %in% c(2, 4)) {
    x[, , channels]
  } else {
    array(255, dim(x)[1:2])
  }
  colours <- if (channels > 2) {
    x[, , 1:3, drop = FALSE]
  } else {
    x[, , c(1, 1, 1), drop = FALSE]
  }
  switch(
    mode,
    rgb = colours,
    rgba = array(c(colours, alpha), c(dim(x)[1:2], 4L)),
    grayscale = if (channels < 3) {
      x[, , 1, drop = FALSE]
    } else {
      grey <- 19595 * x[, , 1] + 38470 * x[, , 2] + 7471 * x[, , 3]
      array(floor((grey + 32768) / 65536), c(dim(x)[1:2], 1L))
    }
  )
}

# The rows and columns in the middle that have the ratio of `size`.
crop_ranges <- function(shape, size) {
  height <- max(min(shape[[1]], trunc(shape[[2]] * size[[1]] / size[[2]])), 1)
  width <- max(min(shape[[2]], trunc(shape[[1]] * size[[2]] / size[[1]])), 1)
  list(
    trunc((shape[[1]] - height) / 2) + seq_len(height),
    trunc((shape[[2]] - width) / 2) + seq_len(width)
  )
}

# Applies f to the array as a matrix with one axis as rows.
along_axis <- function(x, axis, f) {
  rank <- length(dim(x))
  order <- c(axis, setdiff(seq_len(rank), axis))
  turned <- aperm(array(as.numeric(x), dim(x)), order)
  out <- f(matrix(turned, nrow(turned)))
  aperm(array(out, c(nrow(out), dim(turned)[-1])), order(order))
}

cubic <- function(x, a = -0.5) {
  ifelse(
    x < 1,
    ((a + 2) * x - (a + 3)) * x^2 + 1,
    ifelse(x < 2, ((x - 5) * x + 8) * x * a - 4 * a, 0)
  )
}

sinc <- function(x) ifelse(x == 0, 1, sin(pi * x) / (pi * x))

# Pillow's filters, with how far they reach.
pillow_kernels <- list(
  bilinear = list(1, function(x) pmax(1 - abs(x), 0)),
  bicubic = list(2, function(x) cubic(abs(x))),
  hamming = list(1, function(x) {
    ifelse(abs(x) < 1, sinc(x) * (0.54 + 0.46 * cos(pi * x)), 0)
  }),
  box = list(0.5, function(x) as.numeric(x > -0.5 & x <= 0.5)),
  lanczos = list(3, function(x) {
    ifelse(x >= -3 & x < 3, sinc(x) * sinc(x / 3), 0)
  })
)

# `box` is the first and last row, and column, of the part that is resized.
pillow_resize <- function(x, size, interpolation, box, deep) {
  if (interpolation == "nearest") {
    index <- lapply(1:2, function(i) pillow_nearest(box[[i]], size[[i]]))
    return(x[index[[1]], index[[2]], , drop = FALSE])
  }
  transparent <- dim(x)[[3]] == 4
  if (transparent) {
    x <- premultiplied(x)
  }
  # Columns first, then rows, each rounded to whole pixels.
  for (axis in 2:1) {
    if (
      dim(x)[[axis]] == size[[axis]] && diff(box[[axis]]) + 1 == size[[axis]]
    ) {
      next
    }
    weights <- pillow_weights(
      dim(x)[[axis]],
      size[[axis]],
      interpolation,
      box[[axis]]
    )
    if (!deep) {
      weights <- trunc(weights * 2^22 + ifelse(weights < 0, -0.5, 0.5))
    }
    x <- along_axis(x, axis, function(m) {
      if (deep) rounded_deep(weights %*% m) else rounded_sum(weights %*% m)
    })
  }
  if (transparent) unpremultiplied(x) else x
}

# Sums over weights as whole numbers of 22 bits, which doubles hold exactly.
rounded_sum <- function(x) pmin(pmax(floor((x + 2^21) / 2^22), 0), 255)

# Of 16 bits, Pillow cuts each byte by itself.
rounded_deep <- function(x) {
  x <- pmax(floor(x + 0.5), 0)
  ifelse(x > 65535, 65280 + x %% 256, x)
}

pillow_nearest <- function(box, to) {
  step <- (diff(box) + 1) / to
  # Added up one by one, as Pillow does.
  trunc(Reduce(
    `+`,
    rep(step, to - 1),
    box[[1]] - 1 + step / 2,
    accumulate = TRUE
  )) +
    1
}

# The weights (to, from) of one axis. The filter sees what is beside the box,
# too.
pillow_weights <- function(from, to, interpolation, box) {
  kernel <- pillow_kernels[[interpolation]]
  scale <- (diff(box) + 1) / to
  stretch <- max(scale, 1)
  reach <- kernel[[1]] * stretch
  weights <- matrix(0, to, from)
  for (i in seq_len(to)) {
    centre <- box[[1]] - 1 + (i - 0.5) * scale
    first <- max(trunc(centre - reach + 0.5), 0)
    last <- min(trunc(centre + reach + 0.5), from)
    at <- seq(first, length.out = last - first)
    weight <- kernel[[2]]((at - centre + 0.5) / stretch)
    if (sum(weight) != 0) {
      weight <- weight / sum(weight)
    }
    weights[i, at + 1] <- weight
  }
  weights
}

premultiplied <- function(x) {
  for (k in 1:3) {
    product <- x[, , k] * x[, , 4] + 128
    x[, , k] <- floor((floor(product / 256) + product) / 256)
  }
  x
}

unpremultiplied <- function(x) {
  alpha <- x[, , 4]
  for (k in 1:3) {
    x[, , k] <- ifelse(
      alpha == 0 | alpha == 255,
      x[, , k],
      pmin(floor(255 * x[, , k] / pmax(alpha, 1)), 255)
    )
  }
  x
}
