#' Layers, tensors and weights of a model
#'
#' `get_layer()` finds a layer of a model. A layer that is a model itself is
#' given as a model, with layers of its own.
#'
#' A layer is a function: `layer(x)` runs it alone on an array (or a list of
#' arrays), as one batch. `layer$name` reads one of its parts:
#'
#' * `name`, `class_name`, `trainable`, `dtype`: what it is.
#' * `input`, `output`: the tensor (or list of tensors) that its first call
#'   takes and gives, for [keras_model()]. A layer that the model calls several
#'   times has others: `get_input_at(i)` and `get_output_at(i)`.
#' * `input_shape`, `output_shape`: their shapes, with `NA` for open sizes.
#' * `weights`, `get_weights()`, `count_params()`, `params`: its weights and
#'   their number.
#' * `get_config()`: its config as Keras saved it.
#' * `get_vocabulary()`, `vocabulary_size()`: the terms of a lookup.
#'
#' @param object A model from [load_model()]; for `get_weights()`,
#'   `get_config()` and `count_params()` also a layer.
#' @param name The name of a layer (or operation).
#' @param include_special_tokens Whether the terms for what is masked and unknown are
#'   among those given.
#' @param index Which of `model$layers` it is, counted from 1. Negative numbers
#'   count from the end.
#' @returns
#' `get_layer()`: a layer, or a model where the layer is one.
#'
#' `get_weights()`: a list of arrays in Keras' order: for each layer its own
#' weights, trainable ones first, then those of the layers in it.
#' `get_config()`: a list. `count_params()`: a number. `get_vocabulary()`: the terms of
#' a lookup (StringLookup, IntegerLookup, TextVectorization) in the order of their
#' indices, from 0.
#' @seealso [keras_model()] for the outputs of layers.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#' layer <- get_layer(model, index = 1)
#' layer
#' layer$output
#' lapply(get_weights(layer), dim)
#' count_params(model)
get_layer <- function(object, name = NULL, index = NULL) {
  check_model(object, "object")
  self <- environment(object)
  entries <- layer_entries(self)
  if (is.null(name) == is.null(index)) {
    abort("bad_argument", "Exactly one of `name` and `index` must be given.")
  }
  if (!is.null(name)) {
    if (!(is.character(name) && length(name) == 1 && !is.na(name))) {
      abort(
        "bad_argument",
        paste0(
          "`name` must be the name of a layer, not ",
          show_value(name),
          "."
        ),
        arg = "name"
      )
    }
    names <- vapply(entries, `[[`, "", "name")
    at <- match(name, names)
    if (is.na(at)) {
      close <- similar_names(name, names)
      abort(
        "no_layer",
        paste0("The model has no layer `", name, "`."),
        c(
          i = if (length(close)) {
            say_similar(close)
          } else {
            paste0("Its layers are ", enumerate(names), ".")
          }
        ),
        arg = "name",
        name = name
      )
    }
    return(layer_object(self, entries[[at]]))
  }
  layers <- Filter(function(entry) !entry$is_op, entries)
  ok <- is.numeric(index) &&
    length(index) == 1 &&
    !is.na(index) &&
    index == round(index) &&
    index != 0 &&
    abs(index) <= length(layers)
  if (!ok) {
    abort(
      "no_layer",
      paste0(
        "`index` must be ",
        whole_number_to(length(layers)),
        ", not ",
        show_value(index),
        "."
      ),
      arg = "index"
    )
  }
  layer_object(
    self,
    layers[[if (index < 0) length(layers) + 1 + index else index]]
  )
}

# The layers and operations as the engine tells them, those of a Sequential
# without its input.
layer_entries <- function(self) {
  entries <- checked(engine_layers(model_handle(self)))
  if (self$info$class == "Sequential") {
    entries <- Filter(function(entry) entry$class != "InputLayer", entries)
  }
  entries
}

model_layers <- function(self) {
  entries <- Filter(function(entry) !entry$is_op, layer_entries(self))
  lapply(entries, function(entry) layer_object(self, entry))
}

# A layer is a function whose environment holds:
# * owner: the environment of the model it is a layer of,
# * entry: what the engine tells of it.
layer_object <- function(owner, entry) {
  if (entry$nested) {
    return(new_model(checked(engine_nested(model_handle(owner), entry$name))))
  }
  self <- new.env(parent = topenv())
  self$self <- self
  self$owner <- owner
  self$entry <- entry
  layer <- function(x) call_layer(self, x)
  environment(layer) <- self
  class(layer) <- c(
    "keraspredict_layer",
    paste0("keras.", entry$class),
    "keras.src.layers.layer.Layer",
    "function"
  )
  layer
}

call_layer <- function(self, x) {
  if (missing(x) || is.null(x)) {
    abort_no_x()
  }
  if (self$entry$class == "InputLayer") {
    return(x)
  }
  if (is_symbol(x)) {
    abort(
      "bad_input",
      "A layer of a loaded model can't be called on a symbolic tensor.",
      c(i = "keras_model() makes models between tensors that are there.")
    )
  }
  if (is.null(self$alone)) {
    self$alone <- keras_model(
      layer_input(self, 1),
      layer_output(self, 1),
      name = self$entry$name
    )
  }
  self$alone(x)
}

