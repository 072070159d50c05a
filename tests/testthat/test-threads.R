test_that("threads are counted and set", {
  before <- keraspredict_threads(1)
  expect_identical(keraspredict_threads(), 1L)
  expect_identical(keraspredict_threads(3), 1L)
  expect_identical(keraspredict_threads(before), 3L)
  expect_identical(keraspredict_threads(), before)
  expect_error(
    keraspredict_threads(0),
    class = "keraspredict_error_bad_argument"
  )
  expect_error(
    keraspredict_threads("two"),
    class = "keraspredict_error_bad_argument"
  )
})

test_that("the option and the environment set threads", {
  code <- "options(keraspredict.threads = 3); library(keraspredict); cat(keraspredict_threads())"
  expect_identical(run_r(code), "3")
  code <- "library(keraspredict); cat(keraspredict_threads())"
  expect_identical(run_r(code, env = "KERASPREDICT_THREADS=5"), "5")
  limited <- run_r(
    code,
    env = c("KERASPREDICT_THREADS=", "_R_CHECK_LIMIT_CORES_=true")
  )
  expect_lte(as.integer(limited), 2L)
})

test_that("predictions see the option change, and its bad values", {
  model <- load_model(keraspredict_example("iris"))
  x <- as.matrix(iris[1:3, 1:4])
  expected <- predict(model, x, verbose = 0)
  before <- keraspredict_threads()
  old <- options(keraspredict.threads = before + 1L)
  on.exit({
    options(old)
    use_threads()
  })
  expect_identical(predict(model, x, verbose = 0), expected)
  expect_identical(engine_threads(-1), before + 1L)
  options(keraspredict.threads = "two")
  expect_error(model(x), class = "keraspredict_error_bad_argument")
})
