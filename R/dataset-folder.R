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
  check_choice(
    interpolation,
    "interpolation",
    c(array_interpolations, if (!isTRUE(crop_to_aspect_ratio)) tensorflow_interpolations)
  )
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

#' @rdname datasets
#' @export
audio_dataset_from_directory <- function(
  directory,
  labels = "inferred",
  label_mode = "int",
  class_names = NULL,
  batch_size = 32L,
  sampling_rate = NULL,
  output_sequence_length = NULL,
  ragged = FALSE,
  shuffle = TRUE,
  seed = NULL,
  validation_split = NULL,
  subset = NULL,
  follow_links = FALSE,
  verbose = TRUE
) {
  steps <- check_count(output_sequence_length, "output_sequence_length")
  if (!is.null(sampling_rate)) {
    abort(
      "unsupported",
      paste0("`sampling_rate` must be NULL, not ", show_value(sampling_rate), "."),
      c(i = "Sounds are not resampled here: give files of the rate that is wanted."),
      arg = "sampling_rate"
    )
  }
  check_flag(ragged, "ragged")
  if (ragged) {
    abort(
      "unsupported",
      "`ragged` must be FALSE: sounds of different lengths can't be one array.",
      c(i = "Without `output_sequence_length`, those of a batch are as long as the longest."),
      arg = "ragged"
    )
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
    "sounds",
    ".wav",
    function(paths) join_sounds(lapply(paths, read_wav), steps)
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
