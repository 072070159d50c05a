"""The Fourier transforms of keras.ops.math as nodes of graphs."""

import keras
import numpy as np
from common import ints, normal
from keras import ops as K


def cases(c):
    def one(name, fn, shape, dtype=None, **kwargs):
        def build():
            x = keras.Input(shape, dtype=dtype)
            y = fn(x)
            return keras.Model(x, list(y) if isinstance(y, (list, tuple)) else y)

        c.add(name, build, optional=True, **{"rows": 2, **kwargs})

    def pair(name, fn, shape, dtype=None, **kwargs):
        def build():
            x, y = keras.Input(shape, name="re", dtype=dtype), keras.Input(shape, name="im", dtype=dtype)
            out = fn((x, y))
            return keras.Model([x, y], list(out) if isinstance(out, (list, tuple)) else out)

        c.add(name, build, optional=True, **{"rows": 2, **kwargs})

    for n in (1, 2, 3, 4, 5, 8, 12, 15, 17, 37, 64, 100):
        pair(f"fft_{n}", K.fft, (n,))
        one(f"rfft_{n}", K.rfft, (n,))
        if n > 1:
            pair(f"irfft_{n}", K.irfft, (n,))
    pair("fft_axes", K.fft, (3, 2, 6))
    pair("fft_float64", K.fft, (7,), "float64")
    pair("fft2", K.fft2, (5, 6))
    pair("fft2_axes", K.fft2, (3, 4, 7))
    pair("ifft2", K.ifft2, (5, 6))
    pair("ifft2_axes", K.ifft2, (3, 4, 7))
    for n in (4, 9, 16):
        one(f"rfft_to_{n}", lambda x, n=n: K.rfft(x, fft_length=n), (3, 9))
        pair(f"irfft_to_{n}", lambda x, n=n: K.irfft(x, fft_length=n), (3, 6))
    one("rfft_float64", K.rfft, (3, 9), "float64")
    for window in ("hann", "hamming", None):
        for center in (True, False):
            name = f"{window}_{'center' if center else 'left'}".lower()
            one(f"stft_{name}", lambda x, w=window, k=center: K.stft(x, 14, 6, 16, window=w, center=k), (50,))
            pair(f"istft_{name}", lambda x, w=window, k=center: K.istft(x, 14, 6, 16, window=w, center=k), (7, 9))
    one("stft_odd", lambda x: K.stft(x, 13, 5, 13), (2, 50))
    one("stft_float64", lambda x: K.stft(x, 13, 5, 20), (50,), "float64")
    one("stft_back", lambda x: K.istft(K.stft(x, 16, 4, 16), 16, 4, 16), (48,))
    pair("istft_length", lambda x: K.istft(x, 16, 8, 16, length=40), (7, 9))
    pair("istft_length_left", lambda x: K.istft(x, 16, 8, 16, length=40, center=False), (7, 9))
    pair("istft_odd", lambda x: K.istft(x, 13, 5, 15), (2, 6, 8))
    pair("istft_gaps", lambda x: K.istft(x, 8, 11, 8, center=False), (5, 5))
    one("sequences", lambda x: K.extract_sequences(x, 4, 3), (2, 20))
    one("sequences_int", lambda x: K.extract_sequences(x, 5, 1), (9,), "int32", inputs=ints(99))
    for i, r in c.random("stft", 2, 30):
        fft = int(r.integers(6, 40))
        length, stride = int(r.integers(4, fft + 1)), int(r.integers(1, fft))
        one(f"stft_random{i}", lambda x, a=(length, stride, fft): K.stft(x, *a), (int(r.integers(45, 90)),), inputs=normal(5.0))
        pair(f"istft_random{i}", lambda x, a=(length, stride, fft): K.istft(x, *a), (int(r.integers(3, 9)), fft // 2 + 1))
