# The gate for every error of the package.
#
# `abort()` raises a condition of class keraspredict_error_<kind>,
# keraspredict_error. `message` states the problem in one sentence; `bullets`
# (x: what is wrong, i: context) follow, one a line. Other arguments become
# fields of the condition.
abort <- function(kind, message, bullets = NULL, ..., parent = NULL) {
  if (!is.null(parent)) {
    bullets <- c(bullets, caused_by(parent))
  }
  text <- paste(c(message, format_bullets(bullets)), collapse = "\n")
  stop(structure(
    class = c(
      paste0("keraspredict_error_", kind),
      "keraspredict_error",
      "error",
      "condition"
    ),
    list(message = text, call = user_call(), ..., parent = parent)
  ))
}

# The same for a warning.
warn <- function(kind, message, bullets = NULL) {
  text <- paste(c(message, format_bullets(bullets)), collapse = "\n")
  warning(structure(
    class = c(
      paste0("keraspredict_warning_", kind),
      "keraspredict_warning",
      "warning",
      "condition"
    ),
    list(message = text, call = user_call())
  ))
}

format_bullets <- function(bullets) {
  signs <- if (l10n_info()[["UTF-8"]]) {
    c(x = "\u2716", i = "\u2139")
  } else {
    c(x = "x", i = "i")
  }
  names <- names(bullets)
  if (is.null(names)) {
    return(bullets)
  }
  marked <- names %in% names(signs)
  bullets[marked] <- paste(signs[names[marked]], bullets[marked])
  unname(bullets)
}

caused_by <- function(parent) {
  call <- conditionCall(parent)
  where <- if (is.call(call) && is.symbol(call[[1]])) {
    paste0(" in `", call[[1]], "()`")
  }
  c(paste0("Caused by error", where, ":"), paste("!", conditionMessage(parent)))
}

# The call of the innermost function of this package that a user called.
user_call <- function() {
  calls <- sys.calls()
  for (i in rev(seq_along(calls))) {
    name <- calls[[i]][[1]]
    if (is.symbol(name)) {
      if (identical(name, quote(call_model)) && i > 1) {
        return(calls[[i - 1]])
      }
      short <- sub(
        "\\.(keraspredict_model|keras\\.src\\.models\\.model\\.Model)$",
        "",
        as.character(name)
      )
      if (short != as.character(name) || short %in% entry_points()) {
        call <- calls[[i]]
        call[[1]] <- as.symbol(short)
        return(call)
      }
    } else if (is.call(name) && identical(name[[1]], quote(`::`))) {
      if (as.character(name[[3]]) %in% entry_points()) {
        return(calls[[i]])
      }
    }
  }
  NULL
}

# The functions that users call, but for methods, whose names tell.
entry_points <- function() {
  if (is.null(the$entry_points)) {
    the$entry_points <- c(
      "predict",
      "summary",
      "print",
      "format",
      getNamespaceExports(topenv())
    )
  }
  the$entry_points
}

# The result of a call into the engine, or its error as a condition.
checked <- function(result, holds = NULL) {
  force(result)
  if (!is.null(the$warnings)) {
    replay_warnings()
  }
  if (inherits(result, "keraspredict_failure")) {
    result$data$holds <- holds
    raise_failure(result)
  }
  result
}

# Words for the errors of the engine; those without an entry say it themselves.
raise_failure <- function(failure) {
  kind <- failure[["kind"]]
  data <- failure[["data"]]
  if (kind == "interrupted") {
    interrupt()
  }
  words <- engine_errors[[kind]]
  told <- if (is.null(words)) {
    list(message = sentence(failure[["message"]]))
  } else {
    words(data)
  }
  if (kind == "internal") {
    told$bullets <- c(
      i = "This is a defect of keraspredict. Please report it, with the model if you can."
    )
  }
  do.call(abort, c(list(kind = kind), told, data))
}

# The user's interrupt, which reached a function inside the engine.
interrupt <- function() {
  signalCondition(structure(
    class = c("interrupt", "condition"),
    list(message = "", call = NULL)
  ))
  invokeRestart("abort")
}

