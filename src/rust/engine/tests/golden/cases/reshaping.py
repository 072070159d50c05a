"""Layers that move values about."""

from common import chain, ints
from keras import layers as L


def cases(c):
    c.add("flatten", lambda: chain((2, 3, 4), L.Flatten()), h5=True)
    c.add("flatten_channels_first", lambda: chain((2, 3, 4), L.Flatten(data_format="channels_first")), h5=True)
    c.add("flatten_rank1", lambda: chain((), L.Flatten()))
    c.add("flatten_rank2", lambda: chain((5,), L.Flatten()))
    c.add("flatten_none", lambda: chain((None, 4), L.Flatten()))
    c.add("flatten_dense", lambda: chain((4, 4, 2), L.Conv2D(3, 3), L.Flatten(), L.Dense(2)), h5=True)
    c.add("flatten_int", lambda: chain((2, 3), L.Flatten(), dtype="int32"))
    c.add("reshape", lambda: chain((2, 6), L.Reshape((3, 4))), h5=True)
    c.add("reshape_minus1", lambda: chain((2, 6), L.Reshape((-1, 2, 2))))
    c.add("reshape_flat", lambda: chain((2, 6), L.Reshape((-1,))))
    c.add("reshape_scalar", lambda: chain((1,), L.Reshape(())), optional=True)
    c.add("reshape_none", lambda: chain((None, 6), L.Reshape((-1, 3))), dims=[4])
    c.add("reshape_int", lambda: chain((12,), L.Reshape((3, 4)), dtype="int32"))
    c.add("permute", lambda: chain((2, 3, 4), L.Permute((3, 1, 2))), h5=True)
    c.add("permute_swap", lambda: chain((5, 3), L.Permute((2, 1)), L.Dense(2)))
    c.add("permute_rank5", lambda: chain((2, 3, 4, 2), L.Permute((4, 2, 3, 1))))
    c.add("permute_none", lambda: chain((None, 3), L.Permute((2, 1))))
    c.add("repeat_vector", lambda: chain((3,), L.RepeatVector(4)), h5=True)
    c.add("repeat_vector_one", lambda: chain((3,), L.RepeatVector(1)))
    c.add("repeat_vector_lstm", lambda: chain((5, 3), L.LSTM(4), L.RepeatVector(3), L.LSTM(2, return_sequences=True)), h5=True)

    c.add("cropping1d", lambda: chain((7, 3), L.Cropping1D((1, 2))), h5=True)
    c.add("cropping1d_int", lambda: chain((7, 3), L.Cropping1D(2)))
    c.add("cropping1d_none", lambda: chain((None, 3), L.Cropping1D((1, 1))), dims=[6])
    c.add("cropping1d_zero", lambda: chain((7, 3), L.Cropping1D((0, 0))))
    c.add("cropping2d", lambda: chain((7, 8, 3), L.Cropping2D(((1, 2), (0, 3)))), h5=True)
    c.add("cropping2d_pair", lambda: chain((7, 8, 3), L.Cropping2D((1, 2))))
    c.add("cropping2d_channels_first", lambda: chain((3, 7, 8), L.Cropping2D(((1, 2), (0, 3)), data_format="channels_first")))
    c.add("cropping3d", lambda: chain((5, 6, 4, 2), L.Cropping3D(((1, 1), (0, 2), (1, 0)))), h5=True)
    c.add("cropping3d_int", lambda: chain((5, 6, 4, 2), L.Cropping3D(1)))
    c.add("cropping3d_channels_first", lambda: chain((2, 5, 6, 4), L.Cropping3D(((1, 1), (0, 2), (1, 0)), data_format="channels_first")))
    c.add("padding1d", lambda: chain((4, 3), L.ZeroPadding1D((1, 2))), h5=True)
    c.add("padding1d_int", lambda: chain((4, 3), L.ZeroPadding1D(2)))
    c.add("padding1d_channels_first", lambda: chain((3, 4), L.ZeroPadding1D((1, 2), data_format="channels_first")))
    c.add("padding2d", lambda: chain((3, 4, 2), L.ZeroPadding2D(((1, 2), (0, 3)))), h5=True)
    c.add("padding2d_pair", lambda: chain((3, 4, 2), L.ZeroPadding2D((1, 2))))
    c.add("padding2d_channels_first", lambda: chain((2, 3, 4), L.ZeroPadding2D(((1, 2), (0, 3)), data_format="channels_first")))
    c.add("padding3d", lambda: chain((2, 3, 4, 2), L.ZeroPadding3D(((1, 2), (0, 3), (1, 0)))), h5=True)
    c.add("padding3d_channels_first", lambda: chain((2, 2, 3, 4), L.ZeroPadding3D(((1, 2), (0, 3), (1, 0)), data_format="channels_first")))
    c.add("padding2d_int_dtype", lambda: chain((3, 4, 2), L.ZeroPadding2D(1, dtype="int32"), dtype="int32"), optional=True)
    c.add("upsampling1d", lambda: chain((4, 3), L.UpSampling1D(3)), h5=True)
    c.add("upsampling1d_none", lambda: chain((None, 3), L.UpSampling1D(2)))
    c.add("upsampling3d", lambda: chain((2, 3, 4, 2), L.UpSampling3D((2, 1, 3))), h5=True)
    c.add("upsampling3d_channels_first", lambda: chain((2, 2, 3, 4), L.UpSampling3D(2, data_format="channels_first")))
    for method in ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]:
        c.add(f"upsampling2d_{method}", lambda m=method: chain((4, 5, 3), L.UpSampling2D((2, 3), interpolation=m)), h5=method in ("nearest", "bilinear"))
        c.add(f"upsampling2d_{method}_channels_first", lambda m=method: chain((3, 4, 5), L.UpSampling2D(2, interpolation=m, data_format="channels_first")))
    c.add("upsampling2d_bilinear_one_pixel", lambda: chain((1, 1, 3), L.UpSampling2D(3, interpolation="bilinear")))
    c.add("upsampling2d_none", lambda: chain((None, None, 3), L.UpSampling2D(2)), dims=[3, 4])
    for i, r in c.random("cropping2d", 2, 15):
        config = [[int(v) for v in pair] for pair in r.integers(0, 3, size=(2, 2))]
        c.add(f"cropping2d_random{i}", lambda v=config: chain((7, 8, 3), L.Cropping2D(v)))
        c.add(f"padding2d_random{i}", lambda v=config: chain((3, 4, 3), L.ZeroPadding2D(v)))
        target = [int(v) for v in r.permutation([2, 3, 4])]
        c.add(f"reshape_random{i}", lambda v=target: chain((24,), L.Reshape(v)), inputs=ints(9))
        order = [int(v) + 1 for v in r.permutation(4)]
        c.add(f"permute_random{i}", lambda v=order: chain((2, 3, 4, 5), L.Permute(v)))
