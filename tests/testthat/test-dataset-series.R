test_that("windows are those of Keras", {
  x <- matrix(as.numeric(0:29), 15, byrow = TRUE)
  y <- 0:14 * 10
  windows <- function(name, ..., batch_size = 5, targets = NULL) {
    dataset <- timeseries_dataset_from_array(
      x,
      targets,
      ...,
      batch_size = batch_size
    )
    expect_batches(dataset, dataset_cases(name), name)
  }
  windows("plain", sequence_length = 4)
  windows("targets", sequence_length = 4, targets = y)
  windows(
    "stride",
    sequence_length = 3,
    sequence_stride = 4,
    sampling_rate = 2,
    targets = y
  )
  windows(
    "part",
    sequence_length = 3,
    start_index = 2,
    end_index = 11,
    targets = y
  )
  windows("few targets", sequence_length = 2, targets = matrix(y[1:5]))
  windows("begin", sequence_length = 5, start_index = 4)
  frame <- as.data.frame(x)
  expect_identical(
    iterate(timeseries_dataset_from_array(frame, NULL, 4)),
    iterate(timeseries_dataset_from_array(x, NULL, 4))
  )
  # A vector has steps of no axes.
  vector <- timeseries_dataset_from_array(1:6, NULL, 3, batch_size = NULL)
  expect_identical(iter_next(as_iterator(vector)), array(1:3))
  expect_length(vector, 4)
})

test_that("single windows have no axis of the batch", {
  x <- matrix(as.numeric(0:29), 15, byrow = TRUE)
  dataset <- timeseries_dataset_from_array(
    x,
    0:14 * 10,
    12,
    batch_size = NULL
  )
  given <- iterate(dataset)
  wanted <- dataset_cases("single")
  expect_length(given, length(wanted))
  for (i in seq_along(wanted)) {
    expect_identical(given[[i]][[1]], wanted[[i]]$x)
    expect_identical(given[[i]][[2]], as.vector(wanted[[i]]$y))
  }
})

test_that("shuffled windows are all there, each with its target", {
  x <- matrix(as.numeric(0:29), 15, byrow = TRUE)
  shuffled <- function(seed) {
    timeseries_dataset_from_array(
      x,
      0:14 * 10,
      2,
      batch_size = 20,
      shuffle = TRUE,
      seed = seed
    )
  }
  wanted <- dataset_cases("shuffled")[[1]]
  given <- iterate(shuffled(7))[[1]]
  # Keras mixes its batches once more.
  sorted <- function(x, y) {
    order <- order(y)
    list(unname(x[order, , ]), as.vector(y)[order])
  }
  expect_identical(
    sorted(given[[1]], given[[2]]),
    sorted(wanted$x, wanted$y)
  )
  expect_true(is.unsorted(given[[2]]))
  set.seed(1)
  one <- iterate(shuffled(NULL))
  set.seed(1)
  expect_identical(iterate(shuffled(NULL)), one)
})
