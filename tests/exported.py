"""Models of every kind with random weights, for exports: what test_export_c.py and bench/export.py share."""

import itertools
from functools import cache
from typing import Any

import numpy as np
from combinations import HIDDEN

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.activations import ACTIVATIONS
from fastbp.functions.loss_lookup import default_output
from fastbp.plan.planner import network_plan

N_INPUTS = 5
Y_SCALES = {"target_mean_": [3.0, -20.0], "target_scale_": [0.7, 12.0]}
PINBALL = {"loss": "pinball", "loss_params": {"quantile": [0.1, 0.5, 0.8]}}
NORMAL = {"loss": "gaussian_nll", "loss_params": {"floor": 0.01}}


def _classifier(n_outputs, classes, indicator=None, **params) -> dict[str, Any]:
    fitted = {"classes_": np.array(classes), "_indicator": indicator}
    return {"type": BPClassifier, "n_outputs": n_outputs, "params": params, "fitted": fitted}


def _regressor(n_outputs, n_scaled=0, **params) -> dict[str, Any]:
    fitted = {name: np.array(values[:n_scaled]) for name, values in Y_SCALES.items() if n_scaled}
    if n_scaled:
        mean, scale = fitted.values()
        fitted["target_range_"] = np.array([mean - 0.5 * scale, mean + scale])
        params |= {"target_scaling": "standard"}
    return {"type": BPRegressor, "n_outputs": n_outputs, "params": params, "fitted": fitted}


SQUARED = {"loss": "squared_error"}
OUTPUTS = {
    "binary": _classifier(1, ["no", "yes"]),
    "binary softmax": _classifier(2, [False, True], out_activation="softmax"),
    "multiclass": _classifier(3, [3, 5, 2**40]),
    "multiclass logistic": _classifier(3, [0.5, 1.0, 2.0], out_activation="logistic", **SQUARED),
    "one class": _classifier(1, ["only"]),
    "multilabel": _classifier(3, range(3), "dense"),
    "multilabel softmax": _classifier(3, range(3), "dense", out_activation="softmax", **SQUARED),
    "hinge": _classifier(1, ["a", "b"], loss="hinge"),
    "multiclass hinge": _classifier(3, ["é", '"\\', "??/*/"], loss="squared_hinge"),
    "multilabel tanh": _classifier(3, range(3), "dense", out_activation="tanh", **SQUARED),
    "one class tanh": _classifier(1, [7], out_activation="tanh", **SQUARED),
    "one target": _regressor(1),
    "scaled": _regressor(1, 1),
    "two scaled": _regressor(2, 2),
    "poisson": _regressor(1, loss="poisson"),
    "quantiles": _regressor(3, **PINBALL),
    "scaled quantiles": _regressor(3, 1, **PINBALL),
    "normal": _regressor(2, 1, **NORMAL),
    "two normal": _regressor(4, 2, **NORMAL),
}
MORE_OUTPUTS = {
    f"out {entry.name}": _regressor(2, out_activation=entry.name, **SQUARED)
    for entry in ACTIVATIONS
    if entry.name != "identity"
}
FACTORS = {
    "output": list(OUTPUTS),
    "activation": HIDDEN,
    "layers": [(6, 6, 6), (7,), ()],
    "norm": [None, "batch", "layer"],
    "residual": [False, True],
    "input_scaling": [None, "robust"],
    "learn_input_scales": [False, True],
    "parametric_activation": [False, True],
    "fit_intercept": [True, False],
    "dtype": ["float32", "float64"],
}


def product() -> list[dict[str, Any]]:
    """All combinations but blends of maxout, which are refused; what is not combined takes turns."""
    combined = ("activation", "norm", "residual", "input_scaling", "parametric_activation", "dtype")
    found = []
    for values in itertools.product([*OUTPUTS, *MORE_OUTPUTS], *(FACTORS[name] for name in combined)):
        chosen = dict(zip(("output", *combined), values, strict=True))
        if chosen["activation"] == "maxout" and chosen["parametric_activation"]:
            continue
        turn = len(found)
        chosen["layers"] = (7,) if turn % 3 == 0 and not chosen["residual"] else (6, 6, 6)
        chosen["learn_input_scales"], chosen["fit_intercept"] = turn % 5 < 2, turn % 7 > 0
        found.append(chosen)
    return found


