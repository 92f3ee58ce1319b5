"""Every loss and its parameters as users meet them: optima, values, several quantiles, margins, refusals."""

import copy
import pickle

import data
import numpy as np
import pytest
import scipy.special
from helpers import (
    EVERY_EPOCH,
    assert_equal_state,
    assert_same_bits,
    fitted_attributes,
    random_weights,
    weights,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, minimize_scalar
from sklearn import metrics
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, PoissonRegressor, QuantileRegressor, TweedieRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.svm import LinearSVC
from tolerances import (
    CENTRAL_DIFFERENCES,
    CLOSED_FORM,
    SAME_ARITHMETIC,
    SAME_ARITHMETIC_32,
    SAME_OPTIMUM,
    STEP,
)

from fastbp import BPClassifier, BPRegressor
from fastbp.functions.loss_lookup import loss_names

QUANTILES = [0.1, 0.5, 0.9]
THREE = {"loss": "pinball", "loss_params": {"quantile": QUANTILES}}

# Subgradient descent ends within its last steps of a kink; their rate is 3 / sqrt(rows · epochs).
KINK = {"rtol": 0, "atol": 5e-3}

LBFGS = {"solver": "lbfgs", "tol": 1e-10, "max_iter": 1000, "alpha": 0.0, "init": "zeros"}
SUBGRADIENT = {
    "solver": "sgd",
    "momentum": 0.0,
    "learning_rate": "invscaling",
    "learning_rate_init": 3.0,
    "max_iter": 10_000,
    "alpha": 0.0,
    "init": "zeros",
    **EVERY_EPOCH,
}


def small(Estimator, **params):
    """A small network, a few epochs."""
    defaults = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "batch_size": 25, "alpha": 0.0}
    return Estimator(**{**defaults, **params})


def constant(Estimator, y, sample_weight=None, **params):
    """The best constant: a model without hidden layers that sees nothing but zeros."""
    return Estimator((), **params).fit(np.zeros((len(y), 1)), y, sample_weight)


def outputs(model):
    """What a constant model puts out."""
    return model.activations(np.zeros((1, 1)))[-1][0]


def row_weights(n, weighted):
    return np.random.RandomState(9).uniform(0.2, 2.0, size=n) if weighted else None


def targets(kind, shape=(41,), seed=0):
    rng = np.random.RandomState(seed)
    return {
        "real": lambda: 0.7 + 1.5 * rng.standard_t(3, size=shape),
        "fractions": lambda: rng.beta(2, 5, size=shape),
        "counts": lambda: rng.poisson(1.7, size=shape).astype(float),
        "positive": lambda: rng.gamma(2.0, 1.3, size=shape),
    }[kind]()


both_weights = pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
both_shapes = pytest.mark.parametrize("shape", [(41,), (41, 2)], ids=["one target", "two targets"])


# --- The optimum

MEANS = [
    ("squared_error", None, "real"),
    ("mean_squared_error", None, "real"),
    ("sum_squared_error", None, "real"),
    ("log_loss", None, "fractions"),
    ("poisson", None, "counts"),
    ("gamma", None, "positive"),
    ("tweedie", None, "counts"),
    ("tweedie", {"power": 1.05}, "counts"),
    ("tweedie", {"power": 1.95}, "positive"),
]


@both_weights
@both_shapes
@pytest.mark.parametrize(("loss", "loss_params", "kind"), MEANS, ids=str)
def test_the_mean_is_best(loss, loss_params, kind, shape, weighted):
    """Deviances and squared errors are least at the mean, each target's own."""
    y, w = targets(kind, shape), row_weights(41, weighted)
    model = constant(BPRegressor, y, w, loss=loss, loss_params=loss_params, **LBFGS)
    assert_allclose(outputs(model), np.atleast_1d(np.average(y, axis=0, weights=w)), **SAME_OPTIMUM)


MINIMISED = {
    "huber 0.2": ("huber", {"delta": 0.2}, lambda d: scipy.special.huber(0.2, d)),
    "huber": ("huber", None, lambda d: scipy.special.huber(1.0, d)),
    "huber 4": ("huber", {"delta": 4}, lambda d: scipy.special.huber(4.0, d)),
    "log_cosh": ("log_cosh", None, lambda d: np.log(np.cosh(d))),
}


@both_weights
@pytest.mark.parametrize("case", MINIMISED)
def test_what_scipy_finds_is_best(case, weighted):
    loss, loss_params, rows = MINIMISED[case]
    y, w = targets("real"), row_weights(41, weighted)
    best = minimize_scalar(
        lambda c: np.average(rows(c - y), weights=w),
        bounds=(y.min(), y.max()),
        method="bounded",
        options={"xatol": 1e-9},
    )
    model = constant(BPRegressor, y, w, loss=loss, loss_params=loss_params, **LBFGS)
    assert_allclose(outputs(model), best.x, **SAME_OPTIMUM)
    assert_allclose(model.loss_, best.fun, **SAME_OPTIMUM)


# Eleven rows, or 21 with these weights: no level below is a multiple of 1 / 11 or 1 / 21, so that each has
# one best value, and the slope to both sides of it is not close to zero.
COPIES = np.tile([1, 2, 3], 4)[:11]
DECISIVE = [0.12, 0.5, 0.88]


def repeated_quantile(y, quantile, weighted):
    """The best constants; a row of weight 2 counts as two rows."""
    y = np.repeat(y, COPIES, axis=0) if weighted else y
    return np.quantile(y, quantile, axis=0, method="inverted_cdf")


@both_weights
@pytest.mark.parametrize("shape", [(11,), (11, 2)], ids=["one target", "two targets"])
@pytest.mark.parametrize(
    ("loss", "loss_params", "quantile"),
    [
        ("absolute_error", None, 0.5),
        ("pinball", None, 0.5),
        *(("pinball", {"quantile": quantile}, quantile) for quantile in DECISIVE),
        ("pinball", {"quantile": [0.7]}, 0.7),
    ],
    ids=str,
)
def test_the_quantile_is_best(loss, loss_params, quantile, shape, weighted):
    """It is one of the targets."""
    y = targets("real", shape)
    w = COPIES if weighted else None
    model = constant(BPRegressor, y, w, loss=loss, loss_params=loss_params, **SUBGRADIENT)
    assert_allclose(outputs(model), np.atleast_1d(repeated_quantile(y, quantile, weighted)), **KINK)


