"""Trains the example models in inst/extdata: digits, iris and language.

    pip install "keras==3.15.*" tensorflow-cpu scikit-learn
    pip download --no-deps "django==5.2.*"
    python tools/train-examples.py django-5.2*.whl

It needs Rscript too: iris comes from R, and the data to score is written as .rds files, each a list of
x (what the model takes), y (the true classes), expected (what Keras predicted), and what else explains them.
inst/extdata/README.md tells where the data comes from.
"""

import argparse
import gettext
import html
import io
import os
import re
import subprocess
import tempfile
import zipfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
from keras import layers as L

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "inst", "extdata")
LANGUAGES = ["de", "en", "es", "fi", "fr", "it", "nl", "pl", "pt", "sv"]
LENGTH = 60
SHORTEST = 20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("django", help="the wheel of Django, for its translations")
    parser.add_argument("--only", choices=["digits", "iris", "language"])
    args = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    for name, train in {"digits": digits, "iris": iris, "language": lambda: language(args.django)}.items():
        if args.only in (None, name):
            keras.utils.clear_session()
            keras.utils.set_random_seed(1)
            train()


def finish(name, model, x, y, h5=False, r="", **extra):
    """Saves the model, and the data to score with what Keras predicts for it."""
    expected = model.predict(x, verbose=0)
    # a fresh optimizer has no state: the files hold what predict needs
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    accuracy = float(np.mean(expected.argmax(axis=1) == y))
    for suffix in [".keras"] + ([".h5"] if h5 else []):
        model.save(os.path.join(OUT, name + suffix))
    with tempfile.TemporaryDirectory() as folder:
        columns = {"x": x.reshape(len(x), -1), "y": y[:, None], "expected": expected.astype("float64")}
        for key, value in columns.items():
            np.savetxt(os.path.join(folder, f"{key}.csv"), value, delimiter=",", fmt="%.9g")
        for key, lines in extra.items():
            with open(os.path.join(folder, f"{key}.txt"), "w", encoding="utf-8") as f:
                f.writelines(f"{line}\n" for line in lines)
        dims = ", ".join(f"{d}L" for d in x.shape)
        text = "".join(f'd${key} <- readLines("{key}.txt", encoding = "UTF-8")\n' for key in extra)
        out = os.path.abspath(os.path.join(OUT, name + ".rds"))
        rscript(folder, f"""
            read <- function(file) unname(as.matrix(read.csv(file, header = FALSE)))
            order <- function(x, dim) aperm(array(t(x), rev(dim)), rev(seq_along(dim)))
            d <- list(x = order(read("x.csv"), c({dims})), y = as.integer(read("y.csv")), expected = read("expected.csv"))
            {text}
            {r}
            saveRDS(d, "{out}", compress = "xz")
        """)
    print(f"{name}: {model.count_params()} parameters, accuracy {accuracy:.4f} on {len(x)} rows it has not seen")


def rscript(folder, code):
    subprocess.run(["Rscript", "--vanilla", "-"], input="\n".join(line.strip() for line in code.splitlines()), text=True, cwd=folder, check=True)


def digits():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype("float32")
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=360, random_state=1, stratify=y)
    model = keras.Sequential([
        keras.Input((8, 8, 1), name="image"),
        L.Rescaling(1 / 16),
        L.Conv2D(16, 3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(32, 3, activation="relu"),
        L.MaxPooling2D(2),
        L.Dropout(0.3),
        L.Flatten(),
        L.Dense(32, activation="relu"),
        L.Dropout(0.3),
        L.Dense(10, activation="softmax"),
    ], name="digits")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=40, batch_size=32, verbose=0)
    finish("digits", model, x_test, y_test)


