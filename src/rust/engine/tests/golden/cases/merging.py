"""Merging layers and Dot."""

import keras
from common import chain, ints, wild
from keras import layers as L


def merged(layer, *shapes, dtypes=None):
    def build():
        xs = [keras.Input(s, name=f"x{i}", dtype=dtypes[i] if dtypes else None) for i, s in enumerate(shapes)]
        return keras.Model(xs, layer()(xs))

    return build


def cases(c):
    for cls in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum):
        n = cls.__name__.lower()
        c.add(n, merged(cls, (4, 3), (4, 3)), h5=True)
        c.add(f"{n}_broadcast", merged(cls, (4, 3), (1, 3)), h5=n == "add")
        c.add(f"{n}_ranks", merged(cls, (4, 3), (3,)))
        c.add(f"{n}_ranks_3", merged(cls, (3,), (2, 4, 3)))
        c.add(f"{n}_wild", merged(cls, (6,), (6,)), inputs=[wild(), wild()])
        c.add(f"{n}_same_twice", lambda cls=cls: twice(cls))
        if cls is not L.Subtract:
            c.add(f"{n}_three", merged(cls, (4, 3), (4, 3), (4, 3)))
            c.add(f"{n}_three_ranks", merged(cls, (4, 3), (3,), (1, 3)), optional=True)
        c.add(f"{n}_none", merged(cls, (None, 3), (None, 3)))
        c.add(f"{n}_int", merged(cls, (4,), (4,), dtypes=["int32", "int32"]))
    for axis in (1, 2, 3, -1, -2):
        shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
        at = axis - 1 if axis > 0 else axis
        for i, s in enumerate(shapes):
            s[at] += i
        c.add(f"concatenate_axis{axis}".replace("-", "m"), merged(lambda a=axis: L.Concatenate(axis=a), *map(tuple, shapes)), h5=axis == -1)
    c.add("concatenate", merged(L.Concatenate, (3,), (4,)), h5=True)
    c.add("concatenate_one", merged(L.Concatenate, (3,)), optional=True)
    c.add("concatenate_many", merged(L.Concatenate, *[(i + 1,) for i in range(7)]))
    c.add("concatenate_none", merged(lambda: L.Concatenate(axis=1), (None, 3), (None, 3)), dims=[4, 6])
    c.add("concatenate_images", merged(L.Concatenate, (4, 4, 2), (4, 4, 3)))
    c.add("concatenate_int", merged(L.Concatenate, (4,), (3,), dtypes=["int32", "int32"]))
    c.add("concatenate_same_twice", lambda: twice(L.Concatenate))

    dots = [
        ("dot_vectors", 1, (5,), (5,)),
        ("dot_matrix_vector", (2, 1), (4, 5), (5,)),
        ("dot_vector_matrix", (1, 2), (5,), (4, 5)),
        ("dot_matrices", (2, 2), (4, 5), (3, 5)),
        ("dot_matrices_1_2", (1, 2), (5, 4), (3, 5)),
        ("dot_matrices_2_1", (2, 1), (4, 5), (5, 3)),
        ("dot_matrices_1_1", 1, (5, 4), (5, 3)),
        ("dot_negative", -1, (4, 5), (3, 5)),
        ("dot_rank4_3", (3, 2), (2, 4, 5), (3, 5)),
        ("dot_rank4_4", (3, 3), (2, 4, 5), (2, 3, 5)),
    ]
    for n, axes, a, b in dots:
        c.add(n, merged(lambda axes=axes: L.Dot(axes=axes), a, b), h5=n == "dot_matrices", optional="rank4" in n)
        c.add(f"{n}_normalize", merged(lambda axes=axes: L.Dot(axes=axes, normalize=True), a, b), optional="rank4" in n)
    c.add("dot_normalize_zeros", merged(lambda: L.Dot(axes=1, normalize=True), (5,), (5,)), inputs=[ints(2), ints(1)])
    c.add("siamese", siamese, h5=True)


def twice(cls):
    x = keras.Input((4,))
    return keras.Model(x, cls()([x, x]))


def siamese():
    a, b = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    tower = keras.Sequential([keras.Input((6,)), L.Dense(5, activation="relu"), L.Dense(4)], name="tower")
    return keras.Model([a, b], L.Dense(1, activation="sigmoid")(L.Dot(axes=1, normalize=True)([tower(a), tower(b)])))
