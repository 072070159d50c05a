#' Datasets of windows, images, sounds and texts
#'
#' @description
#' A dataset gives its elements batch by batch, so that
#' [`predict()`][predict.keraspredict_model] needs the memory of two batches:
#'
#' * `timeseries_dataset_from_array()` gives windows of a series: sequences of
#'   `sequence_length` steps, of which each begins `sequence_stride` steps after
#'   the one before.
#' * `image_dataset_from_directory()` reads PNG, JPEG, BMP and GIF files, and resizes
#'   them.
#' * `audio_dataset_from_directory()` reads the `.wav` files of a folder, of 16 bits as
#'   in Keras: numbers from -1 to 1 for each step and channel.
#' * `text_dataset_from_directory()` reads the `.txt` files of a folder.
#' * `split_dataset()` makes two datasets of one, or of arrays.
#'
#' Elements, labels, their order and what is in which subset are those of Keras.
#' Keras also shuffles a shuffled dataset anew while it is read; here it always
#' comes in the order of `dataset$file_paths`.
#'
#' @details
#' `length(dataset)` is the number of batches, `dataset$class_names` and
#' `dataset$file_paths` are as in Keras. `iterate()` applies a function to each
#' batch; `as_iterator()` and `iter_next()` give one after the other. For objects
#' of Python, these three are the functions of reticulate, and `split_dataset()` is
#' that of Keras.
#'
#' `dataset$take(count)` and `dataset$skip(count)` are the first `count` batches and
#' the rest, `dataset$batch(batch_size)` and `dataset$unbatch()` make batches of single
#' elements and back, and `dataset$cardinality()` is `length(dataset)`.
#'
#' PNG and JPEG files are decoded by the packages png and jpeg. TensorFlow decodes
#' JPEG by a faster and rougher transform: values may be some of 255 off. Of pictures
#' with transparency, the colours alone count unless `color_mode` is `"rgba"`. BMP
#' files may have 8 (taken as grey), 24 or 32 bits a pixel, and of GIF files it is the
#' first picture that counts.
#'
#' @param data An array, matrix or data frame with a row for each step, or a
#'   vector.
#' @param targets `NULL`, or an array with a row for each step: the one where a
#'   window begins is the target of the window.
#' @param sequence_length The number of steps of a window.
#' @param sequence_stride How many steps lie between the beginnings of windows.
#' @param batch_size The number of elements of a batch. `NULL` gives each by
#'   itself, without the axis of the batch.
#' @param shuffle Whether the order is random: by `seed`, as in Keras, or if that
#'   is `NULL`, by R's random numbers.
#' @param seed A whole number from 0.
#' @param start_index,end_index `NULL`, or the part of the data that is used, as
#'   Python counts: from 0, without the end.
#' @param directory The path of a folder.
#' @param labels `"inferred"` takes the names of the folders in `directory` as
#'   classes; `NULL` is no labels; or whole numbers, one for each file in the
#'   order of their paths.
#' @param label_mode `"int"`, `"binary"` (a column of 0 and 1), `"categorical"` (a
#'   column for each class) or `NULL`.
#' @param class_names `NULL`, or the names of the folders in the order wanted.
#' @param color_mode `"rgb"`, `"rgba"` or `"grayscale"`.
#' @param image_size The height and width wanted.
#' @param validation_split `NULL`, or the share of the files for validation.
#' @param subset `"training"`, `"validation"` or `"both"`, a list of the two, if
#'   `validation_split` is given.
#' @param interpolation `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`,
#'   `"lanczos3"` or `"lanczos5"`; `"gaussian"` or `"mitchellcubic"`, if images are not
#'   cropped.
#' @param follow_links Whether links to folders are followed.
#' @param crop_to_aspect_ratio,pad_to_aspect_ratio Whether images keep their
#'   ratio of height and width: cropped in the middle, or with black at the sides.
#' @param data_format `"channels_last"` or `"channels_first"`; `NULL` is
#'   [config_image_data_format()].
#' @param output_sequence_length `NULL`, which makes sounds as long as the longest of
#'   the batch, or the number of steps that each gets: with zeros at the end, or cut.
#' @param sampling_rate For windows, how many steps lie between those of a window. For
#'   sounds `NULL`: they are not resampled here.
#' @param ragged `FALSE`: sounds of different lengths can't be one array.
#' @param dataset A dataset, an array, or a list of arrays with a row for each
#'   element: of `x`, `y` and weights. Arrays become datasets of single elements.
#' @param left_size,right_size The number of elements, or (below 1) their share.
#'   `NULL` is all that are left; one of them must be given. Of files that are read in
#'   batches, it is batches that count, as in Keras.
#' @param max_length `NULL`, or the number of bytes that are read of a text.
#' @param verbose Whether a message tells how many files there are.
#' @param x,it A dataset or iterator, or an object of Python.
#' @param f A function of a batch.
#' @param simplify Whether a list of single values becomes a vector.
#' @param completed What is given when there is no batch left.
#' @returns A dataset (for `subset = "both"` and `split_dataset()` a list of two), of
#'   which each batch is an array `x`, or `list(x, y)` where there are targets or
#'   labels.
#'   `iterate()`: the results of `f`, invisibly if they are all `NULL`.
#' @name datasets
#' @examples
#' temperatures <- matrix(sin(1:100 / 8) + rep(1:2, each = 100), 100)
#' windows <- timeseries_dataset_from_array(
#'   temperatures,
#'   targets = NULL,
#'   sequence_length = 24,
#'   batch_size = 32
#' )
#' windows
#' dim(iter_next(as_iterator(windows)))
NULL

