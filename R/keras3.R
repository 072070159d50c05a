#' Other functions of scoring scripts
#'
#' @description Scripts that were written for keras3 may set up a session before
#' they predict. These functions let them run as they are. Here there is nothing
#' to set up, no session, and no training.
#'
#' * `use_backend()`, `clear_session()`, `install_keras()` do nothing, and
#'   `is_keras_available()` is `TRUE`. `use_python()`, `use_virtualenv()` and
#'   `use_condaenv()` are those of the package reticulate as soon as it is loaded;
#'   until then they do nothing.
#' * `config_backend()`, `config_floatx()`, `config_epsilon()` and
#'   `config_image_data_format()` tell what holds here. Setting them is accepted
#'   where a loaded model doesn't ask for it; `config_set_image_data_format()` is the
#'   default of [image_to_array()].
#' * `set_random_seed()` is [set.seed()].
#' * `compile()` gives the model as it is.
#' * `evaluate()`, `test_on_batch()`, `fit()` and `train_on_batch()` are errors: the
#'   engine knows neither losses nor metrics and doesn't train.
#' * `keras$name` is an error: it is a part of Keras in Python.
#' * `as_tensor()`, `op_convert_to_tensor()`, `op_convert_to_numpy()`,
#'   `np_array()` and `keras_array()` give `x` as an array of R, as numbers of the
#'   given type. `op_softmax()`, `op_sigmoid()`, `op_argmax()`, `op_mean()`,
#'   `op_sum()`, `op_max()`, `op_min()`, `op_cast()`, `op_reshape()`,
#'   `op_expand_dims()`, `op_squeeze()`, `op_concatenate()`, `op_ones()` and
#'   `op_zeros()` do for arrays what they do for tensors.
#'
#' @param backend,gpu,version,... Not used, but for what is passed on to
#'   reticulate.
#' @param value What is set.
#' @param seed A number.
#' @param object A model, see [load_model()].
#' @param x A vector or an array, such as a prediction.
#' @param dtype `NULL`, or the name of a type, such as `"float32"` or `"int32"`.
#'   Integers are truncated, and single precision is not simulated.
#' @param shape,newshape `NULL`, or the shape to give the array: see
#'   [array_reshape()].
#' @param xs A list of arrays.
#' @param sparse,order Not used.
#' @param axis The axis that is reduced, made, dropped or joined, counted from 1, or
#'   from the end where it is negative; for `op_mean()` and the like also several.
#'   `NULL` is all of them: `op_argmax()` takes the array as one vector in Keras' order,
#'   and `op_squeeze()` drops all axes of size 1.
#' @param keepdims Whether the axis stays, with size 1.
#' @param zero_indexed Whether positions count from 0.
#' @returns `op_argmax()`: an array of integers. The other `op_` functions: an array.
#'   The rest: see above.
#' @name keras3
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' p <- predict(model, as.matrix(iris[c(1, 51, 101), 1:4]), verbose = 0)
#' op_argmax(p, axis = -1)
NULL

#' @rdname keras3
#' @export
use_backend <- function(backend, gpu = NA) {
  invisible()
}

#' @rdname keras3
#' @export
clear_session <- function() {
  invisible()
}

#' @rdname keras3
#' @export
use_python <- function(...) use_of_reticulate("use_python", ...)

#' @rdname keras3
#' @export
use_virtualenv <- function(...) use_of_reticulate("use_virtualenv", ...)

#' @rdname keras3
#' @export
use_condaenv <- function(...) use_of_reticulate("use_condaenv", ...)

# Python is of interest only to those who use it beside, now or later.
use_of_reticulate <- function(name, ...) {
  arguments <- list(...)
  on_package_load("reticulate", function() {
    do.call(getExportedValue("reticulate", name), arguments)
  })
  invisible()
}

#' @rdname keras3
#' @export
config_backend <- function() "keraspredict"

#' @rdname keras3
#' @export
config_floatx <- function() "float32"

