draws <- function(
  total,
  steps,
  verbose = 1L,
  redraw = TRUE,
  colours = redraw,
  columns = function() 80
) {
  bar <- new_progress(
    verbose,
    total,
    now = 100,
    redraw = redraw,
    colours = colours,
    columns = columns
  )
  capture.output({
    for (step in steps) {
      progress_update(bar, step[[1]], now = 100 + step[[2]])
    }
    progress_finish(bar, now = 100 + utils::tail(steps, 1)[[1]][[2]])
  })
}

test_that("a bar is drawn as Keras draws it", {
  skip_if_not(l10n_info()[["UTF-8"]])
  # What Keras' own Progbar writes for the same steps at the same times.
  file <- test_path("fixtures", "progress.txt")
  text <- readChar(file, file.size(file), useBytes = TRUE)
  Encoding(text) <- "UTF-8"
  expected <- strsplit(text, "\n", fixed = TRUE)[[1]]
  got <- c(
    draws(12, list(c(1, 0.5), c(2, 0.52), c(7, 3.25), c(12, 6))),
    draws(1, list(c(1, 0.0021))),
    draws(1000, list(c(1, 40), c(2, 80), c(3, 81), c(10, 400))),
    draws(NULL, list(c(1, 0.5), c(2, 1.5), c(3, 2.25))),
    draws(100000, list(c(1, 1), c(2, 2), c(50000, 5.5), c(100000, 5.6)))
  )
  expect_identical(got, expected)
})

test_that("verbose = 2 is one line at the end, 0 none", {
  expect_identical(
    draws(3, list(c(1, 0.03), c(2, 0.06), c(3, 0.09)), 2L),
    "3/3 - 0s - 30ms/step"
  )
  expect_identical(
    draws(NULL, list(c(1, 2), c(2, 4)), 2L),
    "2/2 - 4s - 2s/step"
  )
  expect_identical(draws(3, list(c(3, 1)), 0L), character())
})

test_that("where nothing can be drawn over, there is one line without codes", {
  skip_if_not(l10n_info()[["UTF-8"]])
  expect_identical(
    draws(12, list(c(1, 0.5), c(7, 3.25), c(12, 6)), redraw = FALSE),
    paste0("12/12 ", strrep("\u2501", 20), " 6s 500ms/step")
  )
})

# What R makes of a console that is RStudio's: interactive, and no terminal.
rstudio_says <- function(env) {
  code <- tempfile(fileext = ".R")
  on.exit(unlink(code))
  writeLines(
    c(
      sprintf(".libPaths(%s)", deparse1(.libPaths())),
      "ours <- asNamespace('keraspredict')",
      "cat('\\nsays', ours$can_redraw(), ours$has_colours(), ours$console_width(), '\\n')"
    ),
    code
  )
  out <- system2(
    file.path(R.home("bin"), "R"),
    c("--vanilla", "--interactive", "--quiet", "--no-echo"),
    stdin = code,
    stdout = TRUE,
    stderr = FALSE,
    env = c("RSTUDIO=1", "RSTUDIO_CONSOLE_COLOR=", env)
  )
  trimws(sub("^says ", "", grep("^says ", out, value = TRUE)))
}

test_that("consoles without colours are drawn over without them", {
  skip_if_not(l10n_info()[["UTF-8"]])
  out <- draws(2, list(c(1, 0.5), c(2, 1)), colours = FALSE)
  bar <- strrep("\u2501", 20)
  half <- paste0(strrep("\u2501", 10), strrep("\u2500", 10))
  expect_identical(
    strsplit(out, "\b*\r")[[1]],
    c(
      "",
      paste0("1/2 ", half, " 0s 500ms/step"),
      paste0("2/2 ", bar, " 0s 500ms/step"),
      paste0("2/2 ", bar, " 1s 500ms/step")
    )
  )
  expect_identical(rstudio_says(character()), "TRUE FALSE 80")
  expect_identical(rstudio_says("RSTUDIO_CONSOLE_COLOR=256"), "TRUE TRUE 80")
  expect_identical(
    rstudio_says(c("RSTUDIO_CONSOLE_COLOR=256", "NO_COLOR=1")),
    "TRUE FALSE 80"
  )
})

