# What a prediction writes while it runs: the text of Keras' utils/progbar.py,
# through R's own output, so that capture.output(), sink() and knitr see it.

# `verbose` as 0, 1 or 2.
resolve_verbose <- function(verbose, arg = "verbose") {
  if (identical(verbose, "auto")) {
    return(auto_verbose())
  }
  ok <- (is.numeric(verbose) || is.logical(verbose)) &&
    length(verbose) == 1 &&
    !is.na(verbose)
  if (ok && (verbose == 0 || verbose == 1 || verbose == 2)) {
    return(as.integer(verbose))
  }
  abort(
    "bad_argument",
    paste0(
      "`",
      arg,
      "` must be \"auto\", 0, 1 or 2, not ",
      show_value(verbose),
      "."
    ),
    arg = arg
  )
}

auto_verbose <- function() {
  if (isTRUE(getOption("knitr.in.progress"))) {
    2L
  } else if (identical(Sys.getenv("TESTTHAT"), "true")) {
    0L
  } else if (nzchar(Sys.getenv("TF_CONFIG")) || is_worker()) {
    2L
  } else {
    1L
  }
}

# Whether this process works for another one: a worker of a cluster or a fork of
# parallel.
is_worker <- function() {
  is_cluster_worker() ||
    (isNamespaceLoaded("parallel") &&
      isTRUE(get("isChild", asNamespace("parallel"))()))
}

# Whether what is written to stdout can be written over.
can_redraw <- function() {
  if (sink.number() > 0 || isTRUE(getOption("knitr.in.progress"))) {
    return(FALSE)
  }
  in_rstudio() || isatty(stdout()) && !identical(Sys.getenv("TERM"), "dumb")
}

# RStudio's console, which is no terminal.
in_rstudio <- function() {
  identical(Sys.getenv("RSTUDIO"), "1") && interactive() && !isatty(stdout())
}

# Whether what can be written over also takes colours: a terminal does, and
# RStudio's console where it says so; nobody does who set NO_COLOR.
has_colours <- function() {
  if (nzchar(Sys.getenv("NO_COLOR"))) {
    return(FALSE)
  }
  !in_rstudio() || Sys.getenv("RSTUDIO_CONSOLE_COLOR") %in% c("8", "16", "256")
}

# How many characters go on a line, which may change while a bar is drawn.
console_width <- function() {
  columns <- if (in_rstudio()) 0L else engine_columns()
  if (columns > 0) columns else getOption("width")
}

# A progress bar is an environment; `total` is NULL where it isn't known.
new_progress <- function(
  verbose,
  total,
  now = wall_clock(),
  redraw = can_redraw(),
  colours = redraw && has_colours(),
  columns = console_width
) {
  bar <- new.env(parent = emptyenv())
  bar$verbose <- verbose
  bar$total <- total
  bar$redraw <- redraw
  bar$colours <- colours
  bar$columns <- columns
  bar$start <- now
  bar$last_update <- 0
  bar$after_first <- NULL
  bar$width <- 0L
  bar$seen <- 0
  bar$report <- progress_reporter(verbose, total)
  if (!is.null(bar$report)) {
    bar$verbose <- 0L
  }
  bar
}

# Where progressr shows progress, in its own way: a function of the steps done.
progress_reporter <- function(verbose, total) {
  if (
    verbose == 0L ||
      is.null(total) ||
      !isNamespaceLoaded("progressr") ||
      !reports_progress()
  ) {
    return(NULL)
  }
  step <- progressr::progressor(
    steps = total,
    auto_finish = FALSE,
    on_exit = FALSE,
    envir = parent.frame()
  )
  reported <- 0
  function(done, last = FALSE) {
    if (done > reported) {
      step(amount = done - reported)
    }
    reported <<- done
    if (last) step(type = "finish")
  }
}

# Whether someone listens to progressr's conditions.
reports_progress <- function() {
  isTRUE(progressr::handlers(global = NA)) ||
    any(vapply(
      sys.calls(),
      function(call) {
        name <- call[[1]]
        identical(name, quote(with_progress)) ||
          is.call(name) &&
            identical(name[[1]], quote(`::`)) &&
            identical(name[[3]], quote(with_progress))
      },
      NA
    ))
}

wall_clock <- function() {
  as.numeric(Sys.time())
}

# After step `current`.
progress_update <- function(bar, current, now = wall_clock()) {
  bar$seen <- current
  if (!is.null(bar$report)) {
    bar$report(current)
  }
  if (bar$verbose != 1L) {
    return(invisible())
  }
  per_step <- progress_per_step(bar, current, now)
  if (!bar$redraw || now - bar$last_update < 0.05) {
    return(invisible())
  }
  progress_draw(bar, current, now, per_step, FALSE)
  bar$last_update <- now
  invisible()
}

