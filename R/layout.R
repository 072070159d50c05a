# A layered drawing of a graph: nodes in ranks, edges from rank to rank.
#
# Lengths are inches. A graph is a list of
# * main, cross: sizes of each node along the ranks' direction and across it,
# * from, to: the edges, as numbers of nodes.
# The result, in (main, cross) coordinates from a corner:
# * main, cross: the centres of the nodes,
# * edges: for each edge a matrix of points (main, cross) from border to border,
# * size: of the whole.
#
# `gap` is the space between ranks, `space` that between neighbours in a rank.
# `columns` is in how many columns the ranks are cut, as a text in a newspaper.
layout_graph <- function(graph, gap, space, columns = 1) {
  graph <- rank_graph(graph)
  graph <- order_ranks(graph)
  cross <- place_across(graph, space)
  place_columns(graph, cross, gap, space, columns)
}

# The number of columns with which the drawing is largest in the room (a height
# and a width, turned where ranks go to the right), but no larger than natural.
# Few columns are easier to follow, and win unless more make it much larger.
best_columns <- function(graph, gap, space, room) {
  graph <- order_ranks(rank_graph(graph))
  cross <- place_across(graph, space)
  columns <- seq_len(min(12, max(1, graph$real %/% 4)))
  scale <- vapply(
    columns,
    function(k) {
      min(room / place_columns(graph, cross, gap, space, k)$size, 1)
    },
    0
  )
  which(scale >= 0.85 * max(scale))[[1]]
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
  links <- if (length(links)) unique(do.call(rbind, links)) else matrix(0, 0, 2)
  list(
    main = main,
    cross = cross,
    rank = rank,
    real = n,
    links = links,
    chains = chains
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

# Positions across: the longest path is one straight line; else each rank in
# turn takes the places that its neighbours would have it at, in its order and
# with space between. Links between dummies weigh more, and are made straight at
# last.
place_across <- function(graph, space) {
  n <- length(graph$rank)
  spine <- longest_path_nodes(graph)
  both <- Map(c, graph$above, graph$below)
  weights <- lapply(seq_len(n), function(i) {
    1 + (i > graph$real) + 6 * (i > graph$real & both[[i]] > graph$real)
  })
  cross <- numeric(n)
  offsets <- lapply(graph$ranks, function(nodes) {
    sizes <- graph$cross[nodes]
    c(0, cumsum((sizes[-1] + sizes[-length(sizes)]) / 2 + space))
  })
  for (r in seq_along(graph$ranks)) {
    nodes <- graph$ranks[[r]]
    middle <- if (any(nodes %in% spine)) {
      offsets[[r]][[match(TRUE, nodes %in% spine)]]
    } else {
      mean(range(offsets[[r]]))
    }
    cross[nodes] <- offsets[[r]] - middle
  }
  fixed <- rep(NA_real_, n)
  fixed[spine] <- 0
  hold <- rep(0, n)
  hold[spine] <- 1e6
  settle <- function(r) {
    nodes <- graph$ranks[[r]]
    wanted <- cross[nodes]
    total <- rep(0.01, length(nodes))
    for (k in seq_along(nodes)) {
      node <- nodes[[k]]
      near <- both[[node]]
      if (hold[[node]] > 0) {
        wanted[[k]] <- fixed[[node]]
        total[[k]] <- hold[[node]]
      } else if (length(near)) {
        total[[k]] <- sum(weights[[node]])
        wanted[[k]] <- sum(cross[near] * weights[[node]]) / total[[k]]
      }
    }
    cross[nodes] <<- monotone(wanted - offsets[[r]], total) + offsets[[r]]
  }
  order <- seq_along(graph$ranks)
  several <- order[lengths(graph$ranks) > 1]
  sweeps <- function(times) {
    for (i in seq_len(times)) {
      for (r in if (i %% 2) several else rev(several)) {
        settle(r)
      }
    }
  }
  sweeps(16)
  for (i in seq_len(3)) {
    for (chain in graph$chains) {
      dummies <- setdiff(chain[chain > graph$real], spine)
      if (length(dummies) > 1) {
        # Where the chain has to be furthest from the longest path.
        fixed[dummies] <- cross[dummies][[which.max(abs(cross[dummies]))]]
        hold[dummies] <- 100
      }
    }
    sweeps(4)
  }
  cross
}

# The nodes of one longest path.
longest_path_nodes <- function(graph) {
  node <- which.max(graph$rank)
  path <- node
  while (length(graph$above[[node]])) {
    before <- graph$above[[node]]
    # Real nodes first: a path over dummies is an edge that goes around.
    node <- before[order(before > graph$real)][[1]]
    path <- c(path, node)
  }
  path
}

# The nearest values, by weighted squares, that never fall.
monotone <- function(y, weight) {
  value <- numeric()
  mass <- numeric()
  count <- integer()
  for (i in seq_along(y)) {
    k <- length(value) + 1
    value[[k]] <- y[[i]]
    mass[[k]] <- weight[[i]]
    count[[k]] <- 1L
    while (k > 1 && value[[k - 1]] > value[[k]]) {
      sum <- mass[[k - 1]] + mass[[k]]
      value[[k - 1]] <- (value[[k - 1]] *
        mass[[k - 1]] +
        value[[k]] * mass[[k]]) /
        sum
      mass[[k - 1]] <- sum
      count[[k - 1]] <- count[[k - 1]] + count[[k]]
      k <- k - 1
      value <- value[seq_len(k)]
      mass <- mass[seq_len(k)]
      count <- count[seq_len(k)]
    }
  }
  rep(value, count)
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
  links <- table(factor(graph$rank[graph$links[, 1]], names(graph$ranks)))
  end <- cumsum(height)
  total <- end[[n]]
  cuts <- vapply(
    seq_len(columns - 1),
    function(k) {
      off <- abs(end[-n] - total * k / columns) / (total / columns)
      which.min(off + 0.4 * (links[-n] - 1))
    },
    0
  )
  cuts <- unique(cuts)
  1L + findInterval(seq_len(n) - 1, cuts)
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
