#' Sequences of one length
#'
#' Makes an array of sequences of different lengths: shorter ones are filled up,
#' longer ones cut.
#'
#' @param sequences A list of vectors (or of matrices, with a row for each
#'   step).
#' @param maxlen The length of all; `NULL` is that of the longest.
#' @param dtype The type of the result: such as `"int32"`, `"float32"` or
#'   `"object"` (for text).
#' @param padding,truncating `"pre"` or `"post"`: where sequences are filled up
#'   and cut.
#' @param value What they are filled with.
#' @returns An array with a row for each sequence.
#' @export
#' @examples
#' pad_sequences(list(1:3, 4, 5:9))
#' pad_sequences(list(1:3, 4, 5:9), maxlen = 4, padding = "post", truncating = "post")
pad_sequences <- function(
  sequences,
  maxlen = NULL,
  dtype = "int32",
  padding = "pre",
  truncating = "pre",
  value = 0
) {
  if (is.object(sequences) || !(is.list(sequences) || is.atomic(sequences))) {
    abort(
      "bad_argument",
      paste0(
        "`sequences` must be a list of vectors, not ",
        describe(sequences),
        "."
      ),
      arg = "sequences"
    )
  }
  check_text(dtype, "dtype", "the name of a type")
  check_choice(padding, "padding", c("pre", "post"))
  check_choice(truncating, "truncating", c("pre", "post"))
  maxlen <- check_count(maxlen, "maxlen")
  sequences <- as.list(sequences)
  bad <- !vapply(sequences, function(s) is.atomic(s) || is.list(s), NA)
  if (any(bad)) {
    abort(
      "bad_argument",
      paste0(
        "`sequences[[",
        which(bad)[[1]],
        "]]` must be a vector, not ",
        describe(sequences[[which(bad)[[1]]]]),
        "."
      ),
      arg = "sequences"
    )
  }
  sequences <- lapply(sequences, function(s) if (is.list(s)) unlist(s) else s)
  long <- vapply(sequences, NROW, 0L)
  if (is.null(maxlen)) {
    maxlen <- max(0L, long)
  }
  filled <- which(long > 0)
  step <- if (length(filled)) dim(sequences[[filled[[1]]]])[-1]
  convert <- converter(dtype)
  out <- array(convert(value), c(length(sequences), maxlen, step))
  for (i in filled) {
    s <- sequences[[i]]
    if (!identical(dim(s)[-1], step)) {
      abort(
        "bad_argument",
        "`sequences` must have steps of one shape.",
        c(
          x = paste0(
            "Those of sequence ",
            i,
            " are of another shape than the first."
          )
        ),
        arg = "sequences"
      )
    }
    n <- min(long[[i]], maxlen)
    from <- if (truncating == "pre") {
      seq(long[[i]] - n + 1, length.out = n)
    } else {
      seq_len(n)
    }
    to <- if (padding == "pre") {
      seq(maxlen - n + 1, length.out = n)
    } else {
      seq_len(n)
    }
    s <- matrix(s, long[[i]])[from, ]
    out[cbind(
      i,
      rep(to, length.out = length(s)),
      all_indices(n, step)
    )] <- convert(s)
  }
  out
}

# The indices of further axes, for n steps each.
all_indices <- function(n, step) {
  if (length(step) == 0) {
    return(NULL)
  }
  unname(as.matrix(expand.grid(lapply(step, seq_len)))[
    rep(seq_len(prod(step)), each = n),
    ,
    drop = FALSE
  ])
}

converter <- function(dtype) {
  if (dtype %in% c("object", "str", "string")) {
    as.character
  } else if (grepl("^u?int", dtype)) {
    function(x) as.integer(trunc(as.numeric(x)))
  } else if (dtype == "bool") {
    as.logical
  } else if (grepl("float", dtype)) {
    as.double
  } else {
    abort(
      "bad_argument",
      paste0(
        "`dtype` must be an integer, float, bool or string type, not \"",
        dtype,
        "\"."
      ),
      arg = "dtype"
    )
  }
}

check_choice <- function(x, arg, choices) {
  if (!(is.character(x) && length(x) == 1 && x %in% choices)) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be ",
        sub(
          ", ([^,]*)$",
          " or \\1",
          paste0("\"", choices, "\"", collapse = ", ")
        ),
        ", not ",
        show_value(x),
        "."
      ),
      arg = arg
    )
  }
  x
}

