#' Datasets of windows, images and texts
#'
#' @description
#' A dataset gives its elements batch by batch, so that
#' [`predict()`][predict.keraspredict_model] needs the memory of two batches:
#'
#' * `timeseries_dataset_from_array()` gives windows of a series: sequences of
#'   `sequence_length` steps, of which each begins `sequence_stride` steps after
#'   the one before.
#' * `image_dataset_from_directory()` reads PNG and JPEG files, and resizes them.
#' * `text_dataset_from_directory()` reads the `.txt` files of a folder.
#'
#' Elements, labels, their order and what is in which subset are those of Keras.
#' Keras also shuffles a shuffled dataset anew while it is read; here it always
#' comes in the order of `dataset$file_paths`.
#'
#' @details
#' `length(dataset)` is the number of batches, `dataset$class_names` and
#' `dataset$file_paths` are as in Keras. `iterate()` applies a function to each
#' batch; `as_iterator()` and `iter_next()` give one after the other. For objects
#' of Python, these three are the functions of reticulate.
#'
#' Files are decoded by the packages png and jpeg. TensorFlow decodes JPEG by a
#' faster and rougher transform: values may be some of 255 off. Of pictures with
#' transparency, the colours alone count unless `color_mode` is `"rgba"`. BMP and
#' GIF files are counted and labelled as in Keras, but can't be read.
#'
#' @param data An array, matrix or data frame with a row for each step, or a
#'   vector.
#' @param targets `NULL`, or an array with a row for each step: the one where a
#'   window begins is the target of the window.
#' @param sequence_length The number of steps of a window.
#' @param sequence_stride,sampling_rate How many steps lie between the beginnings
#'   of windows, and between the steps of a window.
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
#'   `"lanczos3"` or `"lanczos5"`.
#' @param follow_links Whether links to folders are followed.
#' @param crop_to_aspect_ratio,pad_to_aspect_ratio Whether images keep their
#'   ratio of height and width: cropped in the middle, or with black at the sides.
#' @param data_format `"channels_last"` or `"channels_first"`; `NULL` is
#'   [config_image_data_format()].
#' @param max_length `NULL`, or the number of bytes that are read of a text.
#' @param verbose Whether a message tells how many files there are.
#' @param x,it A dataset or iterator, or an object of Python.
#' @param f A function of a batch.
#' @param simplify Whether a list of single values becomes a vector.
#' @param completed What is given when there is no batch left.
#' @returns A dataset (for `subset = "both"` a list of two), of which each batch
#'   is an array `x`, or `list(x, y)` where there are targets or labels.
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

#' @rdname datasets
#' @export
image_dataset_from_directory <- function(
  directory,
  labels = "inferred",
  label_mode = "int",
  class_names = NULL,
  color_mode = "rgb",
  batch_size = 32L,
  image_size = c(256L, 256L),
  shuffle = TRUE,
  seed = NULL,
  validation_split = NULL,
  subset = NULL,
  interpolation = "bilinear",
  follow_links = FALSE,
  crop_to_aspect_ratio = FALSE,
  pad_to_aspect_ratio = FALSE,
  data_format = NULL,
  verbose = TRUE
) {
  check_choice(color_mode, "color_mode", c("rgb", "rgba", "grayscale"))
  if (is.numeric(image_size) && length(image_size) == 1) {
    image_size <- rep(image_size, 2)
  }
  size <- check_size(image_size, "image_size")
  if (is.character(interpolation)) {
    interpolation <- tolower(interpolation)
  }
  check_choice(interpolation, "interpolation", array_interpolations)
  check_flag(crop_to_aspect_ratio, "crop_to_aspect_ratio")
  check_flag(pad_to_aspect_ratio, "pad_to_aspect_ratio")
  if (crop_to_aspect_ratio && pad_to_aspect_ratio) {
    abort(
      "bad_argument",
      "Only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be TRUE.",
      arg = "pad_to_aspect_ratio"
    )
  }
  if (is.null(data_format)) {
    data_format <- config_image_data_format()
  }
  check_choice(data_format, "data_format", c("channels_last", "channels_first"))
  resize <- if (pad_to_aspect_ratio) {
    padder(size, interpolation)
  } else {
    resizer(size, interpolation, "channels_last", crop_to_aspect_ratio)
  }
  directory_dataset(
    directory,
    labels,
    label_mode,
    class_names,
    batch_size,
    shuffle,
    seed,
    validation_split,
    subset,
    follow_links,
    verbose,
    "images",
    c(".bmp", ".gif", ".jpeg", ".jpg", ".png"),
    function(paths) {
      images <- lapply(paths, function(path) {
        image <- tensorflow_image(path, color_mode)
        resize(array(image, c(1, dim(image))))
      })
      x <- aperm(
        array(unlist(images), c(dim(images[[1]])[-1], length(paths))),
        c(4, 1, 2, 3)
      )
      if (data_format == "channels_first") aperm(x, c(1, 4, 2, 3)) else x
    }
  )
}

