"""Float16 in the order that TensorFlow's graphs are rearranged to, and convolutions over three axes."""

import keras
from keras import layers as L
from keras import ops

from common import chain

TYPES = ("float16", "mixed_float16")


def cases(c):
    for dtype in TYPES:
        for i, (filters, size, padding, strides) in enumerate(((2, 2, "valid", 1), (3, 3, "same", 1), (2, 2, "same", 2))):
            k = {"padding": padding, "strides": strides, "dtype": dtype}
            c.add(f"convlstm1d_{dtype}_{i}", lambda f=filters, s=size, k=k: chain((3, 7, 2), L.ConvLSTM1D(f, s, **k)))
            c.add(f"convlstm2d_{dtype}_{i}", lambda f=filters, s=size, k=k: chain((3, 5, 6, 2), L.ConvLSTM2D(f, s, return_sequences=True, **k)))
            c.add(f"convlstm3d_{dtype}_{i}", lambda f=filters, s=size, k=k: chain((2, 4, 4, 4, 1), L.ConvLSTM3D(f, s, **k)))
    c.add("convlstm_no_bias", lambda: chain((3, 7, 2), L.ConvLSTM1D(2, 2, use_bias=False, dtype="float16")))
    for filters, size, channels, strides, padding in ((1, 2, 2, 1, "same"), (2, 3, 1, 2, "valid"), (3, 2, 4, 1, "valid"), (8, 2, 2, 2, "same"), (2, 1, 4, 2, "valid")):
        name = f"{filters}_{size}_{channels}_{strides}_{padding}"
        k = {"strides": strides, "padding": padding, "dtype": "float16"}
        c.add(f"transpose3d_{name}", lambda n=channels, f=filters, s=size, k=k: chain((2, 4, 3, n), L.Conv3DTranspose(f, s, **k)))
    c.add("transpose3d_output_padding", lambda: chain((2, 3, 3, 2), L.Conv3DTranspose(2, 2, strides=3, output_padding=1, activation="relu", dtype="mixed_float16")))
    for channels in (1, 2, 5):
        c.add(f"conv3d_one_{channels}", lambda n=channels: chain((4, 4, 3, n), L.Conv3D(1, 2, dtype="float16")))

    def spaced(dtype, *args, **k):
        x, y = keras.Input((3,), dtype=dtype), keras.Input((3,), dtype=dtype)
        return keras.Model([x, y], ops.linspace(x, y, *args, **k))

    for dtype in ("float16", "bfloat16"):
        for num in (1, 2, 3, 7, 12):
            for endpoint in (True, False):
                name = f"linspace_{dtype}_{num}" + ("" if endpoint else "_open")
                c.add(name, lambda d=dtype, n=num, e=endpoint: spaced(d, n, endpoint=e, axis=1))
        c.add(f"linspace_{dtype}_first", lambda d=dtype: spaced(d, 5), row_independent=False)
