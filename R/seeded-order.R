# Orders that Python puts n values in by a seed: numpy.random.RandomState(seed)
# .shuffle(), and random.seed(seed); random.shuffle(). Without a seed it is R's
# random numbers that decide.
numpy_order <- function(n, seed) {
  seeded_order(n, seed, twister_state, lowest_bits)
}

python_order <- function(n, seed) {
  seeded_order(n, seed, keyed_twister_state, highest_bits)
}

# The numbers are those of R's Mersenne twister, which is set as Python sets it:
# `state` makes its 624 numbers of a seed, and `take` a number below 2^bits of the
# next one of 32 bits.
seeded_order <- function(n, seed, state, take) {
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
  assign(".Random.seed", c(10403L, 624L, signed_32(state(seed))), globalenv())
  order <- seq_len(n)
  for (i in rev(seq_len(max(n - 1, 0)))) {
    j <- random_to(i, take) + 1
    order[c(i + 1, j)] <- order[c(j, i + 1)]
  }
  order
}

# A whole number from 0 to `max`: the first that is small enough.
random_to <- function(max, take) {
  repeat {
    value <- take(floor(stats::runif(1) * 2^32), max)
    if (value <= max) {
      return(value)
    }
  }
}

# numpy asks for as many bits as `max` has, Python as `max + 1` has.
lowest_bits <- function(value, max) {
  value %% 2^(floor(log2(max)) + 1)
}

highest_bits <- function(value, max) {
  value %/% 2^(31 - floor(log2(max + 1)))
}

twister_state <- function(seed) {
  state <- numeric(624)
  for (i in seq_along(state)) {
    state[[i]] <- seed
    seed <- (times_32(1812433253, shifted(seed)) + i) %% 2^32
  }
  state
}

# The state that Python makes of a seed below 2^32, as a key of one number.
keyed_twister_state <- function(seed) {
  state <- twister_state(19650218)
  at <- 1
  for (step in seq_len(624 + 623)) {
    before <- state[[at]]
    at <- at + 1
    mixed <- if (step <= 624) {
      xor_32(state[[at]], times_32(1664525, shifted(before))) + seed
    } else {
      xor_32(state[[at]], times_32(1566083941, shifted(before))) - (at - 1)
    }
    state[[at]] <- mixed %% 2^32
    if (at == 624) {
      state[[1]] <- state[[624]]
      at <- 1
    }
  }
  state[[1]] <- 2^31
  state
}

# Whole numbers of 32 bits, of which doubles hold 53.
times_32 <- function(a, b) {
  high <- (a * (b %/% 2^16)) %% 2^16
  (a * (b %% 2^16) + high * 2^16) %% 2^32
}

# x ^ (x >> 30)
shifted <- function(x) {
  low <- x %% 4
  x - low + bitwXor(low, x %/% 2^30)
}

# Of the same bits; those of 2^31 are R's NA.
signed_32 <- function(x) {
  x <- ifelse(x >= 2^31, x - 2^32, x)
  x[x == -2^31] <- NA
  as.integer(x)
}

xor_32 <- function(a, b) {
  bitwXor(a %/% 2^16, b %/% 2^16) * 2^16 + bitwXor(a %% 2^16, b %% 2^16)
}

check_seed <- function(seed) {
  if (!is.null(seed)) check_number(seed, "seed", 0, 2^32 - 1)
}