@pytest.mark.parametrize("loss", ["absolute_error", "pinball"])
def test_all_between_the_two_in_the_middle_is_best(loss):
    y = np.array([-1.0, 5.0, 0.2, 0.8])
    model = constant(BPRegressor, y, loss=loss, **SUBGRADIENT)
    assert 0.2 - KINK["atol"] <= outputs(model)[0] <= 0.8 + KINK["atol"]


@both_weights
def test_several_quantiles_are_best(weighted):
    y = targets("real", (11,))
    w = COPIES if weighted else None
    loss_params = {"quantile": DECISIVE}
    model = constant(BPRegressor, y, w, loss="pinball", loss_params=loss_params, **SUBGRADIENT)
    assert_allclose(outputs(model), repeated_quantile(y, DECISIVE, weighted), **KINK)


CLASSES = np.repeat([0, 1, 2], [10, 6, 4])
LABELS = np.stack([np.arange(20) < 5, np.arange(20) % 5 < 3], axis=1).astype(int)
SMOOTHINGS = [0.0, 0.1, 0.5]


def shares(y, w=None):
    """The weight of each class."""
    return np.average(y[:, None] == np.unique(y), axis=0, weights=w)


@both_weights
@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("y", [CLASSES, CLASSES[4:16]], ids=["three classes", "two classes"])
def test_smoothed_shares_are_best(y, smoothing, weighted):
    w, k = row_weights(len(y), weighted), len(np.unique(y))
    model = constant(BPClassifier, y, w, loss_params={"label_smoothing": smoothing}, **LBFGS)
    best = (1 - smoothing) * shares(y, w) + smoothing / k
    assert_allclose(model.predict_proba(np.zeros((1, 1)))[0], best, **SAME_OPTIMUM)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_smoothed_shares_of_each_logistic_output(smoothing):
    """Each output is a choice between two: of labels, of classes one by one, of fractions."""
    params = {"loss_params": {"label_smoothing": smoothing}, **LBFGS}
    fractions = targets("fractions", (20, 2))
    for model, share in (
        (constant(BPClassifier, LABELS, **params), LABELS.mean(axis=0)),
        (constant(BPClassifier, CLASSES, out_activation="logistic", **params), shares(CLASSES)),
        (constant(BPRegressor, fractions, loss="log_loss", **params), fractions.mean(axis=0)),
    ):
        assert_allclose(outputs(model), (1 - smoothing) * share + smoothing / 2, **SAME_OPTIMUM)


def best_focal(share, gamma):
    """The probability of the second of two classes that minimises the focal loss."""
    return minimize_scalar(
        lambda p: -share * (1 - p) ** gamma * np.log(p) - (1 - share) * p**gamma * np.log(1 - p),
        bounds=(1e-9, 1 - 1e-9),
        method="bounded",
        options={"xatol": 1e-10},
    ).x


GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]


@both_weights
@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_optimum_of_two_classes(gamma, weighted):
    y = (CLASSES > 1).astype(int)
    w = row_weights(len(y), weighted)
    params = {"loss": "focal", "loss_params": {"gamma": gamma}, **LBFGS}
    best = best_focal(shares(y, w)[1], gamma)
    for out_activation in ("auto", "softmax"):
        model = constant(BPClassifier, y, w, out_activation=out_activation, **params)
        assert_allclose(model.predict_proba(np.zeros((1, 1)))[0], [1 - best, best], **SAME_OPTIMUM)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_optimum_of_three_classes(gamma):
    def objective(z):
        p = scipy.special.softmax([*z, 0.0])
        return -(shares(CLASSES) * (1 - p) ** gamma * np.log(p)).sum()

    z = minimize(objective, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-14}).x
    model = constant(BPClassifier, CLASSES, loss="focal", loss_params={"gamma": gamma}, **LBFGS)
    best = scipy.special.softmax([*z, 0.0])
    assert_allclose(model.predict_proba(np.zeros((1, 1)))[0], best, **SAME_OPTIMUM)


def test_focal_optimum_of_each_label():
    model = constant(BPClassifier, LABELS, loss="focal", **LBFGS)
    best = [best_focal(share, 2.0) for share in LABELS.mean(axis=0)]
    assert_allclose(outputs(model), best, **SAME_OPTIMUM)


def best_squared_hinge(share):
    return minimize_scalar(lambda f: share * max(0, 1 - f) ** 2 + (1 - share) * max(0, 1 + f) ** 2).x


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_hinge_optimum(kind):
    """By the share a of a label, a max(0, 1 - f) + (1 - a) max(0, 1 + f): least at the majority's sign."""
    y = {"binary": CLASSES[:15], "multiclass": CLASSES, "multilabel": LABELS}[kind]
    share = {"binary": shares(y)[1:], "multiclass": shares(y), "multilabel": y.mean(axis=0)}[kind]
    found = outputs(constant(BPClassifier, y, loss="hinge", **SUBGRADIENT))
    decided = share != 0.5  # else all from -1 to 1 are as good
    assert decided.any()
    assert_allclose(found[decided], np.sign(share - 0.5)[decided], **KINK)
    assert (np.abs(found) <= 1 + KINK["atol"]).all()
    found = outputs(constant(BPClassifier, y, loss="squared_hinge", **LBFGS))
    assert_allclose(found, [best_squared_hinge(a) for a in share], **SAME_OPTIMUM)
    assert_allclose(found, 2 * share - 1, **SAME_OPTIMUM)


# --- The optimum of linear models: scikit-learn's


@pytest.mark.parametrize(
    ("loss", "loss_params", "peer"),
    [
        ("poisson", None, PoissonRegressor()),
        ("gamma", None, GammaRegressor()),
        ("tweedie", None, TweedieRegressor(power=1.5)),
        ("tweedie", {"power": 1.2}, TweedieRegressor(power=1.2)),
    ],
    ids=str,
)
def test_generalised_linear_models(loss, loss_params, peer):
    """Half the mean deviance plus a half ||w||² / 10."""
    X, y = data.counts()
    y = y + 0.5 if loss == "gamma" else y
    peer.set_params(alpha=0.1, tol=1e-9, max_iter=1000).fit(X, y)
    model = BPRegressor((), loss=loss, loss_params=loss_params, **{**LBFGS, "l2": 0.1}).fit(X, y)
    assert_allclose(model.coefs_[0][:, 0], peer.coef_, **SAME_OPTIMUM)
    assert_allclose(model.predict(X), peer.predict(X), **SAME_OPTIMUM)


