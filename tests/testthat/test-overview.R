test_that("runs end where few tensors pass", {
  # Two blocks of three branches, and a chain.
  from <- c(1, 1, 1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 10, 11)
  to <- c(2, 3, 4, 5, 5, 5, 6, 7, 8, 9, 9, 9, 10, 11, 12)
  rank <- node_ranks(12, from, to)
  expect_identical(rank, c(1L, 2L, 2L, 2L, 3L, 4L, 4L, 4L, 5L, 6L, 7L, 8L))
  expect_identical(
    tensors_after(rank, from, to),
    c(1L, 3L, 1L, 3L, 1L, 1L, 1L, 0L)
  )
  expect_identical(run_of_ranks(rank, from, to), c(1L, 2L, 2L, 3L, 3L, 4L, 5L, 6L))
  nodes <- lapply(1:12, function(i) list(name = letters[[i]], class = "Dense"))
  short <- overview_graph(list(nodes = nodes, from = from, to = to))
  expect_identical(
    vapply(short$nodes, `[[`, "", "name"),
    c("a", "b ... e", "f ... i", "j", "k", "l")
  )
  expect_identical(cbind(short$from, short$to), cbind(1:5, 2:6))
})

test_that("a late input stands by what takes it, and no edges are a chain of their own", {
  expect_identical(node_ranks(4, c(1, 2, 4), c(2, 3, 3)), c(1L, 2L, 3L, 2L))
  expect_identical(node_ranks(2, integer(), integer()), c(1L, 1L))
  nodes <- list(list(name = "a", class = "Dense"))
  one <- overview_graph(list(nodes = nodes, from = integer(), to = integer()))
  expect_identical(one$nodes, nodes)
})
