"""Write the files of models that later versions must read, with what they predict.

    python tests/golden/make.py [NAME ...]

An existing file is never replaced: it is what an earlier version wrote. Where the format changes, new files
are added under the new number of the format, and the old ones stay.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from fastbp import (
    Activation,
    BPClassifier,
    BPEnsembleClassifier,
    BPEnsembleRegressor,
    BPRegressor,
    Loss,
    Schedule,
    Solver,
    TabularClassifier,
    TabularRegressor,
)
from fastbp.persistence.model_file import FORMAT
from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder
from fastbp.tables import base

FOLDER = Path(__file__).parent
N_SHOWN = 12  # rows whose predictions are kept


def numbers():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(90, 3)).round(2)
    return X, X[:, 0] + np.sin(2 * X[:, 1]) - X[:, 2] / 2


def rows():
    """A table of numbers, gaps, texts of few and of many levels, dates and two values."""
    X, y = numbers()
    colours = ["red", "green", "blue"]
    table = [
        [a, None if i % 7 == 3 else b, colours[i % 3], f"k{i % 30}", f"2020-0{1 + i % 9}-1{i % 8}", i % 2]
        for i, (a, b, _) in enumerate(X.tolist())
    ]
    return table, y


def classes(y):
    return np.array(["low", "middle", "high"])[np.digitize(y, [-0.5, 0.5])]


def classifier():
    X, y = numbers()
    weights = {"low": 1.0, "middle": 2.0, "high": 0.5}
    model = BPClassifier(
        [4, 4], activation=["maxout", "tanh"], norm="layer", class_weight=weights, random_state=0, max_iter=5
    )
    return model.partial_fit(X, classes(y), classes=list(weights)), X


def tabular_preset():
    X, y = numbers()
    model = BPClassifier([6, 6], preset="tabular", random_state=np.random.RandomState(0), max_iter=5)
    return model.fit(X, y > 0), X


def multilabel():
    X, y = numbers()
    return BPClassifier(4, norm="batch", solver="sgd", max_iter=5).fit(X, np.stack([y > 0, y > 1], 1) * 1), X


def regressor():
    X, y = numbers()
    model = BPRegressor(4, loss="gaussian_nll", parametric_activation=True, dtype="float32", max_iter=5)
    return model.fit(X, np.stack([y, 100 * y], axis=1)), X


def quantiles():
    X, y = numbers()
    model = BPRegressor(
        (), loss="pinball", loss_params={"quantile": [0.1, 0.5]}, target_scaling="standard", warm_start=True
    )
    return model.set_params(max_iter=5).fit(X, y), X


def ensemble_classifier():
    X, y = numbers()
    model = BPEnsembleClassifier(BPClassifier(3, max_iter=5), n_estimators=2, bootstrap=True, random_state=0)
    return model.fit(X, np.digitize(y, [-0.5, 0.5])), X


def ensemble_regressor():
    X, y = numbers()
    return BPEnsembleRegressor(BPRegressor(3, solver="lbfgs", max_iter=5), n_estimators=2).fit(X, y), X


def table_classifier():
    X, y = rows()
    return TabularClassifier(random_state=0, effort="fast").fit(X, classes(y)), X


def table_regressor():
    X, y = rows()
    return TabularRegressor(random_state=0, n_members=3).fit(X, y), X


def table_sparse():
    X, y = numbers()
    return TabularRegressor(random_state=0, n_members=1).fit(csr_matrix(np.maximum(X, 0)), y), X


def own_formulas():
    X, y = numbers()
    model = BPRegressor(
        [4, 4],
        activation=[Activation("sine", lambda z: np.sin(z)), "tanh"],
        loss=Loss(
            "steep",
            lambda f, y, d: np.sum(np.where(f < y, d * (y - f) ** 2, (y - f) ** 2)),
            params={"d": (2.0, 0, 9)},
        ),
        solver=Solver(
            "heavy",
            lambda w, g, m, rate, b: (w - rate * (b * m + g), b * m + g),
            n_states=1,
            params={"b": 0.9},
        ),
        schedule=Schedule("falling", lambda x, epoch: 1 - x),
        max_iter=5,
    )
    return model.partial_fit(X, y), X


def piecewise_linear():
    X, _ = numbers()
    return PiecewiseLinearEncoder(4).fit(X), X


def periodic():
    X, _ = numbers()
    return PeriodicEncoder(2, random_state=0).fit(X), X


MODELS = {
    make.__name__: make
    for make in (
        classifier,
        tabular_preset,
        multilabel,
        regressor,
        quantiles,
        ensemble_classifier,
        ensemble_regressor,
        table_classifier,
        table_regressor,
        table_sparse,
        own_formulas,
        piecewise_linear,
        periodic,
    )
}


def predictions(model, X):
    """What the model says of some rows, by method, as values for JSON."""
    found = {}
    for method in ("predict", "predict_proba", "predict_interval", "transform"):
        if hasattr(model, method):
            found[method] = np.asarray(getattr(model, method)(X)).tolist()
    return found


def write(name):
    path = FOLDER / f"v{FORMAT}_{name}.bp"
    if path.exists():
        raise SystemExit(f"{path} exists: what an earlier version wrote is kept.")
    original = base.network_parameters
    base.network_parameters = lambda *args: original(*args) | {"hidden_layer_sizes": (4, 4), "max_iter": 10}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, X = MODELS[name]()
    finally:
        base.network_parameters = original
    model.save(path)
    X = X[:N_SHOWN] if isinstance(X, list) else X[:N_SHOWN].tolist()
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(one)}" for key, one in predictions(model, X).items())
    path.with_suffix(".json").write_text(f'{{"X": {json.dumps(X)},\n{lines}}}\n', encoding="utf-8")
    print(path.name, path.stat().st_size)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or MODELS:
        write(wanted)
