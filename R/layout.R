# A layered drawing of a graph: nodes in ranks, edges from rank to rank.
#
# Lengths are inches. A graph is a list of
# * main, cross: sizes of each node along the ranks' direction and across it,
# * from, to: the edges, as numbers of nodes,
# * box: how much of the size across is the node itself, the rest being room for
#   labels.
# The result, in (main, cross) coordinates from a corner:
# * main, cross: the centres of the nodes,
# * edges: for each edge a matrix of points (main, cross) from border to border,
# * size: of the whole.
#
# `gap` is the space between ranks, `space` that between neighbours in a rank.
# `columns` is in how many columns the ranks are cut, as a text in a newspaper; for
# NULL, those that fit the room (a height and a width, turned where ranks go to the
# right). It may also be "fold": see fold_graph().
layout_graph <- function(graph, gap, space, columns = 1, room = NULL) {
  ranked <- order_ranks(rank_graph(graph))
  if (identical(columns, "fold")) {
    return(fold_graph(graph, ranked, gap, space))
  }
  cross <- place_across(ranked, space)
  if (is.null(columns)) {
    best <- best_columns(ranked, cross, gap, space, room)
    columns <- best$columns
    folded <- fold_if_better(graph, ranked, gap, space, room, columns, best$score)
    if (!is.null(folded)) {
      return(folded)
    }
  }
  drawn <- place_columns(ranked, cross, gap, space, columns)
  c(drawn, list(columns = columns))
}

# The number of columns with which the drawing is largest in the room, but no larger
# than natural. Few columns are easier to follow, and win unless more make it much
# larger. The score is the size, less what makes it hard to follow.
best_columns <- function(graph, cross, gap, space, room) {
  columns <- seq_len(min(12, max(1, graph$real %/% 4)))
  height <- vapply(graph$ranks, function(nodes) max(graph$main[nodes]), 0)
  score <- vapply(
    columns,
    function(k) {
      size <- place_columns(graph, cross, gap, space, k)$size
      cuts <- which(diff(cut_ranks(graph, height + gap, k)) > 0)
      # Each edge that goes on in the next column, but for one, is hard to follow.
      0.9^sum(links_below(graph)[cuts] - 1) * min(room / size, 1)
    },
    0
  )
  best <- which(score >= 0.85 * max(score))[[1]]
  list(columns = best, score = score[[best]])
}

# Ranks by longest path; edges over several ranks get a chain of dummy nodes, of
# size 0, so that every edge goes to the next rank.
rank_graph <- function(graph) {
  n <- length(graph$main)
  forward <- acyclic_edges(n, graph$from, graph$to)
  from <- ifelse(forward, graph$from, graph$to)
  to <- ifelse(forward, graph$to, graph$from)
  rank <- longest_paths(n, from, to)
  # What nothing comes before stands right before what takes it.
  for (node in setdiff(from, to)) {
    rank[[node]] <- min(rank[to[from == node]]) - 1
  }
  chains <- vector("list", length(from))
  links <- list()
  main <- graph$main
  cross <- graph$cross
  for (e in seq_along(from)) {
    steps <- seq_len(max(0, rank[[to[[e]]]] - rank[[from[[e]]]] - 1))
    dummies <- length(main) + steps
    rank[dummies] <- rank[[from[[e]]]] + steps
    main[dummies] <- 0
    cross[dummies] <- 0
    chain <- c(from[[e]], dummies, to[[e]])
    chains[[e]] <- if (forward[[e]]) chain else rev(chain)
    links[[e]] <- cbind(chain[-length(chain)], chain[-1])
  }
  around <- rep(goes_around(n, from, to, rank), pmax(lengths(chains) - 1, 0))
  links <- if (length(links)) do.call(rbind, links) else matrix(0L, 0, 2)
  first <- !duplicated(links)
  list(
    main = main,
    cross = cross,
    rank = rank,
    real = n,
    links = links[first, , drop = FALSE],
    around = around[first],
    chains = chains
  )
}

# Which edges lead where another path from the same node also leads.
goes_around <- function(n, from, to, rank) {
  reach <- matrix(FALSE, n, n)
  for (e in order(rank[from], decreasing = TRUE)) {
    reach[from[[e]], ] <- reach[from[[e]], ] | reach[to[[e]], ]
    reach[from[[e]], to[[e]]] <- TRUE
  }
  long <- rank[to] - rank[from] > 1
  vapply(
    seq_along(from),
    function(e) {
      beside <- to[from == from[[e]] & to != to[[e]]]
      long[[e]] && any(reach[beside, to[[e]]])
    },
    NA
  )
}

