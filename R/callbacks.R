#' Callbacks
#'
#' Functions that [`predict()`][predict.keraspredict_model] calls while it runs,
#' with the names and arguments of keras3.
#'
#' `Callback()` defines a kind of callback and returns its constructor.
#' `callback_lambda()` makes a single one out of functions.
#'
#' A prediction calls, in this order, `on_predict_begin(logs)`, then for each
#' batch `on_predict_batch_begin(batch, logs)` and `on_predict_batch_end(batch,
#' logs)`, and at last `on_predict_end(logs)`. `batch` counts from 1. `logs` is
#' an empty list, and after a batch `list(outputs = )` with the batch's
#' predictions.
#'
#' Methods see `self`, the instance, with `self$params` (a list of `verbose`,
#' `epochs` and `steps`) and `self$model`; and `private`, an environment.
#' `self$model$stop_predicting <- TRUE` ends the prediction after the batch,
#' with the rows so far.
#'
#' An error in a method ends the prediction; it is raised again as an error of
#' class `keraspredict_error_callback`, with the error as its `parent`.
#'
#' @param classname The name of the kind of callback.
#' @param on_predict_begin,on_predict_end Functions of `logs`.
#' @param on_predict_batch_begin,on_predict_batch_end Functions of `batch` and
#'   `logs`.
#' @param on_epoch_begin,on_epoch_end,on_train_begin,on_train_end Accepted as in
#'   keras3 and never called: nothing is trained here.
#' @param on_train_batch_begin,on_train_batch_end,on_test_begin,on_test_end
#'   The same.
#' @param on_test_batch_begin,on_test_batch_end The same.
#' @param ...,public More members: methods and values. A method `initialize` is
#'   called with the arguments of the constructor.
#' @param private Members that only methods see, as `private$name`.
#' @param inherit Another constructor made by `Callback()`, whose methods are
#'   seen as `super$name()`.
#' @param parent_env The environment that methods see.
#' @returns `Callback()`: a function that makes instances. `callback_lambda()`:
#'   an instance.
#' @export
#' @examples
#' Counter <- Callback("Counter",
#'   rows = 0,
#'   on_predict_batch_end = function(batch, logs = NULL) {
#'     self$rows <- self$rows + nrow(logs$outputs)
#'   }
#' )
#' counter <- Counter()
#' model <- load_model(keraspredict_example("iris"))
#' invisible(predict(model, as.matrix(iris[, 1:4]), callbacks = counter, verbose = 0))
#' counter$rows
Callback <- function(
  classname,
  on_epoch_begin = NULL,
  on_epoch_end = NULL,
  on_train_begin = NULL,
  on_train_end = NULL,
  on_train_batch_begin = NULL,
  on_train_batch_end = NULL,
  on_test_begin = NULL,
  on_test_end = NULL,
  on_test_batch_begin = NULL,
  on_test_batch_end = NULL,
  on_predict_begin = NULL,
  on_predict_end = NULL,
  on_predict_batch_begin = NULL,
  on_predict_batch_end = NULL,
  ...,
  public = list(),
  private = list(),
  inherit = NULL,
  parent_env = parent.frame()
) {
  if (
    !(is.character(classname) && length(classname) == 1 && !is.na(classname))
  ) {
    abort(
      "bad_argument",
      paste0("`classname` must be a name, not ", show_value(classname), "."),
      arg = "classname"
    )
  }
  if (!is.null(inherit) && !inherits(inherit, "keraspredict_callback_class")) {
    abort(
      "bad_argument",
      paste0(
        "`inherit` must be a constructor made by Callback(), not ",
        describe(inherit),
        "."
      ),
      arg = "inherit"
    )
  }
  members <- utils::modifyList(given_hooks(environment()), list(...))
  members <- utils::modifyList(members, public, keep.null = TRUE)
  definition <- list(
    classname = classname,
    members = members,
    private = private,
    inherit = attr(inherit, "definition"),
    parent_env = parent_env
  )
  constructor <- function(...) {
    self <- new.env(parent = emptyenv())
    define_members(self, new.env(parent = emptyenv()), definition)
    class(self) <- c(
      class_names(definition),
      "keras.src.callbacks.callback.Callback",
      "keraspredict_callback"
    )
    if (is.function(self$initialize)) {
      self$initialize(...)
    } else if (...length() > 0) {
      abort(
        "bad_argument",
        paste0(
          "`",
          classname,
          "()` takes no arguments: it has no method `initialize`."
        )
      )
    }
    self
  }
  structure(
    constructor,
    class = "keraspredict_callback_class",
    definition = definition
  )
}

# The names of a class and of those it inherits from.
class_names <- function(definition) {
  c(
    definition$classname,
    if (!is.null(definition$inherit)) class_names(definition$inherit)
  )
}

