# An API that predicts. Run it in this folder: Rscript -e
#   'plumber::pr_run(plumber::pr("plumber.R"), port = 8000)' and ask it, with as
#   many rows as you like: curl --json '[{"Sepal.Length": 5.1, "Sepal.Width":
#   3.5, "Petal.Length": 1.4, "Petal.Width": 0.2}]' \
#   http://127.0.0.1:8000/predict

library(keraspredict)

model <- load_model(keraspredict_example("iris"))
columns <- c("Sepal.Length", "Sepal.Width", "Petal.Length", "Petal.Width")
species <- c("setosa", "versicolor", "virginica")

#* The probabilities of the three species for each row
#* @post /predict
#* @parser json
#* @serializer unboxedJSON list(digits = NA)
function(req, res) {
  rows <- req$body
  if (!is.data.frame(rows) || !all(columns %in% names(rows))) {
    res$status <- 400
    return(list(
      error = paste(
        "The body must be a list of rows with",
        paste(columns, collapse = ", ")
      )
    ))
  }
  y <- tryCatch(
    predict(model, rows[columns], verbose = 0),
    keraspredict_error_bad_input = identity
  )
  if (inherits(y, "error")) {
    res$status <- 400
    return(list(error = conditionMessage(y)))
  }
  colnames(y) <- species
  as.data.frame(y)
}

#* What the model is
#* @get /model
#* @serializer unboxedJSON list(digits = NA)
function() {
  layers <- as.data.frame(model)
  list(
    name = model$name,
    layers = layers[c("name", "class", "output_shape", "params")]
  )
}