@pytest.mark.parametrize("load", [data.binary, data.iris])
def test_linear_support_vector_machine(load):
    """The sum of squared hinges, one class against the rest, plus half ||w||²."""
    X, y = load()
    peer = LinearSVC(fit_intercept=False, dual=True, tol=1e-9, max_iter=100_000, random_state=0).fit(X, y)
    model = BPClassifier((), loss="squared_hinge", fit_intercept=False, **{**LBFGS, "alpha": 1.0}).fit(X, y)
    assert_allclose(model.coefs_[0].T, peer.coef_, **SAME_OPTIMUM)
    assert_allclose(model.decision_function(X), peer.decision_function(X), **SAME_OPTIMUM)
    assert_array_equal(model.predict(X), peer.predict(X))


@pytest.mark.parametrize("quantile", [0.2, 0.5])
def test_linear_quantile_regression(quantile):
    """The linear programme of scikit-learn finds the least loss; ours comes close to it."""
    X, y = data.regression()
    peer = QuantileRegressor(quantile=quantile, alpha=0.0).fit(X, y)
    model = BPRegressor((), loss="pinball", loss_params={"quantile": quantile}, **SUBGRADIENT).fit(X, y)
    least = metrics.mean_pinball_loss(y, peer.predict(X), alpha=quantile)
    ours = metrics.mean_pinball_loss(y, model.predict(X), alpha=quantile)
    assert least * (1 - 1e-9) <= ours <= 1.01 * least


# --- Values


def mean_huber(delta):
    return lambda y, f, sample_weight: np.average(scipy.special.huber(delta, f - y), weights=sample_weight)


def mean_log_cosh(y, f, sample_weight):
    return np.average(np.log(np.cosh(f - y)), weights=sample_weight)


def half(metric, **params):
    return lambda y, f, sample_weight: 0.5 * metric(y, f, sample_weight=sample_weight, **params)


def whole(metric, **params):
    return lambda y, f, sample_weight: metric(y, f, sample_weight=sample_weight, **params)


REGRESSOR_VALUES = {
    "squared_error": ("squared_error", None, "real", half(metrics.mean_squared_error)),
    "absolute_error": ("absolute_error", None, "real", whole(metrics.mean_absolute_error)),
    "huber": ("huber", None, "real", mean_huber(1.0)),
    "huber 0.3": ("huber", {"delta": 0.3}, "real", mean_huber(0.3)),
    "huber 5": ("huber", {"delta": 5}, "real", mean_huber(5.0)),
    "log_cosh": ("log_cosh", None, "real", mean_log_cosh),
    "pinball": ("pinball", None, "real", whole(metrics.mean_pinball_loss, alpha=0.5)),
    "pinball 0.1": ("pinball", {"quantile": 0.1}, "real", whole(metrics.mean_pinball_loss, alpha=0.1)),
    "pinball 0.99": ("pinball", {"quantile": 0.99}, "real", whole(metrics.mean_pinball_loss, alpha=0.99)),
    "poisson": ("poisson", None, "counts", half(metrics.mean_poisson_deviance)),
    "gamma": ("gamma", None, "positive", half(metrics.mean_gamma_deviance)),
    "tweedie": ("tweedie", None, "counts", half(metrics.mean_tweedie_deviance, power=1.5)),
    "tweedie 1.1": ("tweedie", {"power": 1.1}, "counts", half(metrics.mean_tweedie_deviance, power=1.1)),
    "tweedie 1.9": ("tweedie", {"power": 1.9}, "counts", half(metrics.mean_tweedie_deviance, power=1.9)),
}


@both_weights
@both_shapes
@pytest.mark.parametrize("case", REGRESSOR_VALUES)
def test_value_of_a_regressor(case, shape, weighted):
    """scikit-learn's metric, summed over the targets; at weights that no training has touched."""
    loss, loss_params, kind, metric = REGRESSOR_VALUES[case]
    y, w = targets(kind, shape), row_weights(41, weighted)
    X = np.random.RandomState(1).normal(size=(41, 3))
    model = small(BPRegressor, loss=loss, loss_params=loss_params, max_iter=1).fit(X, y)
    random_weights(model, np.random.RandomState(2))
    f = model.activations(X)[-1]
    columns = y.reshape(41, -1)
    expected = sum(metric(t, o, sample_weight=w) for t, o in zip(columns.T, f.T, strict=True))
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)


@both_weights
def test_value_of_several_quantiles(weighted):
    X, y = data.regression()
    w = row_weights(len(y), weighted)
    model = random_weights(small(BPRegressor, **THREE).fit(X, y), np.random.RandomState(0))
    expected = sum(
        metrics.mean_pinball_loss(y, f, sample_weight=w, alpha=q)
        for f, q in zip(model.predict(X).T, QUANTILES, strict=True)
    )
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)


def test_outliers_cost_what_they_are_away():
    """Far off, log-cosh is |d| - ln 2 and Huber's loss a line, without overflow."""
    y = np.array([1e6, -1e6])
    for loss, expected in (("log_cosh", 1e6 - np.log(2)), ("huber", 1e6 - 0.5), ("absolute_error", 1e6)):
        model = constant(BPRegressor, y, loss=loss, **{**LBFGS, "max_iter": 1})
        model.intercepts_ = [np.zeros(1)]
        result = model.loss_and_gradients(np.zeros((2, 1)), y)
        assert_allclose(result.loss, expected, **CLOSED_FORM)
        result = model.loss_and_gradients(np.zeros((1, 1)), y[:1])
        assert_allclose(result.intercepts[0], [-1.0], **CLOSED_FORM)


def chosen_probabilities(model, X, y):
    """What each row's class was given."""
    return model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]


@both_weights
@pytest.mark.parametrize("load", [data.binary, data.iris])
def test_value_of_log_loss(load, weighted):
    X, y = load()
    w = row_weights(len(y), weighted)
    model = small(BPClassifier).fit(X, y)
    proba = model.predict_proba(X)
    expected = metrics.log_loss(y, proba, sample_weight=w)
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)
    model.set_params(loss_params={"label_smoothing": 0.2})
    k = proba.shape[1]
    target = 0.8 * (y[:, None] == model.classes_) + 0.2 / k
    expected = np.average(-(target * np.log(proba)).sum(axis=1), weights=w)
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)


@both_weights
@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("load", [data.binary, data.iris])
def test_value_of_focal_loss(load, gamma, weighted):
    X, y = load()
    w = row_weights(len(y), weighted)
    model = small(BPClassifier, loss="focal", loss_params={"gamma": gamma}).fit(X, y)
    q = chosen_probabilities(model, X, y)
    expected = np.average(-((1 - q) ** gamma) * np.log(q), weights=w)
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)