#' @rdname datasets
#' @export
text_dataset_from_directory <- function(
  directory,
  labels = "inferred",
  label_mode = "int",
  class_names = NULL,
  batch_size = 32L,
  max_length = NULL,
  shuffle = TRUE,
  seed = NULL,
  validation_split = NULL,
  subset = NULL,
  follow_links = FALSE,
  verbose = TRUE
) {
  max_length <- check_count(max_length, "max_length")
  directory_dataset(
    directory,
    labels,
    label_mode,
    class_names,
    batch_size,
    shuffle,
    seed,
    validation_split,
    subset,
    follow_links,
    verbose,
    "texts",
    ".txt",
    function(paths) {
      texts <- vapply(
        paths,
        function(path) {
          size <- min(file.size(path), max_length)
          text <- readChar(path, size, useBytes = TRUE)
          # An empty file has no characters to read.
          if (length(text)) text else ""
        },
        "",
        USE.NAMES = FALSE
      )
      Encoding(texts) <- "UTF-8"
      array(texts, length(texts))
    }
  )
}

# A dataset of the files in a folder, which `read` makes an array of.
directory_dataset <- function(
  directory,
  labels,
  label_mode,
  class_names,
  batch_size,
  shuffle,
  seed,
  validation_split,
  subset,
  follow_links,
  verbose,
  kind,
  endings,
  read
) {
  check_text(directory, "directory", "the path of a folder")
  if (!dir.exists(directory)) {
    abort(
      "file_missing",
      paste0("Can't find a folder at '", directory, "'."),
      c(i = paste0("The working directory is '", getwd(), "'."))
    )
  }
  if (is.null(labels) || is.null(label_mode)) {
    labels <- NULL
    label_mode <- NULL
  } else {
    check_choice(label_mode, "label_mode", c("int", "binary", "categorical"))
    check_labels(labels, class_names)
  }
  batch_size <- check_count(batch_size, "batch_size")
  check_flag(shuffle, "shuffle")
  check_seed(seed)
  check_flag(follow_links, "follow_links")
  check_flag(verbose, "verbose")
  check_split(validation_split, subset, shuffle, seed)
  files <- index_files(directory, labels, class_names, endings, follow_links)
  if (identical(label_mode, "binary") && length(files$classes) != 2) {
    abort(
      "bad_argument",
      paste0(
        "`label_mode = \"binary\"` needs two classes, not ",
        length(files$classes),
        "."
      ),
      arg = "label_mode"
    )
  }
  if (verbose) {
    message(
      "Found ",
      length(files$paths),
      " files",
      if (!is.null(labels)) {
        paste(" belonging to", length(files$classes), "classes")
      },
      "."
    )
  }
  order <- if (shuffle) {
    numpy_order(length(files$paths), seed)
  } else {
    seq_along(files$paths)
  }
  make <- function(chosen) {
    if (length(chosen) == 0) {
      abort(
        "bad_argument",
        paste0("Can't find ", kind, " in '", directory, "'."),
        c(
          i = paste0("Files end in ", enumerate(endings, ""), "."),
          i = if (!is.null(validation_split)) {
            paste0("`validation_split` is ", show_value(validation_split), ".")
          }
        ),
        arg = "directory"
      )
    }
    y <- encoded_labels(files$labels[chosen], label_mode, files$classes)
    new_dataset(
      length(chosen),
      batch_size,
      function(i) {
        x <- read(files$paths[chosen[i]])
        if (is.null(y)) list(x = x) else list(x = x, y = take_rows(y, i))
      },
      kind,
      class_names = if (!is.null(labels)) files$classes,
      file_paths = files$paths[chosen]
    )
  }
  if (is.null(validation_split)) {
    return(make(order))
  }
  held <- trunc(validation_split * length(order))
  parts <- list(
    training = utils::head(order, length(order) - held),
    validation = utils::tail(order, held)
  )
  if (subset == "both") {
    return(unname(lapply(parts, make)))
  }
  if (verbose) {
    message(
      "Using ",
      length(parts[[subset]]),
      " files for ",
      subset,
      "."
    )
  }
  make(parts[[subset]])
}

