# A WAV file as tf.audio.decode_wav() gives it: a matrix (steps, channels) of numbers
# from -1 to 1, of files with 16 bits a number.
read_wav <- function(path) {
  bytes <- as.integer(readBin(path, "raw", file.size(path)))
  is <- function(at, text) identical(bytes[at + 1:4], utf8ToInt(text))
  if (!is(0, "RIFF") || !is(8, "WAVE")) {
    abort_wav(path)
  }
  channels <- NULL
  at <- 12
  while (at + 8 <= length(bytes)) {
    format <- is(at, "fmt ")
    data <- is(at, "data")
    size <- little_endian(bytes, at + 4, 4)
    at <- at + 8
    if (at + size > length(bytes)) {
      abort_wav(path)
    }
    if (format) {
      channels <- wav_channels(bytes[at + seq_len(size)], path)
    } else if (data) {
      if (is.null(channels)) {
        abort_wav(path)
      }
      steps <- size %/% (2 * channels)
      values <- matrix(bytes[at + seq_len(2 * channels * steps)], 2)
      numbers <- values[1, ] + 256 * values[2, ]
      numbers <- ifelse(numbers < 2^15, numbers, numbers - 2^16) / 2^15
      return(matrix(numbers, steps, channels, byrow = TRUE))
    }
    at <- at + size
    # Chunks of an odd size are followed by a byte of 0, which not all writers know.
    if (size %% 2 == 1 && identical(bytes[at + 1], 0L)) {
      at <- at + 1
    }
  }
  abort_wav(path)
}

# The number of channels in the chunk that tells the format.
wav_channels <- function(bytes, path) {
  if (length(bytes) < 16) {
    abort_wav(path)
  }
  format <- little_endian(bytes, 0, 2)
  # The longer form of the chunk tells the format further behind.
  if (format == 0xFFFE && length(bytes) >= 26) {
    format <- little_endian(bytes, 24, 2)
  }
  bits <- little_endian(bytes, 14, 2)
  channels <- little_endian(bytes, 2, 2)
  if (format != 1 || bits != 16) {
    abort(
      "bad_argument",
      paste0("Can't read '", path, "'."),
      c(
        x = paste0(
          "WAV files must have whole numbers of 16 bits, not ",
          if (format == 1) paste(bits, "bits") else paste("format", format),
          "."
        )
      ),
      arg = "path"
    )
  }
  if (channels == 0) {
    abort_wav(path)
  }
  channels
}

abort_wav <- function(path) {
  abort(
    "bad_argument",
    paste0("Can't read '", path, "'."),
    c(x = "It is no WAV file, or is damaged."),
    arg = "path"
  )
}

# One array (sounds, steps, channels): of `steps` steps, or as long as the longest.
join_sounds <- function(sounds, steps) {
  lengths <- vapply(sounds, nrow, 0L)
  channels <- vapply(sounds, ncol, 0L)
  if (!is.null(steps) && any(channels != channels[[1]])) {
    abort(
      "bad_input",
      "All sounds of a batch must have the same number of channels.",
      c(x = paste0("There are some of ", enumerate(sort(unique(channels)), ""), ".")),
      arg = "directory"
    )
  }
  most <- if (is.null(steps)) max(lengths) else steps
  x <- array(0, c(length(sounds), most, max(channels)))
  for (i in seq_along(sounds)) {
    taken <- seq_len(min(most, lengths[[i]]))
    x[i, taken, seq_len(channels[[i]])] <- sounds[[i]][taken, ]
  }
  x
}