test_that("a line that would break has a shorter bar", {
  skip_if_not(l10n_info()[["UTF-8"]])
  columns <- c(40, 36, 30, 28, 28)
  seen <- 0
  narrower <- function() {
    seen <<- seen + 1
    columns[[seen]]
  }
  out <- draws(
    1000,
    list(c(1, 1), c(500, 100), c(900, 200), c(1000, 250)),
    colours = FALSE,
    columns = narrower
  )
  lines <- trimws(strsplit(out, "\b*\r")[[1]][-1], "right")
  expect_lt(max(nchar(lines) - columns), 0)
  expect_match(lines[[1]], "^   1/1000 \u2500{15} 16:39 1s/step$")
  expect_identical(lines[[5]], "1000/1000 250s 249ms/step")
})

test_that("times have Keras' units", {
  expect_identical(progress_eta(59.9), "59s")
  expect_identical(progress_eta(60), "60s")
  expect_identical(progress_eta(61), "1:01")
  expect_identical(progress_eta(3601), "1:00:01")
  expect_identical(progress_step_time(0), " 0s/step")
  expect_identical(progress_step_time(1.6), " 2s/step")
  expect_identical(progress_step_time(0.0123), " 12ms/step")
  expect_identical(progress_step_time(0.000123), " 123us/step")
})

test_that("verbose is resolved as documented", {
  auto <- function(env = character(), options = list()) {
    old <- options(options)
    on.exit(options(old))
    resolve_verbose("auto")
  }
  expect_identical(auto(), 0L)
  expect_identical(auto(options = list(knitr.in.progress = TRUE)), 2L)
  expect_identical(resolve_verbose(1), 1L)
  expect_identical(resolve_verbose(TRUE), 1L)
  expect_identical(resolve_verbose(2L), 2L)
  old <- Sys.getenv(c("TESTTHAT", "TF_CONFIG"))
  on.exit({
    Sys.setenv(TESTTHAT = old[[1]])
    Sys.unsetenv("TF_CONFIG")
  })
  Sys.setenv(TESTTHAT = "")
  expect_identical(resolve_verbose("auto"), 1L)
  Sys.setenv(TF_CONFIG = "{}")
  expect_identical(resolve_verbose("auto"), 2L)
})

test_that("workers of parallel back ends write one line", {
  skip_on_cran()
  out <- run_r(c(
    "cluster <- parallel::makeCluster(1)",
    sprintf(
      "invisible(parallel::clusterCall(cluster, .libPaths, %s))",
      deparse1(.libPaths())
    ),
    "verbose <- quote(keraspredict:::resolve_verbose('auto'))",
    "cat(parallel::clusterCall(cluster, eval, verbose)[[1]], '')",
    "parallel::stopCluster(cluster)",
    "if (.Platform$OS.type == 'unix') {",
    "  cat(unlist(parallel::mclapply(1:2, function(i) eval(verbose), mc.cores = 2)), '')",
    "} else cat('2 2 ')",
    "cat(eval(verbose))"
  ))
  expect_identical(out, "2 2 2 1")
})

test_that("outside of UTF-8 the bar is of plain characters", {
  skip_on_os("windows")
  out <- run_r(
    c(
      "library(keraspredict)",
      sprintf(
        "model <- load_model(%s)",
        deparse(normalizePath(fixture("mlp")))
      ),
      "y <- predict(model, matrix(0, 100, 4))"
    ),
    env = "LC_ALL=C"
  )
  expect_match(out, "^4/4 ={20} 0s [0-9]+[mu]s/step$")
})

