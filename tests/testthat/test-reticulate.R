# Tensors and datasets of real TensorFlow, in the virtual environment that
# tools/venv.sh makes.
venv <- Sys.getenv("KERASPREDICT_VENV")
if (!nzchar(venv) && nzchar(Sys.getenv("KERASPREDICT_SOURCE"))) {
  venv <- file.path(Sys.getenv("KERASPREDICT_SOURCE"), ".venv")
}

python <- function() {
  skip_if_not_installed("reticulate")
  skip_if_not(
    file.exists(file.path(venv, "bin", "python")),
    "no virtual environment: run `make conformance`"
  )
  Sys.setenv(TF_CPP_MIN_LOG_LEVEL = "3", KERAS_BACKEND = "tensorflow")
  reticulate::use_virtualenv(venv, required = TRUE)
  list(
    np = reticulate::import("numpy", convert = FALSE),
    tf = reticulate::import("tensorflow", convert = FALSE)
  )
}

# An R array as a numpy array, whatever version of numpy reticulate knows.
to_numpy <- function(x, np, dtype) {
  flat <- np$array(as.list(as.vector(x)), dtype = dtype)
  np$reshape(flat, reticulate::tuple(as.list(dim(x))), order = "F")
}

test_that("numpy arrays and tensors are input, of every dtype", {
  py <- python()
  model <- loaded("mlp")
  x <- round(cases()$mlp$x)
  expected <- predict(model, x)
  for (dtype in c(
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64"
  )) {
    array <- to_numpy(x, py$np, dtype)
    expect_equal(predict(model, array), expected, tolerance = 1e-6)
    expect_equal(
      predict(model, py$tf$constant(array)),
      expected,
      tolerance = 1e-6
    )
  }
  abs <- predict(model, abs(x))
  for (dtype in c("uint8", "uint16", "uint32", "uint64")) {
    expect_equal(
      predict(model, to_numpy(abs(x), py$np, dtype)),
      abs,
      tolerance = 1e-6
    )
  }
  expect_equal(
    predict(model, py$tf$cast(to_numpy(x, py$np, "float32"), "bfloat16")),
    expected,
    tolerance = 1e-6
  )
  expect_equal(
    predict(model, to_numpy(x > 0, py$np, "bool")),
    predict(model, x > 0),
    tolerance = 1e-6
  )
  expect_equal(
    model(py$tf$constant(to_numpy(x, py$np, "float32"))),
    expected,
    tolerance = 1e-6
  )
  expect_error(
    predict(model, py$np$add),
    class = "keraspredict_error_bad_input"
  )
})

test_that("arrays of jax are input", {
  py <- python()
  skip_if_not(reticulate::py_module_available("jax"), "no jax")
  jnp <- reticulate::import("jax.numpy", convert = FALSE)
  model <- loaded("mlp")
  x <- round(cases()$mlp$x)
  expected <- predict(model, x)
  for (dtype in c("float32", "float16", "bfloat16", "int32")) {
    array <- jnp$asarray(to_numpy(x, py$np, "float32"), dtype = dtype)
    expect_equal(predict(model, array), expected, tolerance = 1e-6)
  }
})