layer_call <- function(self, i) {
  calls <- self$entry$calls
  ok <- is.numeric(i) &&
    length(i) == 1 &&
    !is.na(i) &&
    i == round(i) &&
    i >= 1 &&
    i <= length(calls)
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "The index of a call of this layer must be ",
        whole_number_to(length(calls)),
        ", not ",
        show_value(i),
        "."
      ),
      arg = "node_index"
    )
  }
  calls[[i]]
}

layer_output <- function(self, i) {
  as_tensors(layer_call(self, i)$outputs, self$owner)
}

layer_input <- function(self, i) {
  if (self$entry$class == "InputLayer") {
    return(layer_output(self, i))
  }
  one_or_list(as_tensors(layer_call(self, i)$inputs, self$owner))
}

tensor_shapes <- function(x) {
  if (is_symbol(x)) x$shape else lapply(x, tensor_shapes)
}

layer_weights <- function(self) {
  checked(engine_weights(model_handle(self$owner), self$entry$name))
}

layer_vocabulary <- function(self, special) {
  check_flag(special, "include_special_tokens")
  known <- checked(engine_vocabulary(model_handle(self$owner), self$entry$name))
  if (is.null(known)) {
    abort(
      "bad_argument",
      paste0("Layer `", self$entry$name, "` (", self$entry$class, ") has no vocabulary."),
      arg = "object"
    )
  }
  terms <- as.vector(known[[1]])
  if (special) terms else terms[seq_along(terms) > known[[2]]]
}

layer_parts <- list(
  name = function(self) self$entry$name,
  class_name = function(self) self$entry$class,
  trainable = function(self) self$entry$trainable,
  dtype = function(self) self$entry$dtype,
  params = function(self) self$entry$params,
  input = function(self) layer_input(self, 1),
  output = function(self) layer_output(self, 1),
  input_shape = function(self) tensor_shapes(layer_input(self, 1)),
  output_shape = function(self) tensor_shapes(layer_output(self, 1)),
  weights = function(self) layer_weights(self),
  get_weights = function(self) function() layer_weights(self),
  get_config = function(self) {
    function() checked(engine_config(model_handle(self$owner), self$entry$name))
  },
  count_params = function(self) function() self$entry$params,
  get_vocabulary = function(self) {
    function(include_special_tokens = TRUE) {
      layer_vocabulary(self, include_special_tokens)
    }
  },
  vocabulary_size = function(self) function() length(layer_vocabulary(self, TRUE)),
  get_input_at = function(self) {
    function(node_index) layer_input(self, node_index)
  },
  get_output_at = function(self) {
    function(node_index) layer_output(self, node_index)
  }
)

#' @export
`$.keraspredict_layer` <- function(x, name) {
  part <- layer_parts[[name]]
  if (is.null(part)) {
    abort_part("A layer", name, names(layer_parts), "get_layer")
  }
  part(environment(x))
}

#' @export
`[[.keraspredict_layer` <- function(x, name) {
  `$.keraspredict_layer`(x, name)
}

#' @rawNamespace S3method(utils::.DollarNames, keraspredict_layer)
.DollarNames.keraspredict_layer <- function(x, pattern = "") {
  grep(pattern, names(layer_parts), value = TRUE)
}

#' @export
format.keraspredict_layer <- function(x, ...) {
  self <- environment(x)
  shapes <- tryCatch(show_shapes(layer_output(self, 1)), error = function(e) {
    "?"
  })
  paste0(
    "<",
    self$entry$class,
    " layer \"",
    self$entry$name,
    "\", output ",
    shapes,
    ", ",
    format_number(self$entry$params),
    " params>"
  )
}

#' @export
print.keraspredict_layer <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' @export
str.keraspredict_layer <- function(object, ...) {
  cat(" ", format(object), "\n", sep = "")
}

#' @rdname get_layer
#' @export
get_weights <- function(object) {
  if (inherits(object, "keraspredict_layer")) {
    return(layer_weights(environment(object)))
  }
  check_model_or_layer(object)
  checked(engine_weights(model_handle(environment(object)), NULL))
}

#' @rdname get_layer
#' @export
get_config <- function(object) {
  if (inherits(object, "keraspredict_layer")) {
    return(layer_parts$get_config(environment(object))())
  }
  check_model_or_layer(object)
  checked(engine_config(model_handle(environment(object)), NULL))
}

#' @rdname get_layer
#' @export
count_params <- function(object) {
  if (inherits(object, "keraspredict_layer")) {
    return(environment(object)$entry$params)
  }
  check_model_or_layer(object)
  model_counts(environment(object))[["total"]]
}

#' @rdname get_layer
#' @export
get_vocabulary <- function(object, include_special_tokens = TRUE) {
  if (!inherits(object, "keraspredict_layer")) {
    abort(
      "bad_argument",
      paste0("`object` must be a layer, not ", describe(object), "."),
      arg = "object"
    )
  }
  layer_vocabulary(environment(object), include_special_tokens)
}

check_model_or_layer <- function(x) {
  if (!inherits(x, "keraspredict_model")) {
    abort(
      "bad_argument",
      paste0("`object` must be a model or a layer, not ", describe(x), "."),
      arg = "object"
    )
  }
}