test_that("options(keras.verbose = ) sets the default, an argument wins", {
  old <- options(keras.verbose = 2)
  on.exit(options(old))
  model <- loaded("mlp")
  x <- cases()$mlp$x
  expect_match(
    capture.output(y <- predict(model, x)),
    "^1/1 - 0s - [0-9]+[mu]s/step$"
  )
  expect_length(capture.output(y <- predict(model, x, verbose = 0)), 0)
  out <- capture.output(y <- predict(model, x, verbose = 1))
  expect_length(out, 1)
  expect_false(grepl("\033|\b|\r", out))
})

test_that("in a script whose output is a file there is one line, in a script without testthat", {
  out <- run_r(c(
    "library(keraspredict)",
    sprintf("model <- load_model(%s)", deparse(normalizePath(fixture("mlp")))),
    "y <- predict(model, matrix(0, 100, 4))"
  ))
  expect_match(out, "^4/4 .{20} 0s [0-9]+[mu]s/step$")
})

test_that("a terminal shows Keras' bar", {
  skip_on_os(c("windows", "mac", "solaris"))
  skip_if(!nzchar(Sys.which("script")), "script (of util-linux) is missing")
  code <- tempfile(fileext = ".R")
  out <- tempfile()
  on.exit(unlink(c(code, out)))
  writeLines(
    c(
      sprintf(".libPaths(%s)", deparse1(.libPaths())),
      "library(keraspredict)",
      sprintf(
        "model <- load_model(%s)",
        deparse(normalizePath(fixture("mlp")))
      ),
      "slow <- callback_lambda(on_predict_batch_end = function(batch, logs) Sys.sleep(0.06))",
      "y <- predict(model, matrix(0, 96, 4), callbacks = slow)"
    ),
    code
  )
  command <- paste(file.path(R.home("bin"), "Rscript"), "--vanilla", code)
  system2(
    "script",
    c("-qec", shQuote(command), shQuote(out)),
    stdout = FALSE,
    stdin = "/dev/null",
    env = c("TESTTHAT=", "TERM=xterm", "LC_ALL=C.UTF-8")
  )
  skip_if_not(file.exists(out), "this machine gives no pseudo-terminals")
  text <- readChar(out, file.size(out), useBytes = TRUE)
  Encoding(text) <- "UTF-8"
  text <- sub("(?s)^Script started[^\n]*\n", "", text, perl = TRUE)
  draws <- strsplit(text, "\r(?!\n)", perl = TRUE)[[1]]
  draws <- draws[nzchar(draws)]
  bold <- function(x) paste0("\033\\[1m", x, "\033\\[0m")
  bar <- function(done) {
    sign <- "\u2501"
    paste0(
      "\033\\[32m",
      sign,
      "{",
      done,
      "}\033\\[0m\033\\[37m",
      sign,
      "{",
      20 - done,
      "}\033\\[0m"
    )
  }
  time <- paste0(" ", bold("0s"), " [0-9]+ms/step *")
  expect_match(draws[1], paste0("^", bold("1/3"), " ", bar(6), time, "\b+$"))
  expect_match(draws[2], paste0("^", bold("2/3"), " ", bar(13), time, "\b+$"))
  last <- utils::tail(draws, 1)
  expect_match(last, paste0("^", bold("3/3"), " ", bar(20), time, "\r?\n"))
})

test_that("knitr gets one line", {
  skip_if_not_installed("knitr")
  input <- tempfile(fileext = ".Rmd")
  output <- tempfile(fileext = ".md")
  on.exit(unlink(c(input, output)))
  writeLines(
    c(
      "```{r}",
      "library(keraspredict)",
      sprintf(
        "model <- load_model(%s)",
        deparse(normalizePath(fixture("mlp")))
      ),
      "y <- predict(model, matrix(0, 96, 4))",
      "```"
    ),
    input
  )
  knitr::knit(input, output, quiet = TRUE, envir = new.env())
  expect_match(
    readLines(output),
    "^## 3/3 - 0s - [0-9]+[mu]s/step$",
    all = FALSE
  )
  expect_false(any(grepl("\u2501", readLines(output))))
})
