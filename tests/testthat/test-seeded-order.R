test_that("orders are those of numpy and Python, and R's random numbers are left alone", {
  # numpy.random.RandomState(seed).shuffle()
  expect_identical(numpy_order(5, 123), c(2L, 4L, 5L, 1L, 3L))
  expect_identical(numpy_order(5, 2^32 - 1), c(5L, 2L, 1L, 3L, 4L))
  expect_identical(numpy_order(0, 1), integer())
  expect_identical(numpy_order(1, 1), 1L)
  # Python's shuffle() after seed().
  expect_identical(python_order(5, 123), c(4L, 2L, 5L, 3L, 1L))
  expect_identical(python_order(5, 0), c(3L, 2L, 1L, 5L, 4L))
  expect_identical(
    python_order(10, 2^32 - 1),
    c(1L, 8L, 2L, 6L, 3L, 7L, 5L, 9L, 4L, 10L)
  )
  set.seed(3)
  wanted <- stats::runif(1)
  set.seed(3)
  numpy_order(9, 1)
  expect_identical(stats::runif(1), wanted)
  expect_identical(
    run_r(c(
      "library(keraspredict)",
      "x <- timeseries_dataset_from_array(1:9, NULL, 2, shuffle = TRUE, seed = 1)",
      "cat(exists('.Random.seed', globalenv()))"
    )),
    "FALSE"
  )
})
