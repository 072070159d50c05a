#' R functions for layers whose code is not in the file
#'
#' A model file names the classes of its layers; of a layer of your own, it
#' holds the config and the weights but not the code. Give an R function in its
#' place, to [load_model()] as `custom_objects`, or for the session with
#' `register_layer()`.
#'
#' # Layers
#'
#' A layer is `function(inputs, config, weights)`:
#'
#' * `inputs`: the array that the layer is called on, with the batch as its
#'   first axis; a list of arrays where it is called on several.
#' * `config`: the layer's config (what its `get_config()` gave in Python) as a
#'   list.
#' * `weights`: a list of arrays, those of the layer and then those of the
#'   layers in it, in the order in which the file has them. Their names are
#'   their places in the file.
#'
#' It returns an array, or a list (or named list) of arrays for several outputs.
#' A function of fewer arguments gets the first of these. Arguments named
#' `mask` and `training`, and arguments that the layer was called with by name,
#' are passed where the function has them. An attribute `mask` of the result, a
#' logical array, is handed on as the mask of the output.
#'
#' The name in the list is the class (`"MyLayer"`) or the name it was registered
#' under (`"package>MyLayer"`). A `Lambda` layer goes by the name of the layer,
#' or `"Lambda"` for all of them.
#'
#' # Recurrent cells
#'
#' The cell of an `RNN` is a function with an argument `states` besides, such as
#' `function(inputs, states, config, weights)`: `inputs` is one step of the
#' sequence, an array of batch and features, and `states` is a list of arrays. It
#' returns `list(output, states)`, the output of the step and the new states (the
#' array itself where there is one state).
#'
#' The states start at zero, or at the layer's `initial_state`. Where the cell has a
#' `get_initial_state()` of its own that gives something else, put a function beside
#' the one of the cell: `attr(fun, "initial_state") <- function(batch_size, config,
#' weights)`, or of the first of these arguments. It returns an array whose first axis
#' is the batch, or a list of them, one for each state.
#'
#' The sizes of the states are the
#' `state_size` or else the `units` of the cell's config. Where that has neither,
#' give the function an attribute: `attr(fun, "state_size") <- c(8, 8)` for two
#' states of 8, `list(8, c(2, 3))` for states of more axes.
#'
#' # Activations
#'
#' An activation is `function(x)`; it goes by its name. One that was a Python
#' lambda goes by the name of the layer that has it, or `"<lambda>"` for all.
#'
#' # What to mind
#'
#' Functions see one batch at a time. They are called on zeros first, to find
#' out the shapes of the results, and must give the same shapes for real data.
#' Numbers of a result become the type that the layer computes in. Functions are
#' kept with the model by [saveRDS()] and go with it to workers.
#'
#' @param name The name of the class, layer or activation.
#' @param fun The function; `NULL` forgets it.
#' @param objects A named list of functions.
#' @param expr Code that loads models.
#' @returns `register_layer()` gives what was registered before, invisibly;
#'   `with_custom_object_scope()` the value of `expr`.
#' @seealso [load_model()]
#' @export
#' @examples
#' # A layer that takes logarithms, and one with a weight:
#' objects <- list(
#'   LogLayer = function(inputs) log1p(inputs),
#'   Scale = function(inputs, config, weights) inputs * weights[[1]]
#' )
#' with_custom_object_scope(objects, load_model(keraspredict_example("iris")))
#'
#' register_layer("LogLayer", function(inputs) log1p(inputs))
#' register_layer("LogLayer", NULL)
register_layer <- function(name, fun) {
  check_text(name, "name", "a name")
  if (!(is.null(fun) || is_r_function(fun))) {
    abort(
      "bad_argument",
      paste0("`fun` must be an R function or NULL, not ", describe(fun), "."),
      arg = "fun"
    )
  }
  registered <- as.list(the$registered)
  before <- registered[[name]]
  registered[[name]] <- fun
  the$registered <- registered
  invisible(before)
}

#' @rdname register_layer
#' @export
with_custom_object_scope <- function(objects, expr) {
  check_custom_objects(objects, "objects")
  outer <- the$scope
  on.exit(the$scope <- outer)
  the$scope <- c(objects, outer)
  force(expr)
}

check_custom_objects <- function(x, arg) {
  ok <- is.null(x) ||
    (is.list(x) &&
      (length(x) == 0 || (!is.null(names(x)) && all(nzchar(names(x))))))
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be NULL or a named list, not ",
        if (is.list(x)) "a list without names" else describe(x),
        "."
      ),
      arg = arg
    )
  }
}

is_r_function <- function(x) is.function(x) && !is_python(x)

# The functions that a model may use: those given before those of the scope
# before those registered. Python classes, as keras3 takes them, are no use
# here.
known_functions <- function(custom_objects) {
  all <- Filter(is_r_function, c(custom_objects, the$scope, the$registered))
  all[!duplicated(names(all))]
}

# Called by the engine: the result of `fun` as list(value), or what went wrong
# as list(failed) or list(interrupted), since nothing may jump over the engine.
run_custom <- function(fun, told) {
  if (told$probing) {
    # Finding out shapes must not change what is drawn later.
    seed <- get0(".Random.seed", globalenv(), inherits = FALSE)
    on.exit(restore_seed(seed))
  }
  keep_warning <- function(w) {
    if (!told$probing) {
      the$warnings <- c(the$warnings, list(w))
    }
    tryInvokeRestart("muffleWarning")
  }
  tryCatch(
    {
      args <- if (told$activation) {
        list(told$inputs)
      } else {
        custom_arguments(fun, told)
      }
      list(
        value = withCallingHandlers(
          do.call(fun, args, quote = TRUE),
          warning = keep_warning
        )
      )
    },
    error = function(e) {
      the$error <- e
      list(failed = conditionMessage(e))
    },
    interrupt = function(e) list(interrupted = TRUE)
  )
}

restore_seed <- function(seed) {
  if (is.null(seed)) {
    suppressWarnings(rm(".Random.seed", envir = globalenv()))
  } else {
    assign(".Random.seed", seed, envir = globalenv())
  }
}

# inputs, config and weights as far as the function takes them; the rest by
# name.
custom_arguments <- function(fun, told) {
  takes <- names(formals(args(fun)))
  dots <- "..." %in% takes
  named <- told$named
  unknown <- setdiff(names(named), takes)
  if (length(unknown) && !dots) {
    stop(
      "the layer is called with `",
      unknown[[1]],
      "`, which the function doesn't take",
      call. = FALSE
    )
  }
  extras <- told[intersect(c("mask", "training"), takes)]
  if ("mask" %in% takes && is.null(told$mask)) {
    extras["mask"] <- list(NULL)
  }
  named <- c(named, extras)
  free <- length(setdiff(takes, c("...", names(named))))
  first <- told[c("inputs", "config", "weights")]
  first <- first[seq_len(if (dots) max(1, min(3, free)) else min(3, free))]
  c(unname(first), named)
}

# Warnings of functions, which the engine has kept back.
replay_warnings <- function() {
  warnings <- the$warnings
  the$warnings <- NULL
  for (w in warnings) {
    warning(w)
  }
}
