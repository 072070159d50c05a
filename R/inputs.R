#' What a model takes as input
#'
#' What `x` may be in [`predict()`][predict.keraspredict_model],
#' [predict_on_batch()] and [`model(x)`][call_model], and what becomes of it. Data
#' that doesn't fit in memory: see [batches].
#'
#' # Shape
#'
#' The first axis of every array is the rows. The shape must be that of the
#' model's input, `model$input_shape`; a last axis of size 1 may be left out or
#' added. A plain vector is one column.
#'
#' # One input
#'
#' * A matrix or array of doubles, integers, logicals or raw bytes (numbers from 0
#'   to 255), or of a class that `is.numeric()` takes for numbers, such as those
#'   of the package units; bit64's `integer64` becomes doubles.
#' * A data frame, tibble or data.table of such columns, which are taken by
#'   position: the matrix with these columns.
#' * A sparse or dense matrix of the package Matrix, of any kind. Sparse ones are
#'   filled in one batch at a time.
#' * For models of text, a character vector, matrix or array, or a data frame of
#'   such columns.
#' * For models of complex numbers, a complex vector, matrix or array, or a real one.
#' * A tensor or array that lives in Python (TensorFlow, numpy, torch, jax, scipy
#'   and pandas, through the package reticulate), or a tensor of the R package
#'   torch.
#' * `list(x)`, with or without the input's name.
#'
#' # Several inputs
#'
#' * A list of these by name, in any order (names that aren't inputs are passed
#'   over), or without names in the model's order.
#' * A data frame with a column for each input, by name.
#' * A dict, list or tuple of Python.
#'
#' # Rules
#'
# nolint start: line_length_linter. A row of a table is one line.
#' | given | what happens |
#' |---|---|
#' | a factor | integers from 0; the labels, where the input takes text |
#' | a factor or text column in the data frame of one numeric input | an error that names it |
#' | dates, times and time differences | an error: make numbers of them |
#' | text where numbers are wanted, or numbers where text is | an error |
#' | `NA` in integers, logicals and text | an error that counts them |
#' | text in any encoding | the same text in UTF-8 |
#' | text that is not valid in its encoding, or marked as bytes | an error that counts it |
#' | texts whose tokens have no fixed number | as long as the longest of the batch, as in Keras; an error if outputs of different lengths had to be joined |
#' | `NaN` and `NA` in doubles | `NaN` through the model; an error where the input holds integers |
#' | doubles in an integer input | truncated |
#' | doubles in a float32 input | rounded to float32, as in Keras |
#' | a list column | an error |
# nolint end
#'
#' Row names of `x` are those of the predictions. All errors about `x` are raised
#' before anything is computed.
#'
#' @name inputs
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' model$input_shape
#'
#' predict(model, iris[1:2, 1:4], verbose = 0)
#' predict(model, as.matrix(iris[1:2, 1:4]), verbose = 0)
#' if (requireNamespace("Matrix", quietly = TRUE)) {
#'   predict(model, Matrix::Matrix(diag(4), sparse = TRUE), verbose = 0)
#' }
NULL

# From what a user passes as `x` to what the engine reads: a list of
# * x: one vector, list of columns or sparse matrix per input of the model,
# * dims: the shape the model sees of each,
# * n: the number of rows,
# * row_names: of the first input that has some.
# All errors about the input are raised here, before anything is computed.
as_inputs <- function(self, x) {
  specs <- self$info$inputs
  for (spec in specs) {
    check_has_rows(spec)
  }
  if (is_python(x)) {
    x <- unpack_python(x)
  }
  values <- match_inputs(self$info, x)
  parts <- vector("list", length(specs))
  for (i in seq_along(specs)) {
    parts[[i]] <- as_input(values$x[[i]], specs[[i]], values$arg[[i]])
  }
  here <- lengths(parts) > 0
  if (!any(here)) {
    abort_no_x()
  }
  rows <- vapply(parts[here], function(part) as.numeric(part$dims[[1]]), 0)
  if (length(unique(rows)) > 1) {
    abort(
      "bad_input",
      "All inputs must have the same number of rows.",
      stats::setNames(
        paste0(values$arg[here], " has ", format_count(rows), "."),
        rep("x", length(rows))
      ),
      arg = "x"
    )
  }
  row_names <- Find(Negate(is.null), lapply(parts, `[[`, "row_names"))
  list(
    x = lapply(parts, `[[`, "x"),
    dims = lapply(parts, `[[`, "dims"),
    n = rows[[1]],
    row_names = row_names
  )
}