def _drawn(rng) -> dict[str, Any]:
    """A combination, with another activation in each layer."""
    chosen = {name: values[rng.randint(len(values))] for name, values in FACTORS.items()}
    if rng.randint(3):
        chosen["layers"] = FACTORS["layers"][0]  # where most values meet
    known = [name for name in HIDDEN if not (name == "maxout" and chosen["parametric_activation"])]
    return chosen | {"activation": [str(name) for name in rng.permutation(known)[: len(chosen["layers"])]]}


def _met(chosen) -> set[frozenset]:
    """The pairs of values that a combination has."""
    values = [(name, repr(value)) for name, value in chosen.items() if name != "activation"]
    values += [("activation", name) for name in chosen["activation"]]
    return {frozenset(pair) for pair in itertools.combinations(values, 2)}


@cache
def pairs() -> list[dict[str, Any]]:
    """Few combinations in which every two values meet, and each of MORE_OUTPUTS."""
    rng = np.random.RandomState(0)
    missing = set().union(*(_met(_drawn(rng)) for _ in range(4000)))
    found = [_drawn(rng) | {"output": output} for output in MORE_OUTPUTS]
    while missing:
        draws = [_drawn(rng) for _ in range(40)]
        best = max(draws, key=lambda chosen: len(_met(chosen) & missing))
        if _met(best) & missing:
            missing -= _met(best)
            found.append(best)
    return found


def singles() -> list[dict[str, Any]]:
    """Few combinations, in which every value comes up."""
    found, seen = [], set()
    for chosen in pairs():
        if chosen["output"] in MORE_OUTPUTS:
            continue
        values = {(name, repr(value)) for name, value in chosen.items() if name != "activation"}
        values |= {("activation", name) for name in chosen["activation"]}
        if values - seen:
            seen |= values
            found.append(chosen)
    return found


def make(chosen, seed=0) -> Any:
    """A model with random weights, of numbers that float32 holds; as if it had been fitted."""
    output, params = {**OUTPUTS, **MORE_OUTPUTS}[chosen["output"]], dict(chosen)
    layers, dtype = params.pop("layers"), params.pop("dtype")
    del params["output"]
    model = output["type"](layers, **params, **output["params"])
    rng = np.random.RandomState(seed)
    vars(model).update(output["fitted"], n_features_in_=N_INPUTS, n_outputs_=output["n_outputs"])
    network = network_plan(
        n_inputs=N_INPUTS,
        hidden_layer_sizes=layers,
        n_outputs=output["n_outputs"],
        **model._options().of_network(_out_activation(model)),
        fit_intercept=chosen["fit_intercept"],
        dtype=np.dtype(dtype),
    )

    def draw(shape, size):
        return (size * rng.normal(size=shape)).astype(np.float32).astype(dtype)

    model.coefs_ = [draw(shape, 1.3 / np.sqrt(shape[0])) for shape in network.layer_shapes]
    model.intercepts_ = [draw(op.n_out, 0.4 * op.bias) for op in network.dense]
    model.feature_params_ = [
        row + (0.4 * rng.uniform(size=row.shape)).astype(np.float32).astype(dtype) for row in network.start
    ]
    return model


def _out_activation(model) -> str:
    if model.out_activation != "auto":
        return model.out_activation
    is_classifier = isinstance(model, BPClassifier)
    several = isinstance(model.loss_params, dict) and "quantile" in model.loss_params
    multiclass = is_classifier and model._indicator is None and model.n_outputs_ > 1
    task = "classifier" if is_classifier else "regressor"
    return default_output(model.loss, task=task, multiclass=multiclass, several=several)


def rows(dtype, n=6) -> np.ndarray:
    return np.random.RandomState(9).normal(size=(n, N_INPUTS)).astype(np.float32).astype(dtype)


def scores(model, X) -> np.ndarray:
    """What the export's main function computes, of shape (n, n_outputs)."""
    method = next(m for m in ("predict_proba", "decision_function", "predict") if hasattr(model, m))
    return np.asarray(getattr(model, method)(X)).reshape(len(X), -1)


def error(found, expected) -> float:
    """The largest difference, relative to the value or to a tenth of the largest one: sums cancel out."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if not np.isfinite(found).all():
        return np.inf
    size = np.maximum(np.abs(expected), 0.1 * np.abs(expected).max())
    return float(np.max(np.abs(found - expected) / np.where(size > 0, size, 1.0)))
