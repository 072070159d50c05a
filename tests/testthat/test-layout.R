# Graphs of nodes of 1 by 1.
graph_of <- function(n, from, to) {
  list(main = rep(1, n), cross = rep(1, n), from = from, to = to)
}

test_that("a chain is one straight line", {
  drawn <- layout_graph(graph_of(4, 1:3, 2:4), 0.5, 0.2)
  expect_equal(drawn$main, 0.5 + 1.5 * 0:3)
  expect_equal(drawn$cross, rep(0.5, 4))
  expect_equal(drawn$size, c(5.5, 1))
  expect_equal(unname(drawn$edges[[1]]), rbind(c(1, 0.5), c(1.5, 0.5)))
})

test_that("edges run beside the nodes that they pass, and nodes don't overlap", {
  drawn <- layout_graph(
    graph_of(5, c(1, 1, 2, 3, 2, 4), c(2, 5, 3, 5, 4, 5)),
    0.5,
    0.2
  )
  for (edge in drawn$edges) {
    for (i in seq_len(5)) {
      inside <- abs(edge[, 1] - drawn$main[[i]]) < 0.499 &
        abs(edge[, 2] - drawn$cross[[i]]) < 0.499
      expect_false(any(inside))
    }
  }
  apart <- outer(drawn$main, drawn$main, function(a, b) abs(a - b)) > 0.99 |
    outer(drawn$cross, drawn$cross, function(a, b) abs(a - b)) > 0.99
  expect_true(all(apart[upper.tri(apart)]))
})

test_that("a sort takes away crossings", {
  crossed <- rank_graph(graph_of(6, c(1, 2, 3, 4), c(4, 3, 6, 5)))
  position <- numeric(6)
  for (nodes in split(1:6, crossed$rank)) {
    position[nodes] <- seq_along(nodes)
  }
  expect_gt(count_crossings(crossed, position), 0)
  ordered <- order_ranks(crossed)
  for (nodes in ordered$ranks) {
    position[nodes] <- seq_along(nodes)
  }
  expect_identical(count_crossings(ordered, position), 0)
})

test_that("cycles and no edges at all are drawn", {
  drawn <- layout_graph(graph_of(3, c(1, 2, 3), c(2, 3, 2)), 0.5, 0.2)
  expect_true(all(is.finite(unlist(drawn$edges))))
  expect_equal(
    layout_graph(graph_of(1, integer(), integer()), 0.5, 0.2)$size,
    c(1, 1)
  )
})

test_that("a long graph is cut where one edge passes", {
  # A skip from 3 to 5: the cut is after it.
  graph <- graph_of(8, c(1:7, 3), c(2:8, 5))
  drawn <- layout_graph(graph, 0.5, 0.2, columns = 2)
  left <- drawn$cross < mean(range(drawn$cross))
  expect_identical(left, rep(c(TRUE, FALSE), c(5, 3)))
  fitting <- function(room) layout_graph(graph, 0.5, 0.2, NULL, room)$columns
  expect_identical(fitting(c(20, 20)), 1L)
  expect_identical(fitting(c(6, 20)), 2L)
})

test_that("a merge stands in the middle of its inputs, and a fork of its outputs", {
  # 1 to 2, 3, 4; 3 to 5; 2, 5, 4 to 6; 6 to 7.
  drawn <- layout_graph(
    graph_of(7, c(1, 1, 1, 3, 2, 5, 4, 6), c(2, 3, 4, 5, 6, 6, 6, 7)),
    0.5,
    0.2
  )
  middle <- mean(range(drawn$cross))
  expect_equal(drawn$cross[c(1, 6, 7)], rep(middle, 3), tolerance = 1e-3)
  expect_equal(drawn$cross[c(3, 5)], rep(drawn$cross[[3]], 2), tolerance = 1e-3)
  # Two inputs of different depth.
  two <- layout_graph(
    graph_of(5, c(1, 2, 3, 4), c(3, 4, 4, 5)),
    0.5,
    0.2
  )
  expect_equal(two$cross[[4]], mean(two$cross[c(2, 3)]), tolerance = 1e-3)
  expect_equal(two$cross[[1]], two$cross[[3]], tolerance = 1e-3)
})

test_that("edges that go around pull at nothing", {
  graph <- rank_graph(graph_of(4, c(1, 2, 3, 1), c(2, 3, 4, 4)))
  expect_identical(sum(graph$around), 3L)
  drawn <- layout_graph(graph_of(4, c(1, 2, 3, 1), c(2, 3, 4, 4)), 0.5, 0.2)
  expect_equal(drawn$cross, rep(drawn$cross[[1]], 4), tolerance = 1e-3)
})

test_that("lines that cross are not both straight", {
  crossing <- list(
    rank = c(1, 1, 2, 2),
    real = 4,
    ranks = list(1:2, 3:4),
    links = cbind(1:2, 4:3)
  )
  expect_null(block_order(crossing, c(1, 2, 2, 1)))
  expect_identical(block_order(crossing, 1:4), c(1L, 3L, 2L, 4L))
})

test_that("values are as near as their distances allow", {
  apart <- list(left = 1:2, right = 2:3, distance = c(1, 1))
  q <- diag(c(1, 1, 1))
  expect_equal(least_squares_apart(q, apart), c(-1, 0, 1), tolerance = 1e-3)
  free <- list(left = integer(), right = integer(), distance = numeric())
  expect_identical(least_squares_apart(q, free), c(0, 0, 0))
})