@pytest.mark.parametrize("load", [data.binary, data.iris, data.multilabel])
def test_focal_loss_without_focus_is_log_loss(load):
    X, y = load()
    model = small(BPClassifier, loss="focal", loss_params={"gamma": 0}).fit(X, y)
    focal = model.loss_and_gradients(X, y)
    plain = model.set_params(loss="log_loss", loss_params=None).loss_and_gradients(X, y)
    assert_allclose(focal.loss, plain.loss, **SAME_ARITHMETIC)
    for a, b in zip(focal.coefs, plain.coefs, strict=True):
        assert_allclose(a, b, **SAME_ARITHMETIC)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    ("y", "z", "loss", "gradient"),
    [
        ([0, 1], [1000.0], 1000.0, [1.0]),  # logits of two classes: the row of class 0 is wholly wrong
        ([0, 1], [-1000.0], 0.0, [0.0]),
        ([0, 1, 2], [0.0, 0.0, 1000.0], 1000.0, [-1.0, 0.0, 1.0]),
        ([0, 1, 2], [1000.0, 0.0, 0.0], 0.0, [0.0, 0.0, 0.0]),
    ],
)
def test_saturated_focal_loss(y, z, loss, gradient, gamma):
    """Wrong rows cost their logit, right ones nothing, and no number is lost."""
    params = {"loss": "focal", "loss_params": {"gamma": gamma}, **LBFGS, "max_iter": 1}
    model = constant(BPClassifier, np.array(y), **params)
    model.intercepts_ = [np.array(z)]
    result = model.loss_and_gradients(np.zeros((1, 1)), [0])
    assert_allclose(result.loss, loss, **CLOSED_FORM)
    assert_allclose(result.intercepts[0], gradient, **CLOSED_FORM)


@both_weights
def test_value_of_hinge_loss(weighted):
    X, y = data.binary()
    w = row_weights(len(y), weighted)
    model = small(BPClassifier, loss="hinge").fit(X, y)
    scores = model.decision_function(X)
    expected = metrics.hinge_loss(y, scores, sample_weight=w)
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)
    squares = np.maximum(0, 1 - (2 * y - 1) * scores) ** 2
    expected = np.average(squares, weights=w)
    model.set_params(loss="squared_hinge")
    assert_allclose(model.loss_and_gradients(X, y, w).loss, expected, **SAME_ARITHMETIC)


@pytest.mark.parametrize("load", [data.iris, data.multilabel])
def test_value_of_hinge_loss_of_several_outputs(load):
    """Each output against its own sign, summed."""
    X, y = load()
    model = small(BPClassifier, loss="hinge").fit(X, y)
    scores = model.decision_function(X)
    belongs = y if y.ndim == 2 else y[:, None] == model.classes_
    expected = sum(metrics.hinge_loss(b, s) for b, s in zip(belongs.T, scores.T, strict=True))
    assert_allclose(model.loss_and_gradients(X, y).loss, expected, **SAME_ARITHMETIC)


# --- Gradients

EXAMPLES = [
    ("log_loss", {"label_smoothing": 0.1}),
    ("focal", {"gamma": 1.5}),
    ("hinge", None),
    ("squared_hinge", None),
    ("absolute_error", None),
    ("huber", {"delta": 0.5}),
    ("log_cosh", None),
    ("pinball", {"quantile": 0.2}),
    ("pinball", {"quantile": QUANTILES}),
    ("poisson", None),
    ("gamma", None),
    ("tweedie", {"power": 1.3}),
]


def moved(model, direction, length):
    """The model at other weights."""
    other = copy.copy(model)
    n = len(model.coefs_)
    old = [*model.coefs_, *model.intercepts_]
    new = [w + length * d for w, d in zip(old, direction, strict=True)]
    other.coefs_, other.intercepts_ = new[:n], new[n:]
    return other


def assert_gradient(model, X, y, sample_weight=None):
    """Central differences in random directions of the whole network, at random weights."""
    rng = np.random.RandomState(5)
    random_weights(model, rng)
    result = model.loss_and_gradients(X, y, sample_weight)
    gradient = [*result.coefs, *result.intercepts]
    for _ in range(3):
        direction = [rng.normal(size=g.shape) for g in gradient]
        above, below = (
            moved(model, direction, length).loss_and_gradients(X, y, sample_weight).loss
            for length in (STEP, -STEP)
        )
        slope = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        assert_allclose((above - below) / (2 * STEP), slope, **CENTRAL_DIFFERENCES)


@both_weights
@pytest.mark.parametrize(("loss", "loss_params"), EXAMPLES, ids=repr)
def test_gradient(loss, loss_params, weighted):
    Estimator, X, y = estimator_and_data(loss)
    model = small(Estimator, loss=loss, loss_params=loss_params, activation="tanh").fit(X, y)
    assert_gradient(model, X, y, row_weights(len(y), weighted))


