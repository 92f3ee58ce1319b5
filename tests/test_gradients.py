"""Central differences for every gradient, and the documented formula for every loss value, in float64."""

import itertools

import numpy as np
import pytest
from helpers import forward, random_weights
from numpy.testing import assert_allclose
from scipy.special import xlogy
from tolerances import CENTRAL_DIFFERENCES, CLOSED_FORM, STEP

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.activations import ACTIVATIONS

HIDDEN = ["identity", "logistic", "tanh", "relu"]
OUTPUTS = [*HIDDEN, "exp", "softmax"]
SQUARED = ["squared_error", "mean_squared_error", "sum_squared_error"]
SQUARED_HEADS = list(itertools.product(SQUARED, OUTPUTS))
CLASSIFIER_HEADS = [*SQUARED_HEADS, ("log_loss", "softmax"), ("log_loss", "logistic")]
REGRESSOR_HEADS = [*SQUARED_HEADS, ("log_loss", "logistic"), ("poisson", "exp")]

N, N_INPUTS = 7, 3


def make_data(kind):
    rng = np.random.RandomState(11)
    X = rng.normal(size=(N, N_INPUTS))
    y = {
        "binary": np.array([0, 1, 1, 0, 1, 0, 0]),
        "multiclass": np.array([0, 1, 2, 2, 1, 0, 2]),
        "multilabel": rng.randint(0, 2, size=(N, 2)),
        "one_output": rng.uniform(0.1, 0.9, size=N),
        "outputs": rng.uniform(0.1, 0.9, size=(N, 2)),
    }[kind]
    return X, y


def targets(estimator, y):
    """What the outputs are compared with: (n, n_outputs)."""
    if isinstance(estimator, BPClassifier) and np.ndim(y) == 1:
        y = (y[:, None] == estimator.classes_).astype(float)
        return y[:, 1:] if len(estimator.classes_) == 2 else y
    return np.reshape(y, (len(y), -1)).astype(float)


def network(kind, seed=0, **params):
    X, y = make_data(kind)
    Estimator = BPRegressor if kind in ("one_output", "outputs") else BPClassifier
    params = {"hidden_layer_sizes": (3,), "random_state": 0, "max_iter": 1, "alpha": 0.0, **params}
    estimator = Estimator(**params).fit(X, y)
    return random_weights(estimator, np.random.RandomState(seed)), X, y


def assert_gradient_by_central_differences(estimator, X, y, sample_weight=None, n_features=0):
    result = estimator.loss_and_gradients(X, y, sample_weight)
    checked = 0.0
    groups = [(estimator.coefs_, result.coefs)]
    # Of what training leaves alone there are no derivatives.
    learned = [i for i, gradient in enumerate(result.feature_params) if gradient.any()]
    assert len(learned) >= n_features
    groups.append(
        ([estimator.feature_params_[i] for i in learned], [result.feature_params[i] for i in learned])
    )
    if estimator.fit_intercept:
        groups.append((estimator.intercepts_, result.intercepts))
    for parameters, gradients in groups:
        assert len(parameters) == len(gradients)
        for values, gradient in zip(parameters, gradients, strict=True):
            assert gradient.shape == values.shape
            numeric = np.empty_like(values)
            for index in np.ndindex(values.shape):
                kept = values[index]
                values[index] = kept + STEP  # in place: the model must follow its public arrays
                above = estimator.loss_and_gradients(X, y, sample_weight).loss
                values[index] = kept - STEP
                below = estimator.loss_and_gradients(X, y, sample_weight).loss
                values[index] = kept
                numeric[index] = (above - below) / (2 * STEP)
            # Cancellation is relative to the loss, so the absolute part grows with it.
            scale = max(1.0, abs(result.loss))
            assert_allclose(
                gradient, numeric, rtol=CENTRAL_DIFFERENCES["rtol"], atol=CENTRAL_DIFFERENCES["atol"] * scale
            )
            checked += np.abs(gradient).sum()
    assert checked > 1e-3  # a dead network would check nothing