# Which edges to keep as they are so that, with the others turned round, there
# are no cycles.
acyclic_edges <- function(n, from, to) {
  forward <- rep(TRUE, length(from))
  state <- integer(n)
  visit <- function(node) {
    state[[node]] <<- 1L
    for (e in which(from == node)) {
      if (state[[to[[e]]]] == 1L) {
        forward[[e]] <<- FALSE
      } else if (state[[to[[e]]]] == 0L) {
        visit(to[[e]])
      }
    }
    state[[node]] <<- 2L
  }
  # Layers come in the order of the model, so that few edges go back: only then
  # the search is worth its depth.
  if (any(from >= to)) {
    for (node in seq_len(n)) {
      if (state[[node]] == 0L) visit(node)
    }
  }
  forward
}

longest_paths <- function(n, from, to) {
  rank <- rep(1, n)
  repeat {
    further <- rank[from] + 1 > rank[to]
    if (!any(further)) {
      return(rank)
    }
    most <- tapply(rank[from][further] + 1, to[further], max)
    rank[as.integer(names(most))] <- most
  }
}

# Orders the nodes of each rank so that few edges cross: sweeps that sort by the
# mean position of the neighbours, of which the best is kept.
order_ranks <- function(graph) {
  ranks <- split(seq_along(graph$rank), graph$rank)
  above <- split(
    graph$links[, 1],
    factor(graph$links[, 2], seq_along(graph$rank))
  )
  below <- split(
    graph$links[, 2],
    factor(graph$links[, 1], seq_along(graph$rank))
  )
  graph$above <- above
  graph$below <- below
  position <- numeric(length(graph$rank))
  for (nodes in ranks) {
    position[nodes] <- seq_along(nodes)
  }
  sort_along <- function(position, along, neighbours) {
    for (nodes in along) {
      mean_of <- vapply(
        nodes,
        function(node) {
          if (length(neighbours[[node]])) {
            mean(position[neighbours[[node]]])
          } else {
            position[[node]]
          }
        },
        0
      )
      position[nodes[order(mean_of, position[nodes])]] <- seq_along(nodes)
    }
    position
  }
  best <- position
  fewest <- count_crossings(graph, position)
  for (i in seq_len(12)) {
    if (fewest == 0) {
      break
    }
    position <- if (i %% 2) {
      sort_along(position, ranks, above)
    } else {
      sort_along(position, rev(ranks), below)
    }
    crossings <- count_crossings(graph, position)
    if (crossings < fewest) {
      best <- position
      fewest <- crossings
    }
  }
  graph$ranks <- lapply(ranks, function(nodes) nodes[order(best[nodes])])
  graph
}

count_crossings <- function(graph, position) {
  links <- split(seq_len(nrow(graph$links)), graph$rank[graph$links[, 1]])
  sum(vapply(
    links,
    function(e) {
      a <- position[graph$links[e, 1]]
      b <- position[graph$links[e, 2]]
      sum(outer(a, a, "<") & outer(b, b, ">"))
    },
    0
  ))
}

# Positions across, as a careful hand would choose them: what follows each other
# without a fork or a merge is one straight line, and so is an edge over several
# ranks; a merge stands in the middle of its inputs, and a fork of what takes it.
# Edges that only go around, such as those of residual blocks, pull at nothing.
#
# These lines are blocks. Their positions have the least sum of squared distances
# between linked blocks for which neighbours in a rank are `space` apart.
place_across <- function(graph, space) {
  links <- graph$links[!graph$around, , drop = FALSE]
  block <- straight_lines(graph, links)
  order <- block_order(graph, block)
  if (is.null(order)) {
    # Lines that cross can't both be straight: then no line is.
    block <- seq_along(graph$rank)
  }
  n <- max(block)
  apart <- neighbours_apart(graph, block, space)
  pull <- function(links, weight) {
    ends <- cbind(block[links[, 1]], block[links[, 2]])
    list(ends = ends[ends[, 1] != ends[, 2], , drop = FALSE], weight = weight)
  }
  q <- diag(1e-6, n)
  for (pulled in list(
    pull(links, 1),
    pull(graph$links[graph$around, , drop = FALSE], 1e-3)
  )) {
    for (e in seq_len(nrow(pulled$ends))) {
      ends <- pulled$ends[e, ]
      q[ends, ends] <- q[ends, ends] + pulled$weight * c(1, -1, -1, 1)
    }
  }
  x <- least_squares_apart(q, apart)
  push_apart(x, apart, graph, block)[block]
}

