# Objects that live in Python, through reticulate.

is_python <- function(x) {
  is.object(x) && inherits(x, "python.builtin.object")
}

# The class has moved from pandas.core.frame to pandas.
is_pandas <- function(x) {
  any(grepl("^pandas\\.(.*\\.)?DataFrame$", class(x)))
}

python_helpers <- function() {
  if (is.null(the$python)) {
    the$python <- reticulate::import_from_path(
      "keraspredict_bridge",
      system.file("python", package = "keraspredict"),
      convert = TRUE
    )
  }
  the$python
}

# Live models of Keras 3, and of Keras 2 as tf_keras and older packages have it.
is_live_model <- function(x) {
  is_python(x) &&
    inherits(
      x,
      c(
        "keras.src.models.model.Model",
        "tf_keras.src.engine.training.Model",
        "keras.src.engine.training.Model",
        "keras.engine.training.Model",
        "tensorflow.python.keras.engine.training.Model"
      )
    )
}

# The file that a live model has been saved to, for a short time.
save_live_model <- function(model) {
  saved <- tryCatch(
    python_helpers()$save(model, tempfile("model")),
    error = function(e) {
      abort(
        "live_model",
        "Can't save the live model, which is how it is read.",
        arg = "model",
        parent = e
      )
    }
  )
  if (is.null(saved$problem)) {
    return(saved$path)
  }
  abort(
    "live_model",
    "Can't take the live model.",
    switch(
      saved$problem,
      subclassed = c(
        x = "It is of a class with a `call()` of its own, which only Python can run.",
        i = "Sequential models and models made of inputs and outputs can be taken."
      ),
      unbuilt = c(
        x = "It has no input yet.",
        i = "Give it one, with an Input layer or `model$build()`, or call it on data."
      )
    ),
    arg = "model"
  )
}

# What the package remembers while it is loaded.
the <- new.env(parent = emptyenv())

# Python's own containers of arrays as lists.
unpack_python <- function(x) {
  if (is_pandas(x)) {
    return(from_python(x))
  }
  if (
    inherits(
      x,
      c("python.builtin.dict", "python.builtin.list", "python.builtin.tuple")
    )
  ) {
    return(from_exports(export_python(x, "`x`", "exports")))
  }
  x
}

# A Python tensor or array as an R array; data frames of pandas and sparse
# matrices of scipy as what they are in R. The values come as bytes in R's order
# of memory: reticulate's own conversion depends on the version of numpy.
from_python <- function(x, arg = "`x`") {
  if (is_pandas(x)) {
    return(as.data.frame(
      from_exports(export_python(x, arg, "columns")),
      optional = TRUE
    ))
  }
  if (any(startsWith(class(x), "scipy.sparse."))) {
    return(from_sparse(export_python(x, arg, "sparse")))
  }
  from_export(export_python(x, arg))
}

# What a function of the helpers gives for x.
export_python <- function(x, arg, how = "export") {
  export <- python_helpers()[[how]]
  tryCatch(export(x), error = function(e) {
    abort(
      "bad_input",
      paste0(arg, " must be a tensor or an array, not ", describe(x), "."),
      arg = arg,
      parent = e
    )
  })
}

from_sparse <- function(value) {
  check_installed("Matrix", "for sparse matrices")
  slots <- lapply(value$slots, function(slot) as.vector(from_export(slot)))
  Matrix::sparseMatrix(
    p = slots[[1]],
    i = slots[[2]],
    x = slots[[3]],
    dims = unlist(value$shape),
    index1 = FALSE
  )
}

from_export <- function(value) {
  shape <- as.integer(unlist(value$shape))
  n <- prod(shape)
  x <- switch(
    value$kind,
    f = readBin(value$data, "double", n),
    i = readBin(value$data, "integer", n),
    b = as.logical(readBin(value$data, "integer", n)),
    s = as.character(unlist(value$data))
  )
  if (length(shape) > 0) {
    dim(x) <- shape
  }
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