#' @rdname keras3
#' @export
config_set_floatx <- function(value) invisible()

#' @rdname keras3
#' @export
config_epsilon <- function() 1e-7

#' @rdname keras3
#' @export
config_set_epsilon <- function(value) invisible()

#' @rdname keras3
#' @export
config_image_data_format <- function() {
  if (is.null(the$image_data_format)) "channels_last" else the$image_data_format
}

#' @rdname keras3
#' @export
config_set_image_data_format <- function(value) {
  check_choice(value, "value", c("channels_last", "channels_first"))
  the$image_data_format <- value
  invisible()
}

#' @rdname keras3
#' @export
install_keras <- function(...) {
  message("keraspredict needs no Keras: there is nothing to install.")
  invisible()
}

#' @rdname keras3
#' @export
is_keras_available <- function(version = NULL) {
  TRUE
}

#' @rdname keras3
#' @export
set_random_seed <- function(seed) {
  set.seed(seed)
}

#' @rdname keras3
#' @export
compile <- function(object, ...) {
  if (!inherits(object, "keraspredict_model")) {
    return(pass_on("compile", object, ...))
  }
  invisible(object)
}

#' @rdname keras3
#' @export
evaluate <- function(object, ...) {
  if (!inherits(object, "keraspredict_model")) {
    return(pass_on("evaluate", object, ...))
  }
  abort_evaluate()
}

#' @rdname keras3
#' @export
test_on_batch <- function(object, ...) {
  check_model(object, "object")
  abort_evaluate()
}

abort_evaluate <- function() {
  abort(
    "not_here",
    "Can't evaluate a model: it knows neither losses nor metrics here.",
    c(i = "Compute them from `predict()`, or evaluate the model with keras3.")
  )
}

#' @rdname keras3
#' @export
fit <- function(object, ...) {
  if (!inherits(object, "keraspredict_model")) {
    return(pass_on("fit", object, ...))
  }
  abort_fit()
}

#' @rdname keras3
#' @export
train_on_batch <- function(object, ...) {
  check_model(object, "object")
  abort_fit()
}

abort_fit <- function() {
  abort(
    "not_here",
    "Can't train a model: the models of this package predict.",
    c(i = "Train it with keras3, and load what `save_model()` writes there.")
  )
}

# To the generic of the same name in the package generics, which has the methods
# of other packages.
pass_on <- function(name, object, ...) {
  if (!requireNamespace("generics", quietly = TRUE)) {
    check_model(object, "object")
  }
  getExportedValue("generics", name)(object, ...)
}

#' @rdname keras3
#' @format NULL
#' @export
keras <- structure(list(), class = "keraspredict_keras")

#' @export
`$.keraspredict_keras` <- function(x, name) {
  abort(
    "not_here",
    paste0(
      "`keras$",
      name,
      "` is a part of Keras in Python, which isn't used here."
    ),
    c(
      i = "Is there a function of this name? `library(help = \"keraspredict\")` lists them."
    )
  )
}

#' @export
`[[.keraspredict_keras` <- function(x, name) {
  `$.keraspredict_keras`(x, name)
}

#' @export
print.keraspredict_keras <- function(x, ...) {
  cat("<Keras in Python: not used by keraspredict>\n")
  invisible(x)
}

#' @rdname keras3
#' @export
as_tensor <- function(x, dtype = NULL, shape = NULL) {
  x <- plain_array(x, dtype)
  if (is.null(shape)) x else array_reshape(x, shape)
}

#' @rdname keras3
#' @export
op_convert_to_tensor <- function(x, dtype = NULL, sparse = NULL) {
  plain_array(x, dtype)
}

#' @rdname keras3
#' @export
op_convert_to_numpy <- function(x) {
  plain_array(x)
}

#' @rdname keras3
#' @export
np_array <- function(x, dtype = NULL, order = "C") {
  plain_array(x, dtype)
}

#' @rdname keras3
#' @export
keras_array <- function(x, dtype = NULL) {
  plain_array(x, dtype)
}