# A number for each node: the same for those that stand in one line.
straight_lines <- function(graph, links) {
  n <- length(graph$rank)
  only <- function(nodes) tabulate(nodes, n) == 1
  # A node of which this is the one link down, and one of which it is the one up.
  joined <- only(links[, 1])[links[, 1]] & only(links[, 2])[links[, 2]]
  dummies <- graph$links[, 1] > graph$real & graph$links[, 2] > graph$real
  pairs <- rbind(
    links[joined, , drop = FALSE],
    graph$links[dummies, , drop = FALSE]
  )
  pairs <- pairs[order(graph$rank[pairs[, 2]]), , drop = FALSE]
  block <- seq_len(n)
  for (e in seq_len(nrow(pairs))) {
    block[[pairs[e, 2]]] <- block[[pairs[e, 1]]]
  }
  match(block, unique(block))
}

# The blocks in an order in which each comes after those on its left, or NULL if
# there is none.
block_order <- function(graph, block) {
  pairs <- rank_pairs(graph)
  left <- block[pairs[, 1]]
  right <- block[pairs[, 2]]
  n <- max(block)
  waiting <- tabulate(right, n)
  following <- split(right, factor(left, seq_len(n)))
  order <- integer()
  ready <- which(waiting == 0)
  while (length(ready)) {
    order <- c(order, ready)
    done <- tabulate(unlist(following[ready]), n)
    waiting <- waiting - done
    ready <- which(waiting == 0 & done > 0)
  }
  if (length(order) == n) order
}

# Neighbours in the ranks, as pairs of nodes from left to right.
rank_pairs <- function(graph) {
  do.call(
    rbind,
    c(
      list(matrix(0L, 0, 2)),
      lapply(graph$ranks, function(nodes) {
        cbind(nodes[-length(nodes)], nodes[-1])
      })
    )
  )
}

# How far apart blocks must be that are neighbours: left, right, distance.
neighbours_apart <- function(graph, block, space) {
  pairs <- rank_pairs(graph)
  size <- (graph$cross[pairs[, 1]] + graph$cross[pairs[, 2]]) / 2 + space
  ends <- cbind(block[pairs[, 1]], block[pairs[, 2]])
  key <- paste(ends[, 1], ends[, 2])
  first <- !duplicated(key)
  distance <- as.vector(tapply(size, factor(key, key[first]), max))
  list(left = ends[first, 1], right = ends[first, 2], distance = distance)
}

# The x with the least x'qx of which right ones are as far from left ones as they
# must be: Hildreth's method, which corrects for one pair after the other.
least_squares_apart <- function(q, apart) {
  inverse <- solve(q)
  x <- numeric(nrow(q))
  pairs <- seq_along(apart$distance)
  if (length(pairs) == 0) {
    return(x)
  }
  steps <- inverse[, apart$right, drop = FALSE] -
    inverse[, apart$left, drop = FALSE]
  lengths <- steps[cbind(apart$right, pairs)] - steps[cbind(apart$left, pairs)]
  force <- numeric(length(pairs))
  for (i in seq_len(400)) {
    moved <- 0
    for (k in pairs) {
      short <- apart$distance[[k]] - x[[apart$right[[k]]]] + x[[apart$left[[k]]]]
      change <- max(short / lengths[[k]], -force[[k]])
      if (change != 0) {
        force[[k]] <- force[[k]] + change
        x <- x + change * steps[, k]
        moved <- max(moved, abs(change * lengths[[k]]))
      }
    }
    if (moved < 1e-4) {
      break
    }
  }
  x
}

# Moves to the right what is still too near.
push_apart <- function(x, apart, graph, block) {
  following <- split(seq_along(apart$left), apart$left)
  for (b in block_order(graph, block)) {
    for (k in following[[as.character(b)]]) {
      to <- apart$right[[k]]
      x[[to]] <- max(x[[to]], x[[b]] + apart$distance[[k]])
    }
  }
  x
}