check_labels <- function(labels, class_names) {
  if (identical(labels, "inferred")) {
    if (!(is.null(class_names) || is.character(unlist(class_names)))) {
      abort(
        "bad_argument",
        paste0(
          "`class_names` must be NULL or names of folders, not ",
          show_value(class_names),
          "."
        ),
        arg = "class_names"
      )
    }
    return(invisible())
  }
  labels <- unlist(labels)
  if (!is.numeric(labels) || anyNA(labels) || any(labels != round(labels))) {
    abort(
      "bad_argument",
      paste0(
        "`labels` must be \"inferred\", NULL or whole numbers, not ",
        show_value(labels),
        "."
      ),
      arg = "labels"
    )
  }
  if (!is.null(class_names)) {
    abort(
      "bad_argument",
      "`class_names` can only be given with `labels = \"inferred\"`.",
      arg = "class_names"
    )
  }
}

check_split <- function(validation_split, subset, shuffle, seed) {
  ok <- is.null(validation_split) ||
    is.numeric(validation_split) &&
      length(validation_split) == 1 &&
      isTRUE(validation_split > 0 & validation_split < 1)
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`validation_split` must be NULL or a number between 0 and 1, not ",
        show_value(validation_split),
        "."
      ),
      arg = "validation_split"
    )
  }
  if (is.null(validation_split) != is.null(subset)) {
    abort(
      "bad_argument",
      "`validation_split` and `subset` must be given together.",
      arg = "subset"
    )
  }
  if (is.null(subset)) {
    return(invisible())
  }
  check_choice(subset, "subset", c("training", "validation", "both"))
  if (shuffle && is.null(seed)) {
    abort(
      "bad_argument",
      "`seed` must be given with `validation_split`, or `shuffle` be FALSE.",
      c(i = "It tells which files are for training: without it they can't be left out."),
      arg = "seed"
    )
  }
}

check_seed <- function(seed) {
  if (!is.null(seed)) check_number(seed, "seed", 0, 2^32 - 1)
}

# A whole number in a range.
check_number <- function(x, arg, from, to = Inf) {
  ok <- is.numeric(x) &&
    length(x) == 1 &&
    isTRUE(x >= from & x <= to & x == round(x))
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be a whole number ",
        if (is.finite(to)) {
          paste("from", format_count(from), "to", format_count(to))
        } else {
          paste("of at least", format_count(from))
        },
        ", not ",
        show_value(x),
        "."
      ),
      arg = arg
    )
  }
  as.numeric(x)
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

encoded_labels <- function(labels, mode, classes) {
  if (is.null(mode)) {
    return(NULL)
  }
  switch(
    mode,
    int = array(as.integer(labels), length(labels)),
    binary = matrix(as.numeric(labels)),
    # Labels that are given and beyond the number of classes are rows of 0.
    categorical = 1 * outer(labels, seq_along(classes) - 1, `==`)
  )
}

# The files of a folder with their labels, in the order of Python's sorted paths:
# list(paths, labels, classes).
index_files <- function(directory, labels, class_names, endings, follow_links) {
  inferred <- identical(labels, "inferred")
  folders <- if (inferred) class_folders(directory, class_names) else ""
  found <- lapply(folders, function(folder) {
    top <- if (nzchar(folder)) file.path(directory, folder) else directory
    walk_files(top, follow_links, endings)
  })
  paths <- as.character(unlist(found))
  if (inferred) {
    return(list(
      paths = paths,
      labels = rep(seq_along(folders) - 1L, lengths(found)),
      classes = folders
    ))
  }
  labels <- unlist(labels)
  if (!is.null(labels) && length(labels) != length(paths)) {
    abort(
      "bad_argument",
      paste0(
        "`labels` must have a number for each of the ",
        length(paths),
        " files, not ",
        length(labels),
        "."
      ),
      arg = "labels"
    )
  }
  list(
    paths = paths,
    labels = labels,
    classes = as.character(sort(unique(labels)))
  )
}