#' Classes as vectors of 0 and 1
#'
#' @param x Class numbers from 0, or a factor.
#' @param num_classes The number of classes; `NULL` is one more than the highest
#'   number.
#' @returns An array with one more axis than `x`, in which all but the place of
#'   the class is 0; a last axis of size 1 is dropped before.
#' @export
#' @examples
#' to_categorical(c(0, 2, 1))
#' to_categorical(iris$Species[c(1, 51, 101)])
to_categorical <- function(x, num_classes = NULL) {
  num_classes <- check_count(num_classes, "num_classes")
  if (is.factor(x)) {
    if (is.null(num_classes)) {
      num_classes <- nlevels(x)
    }
    x <- as.integer(x) - 1L
  }
  if (!(is.numeric(x) || is.logical(x)) || is.object(x)) {
    abort(
      "bad_argument",
      paste0("`x` must be class numbers or a factor, not ", describe(x), "."),
      arg = "x"
    )
  }
  if (anyNA(x)) {
    abort("bad_argument", "`x` must have no missing values.", arg = "x")
  }
  shape <- if (is.null(dim(x))) length(x) else dim(x)
  if (length(shape) > 1 && shape[[length(shape)]] == 1) {
    shape <- shape[-length(shape)]
  }
  x <- trunc(as.numeric(x))
  if (is.null(num_classes)) {
    num_classes <- max(x) + 1
  }
  if (any(x >= num_classes | x < -num_classes)) {
    abort(
      "bad_argument",
      paste0("`x` must have class numbers from 0 to ", num_classes - 1, "."),
      c(
        x = paste0(
          "It has ",
          format_count(x[x >= num_classes | x < -num_classes][[1]]),
          "."
        )
      ),
      arg = "x"
    )
  }
  # Negative numbers count from the end, as in Keras.
  x <- ifelse(x < 0, x + num_classes, x)
  out <- matrix(0, length(x), num_classes)
  out[cbind(seq_along(x), x + 1)] <- 1
  array(out, c(shape, num_classes))
}

#' Scale an array to norm 1
#'
#' @param x A numeric array.
#' @param axis The axis along which the norm is taken: from 1, or from the end
#'   as -1, -2, ...
#' @param order The order of the norm: 1, 2, ... or `Inf`.
#' @param ... Not used.
#' @returns The array, divided by its norms; where they are 0, as it was.
#' @export
#' @examples
#' normalize(matrix(c(3, 0, 4, 0), 2))
normalize <- function(x, axis = -1L, order = 2L, ...) {
  if (!is_number(x) || is.object(x)) {
    abort(
      "bad_argument",
      paste0("`x` must be a numeric array, not ", describe(x), "."),
      arg = "x"
    )
  }
  shape <- if (is.null(dim(x))) length(x) else dim(x)
  rank <- length(shape)
  if (
    !(is.numeric(axis) &&
      length(axis) == 1 &&
      axis %in% c(-seq_len(rank), seq_len(rank)))
  ) {
    abort(
      "bad_argument",
      paste0(
        "`axis` must be an axis of `x`, which has ",
        rank,
        ", not ",
        show_value(axis),
        "."
      ),
      arg = "axis"
    )
  }
  if (
    !(is.numeric(order) && length(order) == 1 && !is.na(order) && order > 0)
  ) {
    abort(
      "bad_argument",
      paste0("`order` must be a number above 0, not ", show_value(order), "."),
      arg = "order"
    )
  }
  if (axis < 0) {
    axis <- rank + axis + 1
  }
  size <- abs(array(as.numeric(x), shape))
  rest <- setdiff(seq_len(rank), axis)
  norm <- if (order == Inf) {
    function(v) max(v)
  } else {
    function(v) sum(v^order)^(1 / order)
  }
  norms <- if (length(rest)) apply(size, rest, norm) else norm(size)
  norms[norms == 0] <- 1
  if (length(rest)) {
    sweep(array(as.numeric(x), shape), rest, norms, "/")
  } else {
    array(as.numeric(x), shape) / norms
  }
}

#' Prepare images for the models of keras.applications
#'
#' @param model A model of `keras.applications`, which is known by its name; or
#'   one of the ways to prepare images: `"caffe"`, `"tf"`, `"torch"`, or
#'   `"none"`.
#' @param x Images with channels red, green, blue from 0 to 255: an array (rows,
#'   columns, channels), or (images, rows, columns, channels).
#' @param ... Not used.
#' @param data_format `"channels_last"` or `"channels_first"`; `NULL` is
#'   [config_image_data_format()].
#' @returns The array that the model takes.
#' @export
#' @examples
#' image <- array(c(0, 255), c(1, 2, 2, 3))
#' application_preprocess_inputs("tf", image)
application_preprocess_inputs <- function(model, x, ..., data_format = NULL) {
  mode <- preprocess_mode(model)
  if (is.null(data_format)) {
    data_format <- config_image_data_format()
  }
  check_choice(data_format, "data_format", c("channels_last", "channels_first"))
  rank <- length(dim(x))
  axis <- if (data_format == "channels_last") rank else rank - 2
  if (
    !is_number(x) ||
      !rank %in% 3:4 ||
      mode %in% c("caffe", "torch") && dim(x)[[axis]] != 3
  ) {
    abort(
      "bad_argument",
      paste0("`x` must be images of 3 channels, not ", describe(x), "."),
      c(
        i = paste0(
          "Its shape is ",
          show_shape(if (is.null(dim(x))) length(x) else dim(x)),
          "."
        )
      ),
      arg = "x"
    )
  }
  if (mode == "none") {
    return(x)
  }
  shape <- dim(x)
  x <- array(as.numeric(x), shape)
  if (mode == "tf") {
    return(x / 127.5 - 1)
  }
  if (mode == "torch") {
    x <- sweep(x / 255, axis, c(0.485, 0.456, 0.406))
    return(sweep(x, axis, c(0.229, 0.224, 0.225), "/"))
  }
  index <- rep(list(TRUE), rank)
  index[[axis]] <- 3:1
  sweep(
    do.call(`[`, c(list(x), index, drop = FALSE)),
    axis,
    c(103.939, 116.779, 123.68)
  )
}

