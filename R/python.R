# Objects that live in Python, through reticulate.

is_python <- function(x) {
  is.object(x) && inherits(x, "python.builtin.object")
}

python_helpers <- function() {
  if (is.null(the$python)) {
    the$python <- reticulate::import_from_path(
      "keraspredict_bridge", system.file("python", package = "keraspredict"),
      convert = TRUE
    )
  }
  the$python
}

# What the package remembers while it is loaded.
the <- new.env(parent = emptyenv())

# A Python tensor or array as an R array. The values come as bytes in R's order
# of memory: reticulate's own conversion depends on the version of numpy.
from_python <- function(x, arg = "`x`") {
  value <- tryCatch(python_helpers()$export(x), error = function(e) {
    abort(
      "bad_input", paste0(arg, " must be a tensor or an array, not ", describe(x), "."),
      arg = arg, parent = e
    )
  })
  from_export(value)
}

from_export <- function(value) {
  shape <- as.integer(unlist(value$shape))
  n <- prod(shape)
  x <- switch(value$kind,
    f = readBin(value$data, "double", n),
    i = readBin(value$data, "integer", n),
    b = as.logical(readBin(value$data, "integer", n)),
    s = as.character(unlist(value$data))
  )
  if (length(shape) > 0) dim(x) <- shape
  x
}

is_dataset <- function(x) {
  inherits(x, c(
    "tensorflow.python.data.ops.dataset_ops.DatasetV2",
    "keras.src.trainers.data_adapters.py_dataset_adapter.PyDataset",
    "torch.utils.data.dataloader.DataLoader",
    "python.builtin.generator", "python.builtin.iterator"
  ))
}

# Each batch as nested lists of R arrays; y and sample weights stay behind.
dataset_source <- function(x) {
  iterator <- python_helpers()$batches(x)
  structure(function() {
    batch <- iterator$take()
    if (is.null(batch)) NULL else from_exports(batch)
  }, kind = "dataset")
}

from_exports <- function(batch) {
  if (!is.null(batch$shape) && !is.null(batch$kind)) {
    return(from_export(batch))
  }
  lapply(batch, from_exports)
}