@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize(("loss", "out_activation"), CLASSIFIER_HEADS)
def test_multiclass(loss, out_activation, activation):
    assert_gradient_by_central_differences(
        *network("multiclass", loss=loss, out_activation=out_activation, activation=activation)
    )


@pytest.mark.parametrize("activation", HIDDEN)
@pytest.mark.parametrize(("loss", "out_activation"), REGRESSOR_HEADS)
def test_regression(loss, out_activation, activation):
    assert_gradient_by_central_differences(
        *network("outputs", loss=loss, out_activation=out_activation, activation=activation)
    )


@pytest.mark.parametrize("floor", [1e-6, 0.1])
@pytest.mark.parametrize("kind", ["one_output", "outputs"])
def test_mean_and_variance(kind, floor):
    """Only without weights of the variance's is the gradient that of the value."""
    loss_params = {"beta": 0, "floor": floor}
    estimator, X, y = network(kind, loss="gaussian_nll", loss_params=loss_params, alpha=0.1)
    assert_gradient_by_central_differences(estimator, X, y, np.arange(N, dtype=float))


@pytest.mark.parametrize("activation", [entry.name for entry in ACTIVATIONS if entry.hidden])
def test_every_activation_hidden_and_for_the_output(activation):
    estimator, X, y = network("outputs", activation=activation, out_activation=activation, alpha=0.1)
    assert_gradient_by_central_differences(estimator, X, y, np.arange(N, dtype=float))
    assert_allclose(estimator.predict(X), forward(estimator, X)[-1], **CLOSED_FORM)


def test_an_activation_for_each_layer():
    names = ["silu", "relu", "mish", "tanh"]
    estimator, X, y = network("outputs", activation=names, hidden_layer_sizes=(4, 3, 5, 4), alpha=0.1)
    assert_gradient_by_central_differences(estimator, X, y)
    for ours, textbook in zip(estimator.activations(X), forward(estimator, X), strict=True):
        assert_allclose(ours, textbook, **CLOSED_FORM)
    one = BPRegressor((4, 3), activation="silu", random_state=0, max_iter=2).fit(X, y)
    each = BPRegressor((4, 3), activation=("silu", "silu"), random_state=0, max_iter=2).fit(X, y)
    assert_allclose(one.predict(X), each.predict(X), rtol=0, atol=0)


@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"maxout_pieces": 5, "alpha": 0.1, "l2": 0.1},
        {"fit_intercept": False},
        {"activation": ["maxout", "silu", "maxout"], "hidden_layer_sizes": (4, 3, 4)},
        {"hidden_layer_sizes": (4, 4, 4), "residual": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["multiclass", "outputs"])
def test_maxout(kind, variant):
    """Away from ties, where the largest piece of a unit changes within a step."""
    estimator, X, y = network(kind, **{"activation": "maxout", "maxout_pieces": 3, **variant})
    for h, W, b in zip([X, *estimator.activations(X)], estimator.coefs_, estimator.intercepts_, strict=False):
        if W.shape[1] % estimator.maxout_pieces == 0:
            z = np.sort((h @ W + b).reshape(len(X), -1, estimator.maxout_pieces), axis=2)
            assert (z[:, :, -1] - z[:, :, -2]).min() > 100 * STEP
    assert_gradient_by_central_differences(estimator, X, y, np.arange(N, dtype=float))


@pytest.mark.parametrize(
    ("variant", "n_features"),
    [
        ({"learn_input_scales": True}, 1),
        ({"input_scaling": "robust", "learn_input_scales": True}, 1),
        ({"parametric_activation": True, "activation": ["gelu", "tanh"]}, 2),
        ({"norm": "layer"}, 2),
        ({"norm": "batch", "fit_intercept": False}, 2),
        ({"norm": "layer", "activation": "maxout", "residual": True, "learn_input_scales": True}, 3),
        ({"norm": "batch", "parametric_activation": True, "residual": True, "activation": "mish"}, 4),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["multiclass", "outputs"])
def test_parameters_of_features(kind, variant, n_features):
    """With batch normalisation as in prediction, by the running means."""
    params = {"hidden_layer_sizes": (4, 4), "activation": "tanh", **variant}
    estimator, X, y = network(kind, **params)
    rng = np.random.RandomState(1)
    for values in estimator.feature_params_:
        values *= rng.uniform(0.5, 1.5, size=values.shape)
    assert_gradient_by_central_differences(estimator, X, y, np.arange(N, dtype=float), n_features)


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        (["relu"], "names 1 activations for 2 hidden layers"),
        (["relu", "exp"], "activation='exp' is unknown for hidden layers"),
        (["relu", 3], "activation=3 is unknown for hidden layers"),
    ],
)
def test_wrong_lists_of_activations(activation, message):
    X, y = make_data("outputs")
    with pytest.raises(ValueError, match=message):
        BPRegressor((4, 3), activation=activation).fit(X, y)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
