#' Operations on arrays
#'
#' Operations that scripts of keras3 apply to predictions, for arrays of R. They go
#' by Keras' rules: arrays of different shapes are repeated along axes of size 1
#' and along axes that are missing at the front, where R would go by the length.
#'
#' * Of each value: `op_abs()`, `op_exp()`, `op_expm1()`, `op_log()`,
#'   `op_log1p()`, `op_sqrt()`, `op_rsqrt()`, `op_square()`, `op_sign()`,
#'   `op_negative()`, `op_round()`, `op_floor()`, `op_ceil()`, `op_tanh()`,
#'   `op_relu()`, `op_isnan()`, `op_isfinite()`, `op_logical_not()`, `op_clip()`.
#' * Of two arrays: `op_add()`, `op_subtract()`, `op_multiply()`, `op_divide()`,
#'   `op_mod()`, `op_power()`, `op_maximum()`, `op_minimum()`, `op_equal()`,
#'   `op_not_equal()`, `op_greater()`, `op_greater_equal()`, `op_less()`,
#'   `op_less_equal()`, `op_logical_and()`, `op_logical_or()`, `op_where()`,
#'   `op_matmul()`.
#' * Along axes: `op_std()`, `op_var()`, `op_prod()`, `op_all()`, `op_any()`,
#'   `op_norm()`, `op_logsumexp()`, `op_log_softmax()`, `op_cumsum()`,
#'   `op_argmin()`, `op_sort()`, `op_argsort()`, `op_top_k()`, `op_normalize()`,
#'   `op_flip()`.
#' * Of form: `op_transpose()`, `op_stack()`, `op_one_hot()`, `op_take()`,
#'   `op_shape()`, `op_ndim()`, `op_size()`, `op_arange()`, `op_full()`.
#'
#' `op_argmax()` and others that are most used have the page [keras3].
#'
#' @param x,x1,x2 Arrays or vectors, such as predictions.
#' @param decimals How many digits stay behind the point.
#' @param x_min,x_max The least and the greatest value that stays.
#' @param condition An array of logical values: `x1` where it is true, else `x2`.
#' @param axis An axis, counted from 1, or from the end where it is negative; where
#'   several are reduced, also more than one, and `NULL` is all of them.
#' @param keepdims Whether axes that are reduced stay, with size 1.
#' @param ord,order The norm: 1, 2 or `Inf`; `NULL` is 2.
#' @param epsilon What norms are at least, before they divide.
#' @param k How many of the greatest values of the last axis are given.
#' @param sorted Not used: they are always sorted.
#' @param zero_indexed Whether positions count from 0.
#' @param axes The axes in their new order; `NULL` reverses them.
#' @param num_classes The number of classes; may be left out for a factor.
#' @param dtype `NULL`, or the name of a type: see [as_tensor()].
#' @param sparse Not used.
#' @param indices Positions, counted from 1; from the end where they are negative.
#' @param start,stop,step The first number (0 if only one of both is given), the one
#'   before which it ends, and the distance.
#' @param shape The size of each axis.
#' @param fill_value The value of each element.
#' @returns An array; `op_top_k()`: `list(values, indices)`; `op_ndim()` and
#'   `op_size()`: a number; `op_shape()`: whole numbers.
#' @name ops
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' p <- predict(model, as.matrix(iris[c(1, 51, 101), 1:4]), verbose = 0)
#' op_top_k(p, 2)
#' op_round(op_multiply(p, c(1, 10, 100)), 2)
NULL

# Of each value, with the dims of x.
each_value <- function(x, f) {
  x <- plain_array(x)
  shape <- dim(x)
  y <- f(as.vector(x))
  dim(y) <- shape
  y
}

#' @rdname ops
#' @export
op_abs <- function(x) each_value(x, abs)

#' @rdname ops
#' @export
op_exp <- function(x) each_value(x, exp)

#' @rdname ops
#' @export
op_expm1 <- function(x) each_value(x, expm1)

#' @rdname ops
#' @export
op_log <- function(x) each_value(x, quiet(log))

#' @rdname ops
#' @export
op_log1p <- function(x) each_value(x, quiet(log1p))

#' @rdname ops
#' @export
op_sqrt <- function(x) each_value(x, quiet(sqrt))

#' @rdname ops
#' @export
op_rsqrt <- function(x) each_value(x, quiet(function(x) 1 / sqrt(x)))

#' @rdname ops
#' @export
op_square <- function(x) each_value(x, function(x) x * x)

#' @rdname ops
#' @export
op_sign <- function(x) each_value(x, sign)

#' @rdname ops
#' @export
op_negative <- function(x) each_value(x, `-`)