# Elements by number, in batches: `element(i)` gives list(x, y) of elements i, and
# `rows` are those that the dataset has. What follows `kind` in it is for users.
new_dataset <- function(
  count,
  batch_size,
  element,
  kind,
  class_names = NULL,
  file_paths = NULL,
  rows = seq_len(count)
) {
  single <- is.null(batch_size)
  size <- if (single) 1 else batch_size
  batches <- ceiling(length(rows) / size)
  again <- function(rows, batch_size) {
    new_dataset(count, batch_size, element, kind, class_names, file_paths, rows)
  }
  rows_of <- function(k) seq((k - 1) * size + 1, min(length(rows), k * size))
  dataset <- list(
    count = length(rows),
    batches = batches,
    rows_of = rows_of,
    at = function(k) {
      i <- rows[rows_of(k)]
      if (!single) {
        return(element(i))
      }
      lapply(element(i), function(x) {
        shape <- dim(x)[-1]
        if (length(shape)) array(x, shape) else as.vector(x)
      })
    },
    part = function(i) again(rows[i], batch_size),
    kind = kind,
    class_names = class_names,
    file_paths = file_paths[rows],
    cardinality = function() batches,
    take = function(count) {
      count <- check_number(count, "count", 0)
      again(utils::head(rows, count * size), batch_size)
    },
    skip = function(count) {
      count <- check_number(count, "count", 0)
      again(rows[seq_along(rows) > count * size], batch_size)
    },
    batch = function(batch_size) {
      if (!single) {
        abort(
          "bad_argument",
          "Can't make batches of batches.",
          c(i = "Do it after `dataset$unbatch()`.")
        )
      }
      again(rows, check_number(batch_size, "batch_size", 1))
    },
    unbatch = function() again(rows, NULL)
  )
  structure(list2env(dataset, parent = emptyenv()), class = "keraspredict_dataset")
}

#' @export
length.keraspredict_dataset <- function(x) get("batches", x)

#' @export
print.keraspredict_dataset <- function(x, ...) {
  classes <- x$class_names
  cat(
    "<dataset of ",
    format_count(x$count),
    " ",
    x$kind,
    if (length(classes)) {
      paste0(
        " of ",
        length(classes),
        if (length(classes) == 1) " class" else " classes"
      )
    },
    " in ",
    format_count(x$batches),
    if (x$batches == 1) " batch" else " batches",
    ">\n",
    sep = ""
  )
  invisible(x)
}

# As a user sees a batch: x, or list(x, y, ...).
shown_batch <- function(batch) {
  if (is.null(batch$y)) batch$x else unname(batch)
}

dataset_batches <- function(dataset) {
  k <- 0
  new_source(
    function() {
      if (k < dataset$batches) {
        k <<- k + 1
        dataset$at(k)$x
      }
    },
    "a dataset",
    total = dataset$batches
  )
}

#' @rdname datasets
#' @export
as_iterator <- function(x) {
  if (inherits(x, "keraspredict_iterator")) {
    return(x)
  }
  if (!inherits(x, "keraspredict_dataset")) {
    return(of_reticulate("as_iterator", x))
  }
  iterator <- list2env(list(dataset = x, done = 0), parent = emptyenv())
  structure(iterator, class = "keraspredict_iterator")
}

#' @rdname datasets
#' @export
iter_next <- function(it, completed = NULL) {
  if (!inherits(it, "keraspredict_iterator")) {
    return(of_reticulate("iter_next", it, completed))
  }
  if (it$done >= it$dataset$batches) {
    return(completed)
  }
  it$done <- it$done + 1
  shown_batch(it$dataset$at(it$done))
}

#' @rdname datasets
#' @export
iterate <- function(it, f = base::identity, simplify = TRUE) {
  ours <- inherits(it, c("keraspredict_dataset", "keraspredict_iterator"))
  if (!ours) {
    return(of_reticulate("iterate", it, f, simplify))
  }
  it <- as_iterator(it)
  results <- list()
  while (it$done < it$dataset$batches) {
    # Fetched also where `f` doesn't look at it.
    batch <- iter_next(it)
    result <- f(batch)
    if (!is.null(result)) {
      results <- c(results, list(result))
    }
  }
  if (length(results) == 0) {
    return(invisible())
  }
  single <- vapply(results, function(r) is.atomic(r) && length(r) == 1, NA)
  if (simplify && all(single)) unlist(results) else results
}

#' @export
print.keraspredict_iterator <- function(x, ...) {
  cat("<iterator at batch ", x$done, " of ", x$dataset$batches, ">\n", sep = "")
  invisible(x)
}

of_reticulate <- function(name, x, ...) {
  if (!is_python(x)) {
    abort(
      "bad_argument",
      paste0("Can't iterate over ", describe(x), "."),
      c(i = "Give a dataset, such as of `image_dataset_from_directory()`."),
      arg = "x"
    )
  }
  getExportedValue("reticulate", name)(x, ...)
}