class_folders <- function(directory, class_names) {
  folders <- sort(list.files(directory, all.files = TRUE), method = "radix")
  folders <- folders[
    dir.exists(file.path(directory, folders)) & !startsWith(folders, ".")
  ]
  if (is.null(class_names)) {
    return(folders)
  }
  class_names <- unlist(class_names)
  missing <- setdiff(class_names, folders)
  if (length(missing)) {
    abort(
      "bad_argument",
      paste0("`class_names` must be folders in '", directory, "'."),
      c(
        x = paste0("Missing: ", enumerate(missing), "."),
        i = paste0("There are ", enumerate(folders), ".")
      ),
      arg = "class_names"
    )
  }
  class_names
}

# The files below a folder, folder after folder.
walk_files <- function(top, follow_links, endings) {
  folders <- top
  seen <- character()
  files <- list()
  while (length(folders)) {
    folder <- folders[[1]]
    folders <- folders[-1]
    # Links may lead back to where they are.
    real <- normalizePath(folder)
    if (real %in% seen) {
      next
    }
    seen <- c(seen, real)
    inside <- sort(
      list.files(folder, all.files = TRUE, no.. = TRUE),
      method = "radix"
    )
    below <- dir.exists(file.path(folder, inside))
    fits <- Reduce(`|`, lapply(endings, endsWith, x = tolower(inside)))
    files[[folder]] <- file.path(folder, inside[fits & !below])
    inner <- file.path(folder, inside[below])
    if (!follow_links) {
      inner <- inner[!nzchar(Sys.readlink(inner))]
    }
    folders <- c(folders, inner)
  }
  unlist(files[order(names(files), method = "radix")], use.names = FALSE)
}

# The order that numpy.random.RandomState(seed).shuffle() puts n values in. Its
# numbers are those of R's Mersenne twister, which is set as numpy sets it.
numpy_order <- function(n, seed) {
  if (is.null(seed)) {
    return(sample.int(n))
  }
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit({
    if (is.null(old)) {
      rm(".Random.seed", envir = globalenv())
    } else {
      assign(".Random.seed", old, globalenv())
    }
  })
  assign(
    ".Random.seed",
    c(10403L, 624L, twister_state(seed)),
    globalenv()
  )
  order <- seq_len(n)
  for (i in rev(seq_len(max(n - 1, 0)))) {
    j <- random_to(i) + 1
    order[c(i + 1, j)] <- order[c(j, i + 1)]
  }
  order
}

# A whole number from 0 to `max`: the lowest bits of the next number of 32 that
# are small enough.
random_to <- function(max) {
  bits <- 2^(floor(log2(max)) + 1)
  repeat {
    value <- floor(stats::runif(1) * 2^32) %% bits
    if (value <= max) {
      return(value)
    }
  }
}

# Whole numbers of 32 bits, of which doubles hold 53.
twister_state <- function(seed) {
  state <- numeric(624)
  for (i in seq_along(state)) {
    state[[i]] <- seed
    low <- seed %% 4
    mixed <- seed - low + bitwXor(low, seed %/% 2^30)
    high <- (1812433253 * (mixed %/% 2^16)) %% 2^16
    seed <- (1812433253 * (mixed %% 2^16) + high * 2^16 + i) %% 2^32
  }
  as.integer(ifelse(state >= 2^31, state - 2^32, state))
}

# Elements by number, in batches: `element(i)` gives list(x, y) of elements i.
# Further arguments are what `$` shows.
new_dataset <- function(count, batch_size, element, kind, ...) {
  single <- is.null(batch_size)
  batches <- if (single) count else ceiling(count / batch_size)
  dataset <- list2env(
    list(
      count = count,
      batches = batches,
      kind = kind,
      batch = function(k) {
        if (!single) {
          return(element(seq((k - 1) * batch_size + 1, min(count, k * batch_size))))
        }
        lapply(element(k), function(x) {
          shape <- dim(x)[-1]
          if (length(shape)) array(x, shape) else as.vector(x)
        })
      },
      ...
    ),
    parent = emptyenv()
  )
  structure(dataset, class = "keraspredict_dataset")
}

#' @export
length.keraspredict_dataset <- function(x) get("batches", x)

#' @export
print.keraspredict_dataset <- function(x, ...) {
  classes <- get0("class_names", x)
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

# As a user sees a batch: x, or list(x, y).
shown_batch <- function(batch) {
  if (is.null(batch$y)) batch$x else unname(batch)
}

dataset_batches <- function(dataset) {
  k <- 0
  new_source(
    function() {
      if (k < dataset$batches) {
        k <<- k + 1
        dataset$batch(k)$x
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
  shown_batch(it$dataset$batch(it$done))
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