preprocess_mode <- function(model) {
  if (
    is.character(model) &&
      length(model) == 1 &&
      model %in% c("caffe", "tf", "torch", "none")
  ) {
    return(model)
  }
  if (!inherits(model, "keraspredict_model")) {
    abort(
      "bad_argument",
      paste0(
        "`model` must be a model or a way to prepare images, not ",
        show_value(model),
        "."
      ),
      arg = "model"
    )
  }
  name <- tolower(model$name)
  for (i in seq_along(preprocess_modes)) {
    if (grepl(preprocess_modes[[i]], name)) {
      return(names(preprocess_modes)[[i]])
    }
  }
  abort(
    "bad_argument",
    paste0(
      "Can't tell from its name, `",
      model$name,
      "`, how the model wants its images."
    ),
    c(
      i = "Give the way instead of the model: \"caffe\", \"tf\", \"torch\" or \"none\"."
    ),
    arg = "model"
  )
}

preprocess_modes <- c(
  none = "^(mobilenetv3|efficientnet|convnext)",
  tf = "^(resnet[0-9]+v2|mobilenet|inception|xception|nasnet)",
  torch = "^densenet",
  caffe = "^(resnet[0-9]+$|vgg(16|19)$)"
)

#' The best classes of ImageNet
#'
#' @param model A model; not used.
#' @param preds Predictions for the 1,000 classes of ImageNet, a row for each
#'   image.
#' @param top How many classes are wanted for each image.
#' @param ... Not used.
#' @param class_index The path of a file of the form of Keras'
#'   `imagenet_class_index.json`, with other names. `NULL` is the option
#'   `keraspredict.class_index`, or else the names that come with this package.
#' @returns A list with a data frame for each image: `class_name`,
#'   `class_description` and `score`, best first.
#' @export
#' @examples
#' preds <- matrix(c(0.1, 0.7, 0.2, rep(0, 997)), 1)
#' application_decode_predictions(preds = preds, top = 2)
application_decode_predictions <- function(
  model,
  preds,
  top = 5L,
  ...,
  class_index = NULL
) {
  if (!is.numeric(preds) || length(dim(preds)) != 2 || ncol(preds) != 1000) {
    abort(
      "bad_argument",
      paste0(
        "`preds` must be a matrix with 1,000 columns, not ",
        describe(preds),
        "."
      ),
      if (length(dim(preds)) == 2) {
        c(x = paste0("It has ", format_count(ncol(preds)), " columns."))
      },
      arg = "preds"
    )
  }
  top <- check_count(top, "top")
  names <- read_class_index(class_index)
  lapply(seq_len(nrow(preds)), function(i) {
    best <- utils::head(order(preds[i, ], decreasing = TRUE), top)
    data.frame(
      class_name = names[best, 1],
      class_description = names[best, 2],
      score = preds[i, best]
    )
  })
}

read_class_index <- function(path) {
  if (is.null(path)) {
    path <- getOption("keraspredict.class_index")
  }
  if (is.null(path)) {
    file <- system.file("imagenet", "classes.csv", package = "keraspredict")
    return(as.matrix(utils::read.csv(file, quote = "")))
  }
  check_text(path, "class_index", "NULL or the path of a file")
  if (!file.exists(path)) {
    abort(
      "file_missing",
      paste0("Can't find the names of ImageNet's classes at '", path, "'."),
      c(i = "Without `class_index`, those of this package are taken.")
    )
  }
  text <- paste(
    readLines(path, warn = FALSE, encoding = "UTF-8"),
    collapse = " "
  )
  entry <- "\"([0-9]+)\"\\s*:\\s*\\[\\s*\"([^\"]*)\"\\s*,\\s*\"([^\"]*)\"\\s*\\]"
  entries <- regmatches(text, gregexpr(entry, text))[[1]]
  number <- as.integer(sub(entry, "\\1", entries))
  if (!setequal(number, 0:999)) {
    abort(
      "bad_argument",
      paste0(
        "'",
        path,
        "' must have the names of 1,000 classes, not ",
        length(unique(number)),
        "."
      ),
      arg = "class_index"
    )
  }
  cbind(sub(entry, "\\2", entries), sub(entry, "\\3", entries))[order(number), ]
}