# A value as a plain array, also one that lives in Python.
plain_array <- function(x, dtype = NULL) {
  if (is.list(x) && !is.object(x)) {
    return(lapply(x, plain_array, dtype))
  }
  x <- unwrap(x, "`x`")
  if (is.data.frame(x)) {
    x <- as.matrix(x)
  }
  if (!is.atomic(x)) {
    abort(
      "bad_argument",
      paste0("`x` must be a vector or an array, not ", describe(x), "."),
      arg = "x"
    )
  }
  if (is.null(dtype)) {
    return(x)
  }
  check_text(dtype, "dtype", "the name of a type")
  mode <- if (grepl("^u?int(8|16|32)$", dtype)) {
    "integer"
  } else if (grepl("^u?int64$", dtype)) {
    x <- trunc(x)
    "double"
  } else if (grepl("^b?float(16|32|64)$", dtype)) {
    "double"
  } else if (dtype == "bool") {
    "logical"
  } else if (dtype == "string") {
    "character"
  } else {
    abort(
      "bad_argument",
      paste0("`dtype` must be the name of a type, not \"", dtype, "\"."),
      c(i = "Such as float32, int32, bool or string."),
      arg = "dtype"
    )
  }
  storage.mode(x) <- mode
  x
}

#' @rdname keras3
#' @export
op_sigmoid <- function(x) {
  x <- plain_array(x)
  shape <- dim(x)
  y <- stats::plogis(x)
  dim(y) <- shape
  y
}

#' @rdname keras3
#' @export
op_softmax <- function(x, axis = -1L) {
  x <- plain_array(x)
  axis <- check_axis(x, axis)
  along <- seq_along(array_dim(x))[-axis]
  if (length(along) == 0) {
    y <- exp(x - max(x))
    return(y / sum(y))
  }
  y <- exp(sweep(x, along, apply(x, along, max)))
  sweep(y, along, apply(y, along, sum), `/`)
}

#' @rdname keras3
#' @export
op_argmax <- function(x, axis = NULL, keepdims = FALSE, zero_indexed = FALSE) {
  x <- plain_array(x)
  check_flag(keepdims, "keepdims")
  check_flag(zero_indexed, "zero_indexed")
  shape <- array_dim(x)
  if (is.null(axis)) {
    # The first of equal ones counts in Keras' order, which is row-major.
    at <- which.max(if (length(shape) > 1) aperm(x) else x) - zero_indexed
    return(if (keepdims) array(at, rep(1L, length(shape))) else at)
  }
  axis <- check_axis(x, axis)
  along <- seq_along(shape)[-axis]
  if (length(along) == 0) {
    at <- which.max(x) - zero_indexed
    return(if (keepdims) array(at, 1L) else at)
  }
  at <- apply(x, along, which.max) - zero_indexed
  storage.mode(at) <- "integer"
  array(at, if (keepdims) replace(shape, axis, 1L) else shape[along])
}

# What `f` makes of the values along axes (NULL is all).
reduce_axes <- function(x, axis, keepdims, f) {
  x <- plain_array(x)
  check_flag(keepdims, "keepdims")
  shape <- array_dim(x)
  axis <- if (is.null(axis)) {
    seq_along(shape)
  } else {
    unique(vapply(axis, function(a) check_axis(x, a), 0L))
  }
  rest <- setdiff(seq_along(shape), axis)
  y <- if (length(rest)) apply(array(x, shape), rest, f) else f(x)
  if (keepdims) {
    array(y, replace(shape, axis, 1L))
  } else if (length(rest)) {
    array(y, shape[rest])
  } else {
    y
  }
}

#' @rdname keras3
#' @export
op_mean <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, mean)
}

#' @rdname keras3
#' @export
op_sum <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, sum)
}

#' @rdname keras3
#' @export
op_max <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, max)
}

#' @rdname keras3
#' @export
op_min <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, min)
}

#' @rdname keras3
#' @export
op_ones <- function(shape, dtype = NULL) {
  plain_array(array(1, unlist(shape)), dtype)
}