engine_errors <- list(
  file_missing = function(data) {
    what <- if (is.null(data$holds)) "a model" else data$holds
    list(
      message = paste0("Can't find ", what, " at '", data$path, "'."),
      bullets = c(i = paste0("The working directory is '", getwd(), "'."))
    )
  },
  not_a_model = function(data) {
    list(
      message = sentence(paste0(
        show_file(data$path),
        " is not ",
        if (is.null(data$holds)) "a Keras model" else data$holds,
        "."
      )),
      bullets = c(x = sentence(data$reason))
    )
  },
  damaged_file = function(data) {
    list(
      message = sentence(paste0(show_file(data$path), " is damaged.")),
      bullets = c(
        x = sentence(data$reason),
        i = "Was it copied or downloaded completely?"
      )
    )
  },
  unknown_format = function(data) {
    list(
      message = sentence(paste0(
        show_file(data$path),
        " is of a kind that can't be read."
      )),
      bullets = c(x = sentence(data$reason))
    )
  },
  cant_write = function(data) {
    list(
      message = paste0("Can't write '", data$path, "'."),
      bullets = c(x = sentence(data$reason))
    )
  },
  cant_save = function(data) {
    layers <- strsplit(data$layers, "\n", fixed = TRUE)[[1]]
    list(
      message = "Can't save a model with layers that Keras 3 doesn't have.",
      bullets = c(
        stats::setNames(layers, rep("x", length(layers))),
        i = "`saveRDS()` keeps the model for R."
      )
    )
  },
  no_weights = function(data) {
    list(
      message = "The model has no weights: it was loaded from its architecture alone.",
      bullets = c(i = "`load_model_weights()` loads them.")
    )
  },
  unknown_config_key = function(data) {
    list(
      message = paste0(
        show_layer(data),
        " has an option that isn't known: `",
        data$key,
        "`."
      ),
      bullets = c(
        x = paste0(
          "It is ",
          data$given,
          ", and without it the predictions could be wrong."
        ),
        i = "Was the model saved by a newer version of Keras than this package knows?"
      )
    )
  },
  bad_config = function(data) {
    list(
      message = paste0(
        show_layer(data),
        " has an option that can't be used: `",
        data$key,
        "`."
      ),
      bullets = c(
        x = sentence(paste0("It must be ", data$expected, ", not ", data$given))
      )
    )
  },
  bad_input = function(data) {
    list(
      message = paste0("Input `", data$input, "` can't be used."),
      bullets = c(
        x = sentence(paste0("It must be ", data$expected, ", not ", data$given))
      )
    )
  },
  bad_weight = function(data) {
    list(
      message = paste0(
        "The weights of layer `",
        data$layer,
        "` don't fit its config."
      ),
      bullets = c(
        x = if (data$expected == "in the file") {
          paste0(
            "`",
            data$weight,
            "` is not in the file",
            if (data$given != "missing") paste0(", which has ", data$given),
            "."
          )
        } else {
          paste0(
            "`",
            data$weight,
            "` must be ",
            data$expected,
            ", not ",
            data$given,
            "."
          )
        }
      )
    )
  },
  memory = function(data) {
    list(
      message = paste0(
        if (nzchar(data$layer)) {
          paste0("Layer `", data$layer, "`")
        } else {
          "The model"
        },
        " needs more memory than there is."
      ),
      bullets = c(
        x = sentence(
          paste(data$what, "takes", format_bytes(as.numeric(data$bytes)))
        ),
        if (nzchar(data$available)) {
          free <- format_bytes(as.numeric(data$available))
          c(x = paste0("There are ", free, " left."))
        },
        i = "Fewer rows at a time, or a smaller `batch_size`, take less."
      )
    )
  },
  shape = function(data) {
    list(
      message = paste0("Layer `", data$layer, "` can't take its input."),
      bullets = c(
        x = sentence(data$reason),
        i = "Does `x` have the shape that the model was made for?"
      )
    )
  },
  values = function(data) {
    list(
      message = paste0(
        "Layer `",
        data$layer,
        "` can't take the values it is given."
      ),
      bullets = c(x = sentence(data$reason))
    )
  },
  call = function(data) {
    list(
      message = paste0(
        "Layer `",
        data$layer,
        "` is called in a way that can't be run."
      ),
      bullets = c(
        x = sentence(data$reason),
        i = "If Keras runs the model, please report it."
      )
    )
  },
  out_of_vocabulary = function(data) {
    list(
      message = paste0(
        "`x` has a value that layer `",
        data$layer,
        "` doesn't know."
      ),
      bullets = c(
        x = paste0("The value is ", data$value, "."),
        i = "The layer's vocabulary has no place for unknown values."
      )
    )
  },
  unsupported_layers = function(data) {
    lines <- function(text) {
      strsplit(paste0(text, "\n"), "\n", fixed = TRUE)[[1]]
    }
    names <- lines(data$layers)
    functions <- unique(Filter(nzchar, lines(data$functions)))
    list(
      message = paste0(
        "Can't run ",
        if (length(names) == 1) "a layer" else paste(length(names), "layers"),
        " of this model."
      ),
      bullets = c(
        stats::setNames(
          paste0(
            "`",
            names,
            "` (",
            lines(data$classes),
            ") ",
            lines(data$hints),
            "."
          ),
          rep("x", length(names))
        ),
        if (length(functions)) {
          c(
            i = paste0(
              "Give an R function for each, by name: load_model(..., custom_objects = list(",
              paste0(
                vapply(utils::head(functions, 5), show_name, ""),
                " = ",
                collapse = ", "
              ),
              if (length(functions) > 5) ", ...",
              ")); see ?register_layer."
            )
          )
        }
      )
    )
  },
  custom_function = function(data) {
    list(
      message = paste0(
        "The function for layer `",
        data$layer,
        "` (",
        data$class_name,
        ") failed."
      ),
      bullets = if (is.null(the$error)) c(x = sentence(data$reason)),
      parent = take_error()
    )
  },
  custom_output = function(data) {
    list(
      message = paste0(
        "The function for layer `",
        data$layer,
        "` (",
        data$class_name,
        ") must give the same shapes as for zeros."
      ),
      bullets = c(
        x = paste0("Expected: ", data$expected, "."),
        x = paste0("Given: ", data$given, ".")
      )
    )
  },
  index = function(data) {
    list(
      message = paste0(
        "`x` has an index that layer `",
        data$layer,
        "` has no row for."
      ),
      bullets = c(
        x = paste0("The index is ", data$index, "."),
        i = switch(
          data$size,
          "0" = "The layer has no rows.",
          "1" = "The layer has row 0 alone.",
          paste0("The layer has rows 0 to ", as.numeric(data$size) - 1, ".")
        )
      )
    )
  }
)

