#' Data that comes in batches
#'
#' @description [`predict()`][predict.keraspredict_model] takes data that isn't
#' in memory, batch by batch: the memory it needs is that of two batches and of
#' the predictions. The next batch is read while the last one is computed; with
#' `callbacks`, when it is done. `x` is one of:
#'
#' * a function, called until it returns `NULL`: each time it gives `x` (any
#'   kind of [input][inputs], with any number of rows) or `list(x, y)`, of which
#'   `y` is passed over;
#' * the result of a query, from `DBI::dbSendQuery()`: the rows that are left
#'   are fetched `batch_size` at a time. The columns go to the model as those of
#'   a data frame do. Clear the result yourself;
#' * a file or connection with comma-separated values, as `csv_batches()`;
#' * a TF Dataset, also one of the package tfdatasets, a Keras `PyDataset`, a
#'   Python generator or iterator or a torch DataLoader, by the package
#'   reticulate: each element is `x`, or a tuple of `x`, `y` and weights, of
#'   which `x` is taken.
#'
#' Numbers of files and queries are doubles, so that missing ones stay `NaN` through
#' the model.
#'
#' `steps` ends after so many batches. A source that ends before is a warning,
#' and one that gives nothing an error. An error in your function is that error.
#'
#' @details `csv_batches()` reads with the package data.table or readr where one
#' of them is installed. Columns of inputs that take text are text.
#'
#' @param file The path of a file, also a compressed one, a URL or a connection.
#'   A path is opened anew by each prediction; a connection is read from where
#'   it is.
#' @param columns The names or numbers of the columns to take, in the order of
#'   the model; `NULL` is all. A model with several inputs goes by name and
#'   passes over the rest.
#' @param header Whether the first line has names.
#' @param sep The character between fields.
#' @param na Texts that stand for missing values.
#' @param encoding The encoding of the file.
#' @param transform `NULL`, or a function that takes the data frame of a batch
#'   and returns what the model takes: a data frame, an array or a list.
#' @returns A source of batches, for `predict()`.
#' @name batches
#' @export
#' @examples
#' model <- load_model(keraspredict_example("iris"))
#'
#' file <- tempfile(fileext = ".csv")
#' write.csv(iris, file, row.names = FALSE)
#' rows <- csv_batches(file, columns = names(iris)[1:4])
#' head(predict(model, rows, verbose = 0))
#'
#' # A function that gives three batches.
#' given <- 0
#' next_batch <- function() {
#'   given <<- given + 1
#'   if (given <= 3) as.matrix(iris[50 * given - 49:0, 1:4])
#' }
#' dim(predict(model, next_batch, verbose = 0))
csv_batches <- function(
  file,
  columns = NULL,
  header = TRUE,
  sep = ",",
  na = c("", "NA"),
  encoding = "UTF-8",
  transform = NULL
) {
  if (!inherits(file, "connection")) {
    check_text(file, "file", "the path of a file or a connection")
  }
  if (
    !(is.null(columns) || is.character(columns) || is.numeric(columns)) ||
      anyNA(columns)
  ) {
    abort(
      "bad_argument",
      paste0(
        "`columns` must be NULL, names or numbers, not ",
        show_value(columns),
        "."
      ),
      arg = "columns"
    )
  }
  check_flag(header, "header")
  check_text(sep, "sep", "one character")
  if (nchar(sep) != 1) {
    abort(
      "bad_argument",
      paste0("`sep` must be one character, not ", show_value(sep), "."),
      arg = "sep"
    )
  }
  if (!is.character(na)) {
    abort(
      "bad_argument",
      paste0("`na` must be a character vector, not ", show_value(na), "."),
      arg = "na"
    )
  }
  check_text(encoding, "encoding", "the name of an encoding")
  if (!(is.null(transform) || is.function(transform))) {
    abort(
      "bad_argument",
      paste0(
        "`transform` must be NULL or a function, not ",
        show_value(transform),
        "."
      ),
      arg = "transform"
    )
  }
  structure(
    class = "keraspredict_batches",
    list(
      file = file,
      columns = columns,
      header = header,
      sep = sep,
      na = na,
      encoding = encoding,
      transform = transform
    )
  )
}

#' @export
print.keraspredict_batches <- function(x, ...) {
  from <- if (is.character(x$file)) x$file else summary(x$file)$description
  cat("<batches of rows from '", from, "'>\n", sep = "")
  invisible(x)
}

csv_source <- function(x, info, rows) {
  opened <- open_csv(x$file, x$encoding)
  done <- FALSE
  on.exit(if (!done) opened$close())
  con <- opened$connection
  take_lines <- function(n) complete_records(con, n)
  first <- sub("^\ufeff", "", take_lines(1))
  started <- length(first) > 0
  names <- if (started) csv_fields(first, x$sep)
  pending <- if (!x$header) first
  if (!x$header) {
    names <- paste0("V", seq_along(names))
  }
  wanted <- if (started) csv_columns(x$columns, names)
  text <- csv_text_columns(info, names, wanted)
  done <- TRUE
  new_source(
    function() {
      lines <- c(pending, take_lines(rows - length(pending)))
      pending <<- NULL
      if (length(lines) == 0) {
        return(NULL)
      }
      frame <- parse_csv(lines, names, x$sep, x$na, text)[wanted]
      frame <- with_doubles(frame)
      if (is.null(x$transform)) frame else x$transform(frame)
    },
    "a file",
    close = opened$close
  )
}

