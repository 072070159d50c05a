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

# Whether this process works for another one: a cluster's node (parallel,
# parallelly, future), a fork of parallel, a daemon of mirai.
is_worker <- function() {
  any(grepl("workRSOCK|mirai::(\\.)?daemon", commandArgs())) ||
    (isNamespaceLoaded("parallel") &&
      isTRUE(get("isChild", asNamespace("parallel"))()))
}

# Whether what is written to stdout can be written over.
can_redraw <- function() {
  if (sink.number() > 0 || isTRUE(getOption("knitr.in.progress"))) {
    return(FALSE)
  }
  if (identical(Sys.getenv("RSTUDIO"), "1") && interactive()) {
    return(TRUE)
  }
  isatty(stdout()) && !identical(Sys.getenv("TERM"), "dumb")
}

# A progress bar is an environment; `total` is NULL where it isn't known.
new_progress <- function(
  verbose,
  total,
  now = wall_clock(),
  redraw = can_redraw()
) {
  bar <- new.env(parent = emptyenv())
  bar$verbose <- verbose
  bar$total <- total
  bar$redraw <- redraw
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
    if (bar$redraw) paste0("\033[1m", text, "\033[0m") else text
  }
  line <- if (known) {
    progress_line(current, bar$total, bar$redraw, bold)
  } else {
    list(sprintf("%7d/Unknown", as.integer(current)), 15L)
  }
  time <- if (known && !last) {
    progress_eta(per_step * (bar$total - current))
  } else {
    sprintf("%.0fs", now - bar$start)
  }
  step <- progress_step_time(per_step)
  text <- paste0(line[[1]], " ", bold(time), step)
  if (!known) {
    line[[2]] <- nchar(line[[1]])
  }
  width <- line[[2]] + 1L + nchar(time) + nchar(step)
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

# The count and the bar, with their visible width.
progress_line <- function(current, total, colours, bold) {
  count <- progress_count(current, total)
  sign <- if (l10n_info()[["UTF-8"]]) "\u2501" else "="
  done <- as.integer(20 * (current / total))
  bar <- if (colours) {
    paste0(
      if (done > 0) paste0("\033[32m", strrep(sign, done), "\033[0m"),
      "\033[37m",
      strrep(sign, 20L - done),
      "\033[0m"
    )
  } else {
    strrep(sign, 20L)
  }
  list(paste0(bold(count), " ", bar), nchar(count) + 21L)
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
