"""Hands arrays that live in Python to R: as bytes in R's order of memory."""

import itertools

import numpy as np


def _array(x):
    if hasattr(x, "detach"):  # torch
        x = x.detach().cpu()
        if str(x.dtype) == "torch.bfloat16":
            x = x.float()
    if hasattr(x, "to_tensor") and hasattr(x, "row_lengths"):  # ragged
        x = x.to_tensor()
    if type(x).__name__ == "SparseTensor" and hasattr(x, "dense_shape"):
        import tensorflow as tf

        x = tf.sparse.to_dense(x)
    if hasattr(x, "numpy"):
        x = x.numpy()
    return np.asarray(x)


def export(x):
    """A dict of kind (f, i, b or s), shape and data, column-major."""
    a = _array(x)
    shape = [int(d) for d in a.shape]
    if a.dtype.kind == "O" and not all(isinstance(v, (str, bytes)) or v is None or v != v for v in a.flat):
        raise TypeError("it holds Python objects that are no text")
    if a.dtype.kind in "OSU":
        data = [
            s.decode("utf-8", "replace") if isinstance(s, bytes) else str(s)
            for s in a.ravel(order="F").tolist()
        ]
        return {"kind": "s", "shape": shape, "data": data}
    if a.dtype.kind == "b":
        kind, dtype = "b", np.int32
    elif a.dtype.kind in "iu" and a.dtype.itemsize <= 2 or a.dtype == np.int32:
        kind, dtype = "i", np.int32
    elif a.dtype.kind in "iuf" or a.dtype.name == "bfloat16":
        kind, dtype = "f", np.float64
    else:
        raise TypeError(f"an array of {a.dtype} has no counterpart in R")
    a = a.astype(dtype)
    return {"kind": kind, "shape": shape, "data": bytearray(a.tobytes(order="F"))}


def columns(frame):
    """The columns of a data frame of pandas."""
    return {str(name): export(frame[name].to_numpy()) for name in frame.columns}


def sparse(x):
    """The slots of a sparse matrix of scipy, column by column."""
    x = x.tocsc().astype(np.float64)
    x.sum_duplicates()
    slots = [x.indptr.astype(np.int32), x.indices.astype(np.int32), x.data]
    return {"shape": [int(d) for d in x.shape], "slots": [export(slot) for slot in slots]}


def exports(x):
    """The same for dicts, lists and tuples of arrays."""
    if isinstance(x, dict):
        return {str(k): exports(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [exports(v) for v in x]
    return export(x)


class batches:
    """Iterates over a dataset; `take()` gives the x of the next batch, or None."""

    def __init__(self, dataset):
        self._size = None
        self._on_end = None
        if hasattr(dataset, "on_epoch_begin"):
            dataset.on_epoch_begin()
            self._on_end = dataset.on_epoch_end
        if hasattr(dataset, "num_batches") and hasattr(dataset, "__getitem__"):
            self._size = dataset.num_batches
            indices = itertools.count() if self._size is None else range(self._size)
            self._batches = (dataset[i] for i in indices)
        else:
            if hasattr(dataset, "cardinality"):
                size = int(dataset.cardinality())
                self._size = size if size >= 0 else None
            elif hasattr(dataset, "__len__"):
                self._size = len(dataset)
            self._batches = iter(dataset)

    def size(self):
        """The number of batches, or None where it isn't known."""
        return None if self._size is None else int(self._size)

    def take(self):
        try:
            batch = next(self._batches)
        except StopIteration:
            if self._on_end is not None:
                self._on_end()
            return None
        if isinstance(batch, (tuple, list)) and 1 <= len(batch) <= 3:
            batch = batch[0]
        return exports(batch)


def save(model, stem):
    """Saves a live model of Keras 3 or of Keras 2 (tf_keras).

    Gives the path of the file, or what stands against it in `problem`.
    """
    classes = {c.__name__: c for c in reversed(type(model).__mro__)}
    functional = classes.get("Functional")
    if functional is None and "Sequential" not in classes:
        return {"problem": "subclassed"}
    if not model.built or not getattr(model, "inputs", None):
        return {"problem": "unbuilt"}
    if type(model).__name__ not in ("Functional", "Sequential", "Model"):
        # A class of its own around a graph: the graph is what predicts.
        model = functional(model.inputs, model.outputs, name=model.name)
    if type(model).__module__.startswith("keras.src.models"):
        path = stem + ".keras"
        model.save(path)
    else:
        path = stem + ".h5"
        model.save(path, save_format="h5", include_optimizer=False)
    return {"path": path}