#' @rdname ops
#' @export
op_round <- function(x, decimals = 0L) {
  each_value(x, function(x) round(x, decimals))
}

#' @rdname ops
#' @export
op_floor <- function(x) each_value(x, floor)

#' @rdname ops
#' @export
op_ceil <- function(x) each_value(x, ceiling)

#' @rdname ops
#' @export
op_tanh <- function(x) each_value(x, tanh)

#' @rdname ops
#' @export
op_relu <- function(x) each_value(x, function(x) pmax(x, 0))

#' @rdname ops
#' @export
op_isnan <- function(x) each_value(x, is.na)

#' @rdname ops
#' @export
op_isfinite <- function(x) each_value(x, is.finite)

#' @rdname ops
#' @export
op_logical_not <- function(x) each_value(x, `!`)

#' @rdname ops
#' @export
op_clip <- function(x, x_min, x_max) op_minimum(op_maximum(x, x_min), x_max)

# Without R's warnings about NaN, which Keras gives too.
quiet <- function(f) function(x) suppressWarnings(f(x))

# Of arrays that are brought to one shape.
broadcast <- function(..., f) {
  arrays <- lapply(list(...), plain_array)
  shapes <- lapply(arrays, shape_in_keras)
  shape <- Reduce(common_shape, shapes)
  shaped(do.call(f, unname(Map(spread, arrays, shapes, list(shape)))), shape)
}

# Vectors of one value have no axes in Keras.
shape_in_keras <- function(x) {
  if (is.null(dim(x)) && length(x) == 1) integer() else array_dim(x)
}

shaped <- function(x, shape) {
  if (length(shape)) array(x, shape) else as.vector(x)
}

common_shape <- function(a, b) {
  rank <- max(length(a), length(b))
  at <- function(shape) c(rep(1L, rank - length(shape)), shape)
  long <- pmax(at(a), at(b)) * (at(a) > 0 & at(b) > 0)
  fits <- (at(a) == long | at(a) == 1) & (at(b) == long | at(b) == 1)
  if (!all(fits)) {
    abort(
      "bad_argument",
      "The arrays must have shapes that fit together.",
      c(
        x = paste0("They have ", show_shape(a), " and ", show_shape(b), "."),
        i = "Axes count from the end, and of two sizes one may be 1."
      ),
      arg = "x2"
    )
  }
  as.integer(long)
}

# An array repeated to a shape of at least its rank.
spread <- function(x, from, to) {
  from <- c(rep(1L, length(to) - length(from)), from)
  if (all(from == to)) {
    return(as.vector(x))
  }
  at <- Map(function(had, has) if (had == has) seq_len(has) else rep(1L, has), from, to)
  as.vector(do.call(`[`, c(list(array(x, from)), unname(at), list(drop = FALSE))))
}

#' @rdname ops
#' @export
op_add <- function(x1, x2) broadcast(x1, x2, f = `+`)

#' @rdname ops
#' @export
op_subtract <- function(x1, x2) broadcast(x1, x2, f = `-`)

#' @rdname ops
#' @export
op_multiply <- function(x1, x2) broadcast(x1, x2, f = `*`)

#' @rdname ops
#' @export
op_divide <- function(x1, x2) broadcast(x1, x2, f = `/`)

#' @rdname ops
#' @export
op_mod <- function(x1, x2) broadcast(x1, x2, f = `%%`)

#' @rdname ops
#' @export
op_power <- function(x1, x2) broadcast(x1, x2, f = `^`)

#' @rdname ops
#' @export
op_maximum <- function(x1, x2) broadcast(x1, x2, f = pmax)

#' @rdname ops
#' @export
op_minimum <- function(x1, x2) broadcast(x1, x2, f = pmin)

#' @rdname ops
#' @export
op_equal <- function(x1, x2) broadcast(x1, x2, f = `==`)

#' @rdname ops
#' @export
op_not_equal <- function(x1, x2) broadcast(x1, x2, f = `!=`)

#' @rdname ops
#' @export
op_greater <- function(x1, x2) broadcast(x1, x2, f = `>`)

#' @rdname ops
#' @export
op_greater_equal <- function(x1, x2) broadcast(x1, x2, f = `>=`)

#' @rdname ops
#' @export
op_less <- function(x1, x2) broadcast(x1, x2, f = `<`)

#' @rdname ops
#' @export
op_less_equal <- function(x1, x2) broadcast(x1, x2, f = `<=`)

#' @rdname ops
#' @export
op_logical_and <- function(x1, x2) broadcast(x1, x2, f = `&`)

#' @rdname ops
#' @export
op_logical_or <- function(x1, x2) broadcast(x1, x2, f = `|`)

