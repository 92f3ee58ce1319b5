"""Networks with random weights for every combination of functions, and their ONNX models' errors.

What test_onnx_networks.py (all pairs) and bench/onnx_product.py (the full product) share. Functions come from
the registries, so that a new one is among the combinations by itself.
"""

from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from combinations import HIDDEN, LOSS_PARAMS

import fastbp.onnx
from fastbp import BPClassifier, BPRegressor
from fastbp.estimators.initial_weights import cached_plan
from fastbp.functions.activations import OUTPUT_ACTIVATIONS
from fastbp.functions.loss_lookup import default_output
from fastbp.functions.losses import LOSSES

PIECES = 3  # of maxout
N_INPUTS, WIDTH = 5, 6
# Relative to the largest value of a column.
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


class Output(NamedTuple):
    """The output layer of a network, and what is made of it."""

    task: str  # "binary", "multiclass", "multilabel" or "regressor"
    loss: str
    out_activation: str
    loss_params: tuple = ()
    is_scaled: bool = False


def outputs():
    """Every output activation and every loss, by names."""
    found = {}
    for task in ("binary", "multiclass", "multilabel", "regressor"):
        kind = "regressor" if task == "regressor" else "classifier"
        for entry in LOSSES:
            if kind in entry.tasks and not (task == "multilabel" and entry.merged_with == "softmax"):
                params, is_normal = LOSS_PARAMS.get(entry.name, ()), entry.normal is not None
                multiclass = task == "multiclass"
                out = entry.merged_with or default_output(entry.user_name, task=kind, multiclass=multiclass)
                found[f"{task} {entry.name}"] = Output(task, entry.user_name, out, params, is_normal)
    for out in OUTPUT_ACTIVATIONS:
        for task in ("binary" if out in ("softmax", "tanh") else "multiclass", "regressor"):
            found[f"{task} {out}"] = Output(task, "squared_error", out)
    found["multilabel identity"] = Output("multilabel", "squared_error", "identity")
    found["regressor scaled"] = Output("regressor", "squared_error", "identity", is_scaled=True)
    return found


OUTPUTS = outputs()
# Those that differ in more than the loss that they were trained with.
KINDS_OF_OUTPUT = list(
    {(o.task, o.out_activation, o.is_scaled, "hinge" in o.loss): name for name, o in OUTPUTS.items()}.values()
)
NORMS = {"no norm": None, "batch": "batch", "layer": "layer"}
SCALINGS = {
    "as they are": {},
    "robust": {"input_scaling": "robust"},
    "learned": {"learn_input_scales": True},
    "both": {"input_scaling": "robust", "learn_input_scales": True},
}
FLAGS = {"no": False, "yes": True}
FACTORS = {
    "activations": [",".join((name, name)) for name in HIDDEN],
    "output": list(OUTPUTS),
    "norm": list(NORMS),
    "residual": list(FLAGS),
    "inputs": list(SCALINGS),
    "parametric": list(FLAGS),
    "intercept": list(FLAGS),
    "dtype": ["float32", "float64"],
}


class Network(NamedTuple):
    """A name of each of `FACTORS`."""

    activations: str  # of the hidden layers, with commas between
    output: str
    norm: str = "no norm"
    residual: str = "no"
    inputs: str = "as they are"
    parametric: str = "no"
    intercept: str = "yes"
    dtype: str = "float32"

    @property
    def is_known(self):
        """Whether there is such a network: maxout has no input that it could be blended with."""
        return self.parametric == "no" or "maxout" not in self.activations


