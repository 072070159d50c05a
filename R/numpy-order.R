# The order that numpy.random.RandomState(seed).shuffle() puts n values in. Its
# numbers are those of R's Mersenne twister, which is set as numpy sets it.
numpy_order <- function(n, seed) {
  if (is.null(seed)) {
    return(sample.int(n))
  }
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit({
    if (is.null(old)) {
      rm(".Random.seed", envir = globalenv())
    } else {
      assign(".Random.seed", old, globalenv())
    }
  })
  assign(
    ".Random.seed",
    c(10403L, 624L, twister_state(seed)),
    globalenv()
  )
  order <- seq_len(n)
  for (i in rev(seq_len(max(n - 1, 0)))) {
    j <- random_to(i) + 1
    order[c(i + 1, j)] <- order[c(j, i + 1)]
  }
  order
}

# A whole number from 0 to `max`: the lowest bits of the next number of 32 that
# are small enough.
random_to <- function(max) {
  bits <- 2^(floor(log2(max)) + 1)
  repeat {
    value <- floor(stats::runif(1) * 2^32) %% bits
    if (value <= max) {
      return(value)
    }
  }
}

# Whole numbers of 32 bits, of which doubles hold 53.
twister_state <- function(seed) {
  state <- numeric(624)
  for (i in seq_along(state)) {
    state[[i]] <- seed
    low <- seed %% 4
    mixed <- seed - low + bitwXor(low, seed %/% 2^30)
    high <- (1812433253 * (mixed %/% 2^16)) %% 2^16
    seed <- (1812433253 * (mixed %% 2^16) + high * 2^16 + i) %% 2^32
  }
  as.integer(ifelse(state >= 2^31, state - 2^32, state))
}

check_seed <- function(seed) {
  if (!is.null(seed)) check_number(seed, "seed", 0, 2^32 - 1)
}