check_has_rows <- function(spec) {
  if (length(spec$shape) == 0) {
    abort(
      "unsupported",
      "Can't run a model on inputs without rows.",
      c(
        x = paste0("Input `", spec$name, "` has the shape (), a single number."),
        i = "Keras' `predict()` needs a first axis too: save the model with one."
      )
    )
  }
}

# One value per input, in the model's order, and how to speak of each.
match_inputs <- function(info, x) {
  specs <- info$inputs
  names <- vapply(specs, `[[`, "", "name")
  if (length(specs) == 1L) {
    return(match_one_input(specs[[1]], x))
  }
  if (is.data.frame(x) || is_input_list(x)) {
    keys <- names(x)
    if (is.null(keys) || !any(nzchar(keys))) {
      return(match_by_order(specs, names, x))
    }
    return(match_by_name(specs, names, x, keys))
  }
  abort(
    "bad_input",
    paste0(
      "`x` must be a list of ",
      length(specs),
      " arrays, not ",
      describe(x),
      "."
    ),
    c(i = paste0("The model's inputs are ", enumerate(names), ".")),
    arg = "x"
  )
}

match_one_input <- function(spec, x) {
  if (!is_input_list(x)) {
    if (is.data.frame(x) && ncol(x) == 1 && is_column_input(spec)) {
      x <- structure(x, names = spec$name)
    }
    return(list(x = list(x), arg = "`x`"))
  }
  keys <- names(x)
  if (!is.null(keys) && spec$name %in% keys) {
    return(list(x = list(x[[spec$name]]), arg = paste0("`x$", spec$name, "`")))
  }
  if (length(x) == 1L && (is.null(keys) || !nzchar(keys))) {
    return(list(x = x, arg = "`x[[1]]`"))
  }
  if (!is.null(keys) && any(nzchar(keys))) {
    abort_missing_inputs(spec$name, keys, spec$name)
  }
  abort_count(1L, length(x), spec$name)
}

match_by_order <- function(specs, names, x) {
  flat <- flatten_list(x)
  if (length(flat) != length(specs)) {
    abort_count(length(specs), length(flat), names)
  }
  list(x = flat, arg = paste0("`x[[", seq_along(flat), "]]`"))
}

match_by_name <- function(specs, names, x, keys) {
  needed <- names[!vapply(specs, `[[`, NA, "optional")]
  missing <- setdiff(needed, keys)
  if (length(missing)) {
    nested <- flatten_list(x)
    if (all(needed %in% names(nested))) {
      x <- nested
      missing <- character()
    }
  }
  if (length(missing)) {
    abort_missing_inputs(missing, keys, names)
  }
  values <- lapply(names, function(name) x[[name]])
  list(x = values, arg = paste0("`x$", names, "`"))
}

# Nested lists of arrays as one list.
flatten_list <- function(x) {
  out <- list()
  for (i in seq_along(x)) {
    item <- x[[i]]
    if (is_input_list(item)) {
      out <- c(out, flatten_list(item))
    } else {
      out <- c(out, stats::setNames(list(item), names(x)[i]))
    }
  }
  out
}

abort_count <- function(wanted, given, names) {
  abort(
    "bad_input",
    paste0(
      "`x` must have ",
      wanted,
      if (wanted == 1) " array" else " arrays",
      ", not ",
      given,
      "."
    ),
    c(
      i = paste0(
        "The model's input",
        if (wanted == 1) " is " else "s are ",
        enumerate(names),
        "."
      ),
      i = if (wanted == 1 && given > 1) {
        "A list has an array for each input: the rows of an input are one array."
      }
    ),
    arg = "x"
  )
}

abort_missing_inputs <- function(missing, keys, names) {
  keys <- keys[nzchar(keys)]
  abort(
    "bad_input",
    paste0(
      "`x` must have the model's input",
      if (length(names) > 1) "s",
      " ",
      enumerate(names),
      "."
    ),
    c(
      x = paste0("Missing: ", enumerate(missing), "."),
      i = paste0("Its names are ", enumerate(keys), ".")
    ),
    arg = "x",
    missing = missing
  )
}

# Lists of arrays; some classes are lists inside, such as POSIXlt.
is_input_list <- function(x) {
  is.list(x) &&
    !is.data.frame(x) &&
    (!is.object(x) || inherits(x, c("list", "AsIs")))
}

is_sparse <- function(x) {
  isS4(x) && inherits(x, "sparseMatrix")
}

is_column_input <- function(spec) {
  length(spec$shape) == 1 ||
    length(spec$shape) == 2 && identical(spec$shape[[2]], 1L)
}

