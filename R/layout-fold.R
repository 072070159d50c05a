# A graph whose halves are linked all along, such as a U-Net, drawn as its name says:
# the first half one way, the second half back beside it, and what links them across.
# Coordinates and results are those of layout_graph().

# Whether to fold, with the drawing: NULL where a graph is better drawn as `columns`
# columns, of which `score` is how large and how easy to follow they are.
fold_if_better <- function(graph, ranked, gap, space, room, columns, score) {
  below <- links_below(ranked)
  n <- length(below)
  if (n < 12 || graph_size(graph) > 150) {
    return(NULL)
  }
  middle <- below[seq(ceiling(n / 4), floor(3 * n / 4))]
  if (min(middle) < 2) {
    return(NULL)
  }
  folded <- fold_graph(graph, ranked, gap, space)
  if (is.null(folded)) {
    return(NULL)
  }
  scale <- min(room / folded$size, 1)
  # One column is easier to follow than two, and these than edges that jump.
  enough <- if (columns == 1) score / 0.8 else 0.8 * score
  if (scale >= enough) folded
}

graph_size <- function(graph) length(graph$main)

# NULL if links would have to run through nodes.
fold_graph <- function(graph, ranked, gap, space) {
  n <- graph_size(graph)
  rank <- match(ranked$rank[seq_len(n)], as.numeric(names(ranked$ranks)))
  if (any(rank[graph$from] >= rank[graph$to])) {
    return(NULL)
  }
  cut <- best_fold(graph, rank, gap)
  half <- 1L + (rank > cut)
  halves <- lapply(1:2, function(h) half_layout(graph, half == h, gap, space))
  turn <- max(halves[[1]]$size[[1]], halves[[2]]$size[[1]])
  across <- which(half[graph$from] != half[graph$to])
  turning <- across[rank[graph$from[across]] == cut & rank[graph$to[across]] == cut + 1]
  across <- setdiff(across, turning)

  # Both halves end where it turns.
  main <- cross <- numeric(n)
  shift <- turn - halves[[1]]$size[[1]]
  main[half == 1] <- halves[[1]]$main + shift
  main[half == 2] <- turn - halves[[2]]$main
  lanes <- lanes_of(main[graph$from[across]], main[graph$to[across]], space)
  step <- 0.6 * space
  between <- halves[[1]]$size[[2]] + space
  beyond <- between + step * max(0, lanes) + space
  cross[half == 1] <- halves[[1]]$cross
  cross[half == 2] <- halves[[2]]$cross + beyond
  if (!all(vapply(across, is_free, NA, graph, half, main, cross))) {
    return(NULL)
  }

  edges <- vector("list", length(graph$from))
  edges[halves[[1]]$which] <- lapply(halves[[1]]$edges, function(points) {
    cbind(points[, 1] + shift, points[, 2])
  })
  edges[halves[[2]]$which] <- lapply(halves[[2]]$edges, function(points) {
    cbind(turn - points[, 1], points[, 2] + beyond)
  })
  for (k in seq_along(across)) {
    a <- graph$from[[across[[k]]]]
    b <- graph$to[[across[[k]]]]
    lane <- between + (lanes[[k]] - 0.5) * step
    ends <- main[c(a, b)]
    # One straight line between those that stand nearly opposite.
    if (abs(diff(ends)) < min(graph$main[c(a, b)]) / 3) {
      ends[] <- mean(ends)
    }
    edges[[across[[k]]]] <- rounded(
      rbind(
        c(ends[[1]], cross[[a]] + graph$box[[a]] / 2),
        c(ends[[1]], lane),
        c(ends[[2]], lane),
        c(ends[[2]], cross[[b]] - graph$box[[b]] / 2)
      ),
      space / 3
    )
  }
  for (k in seq_along(turning)) {
    a <- graph$from[[turning[[k]]]]
    b <- graph$to[[turning[[k]]]]
    outside <- turn + gap + (k - 1) * step
    edges[[turning[[k]]]] <- rounded(
      rbind(
        c(main[[a]] + graph$main[[a]] / 2, cross[[a]]),
        c(outside, cross[[a]]),
        c(outside, cross[[b]]),
        c(main[[b]] + graph$main[[b]] / 2, cross[[b]])
      ),
      space / 3
    )
  }
  margin <- if (length(turning)) gap + length(turning) * step else 0
  list(
    main = main,
    cross = cross,
    edges = edges,
    size = c(turn + margin, beyond + halves[[2]]$size[[2]]),
    columns = "fold"
  )
}

# The rank after which it turns: for halves of near the same length, of which linked
# nodes are as far from the turn.
best_fold <- function(graph, rank, gap) {
  height <- as.vector(tapply(graph$main, rank, max)) + gap
  end <- cumsum(height)
  total <- end[[length(end)]]
  cuts <- seq_len(length(height) - 1)
  cost <- vapply(
    cuts,
    function(cut) {
      over <- rank[graph$from] <= cut & rank[graph$to] > cut
      before <- end[[cut]] - end[rank[graph$from[over]]]
      after <- end[rank[graph$to[over]] - 1] - end[[cut]]
      max(end[[cut]], total - end[[cut]]) + mean(abs(before - after))
    },
    0
  )
  which.min(cost)
}

half_layout <- function(graph, chosen, gap, space) {
  nodes <- which(chosen)
  inside <- which(chosen[graph$from] & chosen[graph$to])
  half <- list(
    main = graph$main[nodes],
    cross = graph$cross[nodes],
    from = match(graph$from[inside], nodes),
    to = match(graph$to[inside], nodes)
  )
  c(layout_graph(half, gap, space, 1), list(which = inside))
}

# Lines that run side by side lie in lanes of their own.
lanes_of <- function(from, to, space) {
  left <- pmin(from, to) - space / 2
  right <- pmax(from, to) + space / 2
  lanes <- integer(length(from))
  for (k in order(right - left)) {
    beside <- lanes > 0 & left < right[[k]] & right > left[[k]]
    lanes[[k]] <- min(setdiff(seq_len(length(from)), lanes[beside]))
  }
  lanes
}

# Whether no node stands between the ends of an edge and the other half.
is_free <- function(edge, graph, half, main, cross) {
  a <- graph$from[[edge]]
  b <- graph$to[[edge]]
  beside <- function(node) {
    half == half[[node]] & abs(main - main[[node]]) < (graph$main + 1e-6) / 2
  }
  !any(beside(a) & cross > cross[[a]]) && !any(beside(b) & cross < cross[[b]])
}