# A connection that can be read, and what closes it if it was opened here.
open_csv <- function(file, encoding) {
  if (inherits(file, "connection")) {
    mine <- !isOpen(file)
    if (mine) {
      open(file, "rt")
    }
    return(list(connection = file, close = function() if (mine) close(file)))
  }
  if (!grepl("^(https?|ftp|file)://", file)) {
    if (!file.exists(file)) {
      abort(
        "file_missing",
        paste0("Can't find a file at '", file, "'."),
        c(i = paste0("The working directory is '", getwd(), "'."))
      )
    }
    con <- base::file(file, "rt", encoding = encoding)
  } else {
    con <- url(file, "rt", encoding = encoding)
  }
  list(connection = con, close = function() close(con))
}

# The next `n` lines that aren't empty, and as many more as it takes to end a
# quoted field with line breaks in it.
complete_records <- function(con, n) {
  if (n < 1) {
    return(character())
  }
  lines <- readLines(con, n, warn = FALSE)
  if (length(lines) == 0) {
    return(lines)
  }
  quotes <- count_quotes(lines)
  while (quotes %% 2 == 1) {
    more <- readLines(con, 1, warn = FALSE)
    if (length(more) == 0) {
      abort(
        "bad_input",
        "`x` ends inside of a quoted field.",
        c(i = "Was the file written completely?"),
        arg = "x"
      )
    }
    lines <- c(lines, more)
    quotes <- quotes + count_quotes(more)
  }
  kept <- lines[nzchar(lines)]
  if (length(kept)) kept else complete_records(con, n)
}

count_quotes <- function(lines) {
  lines <- lines[grepl("\"", lines, fixed = TRUE)]
  if (length(lines)) sum(nchar(gsub("[^\"]", "", lines))) else 0
}

csv_fields <- function(line, sep) {
  scan(
    text = line,
    what = "",
    sep = sep,
    quote = "\"",
    quiet = TRUE,
    strip.white = TRUE
  )
}

# The columns to take, as numbers.
csv_columns <- function(columns, names) {
  if (is.null(columns)) {
    return(seq_along(names))
  }
  at <- if (is.character(columns)) {
    match(columns, names)
  } else {
    match(columns, seq_along(names))
  }
  if (anyNA(at)) {
    abort(
      "bad_input",
      paste0("`x` must have the columns ", enumerate(columns), "."),
      c(
        x = paste0("Missing: ", enumerate(columns[is.na(at)]), "."),
        i = paste0("It has ", enumerate(names), ".")
      ),
      arg = "x"
    )
  }
  at
}

# Columns of the model's inputs that take text.
csv_text_columns <- function(info, names, wanted) {
  text <- vapply(info$inputs, function(spec) spec$dtype == "string", NA)
  if (length(text) == 1) {
    return(if (text) wanted)
  }
  inputs <- vapply(info$inputs, `[[`, "", "name")
  which(names %in% inputs[text])
}

# Lines as a data frame; `text` are the numbers of the columns of text.
parse_csv <- function(lines, names, sep, na, text, parser = csv_parser()) {
  frame <- tryCatch(
    csv_parsers[[parser]](lines, length(names), sep, na, text),
    error = function(e) {
      abort("bad_input", "Can't read the lines of `x`.", arg = "x", parent = e)
    }
  )
  if (ncol(frame) != length(names)) {
    abort(
      "bad_input",
      paste0(
        "The lines of `x` must have ",
        length(names),
        " fields, not ",
        ncol(frame),
        "."
      ),
      arg = "x"
    )
  }
  stats::setNames(frame, names)
}

csv_parser <- function() {
  if (requireNamespace("data.table", quietly = TRUE)) {
    "data.table"
  } else if (requireNamespace("readr", quietly = TRUE)) {
    "readr"
  } else {
    "base"
  }
}

# As one text with a line break in it, which tells it from the path of a file.
csv_text <- function(lines) {
  paste0(paste(lines, collapse = "\n"), "\n")
}

csv_parsers <- list(
  data.table = function(lines, width, sep, na, text) {
    withCallingHandlers(
      data.table::fread(
        text = csv_text(lines),
        sep = sep,
        header = FALSE,
        na.strings = na,
        data.table = FALSE,
        fill = FALSE,
        colClasses = if (length(text)) list(character = text),
        integer64 = "double",
        strip.white = TRUE
      ),
      # fread() only warns of lines that it can't read, and leaves them out.
      warning = function(w) stop(conditionMessage(w), call. = FALSE)
    )
  },
  readr = function(lines, width, sep, na, text) {
    types <- rep("?", width)
    types[text] <- "c"
    withCallingHandlers(
      as.data.frame(readr::read_delim(
        I(csv_text(lines)),
        delim = sep,
        col_names = FALSE,
        na = na,
        trim_ws = TRUE,
        col_types = paste(types, collapse = ""),
        progress = FALSE,
        show_col_types = FALSE
      )),
      warning = function(w) stop(conditionMessage(w), call. = FALSE)
    )
  },
  base = function(lines, width, sep, na, text) {
    classes <- rep(NA_character_, width)
    classes[text] <- "character"
    utils::read.table(
      text = lines,
      sep = sep,
      header = FALSE,
      quote = "\"",
      na.strings = na,
      colClasses = classes,
      comment.char = "",
      strip.white = TRUE,
      stringsAsFactors = FALSE,
      fill = FALSE
    )
  }
)