@pytest.mark.parametrize(
    ("loss", "loss_params"),
    [
        ("log_loss", {"label_smoothing": 0.2}),
        ("focal", {"gamma": 1.5}),
        ("hinge", None),
        ("squared_hinge", None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("load", [data.iris, data.multilabel])
def test_gradient_of_several_outputs_of_a_classifier(load, loss, loss_params):
    X, y = load()
    assert_gradient(
        small(BPClassifier, loss=loss, loss_params=loss_params, activation="tanh").fit(X, y), X, y
    )


# --- Several quantiles


def fan(n, seed):
    """One feature; noise that grows with it."""
    rng = np.random.RandomState(seed)
    x = rng.uniform(-1, 1, size=n)
    return x[:, None], np.sin(2 * x) + (0.3 + 0.25 * x) * rng.normal(size=n)


@pytest.fixture(scope="module")
def fan_model():
    params = {"activation": "tanh", "learning_rate_init": 0.02, "batch_size": 100, "max_iter": 60}
    return BPRegressor((16,), random_state=0, **params, **THREE, **EVERY_EPOCH).fit(*fan(3000, 0))


def test_shape_of_several_quantiles(fan_model):
    X, _ = fan(7, 1)
    assert fan_model.predict(X).shape == (7, 3)
    assert fan_model.n_outputs_ == 3
    assert fan_model.out_activation_ == "increasing"


def test_coverage(fan_model):
    """On rows never seen, overall and where the noise is small or large."""
    X, y = fan(4000, 1)
    below = y[:, None] <= fan_model.predict(X)
    assert_allclose(below.mean(axis=0), QUANTILES, atol=0.03)
    for part in (X[:, 0] < 0, X[:, 0] >= 0):
        inside = below[part, 2] & ~below[part, 0]
        assert_allclose(inside.mean(), 0.8, atol=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantiles_never_cross(fan_model, dtype):
    """Far outside of the data, and with weights that come from nowhere."""
    rng = np.random.RandomState(3)
    X = np.concatenate([rng.normal(scale=s, size=(200, 1)) for s in (1, 1e2, 1e4)]).astype(dtype)
    assert (np.diff(fan_model.predict(X), axis=1) >= 0).all()
    model = small(BPRegressor, **THREE).fit(X.astype(dtype), X[:, 0])
    for scale in (0.1, 1.0, 30.0):
        random_weights(model, rng, scale)
        model.coefs_ = [c.astype(dtype) for c in model.coefs_]
        model.intercepts_ = [b.astype(dtype) for b in model.intercepts_]
        predicted = model.predict(X)
        assert predicted.dtype == dtype
        assert np.isfinite(predicted).all()
        assert (np.diff(predicted, axis=1) >= 0).all()


@both_weights
def test_score_of_several_quantiles(fan_model, weighted):
    X, y = fan(300, 2)
    w = row_weights(300, weighted)
    columns = zip(fan_model.predict(X).T, QUANTILES, strict=True)
    expected = np.mean([metrics.d2_pinball_score(y, f, alpha=q, sample_weight=w) for f, q in columns])
    assert_allclose(fan_model.score(X, y, w), expected, **CLOSED_FORM)
    assert_allclose(fan_model.score(X, y[:, None], w), expected, **CLOSED_FORM)


def test_one_quantile_is_scored_by_r2():
    X, y = data.regression()
    model = small(BPRegressor, loss="pinball", loss_params={"quantile": 0.3}).fit(X, y)
    assert_allclose(model.score(X, y), metrics.r2_score(y, model.predict(X)), **CLOSED_FORM)


def held_out(y, fraction, stratify=None):
    """The rows that early stopping sets aside where no weights are drawn before."""
    rows = np.arange(len(y))
    random_state = np.random.RandomState(0)
    return train_test_split(rows, test_size=fraction, random_state=random_state, stratify=stratify)[1]


STOPPING = {
    "early_stopping": True,
    "validation_fraction": 0.3,
    "init": "zeros",
    "random_state": 0,
    "learning_rate_init": 0.05,
    "max_iter": 40,
    "n_iter_no_change": 3,
}


@both_weights
def test_early_stopping_of_several_quantiles(weighted):
    """The score of the rows set aside is `score`'s, and the weights kept are those with the best."""
    X, y = fan(200, 4)
    w = row_weights(200, weighted)
    model = BPRegressor((), **STOPPING, **THREE).fit(X, y, w)
    rows = held_out(y, 0.3)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_
    score = model.score(X[rows], y[rows], None if w is None else w[rows])
    assert_allclose(model.best_validation_score_, score, **SAME_ARITHMETIC)
    assert model.best_validation_score_ > 0.1


@pytest.mark.parametrize("quantile", [(0.1, 0.5, 0.9), np.array(QUANTILES), np.float32([0.25, 0.5, 0.75])])
def test_containers_of_quantiles(quantile):
    X, y = data.regression()
    listed = {"quantile": [float(q) for q in quantile]}
    model = small(BPRegressor, loss="pinball", loss_params={"quantile": quantile}).fit(X, y)
    assert_same_bits(model, small(BPRegressor, loss="pinball", loss_params=listed).fit(X, y))
    twin = small(BPRegressor, loss="pinball", loss_params=listed).fit(X, y)
    assert model.score(X, y) == twin.score(X, y)


def test_a_list_of_one_quantile_is_that_quantile():
    X, y = data.regression()
    listed, plain = (
        small(BPRegressor, loss="pinball", loss_params={"quantile": q}).fit(X, y) for q in ([0.3], 0.3)
    )
    assert_same_bits(listed, plain)
    assert listed.predict(X).shape == y.shape


def test_one_quantile_of_several_targets():
    X, Y = data.multi_output()
    model = small(BPRegressor, loss="pinball", loss_params={"quantile": 0.3}).fit(X, Y)
    assert model.predict(X).shape == Y.shape


def test_several_quantiles_of_several_targets_are_refused():
    X, Y = data.multi_output()
    with pytest.raises(ValueError, match="quantiles of one target"):
        small(BPRegressor, **THREE).fit(X, Y)


@pytest.mark.parametrize("out_activation", ["identity", "exp", "softmax", "logistic", "relu"])
def test_several_quantiles_need_increasing_outputs(out_activation):
    X, y = data.regression()
    with pytest.raises(ValueError, match="out_activation='increasing'"):
        small(BPRegressor, out_activation=out_activation, **THREE).fit(X, y)


@pytest.mark.parametrize("loss_params", [None, {"quantile": 0.5}, {"quantile": [0.5]}])
def test_increasing_outputs_need_several_quantiles(loss_params):
    X, y = data.regression()
    model = small(BPRegressor, loss="pinball", loss_params=loss_params, out_activation="increasing")
    with pytest.raises(ValueError, match="several quantiles"):
        model.fit(X, y)


def test_training_goes_on_with_as_many_quantiles():
    X, y = data.regression()
    model = small(BPRegressor, warm_start=True, **THREE).fit(X, y)
    before = weights(model)
    model.partial_fit(X, y)
    assert (weights(model) != before).any()
    before = copy.deepcopy(fitted_attributes(model))
    model.set_params(loss_params={"quantile": [0.1, 0.9]})
    for call in (model.fit, model.partial_fit, model.loss_and_gradients):
        with pytest.raises(ValueError, match="fitted on 3"):
            call(X, y)
    assert_equal_state(fitted_attributes(model), before)


def test_assigned_weights_have_as_many_outputs_as_there_are_quantiles():
    """The loss of a fourth output has no quantile."""
    X, y = data.regression()
    model = small(BPRegressor, **THREE).fit(X, y)
    model.coefs_[-1] = np.ones((4, 4))
    model.intercepts_[-1] = np.zeros(4)
    with pytest.raises(ValueError, match=r"quantile|outputs|targets"):
        model.loss_and_gradients(X, y)


# --- Hinges

HINGES = ["hinge", "squared_hinge"]
hinges = pytest.mark.parametrize("loss", HINGES)
LOADS = [data.binary, data.iris, data.multilabel]


@hinges
@pytest.mark.parametrize("load", LOADS)
def test_the_sign_tells_the_class(loss, load):
    X, y = load()
    model = small(BPClassifier, loss=loss, max_iter=20, learning_rate_init=0.02).fit(X, y)
    assert model.out_activation_ == "identity"
    scores = model.decision_function(X)
    assert_array_equal(scores, model.activations(X)[-1].reshape(scores.shape))
    if load is data.iris:
        assert_array_equal(model.predict(X), model.classes_[scores.argmax(axis=1)])
    else:
        assert_array_equal(model.predict(X), (scores > 0).astype(int))
        assert (scores < 0).any()
        assert (scores > 0).any()


@hinges
def test_names_of_classes(loss):
    X, y = data.binary()
    names = np.array(["no", "yes"])[y]
    model = small(BPClassifier, loss=loss).fit(X, names)
    assert_array_equal(model.predict(X), np.where(model.decision_function(X) > 0, "yes", "no"))


@hinges
@pytest.mark.parametrize("out_activation", ["auto", "identity"])
def test_hinges_have_no_probabilities(loss, out_activation):
    """Neither before the fit nor after it."""
    X, y = data.binary()
    model = small(BPClassifier, loss=loss, out_activation=out_activation)
    for _ in range(2):
        assert not hasattr(model, "predict_proba")
        assert not hasattr(model, "predict_log_proba")
        assert hasattr(model, "decision_function")
        model.fit(X, y)


def test_focal_loss_has_probabilities():
    X, y = data.binary()
    model = small(BPClassifier, loss="focal")
    for _ in range(2):
        assert hasattr(model, "predict_proba")
        assert hasattr(model, "predict_log_proba")
        assert not hasattr(model, "decision_function")
        model.fit(X, y)


@hinges
def test_as_accurate_as_a_support_vector_machine(loss):
    X, y = data.digits()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    peer = LinearSVC(loss=loss, random_state=0, dual=True).fit(X_train, y_train)
    model = BPClassifier((), loss=loss, learning_rate_init=0.01, max_iter=30, batch_size=64, random_state=0)
    score = model.fit(X_train, y_train).score(X_test, y_test)
    assert score > 0.9
    assert_allclose(score, peer.score(X_test, y_test), atol=0.03)


@hinges
@pytest.mark.parametrize("load", LOADS)
def test_early_stopping_of_hinges(loss, load):
    """By the accuracy of the rows set aside."""
    X, y = load()
    model = BPClassifier((), loss=loss, **STOPPING).fit(X, y)
    rows = held_out(y, 0.3, y if load is data.binary else None)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert_allclose(model.best_validation_score_, model.score(X[rows], y[rows]), **CLOSED_FORM)
    assert model.best_validation_score_ > (0.3 if load is data.multilabel else 0.7)


@hinges
def test_scores_that_ask_for_a_ranking(loss):
    X, y = data.binary()
    model = small(BPClassifier, loss=loss, max_iter=20, learning_rate_init=0.02)
    assert cross_val_score(model, X, y, cv=3, scoring="roc_auc").min() > 0.6


# --- What goes together

ANY = ["identity", "logistic", "tanh", "relu", "exp", "softmax", "increasing"]
SQUARED = ["squared_error", "mean_squared_error", "sum_squared_error"]
PAIRS = {
    BPClassifier: {
        **dict.fromkeys(SQUARED, ANY),
        **{loss: ["identity"] for loss in HINGES},
        "log_loss": ["softmax", "logistic"],
        "focal": ["softmax", "logistic"],
    },
    BPRegressor: {
        **dict.fromkeys([*SQUARED, "absolute_error", "huber", "log_cosh"], ANY),
        "pinball": [name for name in ANY if name != "increasing"],  # that needs several quantiles
        "log_loss": ["logistic"],
        "poisson": ["exp"],
        "gamma": ["exp"],
        "tweedie": ["exp"],
        "gaussian_nll": ["identity"],
    },
}


def pairs(Estimator, allowed):
    """Loss and output activation, those that go together or the others."""
    table = PAIRS[Estimator]
    return [(loss, out) for loss in table for out in ANY if (out in table[loss]) == allowed]


def test_the_tables_are_complete():
    assert set(PAIRS[BPClassifier]) == set(loss_names("classifier"))
    assert set(PAIRS[BPRegressor]) == set(loss_names("regressor"))


@pytest.mark.parametrize(("loss", "out_activation"), [*pairs(BPClassifier, True), ("hinge", "auto")])
@pytest.mark.parametrize("load", LOADS)
def test_losses_of_the_classifier(loss, out_activation, load):
    X, y = load()
    model = small(BPClassifier, loss=loss, out_activation=out_activation)
    if load is data.multilabel and out_activation == "softmax":
        with pytest.raises(ValueError, match="out_activation"):
            model.fit(X, y)
        return
    model.fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    assert len(model.loss_curve_) == 3
    assert model.predict(X).shape == y.shape
    assert np.isin(model.predict(X), np.unique(y)).all()


@pytest.mark.parametrize(("loss", "out_activation"), pairs(BPRegressor, True))
@pytest.mark.parametrize("load", [data.fractions, data.counts, data.multi_output])
def test_losses_of_the_regressor(loss, out_activation, load):
    X, y = load()
    y = np.clip(np.abs(y), 0.1, 0.9)  # in every loss's domain
    model = small(BPRegressor, loss=loss, out_activation=out_activation).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.predict(X).shape == y.shape
    assert model.predict(X).dtype == np.float64


@pytest.mark.parametrize("loss", PAIRS[BPClassifier])
@pytest.mark.parametrize("load", LOADS)
def test_training_lowers_the_loss_of_the_classifier(loss, load):
    X, y = load()
    model = small(BPClassifier, loss=loss, max_iter=30, learning_rate_init=0.02).fit(X, y)
    assert model.loss_ < 0.9 * model.loss_curve_[0]


@pytest.mark.parametrize("loss", PAIRS[BPRegressor])
def test_training_lowers_the_loss_of_the_regressor(loss):
    X, y = data.counts()
    y = (y + 0.5) / 20 if loss == "log_loss" else y + 0.5
    model = small(BPRegressor, loss=loss, max_iter=30, learning_rate_init=0.02).fit(X, y)
    assert model.loss_ < 0.99 * model.loss_curve_[0]


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_pairs_that_do_not_go_together(Estimator):
    X, y = data.binary()
    for loss, out_activation in pairs(Estimator, False):
        with pytest.raises(ValueError, match="out_activation") as caught:
            small(Estimator, loss=loss, out_activation=out_activation).fit(X, y)
        if loss != "pinball":
            assert f"loss={loss!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("Estimator", "loss"),
    [(BPClassifier, loss) for loss in PAIRS[BPRegressor] if loss not in PAIRS[BPClassifier]]
    + [(BPRegressor, loss) for loss in PAIRS[BPClassifier] if loss not in PAIRS[BPRegressor]],
)
def test_losses_of_the_other_estimator(Estimator, loss):
    X, y = data.binary()
    for out_activation in ("auto", "identity", "logistic", "exp"):
        with pytest.raises(ValueError, match="'loss' parameter") as caught:
            small(Estimator, loss=loss, out_activation=out_activation).fit(X, y)
        assert repr(loss) in str(caught.value)


# --- loss_params that are wrong

NOT_A_NUMBER = ["1", None, True, np.True_, 1j, [0.5], (0.5,), [0.5, 0.7], np.array([0.5]), {"a": 1}, {0.5}]
NOT_A_QUANTILE = [
    *[value for value in NOT_A_NUMBER if type(value) not in (list, tuple, np.ndarray)],
    [],
    (),
    [0.9, 0.1],
    [0.5, 0.5],
    [0.1, 0.5, 0.5],
    [0.0, 0.5],
    [0.5, 1.0],
    [0.1, np.nan],
    [0.1, "0.9"],
    [0.1, None],
    [False, 0.5],
    [[0.1, 0.9]],
    [[0.1], [0.9]],
    [0.1, [0.5]],
    np.array([[0.1, 0.9]]),
]
RANGES = {
    "label_smoothing": ("log_loss", [-0.1, 1.0, 1, 2.0, np.nan, np.inf, *NOT_A_NUMBER]),
    "gamma": ("focal", [-1e-9, -1, np.nan, np.inf, -np.inf, *NOT_A_NUMBER]),
    "delta": ("huber", [0.0, 0, -1.0, np.nan, np.inf, *NOT_A_NUMBER]),
    "quantile": ("pinball", [0.0, 1.0, 0, 1, -0.1, 1.5, np.nan, *NOT_A_QUANTILE]),
    "power": ("tweedie", [1.0, 2.0, 1, 2, 0.0, 3.0, np.nan, np.inf, *NOT_A_NUMBER]),
}
WRONG = [
    *((loss, {name: value}) for name, (loss, values) in RANGES.items() for value in values),
    ("huber", {"epsilon": 1.0}),
    ("huber", {"delta": 1.0, "quantile": 0.5}),
    ("huber", {3: 1.0}),
    ("pinball", {"quantiles": [0.1, 0.9]}),
    ("pinball", {"quantile": [0.1, 0.9], "delta": 1.0}),
    ("focal", {"label_smoothing": 0.1}),
    ("log_loss", {"gamma": 2.0}),
    ("squared_error", {"delta": 1.0}),
    ("absolute_error", {"quantile": 0.5}),
    ("poisson", {"power": 1.5}),
    ("gamma", {"gamma": 1.0}),
    ("hinge", {"gamma": 1.0}),
    ("huber", 1.0),
    ("huber", True),
    ("huber", "delta"),
    ("huber", [("delta", 1.0)]),
    ("huber", (("delta", 1.0),)),
]


def estimator_and_data(loss):
    """An estimator that offers the loss, and rows that it takes."""
    if loss in PAIRS[BPClassifier] and loss != "squared_error":
        return BPClassifier, *data.binary()
    X, y = data.counts()
    return BPRegressor, X, y + 0.5


@pytest.mark.parametrize(("loss", "wrong"), WRONG, ids=repr)
def test_wrong_loss_params(loss, wrong):
    """The message names them, and a fitted model is what it was."""
    Estimator, X, y = estimator_and_data(loss)
    with pytest.raises(ValueError, match="loss_params"):
        small(Estimator, loss=loss, loss_params=wrong).fit(X, y)
    model = small(Estimator, loss=loss).fit(X, y)
    before = copy.deepcopy(fitted_attributes(model))
    predicted = model.predict(X)
    model.set_params(loss_params=wrong)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match="loss_params"):
            call(X, y)
    assert_equal_state(fitted_attributes(model), before)
    assert_array_equal(model.set_params(loss_params=None).predict(X), predicted)


@pytest.mark.parametrize(("loss", "wrong"), [case for case in WRONG if type(case[1]) is dict], ids=repr)
def test_wrong_loss_params_of_a_fitted_model(loss, wrong):
    """Whoever asks for the loss is told, too."""
    Estimator, X, y = estimator_and_data(loss)
    model = small(Estimator, loss=loss).fit(X, y).set_params(loss_params=wrong)
    with pytest.raises(ValueError, match="loss_params"):
        model.loss_and_gradients(X, y)


@pytest.mark.parametrize(
    ("loss", "name", "valid", "wrong"),
    [
        ("huber", "delta", 1.0, True),
        ("huber", "delta", 1, np.True_),
        ("focal", "gamma", 1.0, True),
        ("focal", "gamma", 0.0, False),
        ("log_loss", "label_smoothing", 0.0, False),
        ("huber", "delta", 0.5, [0.5]),
    ],
    ids=repr,
)
def test_lookalikes_of_valid_loss_params(loss, name, valid, wrong):
    """What compares equal to a value found valid before is refused all the same."""
    Estimator, X, y = estimator_and_data(loss)
    model = small(Estimator, loss=loss, loss_params={name: valid}).fit(X, y)
    model.set_params(loss_params={name: wrong})
    for _ in range(2):
        with pytest.raises(ValueError, match="loss_params"):
            model.fit(X, y)


@pytest.mark.parametrize(
    ("loss", "loss_params"),
    [
        ("log_loss", {"label_smoothing": 0.999}),
        ("focal", {"gamma": 1e-9}),
        ("focal", {"gamma": 20}),
        ("huber", {"delta": 1e-6}),
        ("huber", {"delta": 10**6}),
        ("huber", {"delta": np.float32(0.5)}),
        ("huber", {"delta": np.int64(2)}),
        ("pinball", {"quantile": 1e-6}),
        ("pinball", {"quantile": [1e-6, 1 - 1e-6]}),
        ("tweedie", {"power": 1 + 1e-6}),
        ("tweedie", {"power": 2 - 1e-6}),
        ("squared_error", {}),
        ("squared_error", None),
        ("huber", {}),
    ],
    ids=repr,
)
def test_loss_params_at_the_edge(loss, loss_params):
    """Just within the range, numbers of every type, and none."""
    Estimator, X, y = estimator_and_data(loss)
    model = small(Estimator, loss=loss, loss_params=loss_params).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()


# --- Domains of the targets

DOMAINS = [
    ("poisson", [-1e-9, -1.0], [0.0, 0.5, 7.0]),
    ("tweedie", [-1e-9, -1.0], [0.0, 0.5, 7.0]),
    ("gamma", [0.0, -0.0, -1.0], [1e-3, 0.5, 7.0]),
    ("log_loss", [-1e-9, 1 + 1e-9, 2.0], [0.0, 0.5, 1.0]),
]


@both_shapes
@pytest.mark.parametrize(("loss", "outside", "inside"), DOMAINS)
def test_targets_outside_of_the_domain(loss, outside, inside, shape):
    """A single one is enough, and a fitted model is what it was."""
    X = np.random.RandomState(0).normal(size=(41, 3))
    y = np.resize(inside, shape)
    model = small(BPRegressor, loss=loss).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    before = copy.deepcopy(fitted_attributes(model))
    for value in outside:
        bad = y.copy()
        bad.flat[-1] = value
        fresh = small(BPRegressor, loss=loss)
        for call in (fresh.fit, model.fit, model.partial_fit, model.loss_and_gradients):
            with pytest.raises(ValueError, match=f"loss='{loss}'.* needs y"):
                call(X, bad)
    assert_equal_state(fitted_attributes(model), before)


@pytest.mark.parametrize("loss", ["poisson", "tweedie"])
def test_nothing_but_zeros(loss):
    """Within the domain, though the best outputs are at the end of the world."""
    X = np.random.RandomState(0).normal(size=(41, 3))
    model = small(BPRegressor, loss=loss, max_iter=30).fit(X, np.zeros(41))
    assert np.isfinite(model.loss_curve_).all()
    assert model.loss_ < model.loss_curve_[0]


# --- As parameters of an estimator

DEFAULTS = [
    ("log_loss", {"label_smoothing": 0}),
    ("log_loss", {"label_smoothing": 0.0}),
    ("focal", {"gamma": 2}),
    ("huber", {"delta": 1}),
    ("pinball", {"quantile": 0.5}),
    ("pinball", {"quantile": [0.5]}),
    ("tweedie", {"power": 1.5}),
    ("squared_error", {}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("loss", "loss_params"), DEFAULTS, ids=repr)
def test_defaults(loss, loss_params, dtype):
    """The same bits as without loss_params."""
    Estimator, X, y = estimator_and_data(loss)
    X = X.astype(dtype)
    given = small(Estimator, loss=loss, loss_params=loss_params).fit(X, y)
    assert_same_bits(given, small(Estimator, loss=loss).fit(X, y))


@pytest.mark.parametrize("load", LOADS)
def test_no_smoothing_is_log_loss(load):
    X, y = load()
    given = small(BPClassifier, loss_params={"label_smoothing": 0.0}).fit(X, y)
    assert_same_bits(given, small(BPClassifier).fit(X, y))
    smoothed = small(BPClassifier, loss_params={"label_smoothing": 0.1}).fit(X, y)
    assert (weights(smoothed) != weights(given)).any()


@pytest.mark.parametrize(("loss", "loss_params"), EXAMPLES, ids=repr)
def test_both_dtypes(loss, loss_params):
    """float32 stays float32, and its loss and gradient are float64's to as many digits as it has."""
    Estimator, X, y = estimator_and_data(loss)
    single = small(Estimator, loss=loss, loss_params=loss_params).fit(X.astype(np.float32), y)
    assert all(w.dtype == np.float32 for w in [*single.coefs_, *single.intercepts_])
    double = small(Estimator, loss=loss, loss_params=loss_params).fit(X, y)
    assert all(w.dtype == np.float64 for w in [*double.coefs_, *double.intercepts_])
    double.coefs_ = [c.astype(np.float64) for c in single.coefs_]
    double.intercepts_ = [b.astype(np.float64) for b in single.intercepts_]
    ours, true = single.loss_and_gradients(X.astype(np.float32), y), double.loss_and_gradients(X, y)
    assert_allclose(ours.loss, true.loss, **SAME_ARITHMETIC_32)
    for a, b in zip(ours.intercepts, true.intercepts, strict=True):
        assert a.dtype == np.float32
        if loss not in ("hinge", "absolute_error", "pinball"):  # a row at the kink may fall to either side
            assert_allclose(a, b, **SAME_ARITHMETIC_32)
    assert_allclose(single.activations(X)[-1], double.activations(X)[-1], **SAME_ARITHMETIC_32)


@pytest.mark.parametrize(("loss", "loss_params"), EXAMPLES, ids=repr)
def test_copies(loss, loss_params):
    """A clone and a pickle have the same loss; the user's dict is left alone."""
    Estimator, X, y = estimator_and_data(loss)
    given = copy.deepcopy(loss_params)
    model = small(Estimator, loss=loss, loss_params=given)
    assert model.get_params()["loss_params"] is given
    model.fit(X, y)
    assert given == loss_params
    twin = clone(model)
    assert twin.loss_params == loss_params
    assert_same_bits(twin.fit(X, y), model)
    thawed = pickle.loads(pickle.dumps(model))
    assert thawed.loss_params == loss_params
    assert_array_equal(thawed.predict(X), model.predict(X))
    assert thawed.loss_and_gradients(X, y).loss == model.loss_and_gradients(X, y).loss


def test_grid_search():
    """Tuned like any other parameter; the winner is the one with the best score."""
    X, y = data.regression()
    grid = {"loss_params": [None, {"delta": 0.1}, {"delta": 2.0}]}
    search = GridSearchCV(small(BPRegressor, loss="huber", max_iter=15), grid, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 3
    assert search.best_params_ == {"loss_params": grid["loss_params"][np.argmax(scores)]}
    assert search.best_estimator_.loss_params == search.best_params_["loss_params"]


def test_grid_search_over_losses():
    """With the parameters of each loss, and by the loss's own score for several quantiles."""
    X, y = data.counts()
    grid = [
        {"loss": ["tweedie"], "loss_params": [{"power": 1.2}, {"power": 1.8}]},
        {"loss": ["pinball"], "loss_params": [{"quantile": 0.5}, {"quantile": QUANTILES}]},
        {"loss": ["poisson", "huber"]},
    ]
    search = GridSearchCV(small(BPRegressor), grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 6
