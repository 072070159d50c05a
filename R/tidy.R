# Methods for generics of other packages, registered when these are loaded: the
# package needs none of them.
on_package_load <- function(package, hook) {
  if (isNamespaceLoaded(package)) {
    hook()
  }
  setHook(packageEvent(package, "onLoad"), function(...) hook())
}

register_lazily <- function() {
  methods <- list(
    generics = list(
      tidy = tidy_model,
      glance = glance_model,
      augment = augment_model,
      compile = function(object, ...) compile(object, ...),
      evaluate = function(x, ...) evaluate(x, ...),
      fit = function(object, ...) fit(object, ...)
    ),
    bundle = list(bundle = bundle_model),
    butcher = list(
      axe_call = same_model,
      axe_ctrl = same_model,
      axe_data = same_model,
      axe_env = same_model,
      axe_fitted = same_model
    ),
    vetiver = list(
      vetiver_create_description = describe_model,
      vetiver_create_meta = vetiver_meta,
      vetiver_prepare_model = same_model,
      vetiver_ptype = vetiver_prototype,
      handler_predict = vetiver_handler,
      handler_startup = vetiver_startup
    )
  )
  for (package in names(methods)) {
    local({
      package <- package
      on_package_load(package, function() {
        ns <- asNamespace(package)
        # Other versions of the package may not have all generics.
        for (generic in intersect(names(methods[[package]]), ls(ns))) {
          registerS3method(
            generic,
            "keraspredict_model",
            methods[[package]][[generic]],
            envir = ns
          )
        }
      })
    })
  }
}

#' Methods for tidymodels and other packages
#'
#' @description These are methods for generics of other packages, which have
#' them as soon as they are loaded:
#'
#' * generics (broom, parsnip): `tidy(model)` is a data frame with a row for
#'   each layer, `glance(model)` one with a row for the model. `augment(model,
#'   new_data)` adds the predictions to a data frame: `.pred` for one output
#'   column, `.pred_1`, `.pred_2`, ... for several. Columns that the model
#'   doesn't take are kept when `columns` says which it takes.
#' * bundle: `bundle(model)` can be saved in any way; `unbundle()` gives the
#'   model. A model of this package can be saved by [saveRDS()] without.
#' * butcher: `butcher(model)` is the model; there is nothing to leave out.
#' * vetiver: models can be deployed with `vetiver_model(model, "name",
#'   prototype_data = )`, which takes a row or more of the features; or without them
#'   and `save_prototype = FALSE`.
#' * progressr: inside of `progressr::with_progress()`, `predict()` reports each
#'   batch, in place of its own progress bar.
#'
#' Examples of a plumber API and of a Shiny app are in the folder
#' `system.file("examples", package = "keraspredict")`.
#'
#' @name ecosystem
#' @examplesIf requireNamespace("generics", quietly = TRUE)
#' model <- load_model(keraspredict_example("iris"))
#' generics::tidy(model)
#' generics::glance(model)
#' head(generics::augment(model, iris, columns = names(iris)[1:4], verbose = 0), 3)
NULL

tidy_model <- function(x, ...) {
  as_tibble_if(as.data.frame(x, ...))
}

glance_model <- function(x, ...) {
  counts <- model_counts(environment(x))
  as_tibble_if(data.frame(
    name = x$name,
    class = environment(x)$info$class,
    layers = length(x$layers),
    params = counts[["total"]],
    trainable_params = counts[["trainable"]]
  ))
}

# A tibble where the package tibble is there, as users of tidy() expect.
as_tibble_if <- function(frame) {
  if (requireNamespace("tibble", quietly = TRUE)) {
    tibble::as_tibble(frame)
  } else {
    frame
  }
}

augment_model <- function(x, new_data, ..., columns = NULL) {
  if (missing(new_data) || !is.data.frame(new_data)) {
    abort(
      "bad_argument",
      paste0(
        "`new_data` must be a data frame, not ",
        if (missing(new_data)) "missing" else describe(new_data),
        "."
      ),
      arg = "new_data"
    )
  }
  if (!is.null(columns)) {
    missing <- setdiff(columns, names(new_data))
    if (length(missing)) {
      abort(
        "bad_argument",
        paste0("`new_data` must have the columns ", enumerate(columns), "."),
        c(x = paste0("Missing: ", enumerate(missing), ".")),
        arg = "new_data"
      )
    }
  }
  given <- if (is.null(columns)) new_data else as.data.frame(new_data)[columns]
  y <- stats::predict(x, given, ...)
  if (is.list(y) || length(dim(y)) > 2) {
    abort(
      "bad_argument",
      "`x` must have one output that is a matrix.",
      arg = "x"
    )
  }
  y <- matrix(y, NROW(y))
  names <- if (ncol(y) == 1) ".pred" else paste0(".pred_", seq_len(ncol(y)))
  for (i in seq_along(names)) {
    new_data[[names[[i]]]] <- y[, i]
  }
  new_data
}

same_model <- function(x, ...) x

bundle_model <- function(x, ...) {
  situate <- function(object) {
    getExportedValue("keraspredict", "load_model")(object)
  }
  # What is bundled is the bytes, not the model beside them.
  environment(situate) <- baseenv()
  get("bundle_constr", asNamespace("bundle"))(
    object = model_handle(environment(x)),
    situate = situate,
    desc_class = "keraspredict_model"
  )
}

describe_model <- function(model) {
  paste0(
    "A Keras model, \"",
    model$name,
    "\", of ",
    length(model$layers),
    " layers"
  )
}

vetiver_meta <- function(model, metadata) {
  get("vetiver_meta", asNamespace("vetiver"))(
    metadata,
    required_pkgs = "keraspredict"
  )
}

vetiver_startup <- function(vetiver_model) {
  get("attach_pkgs", asNamespace("vetiver"))(
    vetiver_model$metadata$required_pkgs
  )
}

# The features that new data must have: a model doesn't know their names.
vetiver_prototype <- function(model, ..., prototype_data = NULL) {
  if (!is.data.frame(prototype_data)) {
    abort(
      "bad_argument",
      paste0(
        "`prototype_data` must be a data frame of the model's features, not ",
        describe(prototype_data),
        "."
      ),
      c(i = "`save_prototype = FALSE` deploys the model without."),
      arg = "prototype_data"
    )
  }
  as_tibble_if(prototype_data[0, , drop = FALSE])
}

vetiver_handler <- function(vetiver_model, ...) {
  prototype <- vetiver_model$prototype
  function(req) {
    new_data <- req$body
    if (!is.null(prototype)) {
      convert <- get("vetiver_type_convert", asNamespace("vetiver"))
      new_data <- convert(new_data, prototype)
    }
    y <- stats::predict(
      vetiver_model$model,
      as.data.frame(new_data),
      verbose = 0,
      ...
    )
    list(.pred = y)
  }
}