def random_model(network: Network, seed=0):
    """An estimator with random weights; no kernel trains it."""
    output = OUTPUTS[network.output]
    hidden = network.activations.split(",") if network.activations else []
    kind = BPRegressor if output.task == "regressor" else BPClassifier
    model = kind(
        [WIDTH] * len(hidden),
        activation=hidden,
        maxout_pieces=PIECES,
        loss=output.loss,
        loss_params=dict(output.loss_params),
        out_activation=output.out_activation,
        norm=NORMS[network.norm],
        residual=FLAGS[network.residual],
        parametric_activation=FLAGS[network.parametric],
        fit_intercept=FLAGS[network.intercept],
        **SCALINGS[network.inputs],
    )
    rng, dtype = np.random.RandomState(seed), np.dtype(network.dtype)
    n_outputs = {"binary": 1, "multiclass": 3, "multilabel": 4, "regressor": 2}[output.task]
    if output.task == "binary" and output.out_activation == "softmax":
        n_outputs = 2
    if output.out_activation == "increasing" and "quantile" in dict(output.loss_params):
        n_outputs = 3
    if output.loss == "gaussian_nll":
        n_outputs = 4
    pieces = [PIECES if name == "maxout" else 1 for name in hidden] + [1]
    before = [N_INPUTS] + [WIDTH] * len(hidden)
    after = [width * k for width, k in zip([*before[1:], n_outputs], pieces, strict=True)]
    shapes = list(zip(before, after, strict=True))
    model.coefs_ = [rng.normal(scale=1.5 / np.sqrt(s[0]), size=s).astype(dtype) for s in shapes]
    has_intercept = float(model.fit_intercept)
    model.intercepts_ = [(has_intercept * rng.normal(scale=0.3, size=s[1])).astype(dtype) for s in shapes]
    if kind is BPClassifier:
        model._indicator = "dense" if output.task == "multilabel" else None
        model.classes_ = {
            "binary": np.array([3, -1]),
            "multiclass": np.array(["b", "a", "c"]),
            "multilabel": np.arange(4),
        }[output.task]
    elif output.is_scaled:
        n_targets = n_outputs // 2 if output.loss == "gaussian_nll" else n_outputs
        model.target_mean_, model.target_scale_ = rng.normal(size=(2, n_targets)) + [[1e4], [2.0]]
        model.target_range_ = model.target_mean_ + [[-2.0], [3.0]] * model.target_scale_
    plan = cached_plan(
        n_inputs=N_INPUTS,
        hidden_layer_sizes=tuple(before[1:]),
        n_outputs=n_outputs,
        **model._options().of_network(model._out_activation()),
        fit_intercept=model.fit_intercept,
        dtype=dtype,
    )
    model.feature_params_ = [(row + 0.3 * rng.uniform(size=row.shape)).astype(dtype) for row in plan.start]
    return model


def rows(dtype, n=40, seed=1):
    return np.random.RandomState(seed).normal(size=(n, N_INPUTS)).astype(dtype)


def session_of(model_proto):
    """A session of ONNX Runtime, of a model that the checker accepts."""
    onnx.checker.check_model(model_proto, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def run(session, X):
    return session.run(None, {session.get_inputs()[0].name: X})


def error(found, expected):
    """The largest difference relative to the largest value of its column."""
    expected = np.asarray(expected)
    found = np.asarray(found).reshape(expected.shape)
    expected, found = (array.reshape(len(array), -1).astype(np.float64) for array in (expected, found))
    if not np.isfinite(found).all() or not np.isfinite(expected).all():
        return np.inf
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected).max(axis=0), 1e-30)))


def scores_of(model, X):
    """Probabilities of each class, or its decision function."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    scores = model.decision_function(X)
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def are_labels(model, found, expected_scores, tolerance):
    """Whether labels are those of the scores, where these are not equal up to rounding."""
    expected = expected_scores.astype(np.float64)
    slack = tolerance * np.maximum(np.abs(expected).max(), 1e-30)
    if found.ndim == 2:
        threshold = 0.5 if hasattr(model, "predict_proba") else 0.0
        return not np.any((found == 1) != (expected > threshold), where=np.abs(expected - threshold) > slack)
    position = {label: i for i, label in enumerate(model.classes_.tolist())}
    chosen = expected[np.arange(len(found)), [position[label] for label in found.tolist()]]
    return bool(np.all(chosen >= expected.max(axis=1) - slack))


def largest_error(network: Network, seed=0, **options):
    """The error of an ONNX model for rows of normal numbers; infinite for wrong labels."""
    model, X = random_model(network, seed), rows(network.dtype)
    if isinstance(model, BPClassifier):
        label, scores = run(session_of(fastbp.onnx.to_onnx(model, X, **options)), X)
        expected = scores_of(model, X)
        assert scores.dtype == X.dtype
        if not are_labels(model, label, expected, TOLERANCE[network.dtype]):
            return np.inf
        return error(scores, expected)
    with_std = model.loss == "gaussian_nll"
    found = run(session_of(fastbp.onnx.to_onnx(model, X, return_std=with_std, **options)), X)
    expected = model.predict(X, return_std=True) if with_std else (model.predict(X),)
    assert len(found) == len(expected) and all(one.dtype == X.dtype for one in found)
    return max(error(*both) for both in zip(found, expected, strict=True))
