# A graph with fewer nodes: those that stand for runs of layers, one after the other,
# with few tensors that lead from each to what follows.

most_boxes <- 40

overview_graph <- function(graph) {
  n <- length(graph$nodes)
  rank <- node_ranks(n, graph$from, graph$to)
  block <- run_of_ranks(rank, graph$from, graph$to)[rank]
  # Of a run of one, the layer itself.
  nodes <- lapply(split(seq_len(n), block), function(members) {
    if (length(members) == 1) {
      return(graph$nodes[[members]])
    }
    run_node(graph$nodes[members[order(rank[members])]])
  })
  edges <- unique(cbind(block[graph$from], block[graph$to]))
  edges <- edges[edges[, 1] != edges[, 2], , drop = FALSE]
  list(nodes = unname(nodes), from = edges[, 1], to = edges[, 2])
}

# Ranks by longest path, without gaps.
node_ranks <- function(n, from, to) {
  forward <- acyclic_edges(n, from, to)
  first <- ifelse(forward, from, to)
  second <- ifelse(forward, to, from)
  rank <- longest_paths(n, first, second)
  for (node in setdiff(first, second)) {
    rank[[node]] <- max(1, min(rank[second[first == node]]) - 1)
  }
  match(rank, sort(unique(rank)))
}

# The run of each rank: of so many layers that there are about `most_boxes`, which end
# where few tensors pass. The fewer pass, the better, as long as no run gets too long.
run_of_ranks <- function(rank, from, to) {
  ranks <- max(rank)
  layers <- tabulate(rank, ranks)
  passing <- tensors_after(rank, from, to)
  target <- ceiling(sum(layers) / most_boxes)
  for (few in sort(unique(passing))) {
    run <- integer(ranks)
    current <- 1L
    size <- 0
    for (r in seq_len(ranks)) {
      run[[r]] <- current
      size <- size + layers[[r]]
      if (size >= target && passing[[r]] <= few) {
        current <- current + 1L
        size <- 0
      }
    }
    sizes <- tapply(layers, run, sum)
    if (max(sizes) <= 3 * target + 5) break
  }
  run
}

# How many tensors made in each rank or before are taken after it.
tensors_after <- function(rank, from, to) {
  last <- rank
  used <- tapply(rank[to], from, max)
  at <- as.integer(names(used))
  last[at] <- pmax(last[at], used)
  n <- max(rank)
  vapply(seq_len(n), function(r) sum(rank <= r & last > r), 0L)
}

# A run of layers as a node: how many of which class, and its ends.
run_node <- function(nodes) {
  counts <- sort(table(vapply(nodes, `[[`, "", "class")), decreasing = TRUE)
  # What has most of the weights tells most.
  light <- names(counts) %in% c("Activation", "ReLU", "BatchNormalization", "Dropout")
  counts <- counts[order(light)]
  parts <- paste(counts, names(counts))
  if (length(parts) > 3) {
    parts <- c(parts[1:2], paste(sum(counts[-(1:2)]), "others"))
  }
  last <- nodes[[length(nodes)]]
  list(
    name = paste(nodes[[1]]$name, "...", last$name),
    class = paste(length(nodes), "layers"),
    kind = names(counts)[[1]],
    layers = paste(parts, collapse = ", "),
    shape = last$shape,
    dtype = last$dtype
  )
}