test_that("tensors and loaders of torch are read by what they have", {
  # torch itself comes from PyPI with 2 GB of CUDA: these have its names and methods.
  py <- python()
  reticulate::py_run_string(
    "
import numpy as np
class Tensor:
    def __init__(self, x, dtype='torch.float32', done=()):
        self.x, self.dtype, self.done = x, dtype, done
    def detach(self):
        return Tensor(self.x, self.dtype, self.done + ('detach',))
    def cpu(self):
        return Tensor(self.x, self.dtype, self.done + ('cpu',))
    def float(self):
        return Tensor(self.x, 'torch.float32', self.done)
    def numpy(self):
        assert self.done == ('detach', 'cpu') and self.dtype == 'torch.float32'
        return self.x
class DataLoader:
    def __init__(self, x):
        self.x = x
    def __len__(self):
        return -(-len(self.x) // 3)
    def __iter__(self):
        for i in range(len(self)):
            part = self.x[3 * i:3 * i + 3]
            yield [Tensor(part), Tensor(np.zeros(len(part)))]
Tensor.__module__ = 'torch'
DataLoader.__module__ = 'torch.utils.data.dataloader'
"
  )
  main <- reticulate::import_main(convert = FALSE)
  case <- cases()$mlp
  x <- to_numpy(case$x, py$np, "float32")
  expect_close(predict(loaded("mlp"), main$Tensor(x)), case$y)
  expect_close(predict(loaded("mlp"), main$Tensor(x, "torch.bfloat16")), case$y)
  expect_close(predict(loaded("mlp"), main$DataLoader(x)), case$y)
  expect_error(
    predict(loaded("mlp"), main$DataLoader(x), batch_size = 3),
    "batch_size can not be specified with a torch DataLoader"
  )
})

test_that("ragged and sparse tensors are filled", {
  py <- python()
  model <- loaded("mlp")
  x <- rbind(c(1, 2, 0, 0), c(3, 4, 5, 6))
  expected <- predict(model, x)
  ragged <- py$tf$ragged$constant(list(list(1, 2), list(3, 4, 5, 6)))
  expect_equal(predict(model, ragged), expected)
  sparse <- py$tf$sparse$from_dense(to_numpy(x, py$np, "float32"))
  expect_equal(predict(model, sparse), expected)
})

test_that("arrays of any rank keep their order of axes", {
  py <- python()
  case <- cases()$image
  expect_close(
    predict(loaded("image"), to_numpy(case$x, py$np, "float32")),
    case$y
  )
  case <- cases()$two
  both <- list(
    b = to_numpy(case$x[[2]], py$np, "float32"),
    a = py$tf$constant(to_numpy(case$x[[1]], py$np, "float32"))
  )
  expect_close(predict(loaded("two"), both), case$y)
})

test_that("strings come as text", {
  py <- python()
  text <- py$tf$constant(list("a", "\u00e9", "\u4e2d"))
  expect_identical(from_python(text), array(c("a", "\u00e9", "\u4e2d"), 3))
})

test_that("a TF Dataset is streamed", {
  py <- python()
  case <- cases()$mlp
  model <- loaded("mlp")
  x <- to_numpy(case$x, py$np, "float32")
  slices <- function(...) py$tf$data$Dataset$from_tensor_slices(...)$batch(3L)
  expect_close(predict(model, slices(x)), case$y)
  y <- to_numpy(matrix(0, 7, 1), py$np, "float32")
  expect_close(predict(model, slices(reticulate::tuple(x))), case$y)
  expect_close(predict(model, slices(reticulate::tuple(x, y))), case$y)
  expect_close(predict(model, slices(reticulate::tuple(x, y, y))), case$y)
  expect_close(predict(model, slices(x), steps = 2), case$y[1:6, ])
  expect_warning(all <- predict(model, slices(x), steps = 5), "ran out")
  expect_close(all, case$y)
  expect_error(
    predict(model, slices(x), batch_size = 3),
    "batch_size can not be specified with a TF Dataset"
  )
  expect_error(
    predict(model, slices(x)$take(0L)),
    class = "keraspredict_error_bad_input"
  )
  sizes <- integer()
  keep <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    sizes <<- c(sizes, nrow(logs$outputs))
  })
  predict(model, slices(x), callbacks = keep)
  expect_identical(sizes, c(3L, 3L, 1L))
})

test_that("a dataset of several inputs is streamed", {
  py <- python()
  case <- cases()$dict
  x <- reticulate::dict(
    a = to_numpy(case$x$a, py$np, "float32"),
    b = to_numpy(case$x$b, py$np, "float32")
  )
  ds <- py$tf$data$Dataset$from_tensor_slices(x)$batch(2L)
  expect_close(predict(loaded("dict"), ds), case$y)
  case <- cases()$two
  pair <- reticulate::tuple(
    to_numpy(case$x[[1]], py$np, "float32"),
    to_numpy(case$x[[2]], py$np, "float32")
  )
  ds <- py$tf$data$Dataset$from_tensor_slices(reticulate::tuple(
    pair,
    pair
  ))$batch(2L)
  expect_close(predict(loaded("two"), ds), case$y)
})

