#' @rdname datasets
#' @export
timeseries_dataset_from_array <- function(
  data,
  targets,
  sequence_length,
  sequence_stride = 1L,
  sampling_rate = 1L,
  batch_size = 128L,
  shuffle = FALSE,
  seed = NULL,
  start_index = NULL,
  end_index = NULL
) {
  data <- series(data, "data")
  steps <- array_dim(data)[[1]]
  targets <- if (!is.null(targets)) series(targets, "targets")
  sequence_length <- check_number(sequence_length, "sequence_length", 1)
  sequence_stride <- check_number(
    sequence_stride,
    "sequence_stride",
    1,
    steps - 1
  )
  sampling_rate <- check_number(sampling_rate, "sampling_rate", 1, steps - 1)
  batch_size <- check_count(batch_size, "batch_size")
  check_flag(shuffle, "shuffle")
  check_seed(seed)
  start <- if (is.null(start_index)) {
    0
  } else {
    check_number(start_index, "start_index", 0, steps - 1)
  }
  end <- if (is.null(end_index)) {
    steps
  } else {
    check_number(end_index, "end_index", start + 1, steps - 1)
  }
  count <- end - start - (sequence_length - 1) * sampling_rate
  if (!is.null(targets)) {
    count <- min(count, array_dim(targets)[[1]])
  }
  begin <- if (count > 0) seq(0, count - 1, by = sequence_stride)
  if (shuffle) {
    begin <- begin[numpy_order(length(begin), seed)]
  }
  if (
    !is.null(targets) &&
      length(begin) &&
      start + max(begin) >= array_dim(targets)[[1]]
  ) {
    abort(
      "bad_argument",
      paste0(
        "`targets` must have ",
        format_count(start + max(begin) + 1),
        " rows, not ",
        format_count(array_dim(targets)[[1]]),
        "."
      ),
      c(i = "A target stands where its window begins, counted as in `data`."),
      arg = "targets"
    )
  }
  offsets <- (seq_len(sequence_length) - 1) * sampling_rate
  new_dataset(
    length(begin),
    batch_size,
    function(i) {
      first <- start + begin[i] + 1
      windows <- rows_of(data, outer(first, offsets, `+`))
      x <- array(
        windows,
        c(length(i), sequence_length, array_dim(data)[-1])
      )
      if (is.null(targets)) {
        return(list(x = x))
      }
      y <- array(
        rows_of(targets, first),
        c(length(i), array_dim(targets)[-1])
      )
      list(x = x, y = y)
    },
    "windows"
  )
}

# A series as an array with steps along the first axis.
series <- function(x, arg) {
  x <- unwrap(x, paste0("`", arg, "`"))
  if (is.data.frame(x)) {
    bad <- !vapply(x, is_number_column, NA)
    if (any(bad)) {
      abort_columns(x, bad, "numeric", paste0("`", arg, "`"))
    }
    x <- as.matrix(x)
  }
  if (is_sparse(x)) {
    x <- as.matrix(x)
  }
  if (!(is_number(x) || is.character(x)) || length(x) == 0) {
    abort(
      "bad_argument",
      paste0("`", arg, "` must be an array, not ", describe(x), "."),
      arg = arg
    )
  }
  attributes(x) <- list(dim = dim(x))
  x
}

# The values of rows (first indices) of an array or vector.
rows_of <- function(x, rows) {
  shape <- array_dim(x)
  matrix(x, shape[[1]])[as.vector(rows), , drop = FALSE]
}

take_rows <- function(x, rows) {
  array(rows_of(x, rows), c(length(rows), array_dim(x)[-1]))
}