# One input: its value as the engine reads it and the shape the model sees.
as_input <- function(x, spec, arg) {
  if (is.null(x)) {
    if (spec$optional) {
      return(list())
    }
    abort("bad_input", paste0(arg, " must be an array, not NULL."), arg = arg)
  }
  x <- unwrap(x, arg)
  if (is.data.frame(x)) {
    return(data_frame_input(x, spec, arg))
  }
  if (is_sparse(x)) {
    return(sparse_input(x, spec, arg))
  }
  row_names <- if (length(dim(x)) > 0) dimnames(x)[[1L]]
  x <- as_plain(x, spec, arg)
  check_type(x, spec, arg)
  check_missing(x, spec, arg)
  check_encoding(x, arg)
  list(x = x, dims = conform(x, spec, arg), row_names = row_names)
}

# What other packages hold, as values of R or the sparse matrices of Matrix.
unwrap <- function(x, arg) {
  if (!is.object(x)) {
    return(x)
  }
  if (is_python(x)) {
    return(from_python(x, arg))
  }
  if (inherits(x, "torch_tensor")) {
    return(as.array(x$detach()$cpu()))
  }
  if (isS4(x) && inherits(x, "Matrix") && !is_sparse(x)) {
    check_installed("Matrix", "for its matrices")
    return(as.matrix(x))
  }
  x
}

# Without class: factors become integers from 0.
as_plain <- function(x, spec, arg) {
  if (!is.object(x)) {
    return(x)
  }
  if (is.factor(x)) {
    if (spec$dtype == "string") {
      return(as.character(x))
    }
    shape <- dim(x)
    x <- as.integer(x) - 1L
    dim(x) <- shape
    return(x)
  }
  if (inherits(x, "integer64")) {
    return(from_integer64(x, spec, arg))
  }
  # is.numeric() knows most classes that only look like numbers, such as dates.
  if (inherits(x, "connection")) {
    abort_type(x, spec, arg)
  }
  if (is.numeric(x) || is.logical(x) || is.character(x) || is.complex(x)) {
    attributes(x) <- list(dim = dim(x))
    return(x)
  }
  abort_type(x, spec, arg)
}

# Doubles, which hold whole numbers up to 2^53: an integer input takes no others.
from_integer64 <- function(x, spec, arg) {
  if (spec$dtype == "string") {
    abort_type(x, spec, arg)
  }
  check_installed("bit64", "for 64-bit integers")
  shape <- dim(x)
  missing <- sum(is.na(x))
  if (missing > 0) {
    abort_missing_values(missing, "NA", spec, arg)
  }
  # Rounding may be what a float input does anyway, and is checked for others.
  value <- suppressWarnings(as.double(x))
  if (!spec$float && any(abs(value) > 2^53)) {
    abort(
      "bad_input",
      paste0(
        arg,
        " must have numbers of at most 2^53, the largest that R holds exactly."
      ),
      arg = arg
    )
  }
  dim(value) <- shape
  value
}

check_type <- function(x, spec, arg) {
  text <- spec$dtype == "string"
  complex <- grepl("complex", spec$dtype)
  ok <- if (text) {
    is.character(x)
  } else {
    is_number(x) || (complex && is.complex(x))
  }
  if (!ok) abort_type(x, spec, arg)
}

# Whether a plain vector or array holds numbers; bytes are numbers from 0 to 255.
is_number <- function(x) {
  is.numeric(x) || is.logical(x) || is.raw(x)
}

abort_type <- function(x, spec, arg) {
  text <- spec$dtype == "string"
  wanted <- if (text) "a character array" else "a numeric array"
  hint <- if (inherits(x, "DBIConnection")) {
    "Give a query's result, as DBI::dbSendQuery() makes it."
  } else if (!text && is_file(x)) {
    "Read the file in batches with csv_batches()."
  } else if (text && is.atomic(x)) {
    "Make text of it with as.character()."
  } else if (is.character(x)) {
    "Make numbers of it: as.numeric() for numbers, factor() for categories."
  } else if (inherits(x, c("Date", "POSIXt", "difftime"))) {
    "Make numbers of it with as.numeric(), in the unit the model was trained with."
  } else if (inherits(x, "connection")) {
    "Read it in batches with csv_batches()."
  }
  abort(
    "bad_input",
    paste0(arg, " must be ", wanted, ", not ", describe(x), "."),
    if (!is.null(hint)) c(i = hint),
    arg = arg
  )
}

is_file <- function(x) {
  is.character(x) && length(x) == 1 && !is.na(x) && file.exists(x)
}

