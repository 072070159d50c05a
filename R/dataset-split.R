#' @rdname datasets
#' @export
split_dataset <- function(
  dataset,
  left_size = NULL,
  right_size = NULL,
  shuffle = FALSE,
  seed = NULL
) {
  if (is_python(dataset)) {
    keras <- reticulate::import("keras")
    size <- function(n) if (is.numeric(n) && isTRUE(n >= 1)) as.integer(n) else n
    return(keras$utils$split_dataset(
      dataset,
      left_size = size(left_size),
      right_size = size(right_size),
      shuffle = shuffle,
      seed = if (!is.null(seed)) as.integer(seed)
    ))
  }
  if (!inherits(dataset, "keraspredict_dataset")) {
    dataset <- array_dataset(dataset)
  }
  check_flag(shuffle, "shuffle")
  check_seed(seed)
  # Of files that are read in batches, Keras takes each batch as a whole.
  whole <- !is.null(dataset$file_paths)
  n <- if (whole) dataset$batches else dataset$count
  sizes <- split_sizes(left_size, right_size, n)
  order <- if (shuffle) python_order(n, seed) else seq_len(n)
  part <- function(chosen) {
    dataset$part(if (whole) unlist(lapply(chosen, dataset$rows_of)) else chosen)
  }
  list(
    part(utils::head(order, sizes[[1]])),
    part(utils::tail(order, sizes[[2]]))
  )
}

# The rows of an array, or of the arrays in a list.
array_dataset <- function(x) {
  arrays <- if (is_input_list(x)) x else list(x)
  if (!length(arrays) %in% 1:3) {
    abort(
      "bad_argument",
      paste0("`dataset` must have one to three arrays, not ", length(arrays), "."),
      arg = "dataset"
    )
  }
  arrays <- lapply(arrays, series, "dataset")
  counts <- vapply(arrays, function(a) array_dim(a)[[1]], 0L)
  if (any(counts != counts[[1]])) {
    abort(
      "bad_argument",
      "The arrays of `dataset` must have the same number of rows.",
      c(x = paste0("They have ", enumerate(format_count(counts), ""), ".")),
      arg = "dataset"
    )
  }
  names(arrays) <- c("x", "y", "weights")[seq_along(arrays)]
  new_dataset(
    counts[[1]],
    NULL,
    function(i) lapply(arrays, take_rows, i),
    "rows"
  )
}

# The number of elements on either side: shares of `n` below 1, whole numbers else.
split_sizes <- function(left, right, n) {
  if (is.null(left) && is.null(right)) {
    abort(
      "bad_argument",
      "`left_size` or `right_size` must be given.",
      arg = "left_size"
    )
  }
  left <- split_size(left, "left_size", n)
  right <- split_size(right, "right_size", n)
  if (is.null(left)) {
    left <- n - right
  } else if (is.null(right)) {
    right <- n - left
  }
  if (left < 1 || right < 1 || left + right > n) {
    abort(
      "bad_argument",
      paste0("Can't split ", format_count(n), " elements in two as asked for."),
      c(x = paste0("They would be ", format_count(left), " and ", format_count(right), ".")),
      arg = "left_size"
    )
  }
  c(left, right)
}

split_size <- function(size, arg, n) {
  if (is.null(size)) {
    return(NULL)
  }
  ok <- is.numeric(size) && length(size) == 1 && isTRUE(size > 0)
  if (!ok || size >= 1 && size != round(size)) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be NULL, a share below 1 or a whole number, not ",
        show_value(size),
        "."
      ),
      arg = arg
    )
  }
  if (size < 1) round(size * n) else as.numeric(size)
}
