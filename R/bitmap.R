# BMP and GIF files, which need no package to decode: arrays (rows, columns,
# channels) of values from 0 to 255. TensorFlow and Pillow differ about them:
# TensorFlow knows no palettes of BMP files, and makes black of what is transparent.

is_bmp <- function(start) identical(start[1:2], charToRaw("BM"))

is_gif <- function(start) identical(start[1:4], charToRaw("GIF8"))

read_bmp <- function(path, tensorflow) {
  bytes <- as.integer(readBin(path, "raw", file.size(path)))
  check_image_bytes(length(bytes) >= 54, path)
  width <- little_endian(bytes, 18, 4)
  height <- little_endian(bytes, 22, 4)
  upwards <- height < 2^31
  height <- if (upwards) height else 2^32 - height
  bits <- little_endian(bytes, 28, 2)
  packing <- little_endian(bytes, 30, 4)
  if (!bits %in% c(8, 24, 32) || !packing %in% c(0, 3)) {
    abort(
      "bad_argument",
      paste0("Can't read '", path, "'."),
      c(x = "BMP files must have 8, 24 or 32 bits a pixel, and no compression."),
      arg = "path"
    )
  }
  channels <- bits / 8
  start <- little_endian(bytes, 10, 4)
  line <- 4 * ceiling(width * channels / 4)
  check_image_bytes(
    width > 0 && height > 0 && start + line * height <= length(bytes),
    path
  )
  lines <- matrix(bytes[start + seq_len(line * height)], line)
  used <- lines[seq_len(width * channels), , drop = FALSE]
  pixels <- aperm(array(used, c(channels, width, height)), 3:1)
  if (upwards) {
    pixels <- pixels[rev(seq_len(height)), , , drop = FALSE]
  }
  if (channels == 1) {
    if (tensorflow) {
      return(pixels)
    }
    table <- 14 + little_endian(bytes, 14, 4)
    count <- min(256, (start - table) %/% 4)
    check_image_bytes(count > max(pixels), path)
    palette <- t(matrix(bytes[table + seq_len(4 * count)], 4))
    return(coloured(matrix(pixels, height), palette[, 3:1, drop = FALSE]))
  }
  # Blue comes first. Where nothing says so, Pillow takes no fourth for transparency.
  order <- c(3:1, if (channels == 4 && (tensorflow || packing == 3)) 4)
  pixels[, , order, drop = FALSE]
}

# The first picture of a GIF file.
read_gif <- function(path, tensorflow) {
  bytes <- as.integer(readBin(path, "raw", file.size(path)))
  check_image_bytes(length(bytes) > 13, path)
  at <- 13
  take <- function(n) {
    check_image_bytes(at + n <= length(bytes), path)
    at <<- at + n
    bytes[at - n + seq_len(n)]
  }
  take_palette <- function(flags) {
    if (flags >= 128) t(matrix(take(3 * 2^(1 + flags %% 8)), 3))
  }
  take_blocks <- function() {
    blocks <- list()
    while ((n <- take(1)) > 0) {
      blocks[[length(blocks) + 1]] <- take(n)
    }
    unlist(blocks)
  }
  screen <- c(little_endian(bytes, 8, 2), little_endian(bytes, 6, 2))
  palette <- take_palette(bytes[[11]])
  transparent <- NULL
  while ((kind <- take(1)) != 0x2c) {
    check_image_bytes(kind == 0x21, path)
    label <- take(1)
    control <- take_blocks()
    if (label == 0xf9 && length(control) == 4 && control[[1]] %% 2 == 1) {
      transparent <- control[[4]]
    }
  }
  place <- take(9)
  corner <- c(little_endian(place, 2, 2), little_endian(place, 0, 2))
  inner <- c(little_endian(place, 6, 2), little_endian(place, 4, 2))
  own <- take_palette(place[[9]])
  palette <- if (is.null(own)) palette else own
  check_image_bytes(
    !is.null(palette) && all(inner > 0) && all(corner + inner <= screen),
    path
  )
  code_size <- take(1)
  check_image_bytes(code_size %in% 1:8, path)
  index <- unpack_lzw(take_blocks(), code_size, prod(inner))
  check_image_bytes(
    length(index) == prod(inner) && max(index) < nrow(palette),
    path
  )
  index <- matrix(index, inner[[1]], byrow = TRUE)
  if (place[[9]] %/% 64 %% 2 == 1) {
    last <- inner[[1]] - 1
    lines <- lapply(list(c(0, 8), c(4, 8), c(2, 4), c(1, 2)), function(step) {
      if (step[[1]] <= last) seq(step[[1]], last, step[[2]])
    })
    index[unlist(lines) + 1, ] <- index
  }
  background <- if (is.null(transparent)) 0 else transparent
  # TensorFlow's screen is as large as the picture, but the picture keeps its place.
  size <- if (tensorflow) inner else screen
  at <- lapply(1:2, function(i) which(corner[[i]] + seq_len(inner[[i]]) <= size[[i]]))
  index <- index[at[[1]], at[[2]], drop = FALSE]
  rows <- corner[[1]] + at[[1]]
  columns <- corner[[2]] + at[[2]]
  picture <- matrix(background, size[[1]], size[[2]])
  picture[rows, columns] <- index
  colours <- coloured(picture, palette)
  if (tensorflow) {
    shown <- matrix(FALSE, size[[1]], size[[2]])
    shown[rows, columns] <- if (is.null(transparent)) TRUE else index != transparent
    colours <- colours * as.vector(shown)
  }
  colours
}

# Numbers of `size` bits and more, packed by LZW: at most `count` of them.
unpack_lzw <- function(bytes, size, count) {
  bits <- as.integer(rawToBits(as.raw(bytes)))
  clear <- 2^size
  codes <- vector("list", 4096)
  codes[seq_len(clear)] <- seq_len(clear) - 1
  powers <- 2^(0:11)
  known <- clear + 2
  width <- size + 1
  before <- NULL
  out <- vector("list", count)
  done <- 0
  at <- 0
  n <- 0
  while (done < count && at + width <= length(bits)) {
    code <- sum(bits[at + seq_len(width)] * powers[seq_len(width)])
    at <- at + width
    if (code == clear) {
      known <- clear + 2
      width <- size + 1
      before <- NULL
      next
    }
    if (code == clear + 1 || code > known || (code == known && is.null(before))) {
      break
    }
    entry <- if (code < known) codes[[code + 1]] else c(before, before[[1]])
    if (!is.null(before) && known < 4096) {
      known <- known + 1
      codes[[known]] <- c(before, entry[[1]])
      if (known == 2^width && width < 12) {
        width <- width + 1
      }
    }
    before <- entry
    n <- n + 1
    out[[n]] <- entry
    done <- done + length(entry)
  }
  utils::head(unlist(out), count)
}

# Colours (n, 3) by number from 0.
coloured <- function(index, palette) {
  array(palette[index + 1, ], c(dim(index), 3))
}

# A whole number of n bytes, the lowest first.
little_endian <- function(bytes, at, n) {
  sum(bytes[at + seq_len(n)] * 256^(seq_len(n) - 1))
}

check_image_bytes <- function(ok, path) {
  if (!isTRUE(ok)) {
    abort(
      "damaged_file",
      paste0("'", path, "' is damaged."),
      c(i = "Was it copied or downloaded completely?")
    )
  }
}
