test_that("a script of keras3 runs with another library() call", {
  script <- readLines(test_path("fixtures", "script.R"))
  expect_identical(sum(script == "library(keras3)"), 1L)
  case <- cases()$mlp
  two <- cases()$two
  given <- tempfile(fileext = ".rds")
  saveRDS(
    list(
      folder = normalizePath(test_path("fixtures")),
      x = case$x,
      both = two$x
    ),
    given
  )
  result <- tempfile(fileext = ".rds")
  out <- run_r(
    c(
      sprintf("list2env(readRDS(%s), globalenv())", deparse(given)) |>
        paste("|> invisible()"),
      sub("library(keras3)", "library(keraspredict)", script, fixed = TRUE),
      "rm(model, two, features, kept, hidden, logger, early, Logger)",
      sprintf("saveRDS(as.list(globalenv()), %s)", deparse(result))
    ),
    env = "LC_ALL=C.UTF-8"
  )
  got <- readRDS(result)
  for (name in c(
    "scores",
    "small",
    "steps",
    "direct",
    "batch",
    "logged",
    "rows",
    "silent",
    "again"
  )) {
    expect_close(got[[name]], case$y)
  }
  expect_close(got$named, two$y)
  expect_close(got$ordered, two$y)
  expect_equal(got$part, got$by_hand, tolerance = 1e-5)
  expect_identical(got$padded, rbind(c(1L, 2L, 3L, 0L), 6:9))
  expect_identical(got$classes, rbind(c(1, 0, 0), c(0, 0, 1), c(0, 1, 0)))

  expect_identical(grep("^Model: \"mlp\"$", out), 1L)
  from <- match("steps: 3 ", out)
  expect_identical(
    trimws(out[from + 1:4]),
    c("part 1 of mlp", "part 2 of mlp", "two", "part 3 of mlp")
  )
  expect_match(out[[from + 5]], "^2/2 - 0s - [0-9]+[mu]s/step$")
  expect_match(out[[from + 6]], "^2/2 .{20} 0s [0-9]+[mu]s/step$")
  expect_length(out, from + 6)
})

test_that("a generator of unknown length has no steps, and can be stopped", {
  case <- cases()$mlp
  left <- split(seq_len(7), c(1, 1, 1, 2, 2, 2, 3))
  take <- function() {
    if (length(left) == 0) {
      return(NULL)
    }
    rows <- left[[1]]
    left <<- left[-1]
    case$x[rows, , drop = FALSE]
  }
  seen <- list()
  stopper <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    seen$steps <<- list(stopper$params$steps)
    if (batch == 2) stopper$model$stop_predicting <- TRUE
  })
  expect_close(predict(loaded("mlp"), take, callbacks = stopper), case$y[1:6, ])
  expect_identical(seen$steps, list(NULL))
})

test_that("bfloat16 outputs are doubles", {
  model <- json_model(
    "[null, 2]",
    c(Rescaling = '"scale": 2.0, "offset": 0.0, "dtype": "bfloat16"')
  )
  expect_identical(predict(model, matrix(c(1, 0.5), 1)), matrix(c(2, 1), 1))
})