#' @rdname keras3
#' @export
op_zeros <- function(shape, dtype = NULL) {
  plain_array(array(0, unlist(shape)), dtype)
}

#' @rdname keras3
#' @export
op_cast <- function(x, dtype) {
  plain_array(x, dtype)
}

#' @rdname keras3
#' @export
op_reshape <- function(x, newshape) {
  array_reshape(x, newshape)
}

#' @rdname keras3
#' @export
op_expand_dims <- function(x, axis) {
  x <- plain_array(x)
  shape <- array_dim(x)
  axis <- check_axis_of(length(shape) + 1L, axis)
  array(x, append(shape, 1L, axis - 1L))
}

#' @rdname keras3
#' @export
op_squeeze <- function(x, axis = NULL) {
  x <- plain_array(x)
  shape <- array_dim(x)
  axis <- if (is.null(axis)) which(shape == 1) else check_axis(x, axis)
  if (any(shape[axis] != 1)) {
    abort(
      "bad_argument",
      "`axis` must be an axis of size 1.",
      c(
        x = paste0(
          "Axis ",
          axis,
          " of ",
          show_shape(shape),
          " has the size ",
          shape[[axis]],
          "."
        )
      ),
      arg = "axis"
    )
  }
  rest <- setdiff(seq_along(shape), axis)
  if (length(rest)) array(x, shape[rest]) else as.vector(x)
}

#' @rdname keras3
#' @export
op_concatenate <- function(xs, axis = 1) {
  xs <- lapply(xs, plain_array)
  shapes <- lapply(xs, array_dim)
  if (length(xs) == 0) {
    abort(
      "bad_argument",
      "`xs` must be a list of arrays, not empty.",
      arg = "xs"
    )
  }
  axis <- check_axis(xs[[1]], axis)
  others <- unique(lapply(shapes, `[`, -axis))
  if (length(others) > 1) {
    abort(
      "bad_argument",
      "The arrays of `xs` must have the same shape, but for `axis`.",
      c(
        x = paste0(
          "They have ",
          enumerate(vapply(shapes, show_shape, ""), ""),
          "."
        )
      ),
      arg = "xs"
    )
  }
  # The joined axis comes last, where arrays follow each other in memory.
  rank <- length(shapes[[1]])
  order <- c(seq_len(rank)[-axis], axis)
  parts <- Map(function(x, shape) aperm(array(x, shape), order), xs, shapes)
  size <- sum(vapply(shapes, `[[`, 0L, axis))
  aperm(array(unlist(parts), c(others[[1]], size)), order(order))
}

array_dim <- function(x) {
  if (is.null(dim(x))) length(x) else dim(x)
}

# An axis counted from 1, or from the end where it is negative.
check_axis <- function(x, axis) {
  check_axis_of(length(array_dim(x)), axis)
}

check_axis_of <- function(rank, axis) {
  ok <- is.numeric(axis) &&
    length(axis) == 1 &&
    axis %in% c(-seq_len(rank), seq_len(rank))
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`axis` must be a whole number from 1 to ",
        rank,
        " or from -1 to -",
        rank,
        ", not ",
        show_value(axis),
        "."
      ),
      arg = "axis"
    )
  }
  if (axis < 0) rank + 1L + as.integer(axis) else as.integer(axis)
}

