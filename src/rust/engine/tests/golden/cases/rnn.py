"""LSTM, GRU, SimpleRNN, Bidirectional and TimeDistributed."""

import keras
from common import chain, masked, padded, sequential
from keras import layers as L

KINDS = {"lstm": L.LSTM, "gru": L.GRU, "simple": L.SimpleRNN}


def cases(c):
    for n, cls in KINDS.items():
        def add(name, config, shape=(5, 3), cls=cls, n=n, **options):
            c.add(f"{n}_{name}" if name else n, lambda: chain(shape, cls(**config)), rows=options.pop("rows", 3), **options)

        add("", dict(units=4), h5=True)
        add("sequences", dict(units=4, return_sequences=True), h5=True)
        add("state", dict(units=4, return_state=True))
        add("sequences_state", dict(units=4, return_state=True, return_sequences=True), h5=True)
        add("backwards", dict(units=4, go_backwards=True))
        add("backwards_sequences", dict(units=4, go_backwards=True, return_sequences=True, return_state=True), h5=True)
        add("no_bias", dict(units=4, use_bias=False), h5=True)
        add("unroll", dict(units=4, unroll=True, return_sequences=True))
        add("dropout", dict(units=4, dropout=0.3, recurrent_dropout=0.2))
        add("none_steps", dict(units=4), shape=(None, 3), dims=[6])
        add("one_step", dict(units=4, return_sequences=True), shape=(1, 3))
        add("one_unit", dict(units=1, return_sequences=True), shape=(4, 1))
        add("wide", dict(units=19, return_sequences=True), shape=(4, 13), rows=5)
        add("long", dict(units=6), shape=(60, 2))
        for activation in ("relu", "linear", "sigmoid", "elu"):
            add(f"activation_{activation}", dict(units=4, activation=activation, return_sequences=True), shape=(4, 3))
        if n != "simple":
            for activation in ("hard_sigmoid", "tanh", "linear", "relu"):
                add(f"recurrent_{activation}", dict(units=4, recurrent_activation=activation, return_sequences=True), shape=(4, 3), h5=activation == "hard_sigmoid")
        if n == "lstm":
            add("no_forget_bias", dict(units=4, unit_forget_bias=False))
        if n == "gru":
            add("before", dict(units=4, reset_after=False), h5=True)
            add("before_sequences", dict(units=4, reset_after=False, return_sequences=True, return_state=True))
            add("before_no_bias", dict(units=4, reset_after=False, use_bias=False))
            add("after_no_bias", dict(units=4, reset_after=True, use_bias=False))
            add("before_activations", dict(units=4, reset_after=False, activation="relu", recurrent_activation="hard_sigmoid"))

        for label, config in {
            "": {}, "_sequences": dict(return_sequences=True), "_state": dict(return_sequences=True, return_state=True),
            "_backwards": dict(go_backwards=True, return_sequences=True), "_unroll": dict(unroll=True, return_sequences=True),
        }.items():
            c.add(f"{n}_masked{label}", lambda config=config, cls=cls: chain((5, 3), L.Masking(), cls(4, **config)), inputs=masked(empty=True), h5=not label)
            c.add(f"{n}_masked_left{label}", lambda config=config, cls=cls: chain((5, 3), L.Masking(), cls(4, **config)), inputs=masked(left=True))
        c.add(f"{n}_masked_value", lambda cls=cls: chain((5, 3), L.Masking(-1.0), cls(4)), inputs=masked(-1.0))
        c.add(f"{n}_embedding", lambda cls=cls: sequential((6,), L.Embedding(9, 3, mask_zero=True), cls(4), L.Dense(2)), inputs=padded(9), h5=True)
        c.add(f"{n}_stack", lambda cls=cls: chain((6,), L.Embedding(9, 3, mask_zero=True), cls(4, return_sequences=True), cls(3), dtype="int32"),
              inputs=padded(9, empty=True), h5=True)
        c.add(f"{n}_initial_state", lambda cls=cls, n=n: with_state(cls, n), rows=3)
        c.add(f"{n}_encoder_decoder", lambda cls=cls: encoder_decoder(cls), rows=3)
        c.add(f"{n}_shared", lambda cls=cls: shared(cls), rows=3)

        for merge in ("concat", "sum", "mul", "ave", None):
            c.add(f"bidirectional_{n}_{merge or 'none'}".lower(), lambda cls=cls, m=merge: chain((5, 3), L.Bidirectional(cls(4), merge_mode=m)), h5=merge in ("concat", None))
            c.add(f"bidirectional_{n}_{merge or 'none'}_sequences".lower(),
                  lambda cls=cls, m=merge: chain((5, 3), L.Bidirectional(cls(4, return_sequences=True), merge_mode=m)), h5=merge == "sum")
        c.add(f"bidirectional_{n}_state", lambda cls=cls: chain((5, 3), L.Bidirectional(cls(4, return_state=True, return_sequences=True))))
        c.add(f"bidirectional_{n}_state_none", lambda cls=cls: chain((5, 3), L.Bidirectional(cls(4, return_state=True), merge_mode=None)))
        c.add(f"bidirectional_{n}_masked", lambda cls=cls: chain((5, 3), L.Masking(), L.Bidirectional(cls(4))), inputs=masked(empty=True), h5=True)
        c.add(f"bidirectional_{n}_masked_sequences", lambda cls=cls: chain((5, 3), L.Masking(), L.Bidirectional(cls(4, return_sequences=True), merge_mode="sum")),
              inputs=masked(empty=True))
        c.add(f"bidirectional_{n}_masked_left", lambda cls=cls: chain((5, 3), L.Masking(), L.Bidirectional(cls(4, return_sequences=True))), inputs=masked(left=True))
        c.add(f"bidirectional_{n}_initial_state", lambda cls=cls, n=n: bidirectional_with_state(cls, n), rows=3)
        c.add(f"bidirectional_{n}_two", lambda cls=cls: chain(
            (6,), L.Embedding(9, 3, mask_zero=True), L.Bidirectional(cls(3, return_sequences=True)), L.Bidirectional(cls(2)), L.Dense(2), dtype="int32"),
            inputs=padded(9), h5=True)
        for i, r in c.random(n, 2, 25):
            config = dict(units=int(r.integers(1, 9)), use_bias=bool(r.integers(2)), return_sequences=bool(r.integers(2)), return_state=bool(r.integers(2)),
                          go_backwards=bool(r.integers(2)), activation=str(r.choice(["tanh", "relu", "sigmoid", "softsign"])))
            if n != "simple":
                config["recurrent_activation"] = str(r.choice(["sigmoid", "hard_sigmoid"]))
            if n == "gru":
                config["reset_after"] = bool(r.integers(2))
            shape = (int(r.integers(1, 9)), int(r.integers(1, 6)))
            mask = [L.Masking] if r.integers(2) else []
            c.add(f"{n}_random{i}", lambda config=config, shape=shape, mask=mask, cls=cls: chain(shape, *[m() for m in mask], cls(**config)),
                  inputs=masked() if mask else None)
            both = dict(config, return_state=False, go_backwards=False)
            c.add(f"bidirectional_{n}_random{i}", lambda config=both, shape=shape, mask=mask, cls=cls: chain(
                shape, *[m() for m in mask], L.Bidirectional(cls(**config), merge_mode="concat")), inputs=masked() if mask else None)
    c.add("bidirectional_backward_layer", lambda: chain((5, 3), L.Bidirectional(
        L.LSTM(4, return_sequences=True), backward_layer=L.GRU(4, return_sequences=True, go_backwards=True))), h5=True)

    def td(name, shape, layer, **options):
        c.add(f"time_distributed_{name}", lambda: chain(shape, L.TimeDistributed(layer())), rows=options.pop("rows", 3), **options)

    td("dense", (4, 3), lambda: L.Dense(2, activation="relu"), h5=True)
    td("conv2d", (3, 6, 6, 2), lambda: L.Conv2D(3, 3), h5=True)
    td("pooling", (3, 6, 6, 2), lambda: L.MaxPooling2D(2))
    td("flatten", (3, 4, 2), lambda: L.Flatten())
    td("batch_norm", (3, 4, 2), lambda: L.BatchNormalization())
    td("lstm", (3, 4, 2), lambda: L.LSTM(3))
    td("bidirectional", (3, 4, 2), lambda: L.Bidirectional(L.GRU(3)))
    td("embedding", (3, 4), lambda: L.Embedding(9, 2), inputs=padded(9))
    td("dropout", (3, 4), lambda: L.Dropout(0.5))
    td("twice", (2, 3, 4), lambda: L.TimeDistributed(L.Dense(2)))
    td("none", (None, 3), lambda: L.Dense(2), dims=[4])
    td("model", (3, 4), lambda: keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh"), L.Dense(2)]), h5=True)
    td("functional", (3, 4), functional)
    c.add("time_distributed_masked", lambda: chain((5, 3), L.Masking(), L.TimeDistributed(L.Dense(4)), L.LSTM(2)), inputs=masked(), h5=True)
    c.add("time_distributed_after_lstm", lambda: chain((5, 3), L.LSTM(4, return_sequences=True), L.TimeDistributed(L.Dense(2))), h5=True)
    c.add("time_distributed_masked_lstm_inside", lambda: chain((3, 5), L.TimeDistributed(L.Embedding(9, 3, mask_zero=True)), L.TimeDistributed(L.LSTM(2)), dtype="int32"),
          inputs=padded(9), optional=True)
    c.add("cnn_lstm", lambda: chain((4, 6, 6, 1), L.TimeDistributed(L.Conv2D(2, 3, activation="relu")), L.TimeDistributed(L.Flatten()), L.LSTM(3), L.Dense(2)), h5=True)
    c.add("conv1d_gru", lambda: chain((20, 3), L.Conv1D(4, 3, activation="relu"), L.MaxPooling1D(2), L.GRU(3, return_sequences=True), L.GlobalMaxPooling1D()), h5=True)


def states(n, units, count=1):
    return [keras.Input((units,), name=f"s{i}") for i in range((2 if n == "lstm" else 1) * count)]


def with_state(cls, n):
    x, s = keras.Input((5, 3), name="x"), states(n, 4)
    return keras.Model([x, *s], cls(4, return_sequences=True, return_state=True)(x, initial_state=s))


def bidirectional_with_state(cls, n):
    x, s = keras.Input((5, 3), name="x"), states(n, 4, 2)
    return keras.Model([x, *s], L.Bidirectional(cls(4, return_sequences=True))(x, initial_state=s))


def encoder_decoder(cls):
    source, target = keras.Input((5, 3), name="source"), keras.Input((4, 2), name="target")
    _, *state = cls(4, return_state=True)(source)
    y = cls(4, return_sequences=True)(target, initial_state=state)
    return keras.Model([source, target], L.Dense(2, activation="softmax")(y))


def shared(cls):
    a, b = keras.Input((5, 3), name="a"), keras.Input((4, 3), name="b")
    layer = cls(4)
    return keras.Model([a, b], L.Subtract()([layer(a), layer(b)]))


def functional():
    x = keras.Input((4,))
    return keras.Model(x, L.Add()([L.Dense(3)(x), L.Dense(3, activation="relu")(x)]))
