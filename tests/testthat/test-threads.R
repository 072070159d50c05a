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

test_that("the default keeps to the cores that a process is told of", {
  default <- "KERASPREDICT_THREADS="
  cores <- function(code) {
    code <- c("library(keraspredict)", code)
    as.integer(strsplit(run_r(code, env = default), " ")[[1]])
  }
  one <- "options(mc.cores = 1); cat(keraspredict_threads())"
  expect_identical(cores(one), 1L)
  code <- "options(mc.cores = 1, keraspredict.threads = 2); cat(keraspredict_threads())"
  expect_identical(cores(code), 2L)
  expect_identical(run_r(c("library(keraspredict)", one), "KERASPREDICT_THREADS=5"), "5")
  # It may be anything, and come and go.
  told <- cores(c(
    "model <- load_model(keraspredict_example('iris'))",
    "count <- function(cores) {",
    "  options(mc.cores = cores)",
    "  model(as.matrix(iris[1:3, 1:4]))",
    "  cat(keraspredict:::engine_threads(-1, 0), '')",
    "}",
    "for (cores in list(NULL, 1L, 'many', NA, 0, NULL)) count(cores)"
  ))
  expect_identical(told, told[[1]] * c(1L, 0L, 1L, 1L, 0L, 1L) + c(0L, 1L, 0L, 0L, 1L, 0L))
})

test_that("workers of future and forks have one thread", {
  skip_on_os("windows")
  expect_identical(
    run_r(
      c(
        "library(keraspredict)",
        "cat(unlist(parallel::mclapply(1:2, function(i) keraspredict_threads())))"
      ),
      env = "KERASPREDICT_THREADS="
    ),
    "1 1"
  )
  # Its workers answer over the network.
  skip_on_cran()
  skip_if_not_installed("future")
  told <- run_r(
    c(
      "future::plan(future::multisession, workers = 2)",
      "cat(future::value(future::future(keraspredict::keraspredict_threads())))"
    ),
    env = "KERASPREDICT_THREADS="
  )
  expect_identical(told, "1")
})

test_that("workers of a cluster have one thread, and more where they are told", {
  skip_on_cran()
  told <- run_r(
    c(
      "cluster <- parallel::makeCluster(2)",
      sprintf(
        "invisible(parallel::clusterCall(cluster, .libPaths, %s))",
        deparse1(.libPaths())
      ),
      "ask <- function(code) {",
      "  cat(unlist(parallel::clusterCall(cluster, eval, code)), '')",
      "}",
      "count <- quote({",
      "  model <- keraspredict::load_model(keraspredict::keraspredict_example('iris'))",
      "  model(as.matrix(iris[1:3, 1:4]))",
      "  keraspredict:::engine_threads(-1, 0)",
      "})",
      "ask(count)",
      "ask(bquote({options(mc.cores = 64); .(count)}))",
      "ask(bquote({options(mc.cores = NULL); .(count)}))",
      "ask(bquote({keraspredict::keraspredict_threads(3); .(count)}))",
      "cat(keraspredict::keraspredict_threads())",
      "parallel::stopCluster(cluster)"
    ),
    env = "KERASPREDICT_THREADS="
  )
  counts <- as.integer(strsplit(told, " ")[[1]])
  all <- counts[[9]]
  expect_identical(counts[-9], c(1L, 1L, all, all, 1L, 1L, 3L, 3L))
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
  expect_identical(engine_threads(-1, 0), before + 1L)
  options(keraspredict.threads = "two")
  expect_error(model(x), class = "keraspredict_error_bad_argument")
})