#' Another shape for an array, in the order of Keras
#'
#' R's `dim<-` fills arrays with the first axis changing fastest, Keras and Python
#' with the last. `array_reshape()` gives an array another shape as they do.
#'
#' @param x An array or vector.
#' @param dim The new dims. One of them may be -1 or `NA`: what is left.
#' @param order `"C"`, the order of Keras; `"F"` is that of R.
#' @returns An array.
#' @export
#' @examples
#' x <- array_reshape(1:6, c(2, 3))
#' x
#' array_reshape(x, c(3, -1))
array_reshape <- function(x, dim, order = c("C", "F")) {
  x <- plain_array(x)
  order <- order[[1]]
  check_choice(order, "order", c("C", "F"))
  n <- length(x)
  if (is.list(dim)) {
    dim <- unlist(lapply(dim, function(d) if (is.null(d)) NA else d))
  }
  if (!(is.numeric(dim) || is.logical(dim)) || length(dim) == 0) {
    abort(
      "bad_argument",
      paste0("`dim` must be numbers, not ", show_value(dim), "."),
      arg = "dim"
    )
  }
  open <- is.na(dim) | dim == -1
  known <- prod(dim[!open])
  ok <- sum(open) <= 1 &&
    all(dim[!open] >= 0 & dim[!open] == round(dim[!open])) &&
    (if (any(open)) known > 0 && n %% known == 0 else known == n)
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`dim` must be the dims of an array of ",
        format_count(n),
        " values, not ",
        show_shape(replace(dim, open, -1)),
        "."
      ),
      c(i = "One of them may be -1: what is left."),
      arg = "dim"
    )
  }
  dim[open] <- n / known
  if (order == "F") {
    return(array(x, dim))
  }
  rows <- if (length(base::dim(x)) > 1) aperm(x) else x
  if (length(dim) == 1) array(rows, dim) else aperm(array(rows, rev(dim)))
}

#' Pipe, and assign several results
#'
#' Operators that keras3 passes on from the packages magrittr and zeallot.
#'
#' `x %>% f(y)` is `f(x, y)`, or puts `x` where there is a dot: `x %>% f(y, .)`. It
#' is magrittr's where that is installed. `c(a, b) %<-% x` assigns the elements of
#' a list.
#'
#' @param lhs,rhs A value and a call; `x` and `value`: names in `c()` and a list.
#' @param x,value Names in `c()`, and a list of as many values.
#' @returns The result of the call; for `%<-%` the value, invisibly.
#' @name pipe
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' model %>% predict(as.matrix(iris[1:2, 1:4]), verbose = 0)
#'
#' c(a, b) %<-% list(1, "two")
NULL

#' @rdname pipe
#' @export
`%>%` <- function(lhs, rhs) {
  caller <- parent.frame()
  lhs <- substitute(lhs)
  rhs <- substitute(rhs)
  if (requireNamespace("magrittr", quietly = TRUE)) {
    return(eval(as.call(list(magrittr::`%>%`, lhs, rhs)), caller))
  }
  pipe(lhs, rhs, caller)
}

pipe <- function(lhs, rhs, caller) {
  frame <- new.env(parent = caller)
  frame$. <- eval(lhs, caller)
  is_function <- !is.call(rhs) ||
    as.character(rhs[[1]])[[1]] %in% c("::", ":::", "$", "(", "function")
  if (is_function) {
    rhs <- as.call(list(rhs, quote(.)))
  } else if (!identical(rhs[[1]], quote(`{`))) {
    dots <- vapply(as.list(rhs)[-1], identical, NA, quote(.))
    if (!any(dots)) {
      rhs <- as.call(append(as.list(rhs), quote(.), 1))
    }
  }
  eval(rhs, frame)
}

#' @rdname pipe
#' @export
`%<-%` <- function(x, value) {
  caller <- parent.frame()
  names <- substitute(x)
  assign_all(names, value, caller)
}

assign_all <- function(names, value, caller) {
  wanted <- as.list(names)
  ok <- is.call(names) &&
    identical(wanted[[1]], quote(c)) &&
    all(vapply(wanted[-1], is.symbol, NA))
  if (is.symbol(names)) {
    assign(as.character(names), value, envir = caller)
    return(invisible(value))
  }
  if (!ok || length(wanted) - 1 != length(value)) {
    abort(
      "bad_argument",
      paste0(
        "`%<-%` must have as many names in `c()` as there are values: ",
        length(value),
        "."
      )
    )
  }
  for (i in seq_along(value)) {
    assign(as.character(wanted[[i + 1]]), value[[i]], envir = caller)
  }
  invisible(value)
}