# Puts the members of a class into an instance, those it inherits first, and
# gives methods an environment with self, private and super.
define_members <- function(self, private, definition) {
  super <- new.env(parent = emptyenv())
  if (!is.null(definition$inherit)) {
    define_members(self, private, definition$inherit)
    for (name in ls(self, all.names = TRUE)) {
      assign(name, self[[name]], envir = super)
    }
  } else {
    # What Keras' own class has, which does nothing.
    for (name in c("initialize", "set_model", "set_params", hook_names())) {
      assign(name, function(...) invisible(), envir = super)
    }
  }
  scope <- new.env(parent = definition$parent_env)
  scope$self <- self
  scope$private <- private
  scope$super <- super
  bind_member <- function(value) {
    if (is.function(value) && !is.primitive(value)) {
      environment(value) <- scope
    }
    value
  }
  for (name in names(definition$members)) {
    assign(name, bind_member(definition$members[[name]]), envir = self)
  }
  for (name in names(definition$private)) {
    assign(name, bind_member(definition$private[[name]]), envir = private)
  }
}

# All methods that Keras calls, by the arguments that both kinds of callback have.
hook_names <- function() {
  grep("^on_", names(formals(callback_lambda)), value = TRUE)
}

# The hooks among the arguments of a function, without those that are NULL.
given_hooks <- function(frame) {
  hooks <- mget(hook_names(), envir = frame)
  check_hooks(hooks)
  Filter(Negate(is.null), hooks)
}

check_hooks <- function(hooks) {
  for (name in names(hooks)) {
    if (!is.null(hooks[[name]]) && !is.function(hooks[[name]])) {
      abort(
        "bad_argument",
        paste0(
          "`",
          name,
          "` must be a function, not ",
          describe(hooks[[name]]),
          "."
        ),
        arg = name
      )
    }
  }
}

#' @rdname Callback
#' @export
callback_lambda <- function(
  on_epoch_begin = NULL,
  on_epoch_end = NULL,
  on_train_begin = NULL,
  on_train_end = NULL,
  on_train_batch_begin = NULL,
  on_train_batch_end = NULL,
  on_test_begin = NULL,
  on_test_end = NULL,
  on_test_batch_begin = NULL,
  on_test_batch_end = NULL,
  on_predict_begin = NULL,
  on_predict_end = NULL,
  on_predict_batch_begin = NULL,
  on_predict_batch_end = NULL,
  ...
) {
  others <- list(...)
  check_hooks(others)
  hooks <- c(given_hooks(environment()), others)
  self <- list2env(hooks[lengths(hooks) > 0], parent = emptyenv())
  class(self) <- c(
    "LambdaCallback",
    "keras.src.callbacks.callback.Callback",
    "keraspredict_callback"
  )
  self
}

#' @export
print.keraspredict_callback <- function(x, ...) {
  hooks <- grep("^on_", ls(x), value = TRUE)
  cat(
    "<",
    class(x)[[1]],
    "> callback",
    if (length(hooks)) paste(" with", paste(hooks, collapse = ", ")),
    "\n",
    sep = ""
  )
  invisible(x)
}

# The `callbacks` argument as a list of instances.
as_callbacks <- function(callbacks) {
  if (is.null(callbacks)) {
    return(NULL)
  }
  if (
    inherits(
      callbacks,
      c("keraspredict_callback", "keraspredict_callback_class")
    )
  ) {
    callbacks <- list(callbacks)
  }
  if (!is.list(callbacks) || is.object(callbacks)) {
    abort(
      "bad_argument",
      paste0(
        "`callbacks` must be a callback or a list of callbacks, not ",
        describe(callbacks),
        "."
      ),
      arg = "callbacks"
    )
  }
  for (i in seq_along(callbacks)) {
    if (inherits(callbacks[[i]], "keraspredict_callback")) {
      next
    }
    abort(
      "bad_argument",
      paste0(
        "`callbacks[[",
        i,
        "]]` must be a callback, not ",
        describe(callbacks[[i]]),
        "."
      ),
      if (inherits(callbacks[[i]], "keraspredict_callback_class")) {
        c(i = "This is a constructor: did you mean to call it?")
      },
      arg = "callbacks"
    )
  }
  if (length(callbacks)) callbacks
}

# Gives each callback its model and params, which later hooks see as self$model
# and self$params.
set_up_callbacks <- function(callbacks, model, params) {
  for (callback in callbacks) {
    callback$model <- model
    callback$params <- params
    if (is.function(callback$set_model)) {
      call_hook(callback, "set_model", list(model))
    }
    if (is.function(callback$set_params)) {
      call_hook(callback, "set_params", list(params))
    }
  }
}

run_hooks <- function(callbacks, hook, ...) {
  for (callback in callbacks) {
    if (is.function(callback[[hook]])) {
      call_hook(callback, hook, list(...))
    }
  }
}

call_hook <- function(callback, hook, args) {
  f <- callback[[hook]]
  # A hook may leave out the arguments it doesn't use.
  wanted <- length(formals(args(f)))
  if (!"..." %in% names(formals(args(f))) && wanted < length(args)) {
    args <- args[seq_len(wanted)]
  }
  withCallingHandlers(
    do.call(f, args),
    error = function(e) {
      abort(
        "callback",
        paste0(
          "Can't go on: callback `",
          class(callback)[[1]],
          "` failed in `",
          hook,
          "()`."
        ),
        callback = callback,
        hook = hook,
        parent = e
      )
    }
  )
  invisible()
}

empty_logs <- function() {
  structure(list(), names = character())
}