def iris():
    with tempfile.TemporaryDirectory() as folder:
        rscript(folder, 'write.csv(transform(iris, Species = as.integer(Species) - 1L), "iris.csv", row.names = FALSE)')
        data = np.loadtxt(os.path.join(folder, "iris.csv"), delimiter=",", skiprows=1)
    order = np.random.default_rng(1).permutation(len(data))
    test, train = np.sort(order[:50]), order[50:]
    x, y = data[:, :4].astype("float32"), data[:, 4].astype("int64")
    normalization = L.Normalization(name="normalization")
    normalization.adapt(x[train])
    inputs = keras.Input((4,), name="measures")
    h = L.Dense(16, activation="relu")(normalization(inputs))
    h = L.Dense(16, activation="relu")(h)
    model = keras.Model(inputs, L.Dense(3, activation="softmax", name="species")(h), name="iris")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[train], y[train], epochs=60, batch_size=16, verbose=0)
    rows = [str(i + 1) for i in test]
    finish("iris", model, x[test], y[test], h5=True, row=rows, r="""
        d$row <- as.integer(d$row)
        d$x <- as.matrix(iris[d$row, 1:4])
        d$classes <- levels(iris$Species)
    """)


def messages(wheel):
    """{message in English: {language: its translation}} of Django's catalogues."""
    found = {}
    archive = zipfile.ZipFile(wheel)
    for name in sorted(archive.namelist()):
        match = re.search(r"/locale/(\w+)/LC_MESSAGES/.*\.mo$", name)
        if not match or match[1] not in LANGUAGES:
            continue
        for key, translation in gettext.GNUTranslations(io.BytesIO(archive.read(name)))._catalog.items():
            key = key[0] if isinstance(key, tuple) else key.split("\x04")[-1]
            if key:
                found.setdefault(key, {})["en"] = key
                found[key].setdefault(match[1], translation)
    return found


def plain(text):
    """A message without placeholders, tags and accelerators, in lower case."""
    text = re.sub(r"<[^>]*>|%\(\w+\)[sd]|%[sd]|\{[^}]*\}|https?://\S+", " ", html.unescape(text))
    return re.sub(r"\s+", " ", text).strip().lower()


def pieces(text, rng, count):
    """Parts of a text that start at a word and are at most LENGTH characters long."""
    starts = [0] + [m.end() for m in re.finditer(" ", text) if len(text) - m.end() >= SHORTEST]
    picked = {0} | {int(s) for s in rng.choice(starts, count)}
    return [text[s : s + LENGTH].strip() for s in sorted(picked)]


def language(wheel):
    rng = np.random.default_rng(1)
    train, test = [], []
    for message, translations in sorted(messages(wheel).items()):
        # all translations of a message go to one side: none is scored whose sister was trained on
        side = test if rng.random() < 0.15 else train
        for label, code in enumerate(LANGUAGES):
            text = plain(translations.get(code, ""))
            if len(text) >= SHORTEST and (code == "en" or text != plain(message)):
                side += [(piece, label) for piece in pieces(text, rng, 6 if side is train else 1)]
    train, test = sorted(set(train)), sorted(set(test))
    characters = "".join(text for text, _ in train)
    vocabulary = sorted(c for c in set(characters) if characters.count(c) >= 50)
    index = {c: i + 2 for i, c in enumerate(vocabulary)}

    def encode(rows):
        x = np.zeros((len(rows), LENGTH), "int32")
        for i, (text, _) in enumerate(rows):
            x[i, : len(text)] = [index.get(c, 1) for c in text]
        return x, np.array([label for _, label in rows])

    x_train, y_train = encode(train)
    model = keras.Sequential([
        keras.Input((LENGTH,), dtype="int32", name="characters"),
        L.Embedding(len(vocabulary) + 2, 16, mask_zero=True),
        L.Bidirectional(L.LSTM(32)),
        L.Dropout(0.3),
        L.Dense(len(LANGUAGES), activation="softmax"),
    ], name="language")
    model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, epochs=12, batch_size=64, verbose=0)
    pick = np.sort(rng.choice(len(test), 300, replace=False))
    test = [test[i] for i in pick]
    x_test, y_test = encode(test)
    finish("language", model, x_test, y_test, text=[text for text, _ in test], classes=LANGUAGES, vocabulary=[f"[{c}]" for c in vocabulary],
           r='d$vocabulary <- substr(d$vocabulary, 2, 2)')
    print(f"language: {len(train)} texts to train on, {len(vocabulary)} characters")


if __name__ == "__main__":
    main()
