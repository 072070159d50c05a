# From what a user passes as `x` to what the engine reads: a list of
# * x: one vector, list of columns or sparse matrix per input of the model,
# * dims: the shape the model sees of each,
# * n: the number of rows,
# * row_names: of the first input that has some.
# All errors about the input are raised here, before anything is computed.
as_inputs <- function(self, x) {
  specs <- self$info$inputs
  if (length(specs) == 1L && is.double(x) && !is.object(x)) {
    # The usual case, in few steps: a matrix of doubles.
    shape <- dim(x)
    wanted <- specs[[1L]]$shape
    if (length(shape) == 2L && length(wanted) == 2L && !is.na(wanted[[2L]]) &&
      shape[[2L]] == wanted[[2L]] && specs[[1L]]$float) {
      return(list(x = list(x), dims = list(shape), n = shape[[1L]], row_names = dimnames(x)[[1L]]))
    }
  }
  values <- match_inputs(self$info, x)
  parts <- vector("list", length(specs))
  for (i in seq_along(specs)) {
    parts[[i]] <- as_input(values$x[[i]], specs[[i]], values$arg[[i]])
  }
  here <- lengths(parts) > 0
  if (!any(here)) abort_no_x()
  rows <- vapply(parts[here], function(part) as.numeric(part$dims[[1]]), 0)
  if (length(unique(rows)) > 1) {
    abort(
      "bad_input", "All inputs must have the same number of rows.",
      stats::setNames(paste0(values$arg[here], " has ", format_count(rows), "."), rep("x", length(rows))),
      arg = "x"
    )
  }
  row_names <- Find(Negate(is.null), lapply(parts, `[[`, "row_names"))
  list(
    x = lapply(parts, `[[`, "x"), dims = lapply(parts, `[[`, "dims"),
    n = rows[[1]], row_names = row_names
  )
}

# One value per input, in the model's order, and how to speak of each.
match_inputs <- function(info, x) {
  specs <- info$inputs
  names <- vapply(specs, `[[`, "", "name")
  if (length(specs) == 1L) {
    return(match_one_input(specs[[1]], x))
  }
  if (is.data.frame(x) || is.list(x) && !is_python(x) && !is_sparse(x)) {
    keys <- names(x)
    if (is.null(keys) || !any(nzchar(keys))) {
      return(match_by_order(specs, names, x))
    }
    return(match_by_name(specs, names, x, keys))
  }
  abort(
    "bad_input",
    paste0("`x` must be a list of ", length(specs), " arrays, not ", describe_input(x), "."),
    c(i = paste0("The model's inputs are ", enumerate(names), ".")),
    arg = "x"
  )
}

match_one_input <- function(spec, x) {
  if (!is.list(x) || is.data.frame(x) || is_python(x) || is_sparse(x)) {
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
    if (is.list(item) && !is.data.frame(item) && !is_python(item) && !is_sparse(item)) {
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
    paste0("`x` must have ", wanted, if (wanted == 1) " array" else " arrays", ", not ", given, "."),
    c(i = paste0("The model's input", if (wanted == 1) " is " else "s are ", enumerate(names), ".")),
    arg = "x"
  )
}

abort_missing_inputs <- function(missing, keys, names) {
  keys <- keys[nzchar(keys)]
  abort(
    "bad_input",
    paste0("`x` must have the model's input", if (length(names) > 1) "s", " ", enumerate(names), "."),
    c(x = paste0("Missing: ", enumerate(missing), "."), i = paste0("Its names are ", enumerate(keys), ".")),
    arg = "x", missing = missing
  )
}

is_sparse <- function(x) {
  isS4(x) && inherits(x, "sparseMatrix")
}

is_column_input <- function(spec) {
  length(spec$shape) == 1 || length(spec$shape) == 2 && identical(spec$shape[[2]], 1L)
}

# One input: its value as the engine reads it and the shape the model sees.
as_input <- function(x, spec, arg) {
  if (is.null(x)) {
    if (spec$optional) {
      return(list())
    }
    abort("bad_input", paste0(arg, " must be an array, not NULL."), arg = arg)
  }
  if (is_python(x)) {
    x <- from_python(x, arg)
  }
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
  list(x = x, dims = conform(x, spec, arg), row_names = row_names)
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
    abort(
      "bad_input", paste0(arg, " must be numeric, not an integer64 vector."),
      c(i = "Convert it with as.numeric()."),
      arg = arg
    )
  }
  # is.numeric() knows the classes that only look like numbers, such as dates.
  if (is.numeric(x) || is.logical(x) || is.character(x)) {
    attributes(x) <- list(dim = dim(x))
    return(x)
  }
  abort_type(x, spec, arg)
}