# Cuts the ranks into columns and sets them side by side.
place_columns <- function(graph, cross, gap, space, columns) {
  height <- vapply(graph$ranks, function(nodes) max(graph$main[nodes]), 0)
  column <- cut_ranks(graph, height + gap, columns)
  rank_of <- match(graph$rank, as.numeric(names(graph$ranks)))
  main <- numeric(length(cross))
  left <- 0
  gutter <- max(2.5 * space, gap)
  ends <- numeric()
  lefts <- numeric()
  for (k in unique(column)) {
    inside <- which(column == k)
    top <- cumsum(c(0, (height[inside] + gap)[-length(inside)]))
    nodes <- which(rank_of %in% inside)
    main[nodes] <- (top + height[inside] / 2)[match(rank_of[nodes], inside)]
    low <- min(cross[nodes] - graph$cross[nodes] / 2)
    high <- max(cross[nodes] + graph$cross[nodes] / 2)
    cross[nodes] <- cross[nodes] - low + left
    lefts <- c(lefts, left)
    left <- left + high - low + gutter
    ends <- c(ends, max(top + height[inside]))
  }
  several <- length(ends) > 1
  margin <- if (several) gap else 0
  main <- main + margin
  bottom <- max(ends) + 2 * margin
  real <- seq_len(graph$real)
  # An edge runs straight beside the nodes of a rank, and bends between ranks.
  reach <- graph$main
  reach[-real] <- height[rank_of[-real]]
  # Where an edge goes on in the next column: down, up beside it, and in from
  # above. Several such edges run side by side.
  turns <- 0
  edges <- lapply(graph$chains, function(chain) {
    points <- matrix(0, 0, 2)
    for (i in seq_along(chain)[-1]) {
      a <- chain[[i - 1]]
      b <- chain[[i]]
      # An edge that goes back runs through the same places the other way.
      sign <- if (rank_of[[b]] >= rank_of[[a]]) 1 else -1
      start <- c(main[[a]] + sign * reach[[a]] / 2, cross[[a]])
      end <- c(main[[b]] - sign * reach[[b]] / 2, cross[[b]])
      if (column[[rank_of[[a]]]] == column[[rank_of[[b]]]]) {
        points <- rbind(points, curve_between(start, end))
      } else {
        shift <- (turns %% 5) * space / 6
        turns <<- turns + 1
        beside <- lefts[[column[[rank_of[[b]]]]]] - gutter / 2 + shift
        points <- rbind(
          points,
          rounded(
            rbind(
              start,
              c(bottom - margin / 2 - shift / 2, start[[2]]),
              c(bottom - margin / 2 - shift / 2, beside),
              c(margin / 2 - shift / 2, beside),
              c(margin / 2 - shift / 2, end[[2]]),
              end
            ),
            space / 3
          )
        )
      }
    }
    points
  })
  list(
    main = main[real],
    cross = cross[real],
    edges = edges,
    size = c(bottom, left - gutter)
  )
}

# The column of each rank: near even heights, but cut where few edges pass.
cut_ranks <- function(graph, height, columns) {
  n <- length(height)
  if (columns < 2 || n < 2) {
    return(rep(1L, n))
  }
  links <- links_below(graph)
  end <- cumsum(height)
  total <- end[[n]]
  cuts <- vapply(
    seq_len(columns - 1),
    function(k) {
      off <- abs(end[-n] - total * k / columns) / (total / columns)
      which.min(off + (off > 0.5) + 0.4 * (links[-n] - 1))
    },
    0
  )
  cuts <- unique(cuts)
  1L + findInterval(seq_len(n) - 1, cuts)
}

# How many links go from each rank to the next.
links_below <- function(graph) {
  table(factor(graph$rank[graph$links[, 1]], names(graph$ranks)))
}

# Points of a curve that leaves and arrives along the ranks.
curve_between <- function(start, end) {
  if (abs(start[[2]] - end[[2]]) < 1e-3) {
    return(rbind(start, end))
  }
  t <- seq(0, 1, length.out = 24)
  middle <- (start[[1]] + end[[1]]) / 2
  cbind(
    (1 - t)^3 *
      start[[1]] +
      3 * (1 - t)^2 * t * middle +
      3 * (1 - t) * t^2 * middle +
      t^3 * end[[1]],
    (1 - t)^3 *
      start[[2]] +
      3 * (1 - t)^2 * t * start[[2]] +
      3 * (1 - t) * t^2 * end[[2]] +
      t^3 * end[[2]]
  )
}

# A line through points with its corners rounded.
rounded <- function(points, radius) {
  out <- points[1, , drop = FALSE]
  for (i in seq_len(nrow(points))[-c(1, nrow(points))]) {
    corner <- points[i, ]
    before <- points[i - 1, ] - corner
    after <- points[i + 1, ] - corner
    r <- min(radius, sqrt(sum(before^2)) / 2, sqrt(sum(after^2)) / 2)
    if (r < 1e-6) {
      next
    }
    a <- corner + before / sqrt(sum(before^2)) * r
    b <- corner + after / sqrt(sum(after^2)) * r
    t <- seq(0, 1, length.out = 6)
    out <- rbind(
      out,
      outer((1 - t)^2, a) + outer(2 * t * (1 - t), corner) + outer(t^2, b)
    )
  }
  rbind(out, points[nrow(points), ])
}
