"""Every activation by name, and the activation layers."""

import numpy as np
from common import chain, normal, wild
from keras import layers as L

NAMES = [
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear", "log_sigmoid",
    "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "hard_swish", "tanh", "tanh_shrink", "glu",
]
# exp(1e3) is not finite, which tells nothing more
SMALL = {"exponential": [0.0, -0.0, 1e-6, 1.0, -1.0, 20.0, -20.0, 80.0, -100.0]}
GRID = np.concatenate([np.linspace(-10, 10, 81), [-1e4, 1e4, -1e-4, 1e-4, 50.0, -50.0, -5.9, 5.9]])


def grid(rng, shape, dtype):
    return np.resize(rng.permutation(GRID), shape).astype(dtype)


def cases(c):
    for name in NAMES:
        maker = wild(SMALL[name]) if name in SMALL else wild()
        c.add(name, lambda n=name: chain((12,), L.Activation(n)), inputs=maker, rows=8)
        c.add(f"{name}_dense", lambda n=name: chain((6,), L.Dense(8, activation=n)), h5=name in ("relu", "hard_sigmoid", "gelu", "swish"))
        if name not in SMALL:
            # Exactly on sparsemax' threshold, compiled and eager Keras differ.
            c.add(f"{name}_grid", lambda n=name: chain((3, 10), L.Activation(n)), inputs=normal(2.0) if name == "sparsemax" else grid)
    for name in ["relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softplus", "leaky_relu", "hard_sigmoid", "hard_tanh", "silu", "exponential"]:
        c.add(f"{name}_infinite", lambda n=name: chain((6,), L.Activation(n)), inputs=wild([np.inf, -np.inf, 0.0, 1.0]), optional=True)

    c.add("layer_relu", lambda: chain((12,), L.ReLU()), inputs=wild(), rows=8, h5=True)
    c.add("layer_relu_max", lambda: chain((12,), L.ReLU(max_value=6.0)), inputs=wild(), rows=8)
    c.add("layer_relu_slope", lambda: chain((12,), L.ReLU(negative_slope=0.25)), inputs=wild(), rows=8)
    c.add("layer_relu_threshold", lambda: chain((12,), L.ReLU(threshold=0.5)), inputs=wild(), rows=8)
    c.add("layer_relu_all", lambda: chain((12,), L.ReLU(max_value=3.0, negative_slope=0.1, threshold=1.0)), inputs=wild(), rows=8, h5=True)
    c.add("layer_relu_negative_threshold", lambda: chain((12,), L.ReLU(max_value=2.0, negative_slope=0.1, threshold=-1.0)), inputs=wild(), rows=8, optional=True)
    c.add("layer_relu_max_zero", lambda: chain((12,), L.ReLU(max_value=0.0)), inputs=wild(), rows=8)
    c.add("layer_leaky_relu", lambda: chain((12,), L.LeakyReLU()), inputs=wild(), rows=8, h5=True)
    c.add("layer_leaky_relu_slope", lambda: chain((12,), L.LeakyReLU(negative_slope=0.01)), inputs=wild(), rows=8)
    c.add("layer_elu", lambda: chain((12,), L.ELU()), inputs=wild(), rows=8, h5=True)
    c.add("layer_elu_alpha", lambda: chain((12,), L.ELU(alpha=0.3)), inputs=wild(), rows=8)
    c.add("layer_prelu", lambda: chain((12,), L.PReLU()), inputs=wild(), rows=8, h5=True)
    c.add("layer_prelu_shared", lambda: chain((4, 5, 3), L.PReLU(shared_axes=[1, 2])), h5=True)
    c.add("layer_prelu_shared_one", lambda: chain((4, 3), L.PReLU(shared_axes=[2])))
    c.add("layer_prelu_image", lambda: chain((4, 5, 3), L.Conv2D(4, 2), L.PReLU()))
    c.add("layer_softmax", lambda: chain((12,), L.Softmax()), inputs=wild(), rows=8, h5=True)
    c.add("layer_softmax_axis1", lambda: chain((4, 5), L.Softmax(axis=1)))
    c.add("layer_softmax_axes", lambda: chain((4, 5, 3), L.Softmax(axis=[1, 2])))
    c.add("layer_softmax_axis_m2", lambda: chain((4, 5, 3), L.Softmax(axis=-2)))
    c.add("layer_softmax_big", lambda: chain((300,), L.Softmax()), inputs=normal(30.0))
    c.add("layer_activation_relu_conv", lambda: chain((6, 6, 2), L.Conv2D(3, 3), L.Activation("relu"), L.Conv2D(2, 2), L.Activation("softmax")), h5=True)
    for i, r in c.random("relu", 2, 20):
        config = dict(max_value=float(r.uniform(1, 5)) if r.integers(2) else None, negative_slope=float(r.uniform(0, 1)), threshold=float(r.uniform(0, 2)))
        c.add(f"layer_relu_random{i}", lambda config=config: chain((12,), L.ReLU(**config)), inputs=wild())