@pytest.mark.parametrize(
    ("loss", "out_activation"),
    [("log_loss", "logistic"), ("squared_error", "tanh"), ("mean_squared_error", "logistic")],
)
def test_binary_and_multilabel(kind, loss, out_activation):
    assert_gradient_by_central_differences(*network(kind, loss=loss, out_activation=out_activation))


@pytest.mark.parametrize(
    "variant",
    [
        {"alpha": 0.7},
        {"l2": 0.3},
        {"alpha": 0.7, "l2": 0.3},
        {"fit_intercept": False, "alpha": 0.1},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (), "fit_intercept": False},
        {"hidden_layer_sizes": (4, 3, 2)},
        {"hidden_layer_sizes": (1,)},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "one_output", "outputs"])
def test_variants(kind, weighted, variant):
    estimator, X, y = network(kind, activation="tanh", **variant)
    w = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.1, 1.4]) if weighted else None
    assert_gradient_by_central_differences(estimator, X, y, w)


@pytest.mark.parametrize("loss_and_head", [("poisson", "exp"), ("log_loss", "logistic")], ids=str)
def test_weighted_heads_of_the_regressor(loss_and_head):
    loss, out_activation = loss_and_head
    estimator, X, y = network("outputs", loss=loss, out_activation=out_activation, alpha=0.1, l2=0.2)
    assert_gradient_by_central_differences(estimator, X, y, np.arange(N, dtype=float))


def loss_per_row(loss, f, y):
    if loss == "squared_error":
        return 0.5 * ((f - y) ** 2).sum(axis=1)
    if loss == "mean_squared_error":
        return ((f - y) ** 2).mean(axis=1)
    if loss == "sum_squared_error":
        return ((f - y) ** 2).sum(axis=1)
    if loss == "poisson":
        return (xlogy(y, y / f) - y + f).sum(axis=1)
    raise ValueError(loss)


def cross_entropy_per_row(out_activation, f, y):
    if out_activation == "softmax":
        return -xlogy(y, f).sum(axis=1)
    return -(xlogy(y, f) + xlogy(1 - y, 1 - f)).sum(axis=1)


ALL_HEADS = [
    *(("multiclass", *head) for head in CLASSIFIER_HEADS),
    *(("outputs", *head) for head in REGRESSOR_HEADS),
    ("binary", "log_loss", "logistic"),
    ("multilabel", "log_loss", "logistic"),
]


@pytest.mark.parametrize(("kind", "loss", "out_activation"), ALL_HEADS)
def test_value_is_the_documented_formula(kind, loss, out_activation):
    alpha, l2 = 0.3, 0.2
    estimator, X, y = network(kind, loss=loss, out_activation=out_activation, alpha=alpha, l2=l2)
    w = np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.1, 1.4])
    f = forward(estimator, X)[-1]
    t = targets(estimator, y)
    rows = cross_entropy_per_row(out_activation, f, t) if loss == "log_loss" else loss_per_row(loss, f, t)
    squares = sum((c**2).sum() for c in estimator.coefs_)
    penalties = (alpha / w.sum() + l2) * squares / 2
    assert_allclose(
        estimator.loss_and_gradients(X, y, w).loss, (w * rows).sum() / w.sum() + penalties, **CLOSED_FORM
    )
    penalties = (alpha / N + l2) * squares / 2
    assert_allclose(estimator.loss_and_gradients(X, y).loss, rows.mean() + penalties, **CLOSED_FORM)


