# Where the package is used: batch jobs, workers, services, other packages.

predict_line <- function(verbose) {
  c(
    "library(keraspredict)",
    "model <- load_model(keraspredict_example('iris'))",
    sprintf(
      "y <- predict(model, as.matrix(iris[, 1:4]), verbose = %s)",
      verbose
    )
  )
}

expected_iris <- function() {
  predict(load_model(keraspredict_example("iris")), as.matrix(iris[, 1:4]))
}

test_that("a batch job whose output goes to a file writes plain lines", {
  expect_match(
    run_r(predict_line("1")),
    "^5/5 \u2501{20} 0s [0-9.]+[mu]?s/step$|^5/5 ={20} 0s [0-9.]+[mu]?s/step$"
  )
  expect_match(run_r(predict_line("2")), "^5/5 - 0s - [0-9.]+[mu]?s/step$")
  expect_identical(run_r(predict_line("0")), character())
})

test_that("a console that can't redraw gets no escape codes", {
  skip_if(Sys.which("script") == "", "needs script")
  file <- tempfile(fileext = ".R")
  writeLines(
    c(sprintf(".libPaths(%s)", deparse1(.libPaths())), predict_line("1")),
    file
  )
  run <- paste(
    shQuote(file.path(R.home("bin"), "Rscript")),
    "--vanilla",
    shQuote(file)
  )
  out <- system2(
    "script",
    c("-qec", shQuote(run), "/dev/null"),
    stdout = TRUE,
    env = c("TERM=dumb", "TESTTHAT=")
  )
  expect_length(grep("5/5", out), 1)
  expect_false(any(grepl("\033|\b", out)))
})

test_that("models go to callr's processes", {
  skip_on_cran()
  skip_if_not_installed("callr")
  model <- load_model(keraspredict_example("iris"))
  y <- callr::r(
    function(model, x) stats::predict(model, x, verbose = 0),
    list(model, as.matrix(iris[, 1:4])),
    libpath = .libPaths()
  )
  expect_identical(y, expected_iris())
})

test_that("models go to future's workers", {
  skip_on_cran()
  skip_if_not_installed("future")
  model <- load_model(keraspredict_example("iris"))
  x <- as.matrix(iris[, 1:4])
  old <- future::plan(future::multisession, workers = 2)
  on.exit(future::plan(old))
  halves <- lapply(list(1:75, 76:150), function(rows) {
    future::future(
      stats::predict(model, x[rows, ], verbose = 0),
      globals = list(model = model, x = x, rows = rows),
      packages = "keraspredict"
    )
  })
  expect_identical(
    do.call(rbind, lapply(halves, future::value)),
    expected_iris()
  )
})

test_that("forks predict side by side", {
  skip_on_cran()
  skip_on_os("windows")
  expect_identical(
    run_r(c(
      "library(keraspredict)",
      "model <- load_model(keraspredict_example('iris'))",
      "x <- as.matrix(iris[, 1:4])",
      "part <- function(rows) predict(model, x[rows, ], verbose = 0)",
      "parts <- parallel::mclapply(list(1:75, 76:150), part, mc.cores = 2)",
      "cat(identical(do.call(rbind, parts), predict(model, x, verbose = 0)))"
    )),
    "TRUE"
  )
})

test_that("another package ships a model and predicts with it", {
  skip_on_cran()
  root <- file.path(tempfile(), "scorer")
  dir.create(file.path(root, "R"), recursive = TRUE)
  dir.create(file.path(root, "inst"))
  writeLines(
    c(
      "Package: scorer",
      "Title: Scores Flowers",
      "Version: 0.1",
      "Description: Scores flowers.",
      "License: MIT",
      "Author: A",
      "Maintainer: A <a@b.invalid>",
      "Imports: keraspredict"
    ),
    file.path(root, "DESCRIPTION")
  )
  writeLines(
    c(
      "export(score)",
      "importFrom(keraspredict, load_model)",
      "importFrom(stats, predict)"
    ),
    file.path(root, "NAMESPACE")
  )
  writeLines(
    c(
      "the <- new.env()",
      "# A model made while the package is installed works too.",
      "built <- load_model(keraspredict::keraspredict_example('iris'))",
      "score <- function(x) {",
      "  file <- system.file('iris.keras', package = 'scorer')",
      "  if (is.null(the$model)) the$model <- load_model(file)",
      "  list(predict(the$model, x, verbose = 0), predict(built, x, verbose = 0))",
      "}"
    ),
    file.path(root, "R", "score.R")
  )
  file.copy(keraspredict_example("iris"), file.path(root, "inst"))
  library <- tempfile()
  dir.create(library)
  log <- suppressWarnings(system2(
    file.path(R.home("bin"), "R"),
    c("CMD", "INSTALL", paste0("--library=", library), shQuote(root)),
    stdout = TRUE,
    stderr = TRUE,
    env = paste0("R_LIBS=", paste(.libPaths(), collapse = .Platform$path.sep))
  ))
  expect_null(attr(log, "status"), info = paste(log, collapse = "\n"))
  out <- tempfile()
  run_r(c(
    sprintf(".libPaths(c('%s', .libPaths()))", library),
    sprintf("saveRDS(scorer::score(as.matrix(iris[, 1:4])), '%s')", out)
  ))
  expect_identical(readRDS(out), list(expected_iris(), expected_iris()))
})