check_type <- function(x, spec, arg) {
  text <- spec$dtype == "string"
  ok <- if (text) is.character(x) else is.numeric(x) || is.logical(x)
  if (!ok) abort_type(x, spec, arg)
}

abort_type <- function(x, spec, arg) {
  wanted <- if (spec$dtype == "string") "a character array" else "a numeric array"
  abort("bad_input", paste0(arg, " must be ", wanted, ", not ", describe_input(x), "."), arg = arg)
}

describe_input <- function(x) {
  describe(x)
}

# Doubles keep their NaN unless the input holds integers.
check_missing <- function(x, spec, arg) {
  if (is.double(x) && spec$float) {
    return(invisible())
  }
  n <- engine_count_na(x)
  if (n > 0) {
    kind <- switch(typeof(x), character = "NA", integer = "NA", logical = "NA", "NA or NaN")
    abort(
      "bad_input", paste0(arg, " must have no missing values."),
      c(
        x = paste0("There ", if (n == 1) "is 1 value that is " else paste("are", format_count(n), "values that are "), kind, "."),
        i = if (!is.character(x) && spec$float) "Only doubles can be missing: they stay NaN through the model."
      ),
      arg = arg, missing = n
    )
  }
}

# The shape the model sees: that of x, with a last axis of 1 added or dropped.
conform <- function(x, spec, arg) {
  shape <- dim(x)
  if (is.null(shape)) shape <- length(x)
  conform_shape(shape, spec, arg, plain = is.null(dim(x)))
}

conform_shape <- function(shape, spec, arg, plain = FALSE) {
  wanted <- spec$shape
  rank <- length(wanted)
  given <- shape
  if (length(shape) == rank - 1L && identical(wanted[[rank]], 1L)) {
    shape <- c(shape, 1L)
  } else if (length(shape) == rank + 1L && shape[[rank + 1L]] == 1L) {
    shape <- shape[seq_len(rank)]
  }
  fits <- length(shape) == rank && all(is.na(wanted[-1L]) | shape[-1L] == wanted[-1L])
  if (!fits) {
    abort(
      "bad_input",
      paste0(
        arg, " must have the shape ", show_shape(replace(wanted, 1, NA)), ", not ",
        show_shape(given), "."
      ),
      if (plain && rank > 1) {
        c(i = paste0(
          "It is a vector of length ", format_count(given),
          ": give its rows and columns with matrix() or array()."
        ))
      },
      arg = arg, expected = wanted, given = given
    )
  }
  shape
}