test_that("Keras' PyDataset is a source of batches", {
  py <- python()
  reticulate::py_run_string(
    "
import keras, numpy as np
class Rows(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x
    def __len__(self):
        return -(-len(self.x) // 3)
    def __getitem__(self, i):
        return self.x[3 * i:3 * i + 3], np.zeros(3)
"
  )
  main <- reticulate::import_main(convert = FALSE)
  case <- cases()$mlp
  expect_close(
    predict(loaded("mlp"), main$Rows(to_numpy(case$x, py$np, "float32"))),
    case$y
  )
})

test_that("a live Keras model can be loaded, and predicts as long as keras3 isn't there", {
  python()
  keras <- reticulate::import("keras", convert = FALSE)
  live <- keras$models$load_model(normalizePath(fixture("mlp")))
  case <- cases()$mlp
  expect_close(predict(load_model(live), case$x), case$y)
  expect_close(predict(live, case$x), case$y)
})

test_that("Python generators are streamed, with tuples and steps", {
  py <- python()
  reticulate::py_run_string(
    "
import numpy as np
def rows(x, wrap, forever=False):
    while True:
        for i in range(0, len(x), 3):
            part = x[i:i + 3]
            y, w = np.zeros(3), np.ones(3)
            yield {'x': part, '1': (part,), '2': (part, y), '3': (part, y, w)}[wrap]
        if not forever:
            return
def failing(x):
    yield x
    raise ValueError('the source is dry')
"
  )
  main <- reticulate::import_main(convert = FALSE)
  case <- cases()$mlp
  model <- loaded("mlp")
  x <- to_numpy(case$x, py$np, "float32")
  for (wrap in c("x", "1", "2", "3")) {
    expect_close(predict(model, main$rows(x, wrap)), case$y)
  }
  expect_close(predict(model, main$rows(x, "2", TRUE), steps = 3), case$y)
  expect_warning(
    all <- predict(model, main$rows(x, "2"), steps = 9),
    class = "keraspredict_warning_input_ran_out"
  )
  expect_close(all, case$y)
  expect_error(predict(model, main$failing(x)), "the source is dry")
  expect_error(
    predict(model, main$rows(x[0:0], "x")),
    class = "keraspredict_error_bad_input"
  )
  expect_snapshot(
    error = TRUE,
    predict(model, main$rows(x, "x"), batch_size = 3)
  )
})

test_that("the length of a dataset is the total of the progress bar", {
  py <- python()
  model <- loaded("mlp")
  x <- to_numpy(cases()$mlp$x, py$np, "float32")
  ds <- py$tf$data$Dataset$from_tensor_slices(x)$batch(3L)
  seen <- list()
  note <- callback_lambda(on_predict_batch_end = function(batch, logs) {
    seen <<- c(seen, list(note$params$steps))
  })
  predict(model, ds, callbacks = note)
  expect_identical(seen, list(3L, 3L, 3L))
  unknown <- ds$filter(reticulate::py_eval("lambda x: True", convert = FALSE))
  predict(model, unknown, callbacks = note)
  expect_null(note$params$steps)
})

test_that("PyDatasets are told where they begin and end", {
  py <- python()
  reticulate::py_run_string(
    "
import keras, numpy as np
class Told(keras.utils.PyDataset):
    told = ''
    def __len__(self):
        return 2
    def __getitem__(self, i):
        self.told += str(i)
        return np.ones((2, 4), 'float32'), np.zeros(2)
    def on_epoch_begin(self):
        self.told += 'b'
    def on_epoch_end(self):
        self.told += 'e'
"
  )
  told <- reticulate::import_main(convert = FALSE)$Told()
  expect_identical(dim(predict(loaded("mlp"), told)), c(4L, 2L))
  expect_identical(reticulate::py_to_r(told$told), "b01e")
  expect_snapshot(error = TRUE, predict(loaded("mlp"), told, batch_size = 2))
})

test_that("Python's containers, pandas and scipy are input", {
  py <- python()
  case <- cases()$two
  first <- to_numpy(case$x[[1]], py$np, "float32")
  second <- to_numpy(case$x[[2]], py$np, "float32")
  model <- loaded("two")
  expect_close(predict(model, reticulate::dict(b = second, a = first)), case$y)
  expect_close(
    predict(model, reticulate::r_to_py(list(b = second, a = first))),
    case$y
  )
  expect_close(predict(model, reticulate::tuple(first, second)), case$y)
  expect_close(
    predict_on_batch(model, reticulate::tuple(first, second)),
    case$y
  )
  if (reticulate::py_module_available("scipy")) {
    sparse <- reticulate::import("scipy.sparse", convert = FALSE)
    x <- matrix(c(0, 1, 0, 2, 3, 0, 0, 4), 2)
    for (kind in c("csr_matrix", "csc_matrix", "coo_matrix")) {
      expect_equal(
        predict(loaded("mlp"), sparse[[kind]](to_numpy(x, py$np, "float64"))),
        predict(loaded("mlp"), x)
      )
    }
  }
  if (reticulate::py_module_available("pandas")) {
    pandas <- reticulate::import("pandas", convert = FALSE)
    x <- cases()$mlp$x
    expect_close(
      predict(loaded("mlp"), pandas$DataFrame(to_numpy(x, py$np, "float32"))),
      cases()$mlp$y
    )
    case <- cases()$columns
    frame <- pandas$DataFrame(reticulate::dict(
      more = list("a", "b", "c", "d"),
      kind = as.list(case$x$kind[, 1]),
      age = as.list(case$x$age[, 1])
    ))
    expect_close(predict(loaded("columns"), frame), case$y)
  }
})

test_that("live models of all kinds are taken, and others refused", {
  py <- python()
  reticulate::py_run_string(
    "
import keras
from keras import layers

class Own(keras.Model):
    def call(self, x):
        return x

class Around(keras.Model):
    pass

def around(path):
    m = keras.models.load_model(path)
    return Around(m.inputs, m.outputs, name='around')

def compiled(path):
    m = keras.models.load_model(path)
    m.compile('adam', 'mse')
    return m
"
  )
  main <- reticulate::import_main(convert = FALSE)
  path <- normalizePath(fixture("parts"))
  case <- parts_cases()$parts
  around <- load_model(main$around(path))
  expect_identical(around$name, "around")
  expect_close(predict(around, case$x), case$y)
  expect_close(predict(load_model(main$compiled(path)), case$x), case$y)
  expect_error(
    load_model(main$Own()),
    "call\\(\\)",
    class = "keraspredict_error_live_model"
  )
  unbuilt <- main$keras$Sequential(list(main$layers$Dense(2L)))
  expect_error(
    load_model(unbuilt),
    "no input",
    class = "keraspredict_error_live_model"
  )
  expect_snapshot(error = TRUE, {
    load_model(main$Own())
    load_model(unbuilt)
    predict(loaded("mlp"), py$np$add)
  })
})

test_that("live models of Keras 2 are taken", {
  python()
  skip_if_not(reticulate::py_module_available("tf_keras"), "no tf_keras")
  reticulate::py_run_string(
    "
import numpy as np, tf_keras
tf_keras.utils.set_random_seed(1)
dense = tf_keras.layers.Dense(2, activation='hard_sigmoid')
live = tf_keras.Sequential([tf_keras.layers.Input((3,)), dense])
given = np.arange(6, dtype='float32').reshape(2, 3)
made = live.predict(given, verbose=0)
"
  )
  main <- reticulate::import_main(convert = FALSE)
  expect_close(
    predict(load_model(main$live), main$given),
    from_python(main$made)
  )
})

test_that("objects of Python are iterated over by reticulate", {
  py <- python()
  numbers <- function(batch) {
    unlist(reticulate::py_to_r(batch$numpy()$tolist()))
  }
  dataset <- py$tf$data$Dataset$range(4L)$batch(2L)
  it <- as_iterator(dataset)
  expect_identical(numbers(iter_next(it)), 0:1)
  expect_identical(numbers(iter_next(it)), 2:3)
  expect_identical(iter_next(it, "done"), "done")
  expect_identical(iterate(dataset, function(x) sum(numbers(x))), c(1L, 5L))
  halves <- split_dataset(dataset, left_size = 3)
  expect_identical(
    lapply(halves, function(half) length(half)),
    list(2L, 1L)
  )
})