# Runs code in a process that serves on a port of this machine, until `use` is
# done with it.
with_service <- function(code, use) {
  port <- sample(20000:40000, 1)
  process <- callr::r_bg(
    function(code, port) {
      eval(parse(text = code), list(port = port), globalenv())
    },
    list(code, port),
    libpath = .libPaths(),
    env = c(callr::rcmd_safe_env(), TESTTHAT = "")
  )
  on.exit(process$kill())
  for (i in seq_len(150)) {
    Sys.sleep(0.2)
    up <- tryCatch(
      {
        close(suppressWarnings(socketConnection(
          "127.0.0.1",
          port,
          timeout = 1
        )))
        TRUE
      },
      error = function(e) FALSE
    )
    if (up || !process$is_alive()) break
  }
  expect_true(up)
  use(port)
}

# An HTTP request: its status and body.
ask <- function(port, path, body = NULL) {
  con <- socketConnection(
    "127.0.0.1",
    port,
    open = "r+b",
    blocking = TRUE,
    timeout = 20
  )
  on.exit(close(con))
  writeLines(
    c(
      paste(if (is.null(body)) "GET" else "POST", path, "HTTP/1.0"),
      "Host: 127.0.0.1",
      if (!is.null(body)) {
        c(
          "Content-Type: application/json",
          paste("Content-Length:", nchar(body, "bytes"))
        )
      },
      ""
    ),
    con,
    sep = "\r\n"
  )
  if (!is.null(body)) {
    writeChar(body, con, eos = NULL)
  }
  flush(con)
  lines <- readLines(con, warn = FALSE)
  end <- match("", sub("\r$", "", lines))
  list(
    status = as.integer(sub("^HTTP/[0-9.]+ ([0-9]+).*", "\\1", lines[[1]])),
    body = paste(lines[-seq_len(end)], collapse = "\n")
  )
}

test_that("the plumber API answers", {
  skip_on_cran()
  skip_if_not_installed("plumber")
  skip_if_not_installed("callr")
  file <- system.file(
    "examples",
    "plumber",
    "plumber.R",
    package = "keraspredict"
  )
  code <- sprintf(
    "plumber::pr_run(plumber::pr('%s'), port = port, quiet = TRUE, docs = FALSE)",
    file
  )
  with_service(code, function(port) {
    answer <- ask(
      port,
      "/predict",
      jsonlite::toJSON(iris[c(1, 60, 150), ], digits = NA)
    )
    expect_identical(answer$status, 200L)
    y <- jsonlite::fromJSON(answer$body)
    expect_named(y, levels(iris$Species))
    expect_equal(
      unname(as.matrix(y)),
      unname(expected_iris()[c(1, 60, 150), ]),
      tolerance = 1e-6
    )
    expect_identical(ask(port, "/predict", "[{\"a\": 1}]")$status, 400L)
    expect_identical(
      ask(
        port,
        "/predict",
        sub("5.1", "\"long\"", jsonlite::toJSON(iris[1, ]), fixed = TRUE)
      )$status,
      400L
    )
    expect_match(ask(port, "/model")$body, "Dense")
  })
})

test_that("the Shiny app predicts and is served", {
  skip_on_cran()
  skip_if_not_installed("shiny")
  skip_if_not_installed("callr")
  dir <- system.file("examples", "shiny", package = "keraspredict")
  # library(shiny) in the app is of the service's process.
  best <- callr::r(
    function(dir) {
      app <- shiny::shinyAppDir(dir)
      best <- NULL
      shiny::testServer(app, {
        session$setInputs(
          sepal_length = 5.1,
          sepal_width = 3.5,
          petal_length = 1.4,
          petal_width = 0.2
        )
        best <<- output$best
      })
      best
    },
    list(dir),
    libpath = .libPaths()
  )
  expect_match(best, "^setosa, with a probability of [0-9]+ %$")
  with_service(
    sprintf(
      "shiny::runApp('%s', port = port, launch.browser = FALSE, quiet = TRUE)",
      dir
    ),
    function(port) {
      answer <- ask(port, "/")
      expect_identical(answer$status, 200L)
      expect_match(answer$body, "Which iris is it?", fixed = TRUE)
    }
  )
})