# At the end: the last draw, or the only line.
progress_finish <- function(bar, now = wall_clock()) {
  if (!is.null(bar$report)) {
    bar$report(bar$seen, last = TRUE)
  }
  if (bar$verbose == 0L) {
    return(invisible())
  }
  if (is.null(bar$total)) {
    bar$total <- bar$seen
  }
  current <- bar$total
  per_step <- progress_per_step(bar, current, now)
  if (bar$verbose == 1L) {
    progress_draw(bar, current, now, per_step, TRUE)
  } else if (bar$total > 0) {
    cat(
      progress_count(current, bar$total),
      " - ",
      sprintf("%.0fs", now - bar$start),
      " -",
      progress_step_time(per_step),
      "\n",
      sep = ""
    )
  }
  invisible()
}

# Seconds per step; the first step is left out once there are more.
progress_per_step <- function(bar, current, now) {
  if (current == 0) {
    return(0)
  }
  seconds <- if (!is.null(bar$after_first) && current > 1) {
    (now - bar$after_first) / (current - 1)
  } else {
    (now - bar$start) / current
  }
  if (current == 1) {
    bar$after_first <- now
  }
  seconds
}

progress_draw <- function(bar, current, now, per_step, last) {
  known <- !is.null(bar$total) && bar$total > 0
  bold <- function(text) {
    if (bar$colours) paste0("\033[1m", text, "\033[0m") else text
  }
  time <- if (known && !last) {
    progress_eta(per_step * (bar$total - current))
  } else {
    sprintf("%.0fs", now - bar$start)
  }
  step <- progress_step_time(per_step)
  count <- if (known) {
    progress_count(current, bar$total)
  } else {
    sprintf("%7d/Unknown", as.integer(current))
  }
  width <- nchar(count) + 1L + nchar(time) + nchar(step)
  cells <- if (known) progress_cells(bar, width) else 0L
  text <- paste0(
    if (known) bold(count) else count,
    if (cells > 0) {
      paste0(" ", progress_cell_text(current / bar$total, cells, bar$colours))
    },
    " ",
    bold(time),
    step
  )
  if (cells > 0) {
    width <- width + 1L + cells
  }
  if (bar$redraw) {
    text <- paste0(
      strrep("\b", bar$width),
      "\r",
      text,
      strrep(" ", max(0L, bar$width - width))
    )
  }
  cat(text, if (last) "\n", sep = "")
  if (bar$redraw) {
    utils::flush.console()
  }
  bar$width <- width
}

# The width of the bar itself: 20 as in Keras, and less where the line would
# break, since a line that is broken can't be drawn over.
progress_cells <- function(bar, others) {
  if (!bar$redraw) {
    return(20L)
  }
  room <- bar$columns() - others - 2L
  if (room < 3L) 0L else min(20L, as.integer(room))
}

progress_cell_text <- function(share, cells, colours) {
  utf8 <- l10n_info()[["UTF-8"]]
  sign <- if (utf8) "\u2501" else "="
  done <- as.integer(cells * share)
  if (!colours) {
    left <- if (utf8) "\u2500" else "."
    return(paste0(strrep(sign, done), strrep(left, cells - done)))
  }
  paste0(
    if (done > 0) paste0("\033[32m", strrep(sign, done), "\033[0m"),
    "\033[37m",
    strrep(sign, cells - done),
    "\033[0m"
  )
}

progress_count <- function(current, total) {
  digits <- as.integer(log10(total)) + 1L
  sprintf("%*.0f/%.0f", digits, current, total)
}

progress_eta <- function(seconds) {
  s <- floor(seconds)
  if (seconds > 3600) {
    sprintf(
      "%d:%02d:%02d",
      as.integer(s %/% 3600),
      as.integer(s %% 3600 %/% 60),
      as.integer(s %% 60)
    )
  } else if (seconds > 60) {
    sprintf("%d:%02d", as.integer(s %/% 60), as.integer(s %% 60))
  } else {
    sprintf("%ds", as.integer(s))
  }
}

progress_step_time <- function(seconds) {
  if (seconds >= 1 || seconds == 0) {
    sprintf(" %.0fs/step", seconds)
  } else if (seconds >= 1e-3) {
    sprintf(" %.0fms/step", seconds * 1e3)
  } else {
    sprintf(" %.0fus/step", seconds * 1e6)
  }
}