# Doubles keep their NaN unless the input holds integers.
check_missing <- function(x, spec, arg) {
  if ((is.double(x) || is.complex(x)) && spec$float) {
    return(invisible())
  }
  n <- engine_count_na(x)
  if (n > 0) {
    abort_missing_values(n, if (is.double(x)) "NA or NaN" else "NA", spec, arg)
  }
}

abort_missing_values <- function(n, kind, spec, arg) {
  abort(
    "bad_input",
    paste0(arg, " must have no missing values."),
    c(
      x = paste0(
        "There ",
        if (n == 1) {
          "is 1 value that is "
        } else {
          paste("are", format_count(n), "values that are ")
        },
        kind,
        "."
      ),
      i = if (isTRUE(spec$float)) {
        "Only doubles can be missing, and stay NaN through the model: see as.double()."
      }
    ),
    arg = arg,
    missing = n
  )
}

# The engine reads strings as UTF-8, to which R translates what has an encoding.
check_encoding <- function(x, arg) {
  if (!is.character(x)) {
    return(invisible())
  }
  n <- sum(Encoding(x) == "bytes" | !validEnc(x))
  if (n > 0) {
    abort(
      "bad_input",
      paste0(arg, " must be text."),
      c(
        x = paste0(
          "There ",
          if (n == 1) {
            "is 1 string that is"
          } else {
            paste("are", format_count(n), "strings that are")
          },
          " not valid in its encoding."
        ),
        i = "Convert raw bytes with iconv(), or declare what they are with Encoding()."
      ),
      arg = arg,
      invalid = n
    )
  }
}

# The shape the model sees: that of x, with a last axis of 1 added or dropped.
conform <- function(x, spec, arg) {
  shape <- dim(x)
  if (is.null(shape)) {
    shape <- length(x)
  }
  conform_shape(shape, spec, arg, shape_hint(shape, spec$shape, arg))
}

conform_shape <- function(shape, spec, arg, hint = NULL) {
  wanted <- spec$shape
  rank <- length(wanted)
  given <- shape
  if (length(shape) == rank - 1L && identical(wanted[[rank]], 1L)) {
    shape <- c(shape, 1L)
  } else if (length(shape) == rank + 1L && shape[[rank + 1L]] == 1L) {
    shape <- shape[seq_len(rank)]
  }
  fits <- length(shape) == rank &&
    all(is.na(wanted[-1L]) | shape[-1L] == wanted[-1L])
  if (!fits) {
    abort(
      "bad_input",
      paste0(
        arg,
        " must have the shape ",
        show_shape(replace(wanted, 1, NA)),
        ", not ",
        show_shape(given),
        "."
      ),
      if (!is.null(hint)) c(i = hint),
      arg = arg,
      expected = wanted,
      given = given
    )
  }
  shape
}

# What may be meant by an array of a shape that doesn't fit.
shape_hint <- function(given, wanted, arg) {
  row <- wanted[-1L]
  is_row <- function(shape) {
    length(shape) == length(row) && all(is.na(row) | shape == row)
  }
  if (is_row(given) || is_row(c(given, 1L))) {
    paste0(
      "Is it one row? `array(",
      gsub("`", "", arg),
      ", c(",
      paste(format_count(c(1, given)), collapse = ", "),
      "))` makes it one."
    )
  } else if (length(given) == 1) {
    paste0(
      "It is a vector of length ",
      format_count(given),
      ": give its rows and columns with matrix() or array()."
    )
  }
}

# A data frame as the matrix of one input; its columns are read where they are.
data_frame_input <- function(x, spec, arg) {
  if (ncol(x) == 1 && is_column_input(spec)) {
    part <- as_input(x[[1]], spec, paste0(arg, "[[1]]"))
    part$row_names <- data_frame_names(x)
    return(part)
  }
  text <- spec$dtype == "string"
  fits <- if (text) is_text_column else is_number_column
  bad <- !vapply(x, fits, NA)
  if (any(bad)) {
    abort_columns(x, bad, if (text) "character" else "numeric", arg)
  }
  shape <- conform_shape(dim(x), spec, arg)
  if (spec$dtype == "string") {
    row_names <- data_frame_names(x)
    x <- as.matrix(x)
    check_missing(x, spec, arg)
    check_encoding(x, arg)
    return(list(x = x, dims = shape, row_names = row_names))
  }
  columns <- vector("list", length(x))
  for (i in seq_along(columns)) {
    where <- paste0(sub("`$", "", arg), "$", names(x)[[i]], "`")
    columns[[i]] <- as_plain(x[[i]], spec, where)
    check_missing(columns[[i]], spec, where)
  }
  if (length(shape) != 2) {
    columns <- do.call(cbind, columns)
  }
  list(x = columns, dims = shape, row_names = data_frame_names(x))
}