# A path in quotes; a model may also come from what is no file.
show_file <- function(path) {
  if (path %in% c("the raw vector", "the saved model")) {
    path
  } else {
    paste0("'", path, "'")
  }
}

# A layer with its class; without a name it is the model itself.
show_layer <- function(data) {
  paste0(
    if (nzchar(data$layer)) paste0("Layer `", data$layer, "`") else "The model",
    " (",
    data$class_name,
    ")"
  )
}

# A name as it is written in a call.
show_name <- function(name) {
  if (make.names(name) == name) name else paste0("`", name, "`")
}

# The error that a function inside the engine met, once.
take_error <- function() {
  error <- the$error
  the$error <- NULL
  error
}

# A text as a sentence: capital first letter (but not of a name), full stop.
sentence <- function(text) {
  text <- sub(" \\(os error [0-9]+\\)", "", text)
  if (!grepl("^[`'\"]", text)) {
    text <- paste0(toupper(substring(text, 1, 1)), substring(text, 2))
  }
  if (grepl("[.!?]$", text)) text else paste0(text, ".")
}

# Up to five items of a list, in backticks.
enumerate <- function(items, quote = "`") {
  shown <- paste0(quote, utils::head(items, 5), quote)
  if (length(items) > 5) {
    shown <- c(shown, paste(length(items) - 5, "more"))
  }
  if (length(shown) < 2) {
    return(paste(shown))
  }
  paste(
    paste(shown[-length(shown)], collapse = ", "),
    "and",
    shown[length(shown)]
  )
}

# A shape as a Keras user knows it, with NA for a size that is open.
show_shape <- function(shape) {
  paste0(
    "(",
    paste(ifelse(is.na(shape), "NA", format_count(shape)), collapse = ", "),
    ")"
  )
}

# A number of bytes as Keras shows it.
format_bytes <- function(n) {
  units <- c("B", "KB", "MB", "GB", "TB", "PB")
  unit <- 1
  while (n / 1024 >= 1 && unit < length(units)) {
    n <- n / 1024
    unit <- unit + 1
  }
  sprintf("%.2f %s", n, units[[unit]])
}

format_count <- function(n) {
  format(n, scientific = FALSE, trim = TRUE)
}

# What a value is, in words.
describe <- function(x) {
  if (is.null(x)) {
    return("NULL")
  }
  if (is.data.frame(x)) {
    return("a data frame")
  }
  if (inherits(x, "keraspredict_model")) {
    return("a model")
  }
  if (is.function(x)) {
    return("a function")
  }
  if (is.object(x)) {
    return(paste0("an object of class <", class(x)[[1]], ">"))
  }
  if (is.call(x)) {
    return("a call")
  }
  kind <- switch(
    typeof(x),
    double = "numeric",
    closure = "function",
    environment = "environment",
    list = "list",
    typeof(x)
  )
  if (kind == "list") {
    return("a list")
  }
  article <- if (grepl("^[aeiou]", kind)) "an" else "a"
  shape <- dim(x)
  what <- if (is.null(shape)) {
    "vector"
  } else if (length(shape) == 2) {
    "matrix"
  } else {
    "array"
  }
  if (!is.atomic(x)) {
    return(paste(article, kind))
  }
  paste(article, kind, what)
}

