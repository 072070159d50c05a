test_that("an interrupt ends a prediction and leaves the session sound", {
  skip_on_os("windows")
  code <- c(
    "library(keraspredict)",
    sprintf(
      "model <- load_model(%s)",
      deparse(normalizePath(fixture("image")))
    ),
    "x <- array(0, c(2000, 6, 5))",
    "before <- predict(model, x, verbose = 0)",
    "system(sprintf('(sleep 1; kill -INT %d) &', Sys.getpid()))",
    "started <- Sys.time()",
    "long <- function() while (Sys.time() - started < 60) predict(model, x, verbose = 0)",
    "end <- tryCatch(long(), interrupt = function(i) 'interrupted')",
    "cat(end, '\\n')",
    "cat(Sys.time() - started < 10, '\\n')",
    "cat(identical(predict(model, x, verbose = 0), before), '\\n')"
  )
  expect_identical(trimws(run_r(code)), c("interrupted", "TRUE", "TRUE"))
})

test_that("an interrupt ends a prediction that reads ahead", {
  skip_on_os("windows")
  code <- c(
    "library(keraspredict)",
    sprintf(
      "model <- load_model(%s)",
      deparse(normalizePath(fixture("image")))
    ),
    "part <- array(0, c(100000, 6, 5, 1))",
    "system(sprintf('(sleep 1; kill -INT %d) &', Sys.getpid()))",
    # So that a signal that gets lost makes the test fail, not go on for ever.
    "last <- Sys.time() + 60",
    "forever <- function() if (Sys.time() < last) part",
    "end <- tryCatch(predict(model, forever, verbose = 0), interrupt = function(i) 'interrupted')",
    "cat(end, '\\n')",
    "cat(dim(predict(model, part, verbose = 0)), '\\n')"
  )
  expect_identical(trimws(run_r(code)), c("interrupted", "100000 3"))
})

test_that("an interrupt comes through between the batches of one prediction", {
  skip_on_os("windows")
  code <- c(
    "library(keraspredict)",
    sprintf("model <- load_model(%s)", deparse(normalizePath(fixture("mlp")))),
    "seen <- 0",
    "stop_it <- callback_lambda(on_predict_batch_end = function(batch, logs) {",
    "  seen <<- batch",
    "  if (batch == 3) tools::pskill(Sys.getpid(), tools::SIGINT)",
    "})",
    "x <- matrix(1, 50000, 4)",
    "run <- function() predict(model, x, callbacks = stop_it, verbose = 0)",
    "end <- tryCatch(run(), interrupt = function(i) 'interrupted')",
    "cat(identical(end, 'interrupted') && seen >= 3 && seen < 1000, '\\n')",
    "cat(dim(predict(model, x, verbose = 0)), '\\n')"
  )
  expect_identical(trimws(run_r(code)), c("TRUE", "50000 2"))
})