is_number_column <- function(column) {
  (is_number(column) || inherits(column, "integer64")) &&
    length(dim(column)) <= 1
}

is_text_column <- function(column) {
  is.character(column) || is.factor(column)
}

abort_columns <- function(x, bad, wanted, arg) {
  kinds <- vapply(x[bad], describe_column, "")
  names <- names(x)[bad]
  abort(
    "bad_input",
    paste0("All columns of ", arg, " must be ", wanted, "."),
    c(
      stats::setNames(
        paste0(
          "`",
          utils::head(names, 5),
          "` is ",
          utils::head(kinds, 5),
          "."
        ),
        rep("x", min(5, sum(bad)))
      ),
      x = if (sum(bad) > 5) paste0("And ", sum(bad) - 5, " more."),
      i = "Leave out what the model doesn't take, and make numbers of the rest as it was trained."[
        wanted == "numeric"
      ]
    ),
    arg = arg,
    columns = names
  )
}

describe_column <- function(column) {
  if (length(dim(column)) > 1) {
    return("a matrix")
  }
  paste0("<", c(setdiff(class(column), "AsIs"), typeof(column))[[1]], ">")
}

# Row names that someone gave, not the automatic ones, which short data frames may
# hold as plain numbers.
data_frame_names <- function(x) {
  names <- attr(x, "row.names")
  if (.row_names_info(x) > 0 && !identical(names, seq_along(names))) names
}

# A sparse matrix of the package Matrix, as its slots; the engine fills in the
# zeros of one batch at a time.
sparse_input <- function(x, spec, arg) {
  check_installed("Matrix", "for sparse matrices")
  if (spec$dtype == "string") {
    abort_type(x, spec, arg)
  }
  shape <- dim(x)
  row_names <- dimnames(x)[[1]]
  if (
    !(inherits(x, "dgCMatrix") ||
      inherits(x, "lgCMatrix") ||
      inherits(x, "ngCMatrix"))
  ) {
    x <- methods::as(methods::as(x, "CsparseMatrix"), "generalMatrix")
  }
  values <- if (methods::.hasSlot(x, "x")) methods::slot(x, "x")
  if (!is.null(values)) {
    check_missing(values, spec, arg)
  }
  dims <- conform_shape(shape, spec, arg)
  if (length(dims) != 2) {
    return(as_input(as.matrix(x), spec, arg))
  }
  slots <- list(methods::slot(x, "p"), methods::slot(x, "i"), values)
  list(
    x = structure(slots, class = "keraspredict_sparse"),
    dims = dims,
    row_names = row_names
  )
}

# Adds the masks of model(x, mask = ): one logical array, or a list of one (or
# NULL) for each input.
add_masks <- function(self, input, mask) {
  specs <- self$info$inputs
  if (!is.list(mask)) {
    mask <- list(mask)
  }
  if (length(mask) != length(specs)) {
    abort(
      "bad_input",
      paste0(
        "`mask` must have ",
        length(specs),
        if (length(specs) == 1) " array" else " arrays",
        ", not ",
        length(mask),
        "."
      ),
      arg = "mask"
    )
  }
  arg <- if (length(mask) == 1) {
    "`mask`"
  } else {
    paste0("`mask[[", seq_along(mask), "]]`")
  }
  dims <- vector("list", length(mask))
  for (i in seq_along(mask)) {
    if (is.null(mask[[i]])) {
      next
    }
    mask[[i]] <- unwrap(mask[[i]], arg[[i]])
    if (!(is.logical(mask[[i]]) || is.numeric(mask[[i]]))) {
      abort(
        "bad_input",
        paste0(
          arg[[i]],
          " must be a logical array, not ",
          describe(mask[[i]]),
          "."
        ),
        arg = "mask"
      )
    }
    check_missing(mask[[i]], list(float = FALSE), arg[[i]])
    shape <- dim(mask[[i]])
    if (is.null(shape)) {
      shape <- length(mask[[i]])
    }
    wanted <- input$dims[[i]]
    if (
      length(shape) > length(wanted) || any(shape != wanted[seq_along(shape)])
    ) {
      abort(
        "bad_input",
        paste0(
          arg[[i]],
          " must have the first axes of `x`, which has the shape ",
          show_shape(wanted),
          ", not ",
          show_shape(shape),
          "."
        ),
        arg = "mask"
      )
    }
    dims[[i]] <- shape
  }
  input$x <- c(input$x, mask)
  input$dims <- c(input$dims, dims)
  input
}
