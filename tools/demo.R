# Reads handwritten digits, says how well and how fast, and draws them to
# digits.png.

library(keraspredict)

model <- load_model(keraspredict_example("digits"))
print(model)

digits <- readRDS(sub("keras$", "rds", keraspredict_example("digits")))
seconds <- system.time(p <- predict(model, digits$x))[["elapsed"]]
read <- max.col(p) - 1
cat(sprintf(
  "\n%d images in %.0f ms; %.1f %% read right.\n",
  nrow(p),
  seconds * 1000,
  100 * mean(read == digits$y)
))
one <- digits$x[1, , , , drop = FALSE]
n <- 1000
seconds <- system.time(
  for (i in seq_len(n)) {
    model(one)
  }
)[["elapsed"]]
cat(sprintf("One image: %.3f ms.\n\n", 1000 * seconds / n))
print(
  data.frame(
    digit = digits$y[1:8],
    read = read[1:8],
    certainty = round(apply(p, 1, max)[1:8], 3)
  ),
  row.names = FALSE
)

png("digits.png", width = 900, height = 520, res = 110)
par(mfrow = c(4, 8), mar = c(0.3, 0.3, 1.6, 0.3))
wrong <- which(read != digits$y)
for (i in c(wrong, setdiff(seq_len(nrow(p)), wrong))[1:32]) {
  image(t(digits$x[i, 8:1, , 1]), col = gray.colors(17, 1, 0), axes = FALSE)
  box(col = if (read[i] == digits$y[i]) "gray70" else "red")
  title(
    sprintf("%d (%.0f %%)", read[i], 100 * max(p[i, ])),
    cex.main = 0.9,
    col.main = if (read[i] == digits$y[i]) "black" else "red"
  )
}
invisible(dev.off())
cat("\nThe images are in digits.png: those read wrong come first, in red.\n")