#' @rdname ops
#' @export
op_where <- function(condition, x1, x2) {
  broadcast(condition, x1, x2, f = function(condition, x1, x2) {
    ifelse(as.logical(condition), x1, x2)
  })
}

#' @rdname ops
#' @export
op_matmul <- function(x1, x2) {
  x1 <- plain_array(x1)
  x2 <- plain_array(x2)
  for (x in list(x1, x2)) {
    if (length(array_dim(x)) > 2) {
      abort(
        "bad_argument",
        paste0(
          "`op_matmul()` takes matrices and vectors, not an array of shape ",
          show_shape(dim(x)),
          "."
        ),
        arg = "x1"
      )
    }
  }
  rows <- if (length(array_dim(x1)) == 1) matrix(x1, 1) else x1
  columns <- if (length(array_dim(x2)) == 1) matrix(x2) else x2
  if (ncol(rows) != nrow(columns)) {
    abort(
      "bad_argument",
      paste0(
        "The last axis of `x1` must have the size of the first of `x2`: ",
        show_shape(array_dim(x1)),
        " and ",
        show_shape(array_dim(x2)),
        "."
      ),
      arg = "x2"
    )
  }
  y <- unname(rows %*% columns)
  shape <- c(
    if (length(array_dim(x1)) == 2) nrow(rows),
    if (length(array_dim(x2)) == 2) ncol(columns)
  )
  shaped(y, shape)
}

# What `f` makes of each line of values along an axis, which stays: of as many.
along_axis <- function(x, axis, f) {
  x <- plain_array(x)
  shape <- array_dim(x)
  axis <- check_axis(x, axis)
  order <- c(axis, seq_along(shape)[-axis])
  lines <- matrix(aperm(array(x, shape), order), shape[[axis]])
  y <- if (ncol(lines)) apply(lines, 2, f) else x[0]
  size <- if (ncol(lines)) length(y) / ncol(lines) else length(f(numeric(shape[[axis]])))
  aperm(array(y, c(size, shape[-axis])), order(order))
}

#' @rdname ops
#' @export
op_var <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, function(x) mean((x - mean(x))^2))
}

#' @rdname ops
#' @export
op_std <- function(x, axis = NULL, keepdims = FALSE) {
  sqrt(op_var(x, axis, keepdims))
}

#' @rdname ops
#' @export
op_prod <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, prod)
}

#' @rdname ops
#' @export
op_all <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, function(x) all(as.logical(x)))
}

#' @rdname ops
#' @export
op_any <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, function(x) any(as.logical(x)))
}

#' @rdname ops
#' @export
op_logsumexp <- function(x, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, log_sum_exp)
}

log_sum_exp <- function(x) {
  most <- max(x)
  if (is.finite(most)) most + log(sum(exp(x - most))) else most
}

#' @rdname ops
#' @export
op_norm <- function(x, ord = NULL, axis = NULL, keepdims = FALSE) {
  reduce_axes(x, axis, keepdims, norm_of(ord, "ord"))
}

norm_of <- function(ord, arg) {
  is <- function(n) is.numeric(ord) && identical(as.numeric(ord), n)
  if (is.null(ord) || is(2)) {
    return(function(x) sqrt(sum(x^2)))
  }
  if (is(1)) {
    return(function(x) sum(abs(x)))
  }
  if (is(Inf)) {
    return(function(x) max(abs(x)))
  }
  abort(
    "bad_argument",
    paste0("`", arg, "` must be NULL, 1, 2 or Inf, not ", show_value(ord), "."),
    arg = arg
  )
}

#' @rdname ops
#' @export
op_normalize <- function(x, axis = -1L, order = 2L, epsilon = 1e-12) {
  norm <- norm_of(order, "order")
  along_axis(x, axis, function(x) x / max(norm(x), epsilon))
}

#' @rdname ops
#' @export
op_log_softmax <- function(x, axis = -1L) {
  along_axis(x, axis, function(x) x - log_sum_exp(x))
}

#' @rdname ops
#' @export
op_cumsum <- function(x, axis = NULL) {
  if (is.null(axis)) {
    return(array(cumsum(op_ravel(x))))
  }
  along_axis(x, axis, cumsum)
}

# All values in Keras' order, which is row-major.
op_ravel <- function(x) {
  x <- plain_array(x)
  as.vector(if (length(dim(x)) > 1) aperm(x) else x)
}

#' @rdname ops
#' @export
op_argmin <- function(x, axis = NULL, keepdims = FALSE, zero_indexed = FALSE) {
  op_argmax(op_negative(x), axis, keepdims, zero_indexed)
}

#' @rdname ops
#' @export
op_sort <- function(x, axis = -1L) {
  along_axis(x, axis, function(x) sort(x, na.last = TRUE))
}

