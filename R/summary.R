#' Show the layers of a model
#'
#' Keras' table: each layer with its class, the shape of its output and the
#' number of its weights.
#'
#' @param object,x A model: see [load_model()].
#' @param line_length The width of the table.
#' @param positions Where the columns end, as shares of the width or in characters.
#'   `NULL` is Keras' own.
#' @param expand_nested Whether the layers of nested models are shown.
#' @param show_trainable Whether there is a column that says which layers are
#'   trainable; `NA` shows it where some weights aren't.
#' @param layer_range `NULL`, or two names (or regular expressions): the first
#'   and the last layer shown.
#' @param compact Whether lines of white space are left out.
#' @param ... Passed on to `format()`; for `format()`, not used.
#' @returns `format()` gives the text, `summary()` too, invisibly, after
#'   printing it; `print()` gives the model, invisibly.
#' @export
#' @examples
#' model <- load_model(keraspredict_example("digits"))
#' model
#' summary(model, line_length = 60)
summary.keraspredict_model <- function(object, ...) {
  text <- format(object, ...)
  writeLines(text)
  invisible(text)
}

#' @rdname summary.keraspredict_model
#' @export
print.keraspredict_model <- function(x, ...) {
  writeLines(format(x, ...))
  invisible(x)
}

#' @rdname summary.keraspredict_model
#' @importFrom utils str
#' @export
str.keraspredict_model <- function(object, ...) {
  print(object)
}

#' @rdname summary.keraspredict_model
#' @export
format.keraspredict_model <- function(
  x,
  line_length = getOption("width"),
  positions = NULL,
  expand_nested = FALSE,
  show_trainable = NA,
  ...,
  layer_range = NULL,
  compact = TRUE
) {
  check_flag(expand_nested, "expand_nested")
  check_flag_or_na(show_trainable, "show_trainable")
  check_flag(compact, "compact")
  self <- environment(x)
  content <- model_summary(self)
  rows <- select_rows(content$rows, layer_range)
  counts <- content$counts
  if (is.na(show_trainable)) {
    show_trainable <- counts[["trainable"]] < counts[["total"]]
  }
  # Keras shows connections only where the layers aren't one chain.
  chain <- is_chain(self$info$class, content$rows)
  header <- c(
    "Layer (type)",
    "Output Shape",
    "Param #",
    if (!chain) "Connected to"
  )
  align <- c("left", "left", "right", if (!chain) "left")
  positions <- column_ends(positions, length(header), line_length)
  if (show_trainable) {
    header <- c(header, "Trainable")
    align <- c(align, "center")
    positions <- c(positions * 0.9, 1)
  }
  widths <- diff(c(0, as.integer(positions * line_length)))
  if (any(widths < 4)) {
    abort(
      "bad_argument",
      paste0(
        "`line_length` must be large enough for a table of ",
        length(widths),
        " columns, not ",
        show_value(line_length),
        "."
      ),
      arg = "line_length"
    )
  }
  cells <- summary_cells(rows, chain, show_trainable, expand_nested, 0)
  text <- c(
    paste0("Model: \"", self$info$name, "\""),
    draw_table(header, cells, align, table_widths(widths, line_length)),
    count_line("Total", counts[["total"]], counts[["total_bytes"]]),
    count_line("Trainable", counts[["trainable"]], counts[["trainable_bytes"]]),
    count_line(
      "Non-trainable",
      counts[["total"]] - counts[["trainable"]],
      counts[["total_bytes"]] - counts[["trainable_bytes"]]
    )
  )
  if (!compact) {
    text <- c(text, "")
  }
  paste(text, collapse = "\n")
}

# Where the columns of the table end, as shares of the width.
column_ends <- function(positions, columns, line_length) {
  ok <- is.numeric(line_length) &&
    length(line_length) == 1 &&
    !is.na(line_length)
  if (!ok) {
    abort(
      "bad_argument",
      paste0(
        "`line_length` must be a number of characters, not ",
        show_value(line_length),
        "."
      ),
      arg = "line_length"
    )
  }
  if (is.null(positions)) {
    return(if (columns == 3) c(0.45, 0.80, 1) else c(0.3, 0.56, 0.74, 1))
  }
  fits <- is.numeric(positions) &&
    length(positions) == columns &&
    !is.unsorted(positions, na.rm = FALSE, strictly = TRUE)
  if (!isTRUE(fits)) {
    abort(
      "bad_argument",
      paste0(
        "`positions` must be NULL or ",
        columns,
        " increasing numbers, not ",
        show_value(positions),
        "."
      ),
      arg = "positions"
    )
  }
  if (positions[[columns]] > 1) positions / line_length else positions
}

# Rows and counts, read from the engine once.
model_summary <- function(self) {
  checked(engine_summary(model_handle(self)))
}

model_rows <- function(self) model_summary(self)$rows

model_counts <- function(self) model_summary(self)$counts

select_rows <- function(rows, layer_range) {
  if (is.null(layer_range)) {
    return(rows)
  }
  if (!is.character(layer_range) || length(layer_range) != 2) {
    abort(
      "bad_argument",
      paste0(
        "`layer_range` must be NULL or two names, not ",
        show_value(layer_range),
        "."
      ),
      arg = "layer_range"
    )
  }
  names <- vapply(rows, `[[`, "", "name")
  first <- grep(paste0("^(", layer_range[[1]], ")"), names)
  last <- grep(paste0("^(", layer_range[[2]], ")"), names)
  if (length(first) == 0 || length(last) == 0) {
    abort(
      "bad_argument",
      "`layer_range` must be names of layers.",
      c(
        x = paste0("It is ", enumerate(layer_range, "\""), "."),
        i = paste0("The layers are ", enumerate(names), ".")
      ),
      arg = "layer_range"
    )
  }
  if (min(first) > max(last)) {
    rows[min(last):max(first)]
  } else {
    rows[min(first):max(last)]
  }
}

