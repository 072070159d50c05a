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

# Python's own containers of arrays as lists.
unpack_python <- function(x) {
  if (inherits(x, c("python.builtin.dict", "python.builtin.list", "python.builtin.tuple"))) {
    return(from_exports(export_python(x, "`x`", nested = TRUE)))
  }
  x
}

# A Python tensor or array as an R array; data frames of pandas and sparse
# matrices of scipy as what they are in R. The values come as bytes in R's order
# of memory: reticulate's own conversion depends on the version of numpy.
from_python <- function(x, arg = "`x`") {
  if (any(grepl("^(pandas\\.core\\.frame\\.DataFrame|scipy\\.sparse\\.)", class(x)))) {
    value <- reticulate::py_to_r(x)
    if (!is_python(value)) {
      return(value)
    }
  }
  from_export(export_python(x, arg))
}

export_python <- function(x, arg, nested = FALSE) {
  helpers <- python_helpers()
  tryCatch(if (nested) helpers$exports(x) else helpers$export(x), error = function(e) {
    abort(
      "bad_input", paste0(arg, " must be a tensor or an array, not ", describe(x), "."),
      arg = arg, parent = e
    )
  })
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

# What a Python object that gives batches is called in errors, as in Keras; NULL
# for other objects.
dataset_kind <- function(x) {
  kinds <- c(
    "tensorflow.python.data.ops.dataset_ops.DatasetV2" = "a TF Dataset",
    "keras.src.trainers.data_adapters.py_dataset_adapter.PyDataset" = "a PyDataset",
    "torch.utils.data.dataloader.DataLoader" = "a torch DataLoader",
    "python.builtin.generator" = "a generator",
    "python.builtin.iterator" = "a generator"
  )
  kind <- kinds[class(x)]
  kind <- kind[!is.na(kind)]
  if (length(kind)) kind[[1]]
}

# Each batch as nested lists of R arrays; y and sample weights stay behind.
dataset_source <- function(x, kind) {
  batches <- python_helpers()$batches(x)
  new_source(
    function() {
      batch <- batches$take()
      if (is.null(batch)) NULL else from_exports(batch)
    },
    kind,
    total = batches$size()
  )
}

from_exports <- function(batch) {
  if (!is.null(batch$shape) && !is.null(batch$kind)) {
    return(from_export(batch))
  }
  lapply(batch, from_exports)
}