# Argument checks.

# A whole number in a range.
check_number <- function(x, arg, from, to = Inf) {
  ok <- is.numeric(x) &&
    length(x) == 1 &&
    isTRUE(x >= from & x <= to & x == round(x))
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be a whole number ",
        if (is.finite(to)) {
          paste("from", format_count(from), "to", format_count(to))
        } else {
          paste("of at least", format_count(from))
        },
        ", not ",
        show_value(x),
        "."
      ),
      arg = arg
    )
  }
  as.numeric(x)
}

check_count <- function(x, arg) {
  if (is.null(x)) {
    return(NULL)
  }
  ok <- is.numeric(x) &&
    length(x) == 1 &&
    !is.na(x) &&
    x >= 1 &&
    x == round(x) &&
    is.finite(x)
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`",
        arg,
        "` must be NULL or a whole number of at least 1, not ",
        show_value(x),
        "."
      ),
      arg = arg
    )
  }
  as.numeric(x)
}

check_flag <- function(x, arg) {
  if (!(is.logical(x) && length(x) == 1 && !is.na(x))) {
    abort(
      "bad_argument",
      paste0("`", arg, "` must be TRUE or FALSE, not ", show_value(x), "."),
      arg = arg
    )
  }
  x
}

check_flag_or_na <- function(x, arg) {
  if (!(is.logical(x) && length(x) == 1)) {
    abort(
      "bad_argument",
      paste0("`", arg, "` must be TRUE, FALSE or NA, not ", show_value(x), "."),
      arg = arg
    )
  }
  x
}

check_text <- function(x, arg, wanted) {
  if (!(is.character(x) && length(x) == 1 && !is.na(x) && nzchar(x))) {
    abort(
      "bad_argument",
      paste0("`", arg, "` must be ", wanted, ", not ", show_value(x), "."),
      arg = arg
    )
  }
  x
}

# That a package is there which only some users need.
check_installed <- function(package, why) {
  if (!requireNamespace(package, quietly = TRUE)) {
    abort(
      "missing_package",
      paste0("The package ", package, " is needed ", why, "."),
      c(i = paste0("Install it with install.packages(\"", package, "\").")),
      package = package
    )
  }
}

predict_arguments <- c("batch_size", "verbose", "steps", "callbacks")

# `known`: the arguments after the dots.
check_dots_empty <- function(..., known = predict_arguments) {
  if (...length() == 0) {
    return(invisible())
  }
  names <- ...names()
  if (is.null(names)) {
    names <- rep("", ...length())
  }
  named <- names[nzchar(names) & !is.na(names)]
  abort(
    "unknown_argument",
    if (length(named)) {
      paste0(
        "Unknown argument",
        if (length(named) > 1) "s",
        ": ",
        enumerate(named),
        "."
      )
    } else {
      "`x` must be the last argument without a name."
    },
    c(
      i = paste0(
        if (length(known) > 1) "Arguments" else "The argument",
        " after `x` ",
        if (length(known) > 1) "are " else "is ",
        enumerate(known, quote = ""),
        ", by name."
      )
    ),
    arguments = named
  )
}

# A value short enough for a message.
show_value <- function(x) {
  if (is.null(x)) {
    return("NULL")
  }
  if (!is.atomic(x) || is.object(x) || !is.null(dim(x))) {
    return(describe(x))
  }
  if (length(x) != 1) {
    return(paste(describe(x), "of length", format_count(length(x))))
  }
  if (is.character(x) && isTRUE(nchar(x, "bytes") > 60)) {
    x <- paste0(strtrim(x, 57), "...")
  }
  # A missing value of any type is NA.
  sub("^NA_.*_$", "NA", deparse(x))
}

# The numbers that something may have, in words.
whole_number_to <- function(n) {
  if (n == 1) "1" else paste("a whole number from 1 to", n)
}

# Names that may have been meant, the closest first.
similar_names <- function(name, names) {
  away <- drop(utils::adist(name, names, ignore.case = TRUE))
  near <- away <= max(1, 0.3 * nchar(name))
  names[near][order(away[near])]
}

say_similar <- function(names) {
  paste0(
    if (length(names) == 1) "A similar one is " else "Similar ones are ",
    enumerate(names),
    "."
  )
}

# That an object has no part of this name, with those that may have been meant,
# or where they are told.
abort_part <- function(what, name, parts, page) {
  close <- similar_names(name, parts)
  abort(
    "unknown_part",
    paste0(what, " has no part `", name, "`."),
    c(
      i = if (length(close)) {
        say_similar(close)
      } else {
        paste0("It has ", enumerate(parts), ": see ?", page, ".")
      }
    ),
    part = name
  )
}
