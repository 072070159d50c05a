# A U-Net of boxes of 1 by 2, whose levels have two boxes each way.
folded <- function(from = integer(), to = integer(), room = c(14, 10)) {
  n <- 16
  skip <- c(2, 4, 6)
  graph <- list(
    main = rep(1, n),
    cross = rep(2, n),
    box = rep(2, n),
    from = c(seq_len(n - 1), skip, from),
    to = c(seq_len(n - 1) + 1, n + 1 - skip, to)
  )
  list(graph, layout_graph(graph, 0.5, 0.5, NULL, room))
}

test_that("a graph that is linked all along goes one way and back", {
  case <- folded()
  graph <- case[[1]]
  drawn <- case[[2]]
  expect_identical(drawn$columns, "fold")
  expect_true(all(diff(drawn$main[1:8]) > 0))
  expect_equal(drawn$main[16:9], drawn$main[1:8])
  expect_true(all(drawn$cross[9:16] - drawn$cross[1] > 2))
  # Skips are straight, and the turn goes around.
  for (edge in drawn$edges[16:18]) {
    expect_equal(diff(range(edge[, 1])), 0)
  }
  expect_gt(max(drawn$edges[[8]][, 1]), max(drawn$main) + 0.5)
  expect_lte(max(drawn$edges[[8]][, 1]), drawn$size[[1]])
  for (edge in drawn$edges) {
    expect_lte(max(edge[, 2]), drawn$size[[2]])
  }
  expect_identical(layout_graph(graph, 0.5, 0.5, "fold"), drawn)
})

test_that("lines side by side have lanes of their own", {
  expect_identical(lanes_of(c(0, 0, 5), c(4, 4, 6), 1), c(1L, 2L, 1L))
  expect_identical(lanes_of(numeric(), numeric(), 1), integer())
  # A second skip from the first level to a later place.
  drawn <- folded(2, 12)[[2]]
  expect_identical(drawn$columns, "fold")
  expect_gt(diff(range(drawn$edges[[19]][, 1])), 1)
})

test_that("a graph that is easier to follow otherwise isn't folded", {
  expect_identical(folded(room = c(40, 10))[[2]]$columns, 1L)
  n <- 16
  chain <- list(
    main = rep(1, n),
    cross = rep(2, n),
    box = rep(2, n),
    from = seq_len(n - 1),
    to = seq_len(n - 1) + 1
  )
  expect_type(layout_graph(chain, 0.5, 0.5, NULL, c(10, 10))$columns, "integer")
  # A second node beside one that is linked across would be run through.
  beside <- list(
    main = rep(1, 17),
    cross = rep(2, 17),
    box = rep(2, 17),
    from = c(1:15, 2, 4, 6, 17, 17, 3, 17),
    to = c(2:16, 15, 13, 11, 5, 13, 17, 12)
  )
  ranked <- order_ranks(rank_graph(beside))
  expect_null(fold_graph(beside, ranked, 0.5, 0.5))
})
