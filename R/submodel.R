#' A model between tensors of a model
#'
#' Takes tensors of a loaded model, such as `model$inputs` and the `output` of a
#' layer, and makes the model that computes the one from the other, as in
#' keras3. This gives intermediate activations (features), heads without their
#' backbone, and so on. Weights are shared with the model.
#'
#' Tensors come from `model$inputs`, `model$outputs`, `model$input`,
#' `model$output`, and from layers: see [get_layer()]. All of them must be of
#' one model. The tensors of a nested model are those of its own graph. Any
#' tensor can be an input: the model is cut there.
#'
#' @param inputs,outputs A tensor, or a list or named list of tensors.
#' @param ... Not used.
#' @param name The name of the new model.
#' @returns A model, as [load_model()] gives.
#' @seealso [get_layer()]
#' @export
#' @examples
#' model <- load_model(keraspredict_example("digits"))
#' layers <- model$layers
#' features <- keras_model(model$inputs, layers[[length(layers) - 1]]$output)
#' features
#' dim(predict(features, array(0, c(2, 8, 8, 1)), verbose = 0))
keras_model <- function(
  inputs = NULL,
  outputs = NULL,
  ...,
  name = "functional"
) {
  check_no_more(...)
  check_text(name, "name", "a name")
  all <- c(check_tensors(inputs, "inputs"), check_tensors(outputs, "outputs"))
  owner <- attr(all[[1]], "owner")
  id <- graph_id(owner)
  for (tensor in all[-1]) {
    if (!identical(graph_id(attr(tensor, "owner")), id)) {
      abort(
        "bad_graph",
        "All tensors must be of one model.",
        c(
          x = paste0(
            "`",
            all[[1]]$name,
            "` and `",
            tensor$name,
            "` are of different models."
          ),
          i = "The layers of a nested model are of its own graph, from its own inputs."
        )
      )
    }
  }
  new_model(checked(engine_between(
    model_handle(owner),
    name,
    bare_tensors(inputs),
    bare_tensors(outputs)
  )))
}

graph_id <- function(self) checked(engine_graph_id(model_handle(self)))

check_tensors <- function(x, arg) {
  flat <- flatten_tensors(x)
  ok <- length(flat) > 0 && all(vapply(flat, is_symbol, NA))
  if (!ok) {
    given <- Find(function(item) !is_symbol(item), flat)
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be tensors of a model, not ",
        describe(if (length(flat)) given else x),
        "."
      ),
      c(
        i = "They are model$inputs, model$outputs and get_layer(model, name)$output."
      ),
      arg = arg
    )
  }
  flat
}

flatten_tensors <- function(x) {
  if (is_symbol(x) || !is.list(x) || is.object(x)) {
    return(if (is.null(x)) list() else list(x))
  }
  do.call(c, c(list(list()), lapply(unname(x), flatten_tensors)))
}

# What the engine knows of tensors, without the model.
bare_tensors <- function(x) {
  if (is_symbol(x)) {
    structure(unclass(x), owner = NULL, class = "keraspredict_symbol")
  } else {
    lapply(x, bare_tensors)
  }
}

is_symbol <- function(x) inherits(x, "keraspredict_tensor")

# Tensors as the engine gives them, as those of a model.
as_tensors <- function(x, owner) {
  if (inherits(x, "keraspredict_symbol")) {
    structure(
      unclass(x),
      owner = owner,
      class = c(
        "keraspredict_tensor",
        "keras.src.backend.common.keras_tensor.KerasTensor"
      )
    )
  } else {
    lapply(x, as_tensors, owner = owner)
  }
}

model_ends <- function(self, which) {
  as_tensors(checked(engine_ends(model_handle(self)))[[which]], self)
}

tensor_parts <- c("name", "shape", "dtype", "ndim")

#' @export
`$.keraspredict_tensor` <- function(x, name) {
  self <- unclass(x)
  switch(
    name,
    name = if (self$node == 0 && self$tensor == 0) {
      self$layer
    } else {
      sprintf("%s[%d][%d]", self$layer, self$node, self$tensor)
    },
    shape = self$shape,
    dtype = self$dtype,
    ndim = length(self$shape),
    abort_part("A tensor", name, tensor_parts, "keras_model")
  )
}

#' @export
`[[.keraspredict_tensor` <- function(x, name) {
  `$.keraspredict_tensor`(x, name)
}

#' @rawNamespace S3method(utils::.DollarNames, keraspredict_tensor)
.DollarNames.keraspredict_tensor <- function(x, pattern = "") {
  grep(pattern, tensor_parts, value = TRUE)
}

#' @export
dim.keraspredict_tensor <- function(x) x$shape

#' @export
format.keraspredict_tensor <- function(x, ...) {
  paste0(
    "<KerasTensor shape=",
    show_shapes(x),
    ", dtype=",
    x$dtype,
    ", name=",
    x$name,
    ">"
  )
}

#' @export
print.keraspredict_tensor <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' @export
str.keraspredict_tensor <- function(object, ...) {
  cat(" ", format(object), "\n", sep = "")
}

# Shapes as Keras writes them.
show_shapes <- function(x) {
  if (!is_symbol(x)) {
    return(paste0("[", paste(vapply(x, show_shapes, ""), collapse = ", "), "]"))
  }
  sizes <- ifelse(
    is.na(x$shape),
    "None",
    format(x$shape, trim = TRUE, scientific = FALSE)
  )
  paste0("(", paste(sizes, collapse = ", "), if (length(sizes) == 1) ",", ")")
}