is_chain <- function(class, rows) {
  if (class == "Sequential") {
    return(TRUE)
  }
  all(vapply(
    seq_along(rows),
    function(i) {
      from <- rows[[i]]$connected
      if (i == 1) {
        length(from) == 0
      } else {
        length(from) == 1 &&
          identical(sub("\\[\\d+\\]\\[\\d+\\]$", "", from), rows[[i - 1]]$name)
      }
    },
    NA
  ))
}

summary_cells <- function(rows, chain, show_trainable, expand_nested, level) {
  cells <- list()
  for (row in rows) {
    prefix <- if (level > 0) {
      paste0(strrep("   ", level), table_signs()$branch, " ")
    } else {
      ""
    }
    line <- c(
      paste0(prefix, row$name, " (", row$class, ")"),
      row$shape,
      format_number(row$params),
      if (!chain) {
        if (length(row$connected)) {
          paste(row$connected, collapse = ", ")
        } else {
          "-"
        }
      },
      if (show_trainable) {
        if (row$params == 0) {
          "-"
        } else if (row$trainable) {
          "Y"
        } else {
          "N"
        }
      }
    )
    cells <- c(cells, list(line))
    if (expand_nested && length(row$layers)) {
      cells <- c(
        cells,
        summary_cells(row$layers, chain, show_trainable, TRUE, level + 1)
      )
    }
  }
  cells
}

format_number <- function(n) {
  formatC(n, format = "f", digits = 0, big.mark = ",")
}

count_line <- function(what, n, bytes) {
  sprintf(
    " %s params: %s (%s)",
    what,
    format_number(n),
    format_bytes(bytes)
  )
}

# Widths of the columns without their padding, so that the table with its
# borders is as wide as the line: what is too much is taken evenly.
table_widths <- function(widths, line_length) {
  widths <- widths + 2
  excess <- sum(widths) - (line_length - length(widths) - 1)
  left <- length(widths)
  if (excess > 0) {
    for (i in seq_along(widths)) {
      less <- min(widths[[i]], round(excess / left))
      widths[[i]] <- widths[[i]] - less
      excess <- excess - less
      left <- left - 1
    }
  }
  pmax(widths - 2, 1)
}

table_signs <- function() {
  if (l10n_info()[["UTF-8"]]) {
    list(
      top = c("\u250f", "\u2501", "\u2533", "\u2513"),
      head = c("\u2503", "\u2503", "\u2503"),
      below = c("\u2521", "\u2501", "\u2547", "\u2529"),
      row = c("\u2502", "\u2502", "\u2502"),
      between = c("\u251c", "\u2500", "\u253c", "\u2524"),
      end = c("\u2514", "\u2500", "\u2534", "\u2518"),
      more = "\u2026",
      branch = "\u2514"
    )
  } else {
    rule <- c("+", "-", "+", "+")
    list(
      top = rule,
      head = c("|", "|", "|"),
      below = c("+", "=", "+", "+"),
      row = c("|", "|", "|"),
      between = rule,
      end = rule,
      more = ".",
      branch = "+"
    )
  }
}

draw_table <- function(header, cells, align, widths) {
  signs <- table_signs()
  rule <- function(sign) {
    paste0(
      sign[[1]],
      paste(
        vapply(widths + 2, function(w) strrep(sign[[2]], w), ""),
        collapse = sign[[3]]
      ),
      sign[[4]]
    )
  }
  row <- function(texts, sign, at_bottom = FALSE) {
    wrapped <- Map(
      function(text, width) wrap_cell(text, width, signs$more),
      texts,
      widths
    )
    height <- max(lengths(wrapped))
    vapply(
      seq_len(height),
      function(i) {
        parts <- mapply(
          function(lines, width, align) {
            at <- if (at_bottom) i - (height - length(lines)) else i
            align_cell(
              if (at >= 1 && at <= length(lines)) lines[[at]] else "",
              width,
              align
            )
          },
          wrapped,
          widths,
          align
        )
        paste0(
          sign[[1]],
          " ",
          paste(parts, collapse = paste0(" ", sign[[2]], " ")),
          " ",
          sign[[3]]
        )
      },
      ""
    )
  }
  lines <- c(
    rule(signs$top),
    row(header, signs$head, at_bottom = TRUE),
    rule(signs$below)
  )
  for (i in seq_along(cells)) {
    lines <- c(
      lines,
      if (i > 1) rule(signs$between),
      row(cells[[i]], signs$row)
    )
  }
  c(lines, rule(signs$end))
}

# A text in lines of at most `width`, broken at spaces; a longer word is cut.
wrap_cell <- function(text, width, more) {
  words <- regmatches(text, gregexpr("\\s*\\S+\\s*", text))[[1]]
  lines <- character()
  line <- ""
  for (word in words) {
    fits <- width - nchar(line) >= nchar(sub("\\s+$", "", word))
    if (fits || !nzchar(line)) {
      line <- paste0(line, word)
    } else {
      lines <- c(lines, line)
      line <- word
    }
  }
  lines <- sub("\\s+$", "", c(lines, line))
  long <- nchar(lines) > width
  lines[long] <- paste0(substr(lines[long], 1, width - 1), more)
  lines
}

align_cell <- function(text, width, align) {
  space <- max(0, width - nchar(text))
  left <- switch(align, left = 0, right = space, center = space %/% 2)
  paste0(strrep(" ", left), text, strrep(" ", space - left))
}