def test_poisson_with_zero_counts():
    """xlogy(0, 0) is 0: a count of zero has a finite loss, and the right gradient."""
    X, _ = make_data("one_output")
    y = np.array([0, 0, 1, 3, 0, 2, 0], dtype=float)
    estimator = BPRegressor((3,), loss="poisson", max_iter=1, random_state=0).fit(X, y)
    random_weights(estimator, np.random.RandomState(0))
    assert_gradient_by_central_differences(estimator, X, y)


def test_certain_targets_of_the_logistic_regressor():
    """Targets of exactly 0 and 1 are in the range of log_loss."""
    X, _ = make_data("one_output")
    y = np.array([0, 1, 1, 0, 0.5, 0, 1])
    estimator = BPRegressor((3,), loss="log_loss", max_iter=1, random_state=0).fit(X, y)
    random_weights(estimator, np.random.RandomState(0))
    assert_gradient_by_central_differences(estimator, X, y)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_saturated_cross_entropy_keeps_its_value_and_gradient(kind, sign):
    """Logits of ±1000: the loss is linear there, neither infinite nor clipped, its gradient not zero."""
    estimator, X, y = network(kind, hidden_layer_sizes=())
    X = X[:1]
    y = y[:1]  # class 0
    width = estimator.coefs_[0].shape[1]
    estimator.coefs_ = [np.zeros((N_INPUTS, width))]
    z = np.zeros(width)
    z[-1] = 1000.0 * sign
    estimator.intercepts_ = [z]
    result = estimator.loss_and_gradients(X, y)
    if kind == "binary":  # -log(1 - sigmoid(z)) = softplus(z)
        expected, gradient = np.logaddexp(0, z[0]), [float(sign > 0)]
    else:  # -z_0 + logsumexp(z)
        expected = np.logaddexp.reduce(z) - z[0]
        gradient = np.exp(z - np.logaddexp.reduce(z)) - [1, 0, 0]
    assert_allclose(result.loss, expected, **CLOSED_FORM)
    assert_allclose(result.intercepts[0], gradient, **CLOSED_FORM)


def test_gradients_do_not_touch_the_model():
    estimator, X, y = network("multiclass", alpha=0.1)
    before = [c.copy() for c in [*estimator.coefs_, *estimator.intercepts_]]
    first = estimator.loss_and_gradients(X, y)
    second = estimator.loss_and_gradients(X, y)
    for a, b in zip(before, [*estimator.coefs_, *estimator.intercepts_], strict=True):
        assert np.array_equal(a, b)
    assert first.loss == second.loss
    for a, b in zip(first.coefs, second.coefs, strict=True):
        assert np.array_equal(a, b)


def test_no_intercept_has_no_intercept_gradient():
    estimator, X, y = network("outputs", fit_intercept=False)
    result = estimator.loss_and_gradients(X, y)
    for gradient, intercept in zip(result.intercepts, estimator.intercepts_, strict=True):
        assert gradient.shape == intercept.shape
        assert not gradient.any()
        assert not intercept.any()


UNSUPPORTED = [
    (BPClassifier, "log_loss", "identity"),
    (BPClassifier, "log_loss", "tanh"),
    (BPClassifier, "log_loss", "relu"),
    (BPClassifier, "log_loss", "exp"),
    (BPClassifier, "poisson", "auto"),
    (BPClassifier, "poisson", "exp"),
    (BPRegressor, "log_loss", "identity"),
    (BPRegressor, "log_loss", "softmax"),
    (BPRegressor, "log_loss", "exp"),
    (BPRegressor, "poisson", "identity"),
    (BPRegressor, "poisson", "logistic"),
    (BPRegressor, "poisson", "softmax"),
]


@pytest.mark.parametrize(("Estimator", "loss", "out_activation"), UNSUPPORTED)
def test_unsupported_combinations_are_refused_by_name(Estimator, loss, out_activation):
    X, y = make_data("one_output" if Estimator is BPRegressor else "multiclass")
    with pytest.raises(ValueError, match=r"(?s)loss|out_activation") as caught:
        Estimator(loss=loss, out_activation=out_activation).fit(X, y)
    assert loss in str(caught.value)