#' @rdname ops
#' @export
op_argsort <- function(x, axis = -1L, zero_indexed = FALSE) {
  check_flag(zero_indexed, "zero_indexed")
  along_axis(x, axis, function(x) order(x) - zero_indexed)
}

#' @rdname ops
#' @export
op_top_k <- function(x, k, sorted = TRUE, zero_indexed = FALSE) {
  x <- plain_array(x)
  check_flag(zero_indexed, "zero_indexed")
  last <- utils::tail(array_dim(x), 1)
  k <- check_number(k, "k", 1, last)
  best <- function(x) utils::head(order(x, decreasing = TRUE), k)
  list(
    values = along_axis(x, -1, function(x) x[best(x)]),
    indices = along_axis(x, -1, function(x) best(x) - zero_indexed)
  )
}

#' @rdname ops
#' @export
op_flip <- function(x, axis = NULL) {
  x <- plain_array(x)
  shape <- array_dim(x)
  axis <- if (is.null(axis)) {
    seq_along(shape)
  } else {
    vapply(axis, function(a) check_axis(x, a), 0L)
  }
  for (a in axis) {
    x <- along_axis(x, a, rev)
  }
  x
}

#' @rdname ops
#' @export
op_transpose <- function(x, axes = NULL) {
  x <- plain_array(x)
  shape <- array_dim(x)
  if (!is.null(axes)) {
    axes <- vapply(axes, function(a) check_axis(x, a), 0L)
    if (!setequal(axes, seq_along(shape)) || length(axes) != length(shape)) {
      abort(
        "bad_argument",
        paste0("`axes` must have each axis of `x` once: ", length(shape), " of them."),
        arg = "axes"
      )
    }
  }
  aperm(array(x, shape), axes)
}

#' @rdname ops
#' @export
op_stack <- function(x, axis = 1L) {
  op_concatenate(lapply(x, op_expand_dims, axis), axis)
}

#' @rdname ops
#' @export
op_one_hot <- function(
  x,
  num_classes,
  axis = -1L,
  dtype = NULL,
  sparse = FALSE,
  zero_indexed = FALSE
) {
  check_flag(zero_indexed, "zero_indexed")
  if (is.factor(x)) {
    if (missing(num_classes) || is.null(num_classes)) {
      num_classes <- nlevels(x)
    }
    x <- as.integer(x) - zero_indexed
  }
  x <- plain_array(x)
  num_classes <- check_number(num_classes, "num_classes", 1)
  shape <- array_dim(x)
  rank <- length(shape) + 1L
  axis <- check_axis_of(rank, axis)
  y <- outer(as.vector(x), seq_len(num_classes) - zero_indexed, `==`) + 0
  y[is.na(y)] <- 0
  y <- array(y, c(shape, num_classes))
  # The classes are last, and go where they are wanted.
  order <- append(seq_len(rank - 1L), rank, axis - 1L)
  plain_array(aperm(y, order), dtype)
}

#' @rdname ops
#' @export
op_take <- function(x, indices, axis = NULL) {
  x <- plain_array(x)
  if (is.null(axis)) {
    x <- op_ravel(x)
    axis <- 1L
  }
  axis <- check_axis(x, axis)
  shape <- array_dim(x)
  indices <- plain_array(indices)
  size <- shape[[axis]]
  at <- ifelse(indices < 0, size + 1 + indices, indices)
  if (!is.numeric(indices) || anyNA(at) || any(at < 1 | at > size)) {
    abort(
      "bad_argument",
      paste0("`indices` must be whole numbers from 1 to ", size, ", or negative ones."),
      arg = "indices"
    )
  }
  taken <- along_axis(x, axis, function(x) x[as.vector(at)])
  shaped(
    taken,
    c(shape[seq_len(axis - 1)], shape_in_keras(indices), shape[-seq_len(axis)])
  )
}

#' @rdname ops
#' @export
op_shape <- function(x) array_dim(plain_array(x))

#' @rdname ops
#' @export
op_ndim <- function(x) length(op_shape(x))

#' @rdname ops
#' @export
op_size <- function(x) length(plain_array(x))

#' @rdname ops
#' @export
op_arange <- function(start, stop = NULL, step = 1L, dtype = NULL) {
  if (is.null(stop)) {
    stop <- start
    start <- 0
  }
  count <- max(0, ceiling((stop - start) / step))
  plain_array(array(start + step * (seq_len(count) - 1)), dtype)
}

#' @rdname ops
#' @export
op_full <- function(shape, fill_value, dtype = NULL) {
  plain_array(array(fill_value, unlist(shape)), dtype)
}