# A data frame as the matrix of one input; its columns are read where they are.
data_frame_input <- function(x, spec, arg) {
  if (ncol(x) == 1 && is_column_input(spec)) {
    part <- as_input(x[[1]], spec, paste0(arg, "[[1]]"))
    part$row_names <- data_frame_names(x)
    return(part)
  }
  bad <- !vapply(x, function(column) {
    (is.numeric(column) || is.logical(column)) && !inherits(column, "integer64") && is.null(dim(column))
  }, NA)
  if (spec$dtype == "string") {
    bad <- !vapply(x, function(column) is.character(column) || is.factor(column), NA)
  }
  if (any(bad)) {
    kinds <- vapply(x[bad], function(column) class(column)[[1]], "")
    wanted <- if (spec$dtype == "string") "character" else "numeric"
    abort(
      "bad_input", paste0("All columns of ", arg, " must be ", wanted, "."),
      stats::setNames(
        c(
          paste0("`", utils::head(names(x)[bad], 5), "` is <", utils::head(kinds, 5), ">"),
          if (sum(bad) > 5) paste("and", sum(bad) - 5, "more")
        ),
        rep("x", min(6, sum(bad)))
      ),
      arg = arg, columns = names(x)[bad]
    )
  }
  shape <- conform_shape(dim(x), spec, arg)
  if (spec$dtype == "string") {
    x <- as.matrix(x)
    check_missing(x, spec, arg)
    return(list(x = x, dims = shape, row_names = NULL))
  }
  columns <- lapply(x, as.vector)
  for (name in names(columns)) {
    check_missing(columns[[name]], spec, paste0(sub("`$", "", arg), "$", name, "`"))
  }
  if (length(shape) != 2) {
    columns <- as.matrix(x)
    dimnames(columns) <- NULL
  }
  list(x = unname(columns), dims = shape, row_names = data_frame_names(x))
}

# Row names that someone gave, not the automatic ones.
data_frame_names <- function(x) {
  if (.row_names_info(x) > 0) attr(x, "row.names")
}

# A sparse matrix of the package Matrix, as its slots; the engine fills in the
# zeros of one batch at a time.
sparse_input <- function(x, spec, arg) {
  if (!requireNamespace("Matrix", quietly = TRUE)) {
    abort("missing_package", "The package Matrix is needed for sparse matrices.")
  }
  if (spec$dtype == "string") abort_type(x, spec, arg)
  shape <- dim(x)
  row_names <- dimnames(x)[[1]]
  if (!(inherits(x, "dgCMatrix") || inherits(x, "lgCMatrix") || inherits(x, "ngCMatrix"))) {
    x <- methods::as(methods::as(x, "CsparseMatrix"), "generalMatrix")
  }
  values <- if (methods::.hasSlot(x, "x")) methods::slot(x, "x")
  if (!is.null(values)) check_missing(values, spec, arg)
  dims <- conform_shape(shape, spec, arg)
  if (length(dims) != 2) {
    return(as_input(as.matrix(x), spec, arg))
  }
  slots <- list(methods::slot(x, "p"), methods::slot(x, "i"), values)
  list(x = structure(slots, class = "keraspredict_sparse"), dims = dims, row_names = row_names)
}

# Adds the masks of model(x, mask = ): one logical array, or a list of one (or
# NULL) for each input.
add_masks <- function(self, input, mask) {
  specs <- self$info$inputs
  if (!is.list(mask)) mask <- list(mask)
  if (length(mask) != length(specs)) {
    abort(
      "bad_input",
      paste0("`mask` must have ", length(specs), if (length(specs) == 1) " array" else " arrays", ", not ", length(mask), "."),
      arg = "mask"
    )
  }
  arg <- if (length(mask) == 1) "`mask`" else paste0("`mask[[", seq_along(mask), "]]`")
  dims <- vector("list", length(mask))
  for (i in seq_along(mask)) {
    if (is.null(mask[[i]])) next
    if (is_python(mask[[i]])) mask[[i]] <- from_python(mask[[i]], arg[[i]])
    if (!(is.logical(mask[[i]]) || is.numeric(mask[[i]]))) {
      abort("bad_input", paste0(arg[[i]], " must be a logical array, not ", describe(mask[[i]]), "."), arg = "mask")
    }
    check_missing(mask[[i]], list(float = FALSE), arg[[i]])
    shape <- dim(mask[[i]])
    if (is.null(shape)) shape <- length(mask[[i]])
    wanted <- input$dims[[i]]
    if (length(shape) > length(wanted) || any(shape != wanted[seq_along(shape)])) {
      abort(
        "bad_input",
        paste0(arg[[i]], " must have the first axes of `x`, which has the shape ", show_shape(wanted), ", not ", show_shape(shape), "."),
        arg = "mask"
      )
    }
    dims[[i]] <- shape
  }
  input$x <- c(input$x, mask)
  input$dims <- c(input$dims, dims)
  input
}
