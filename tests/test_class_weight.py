"""Class weights are sample weights: what they do to a fit is what passing those does, to the last bit."""

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from tolerances import SAME_ARITHMETIC

from fastbp import BPClassifier, BPRegressor

SOLVERS = [
    {"solver": "adam"},
    {"solver": "sgd", "learning_rate_init": 0.05},
    {"solver": "lbfgs"},
    {"early_stopping": True, "validation_fraction": 0.3},
]
by_solver = pytest.mark.parametrize("params", SOLVERS, ids=["adam", "sgd", "lbfgs", "early_stopping"])
by_weight = pytest.mark.parametrize("weighted", [False, True])


def classifier(**params):
    return BPClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 6, "random_state": 0, **params})


def some_weights(n):
    return np.random.RandomState(2).uniform(0.1, 3, n)


@by_solver
@by_weight
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.3, 1: 2.7, 2: 5}, {0: 0, 1: 0.1, 2: 7}])
def test_same_bits_as_sample_weights(class_weight, dtype, weighted, params):
    X, y = data.iris()
    X, y = X[:90].astype(dtype), y[:90]
    w = some_weights(90) if weighted else None
    by_class = compute_sample_weight(class_weight, y)
    first = classifier(class_weight=class_weight, **params).fit(X, y, w)
    second = classifier(**params).fit(X, y, by_class if w is None else w * by_class)
    assert_same_bits(first, second)
    assert first.loss_ == second.loss_
    assert not np.array_equal(first.coefs_[0], classifier(**params).fit(X, y, w).coefs_[0])


@by_weight
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("class_weight", ["balanced", [{0: 1, 1: 4}, {0: 0.5, 1: 1}, {0: 2, 1: 3}]])
def test_multilabel_weights_are_multiplied(class_weight, as_sparse, weighted):
    X, Y = data.multilabel()
    w = some_weights(len(X)) if weighted else None
    by_class = compute_sample_weight(class_weight, Y)
    if not isinstance(class_weight, str):
        assert_allclose(
            by_class, np.prod([np.where(Y[:, k], d[1], d[0]) for k, d in enumerate(class_weight)], 0)
        )
    first = classifier(class_weight=class_weight).fit(X, sparse.csr_matrix(Y) if as_sparse else Y, w)
    assert_same_bits(first, classifier().fit(X, Y, by_class if w is None else w * by_class))


def test_partial_fit_takes_weights_of_classes_that_come_later():
    """Batches of one class: a dictionary names the others, too, and one that it leaves out has weight 1."""
    X, y = data.iris()
    class_weight = {0: 0.5, 1: 3.0}
    first, second = classifier(class_weight=class_weight), classifier()
    for label in (2, 0, 1):
        rows = y == label
        first.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        weight = np.full(rows.sum(), class_weight.get(label, 1.0))
        second.partial_fit(X[rows], y[rows], weight, classes=[0, 1, 2])
    assert_same_bits(first, second)


def test_partial_fit_refuses_balanced_and_says_what_to_do():
    X, y = data.iris()
    model = classifier(class_weight="balanced")
    with pytest.raises(
        ValueError, match=r"'balanced' is not supported for partial_fit.*compute_class_weight"
    ):
        model.partial_fit(X, y, classes=[0, 1, 2])
    assert not hasattr(model, "coefs_")
    weight = dict(enumerate(compute_class_weight("balanced", classes=np.arange(3), y=y)))
    model.set_params(class_weight=weight).partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("labels", [["a", "b", "c"], [-5, 7, 30], [0.0, 1.0, 2.0]])
def test_any_labels(labels):
    X, y = data.iris()
    class_weight = dict(zip(labels, [0.5, 2.0, 8.0], strict=True))
    first = classifier(class_weight=class_weight).fit(X, np.array(labels)[y])
    assert_same_bits(first, classifier().fit(X, y, np.array([0.5, 2.0, 8.0])[y]))


def test_weighs_rare_classes_up():
    """One row in twenty: without weights no row is told to be rare."""
    rng = np.random.RandomState(0)
    y = (np.arange(400) % 20 == 0).astype(int)
    X = rng.normal(size=(400, 2)) + y[:, None]
    plain = BPClassifier((), solver="lbfgs").fit(X, y).predict(X)
    balanced = BPClassifier((), solver="lbfgs", class_weight="balanced").fit(X, y).predict(X)
    assert plain[y == 1].mean() < 0.3
    assert balanced[y == 1].mean() > 0.7


def test_objective_of_loss_and_gradients():
    X, y = data.iris()
    model = classifier(class_weight="balanced", solver="lbfgs", max_iter=30).fit(X[:80], y[:80])
    inside = model.loss_and_gradients(X[:80], y[:80])
    assert_allclose(inside.loss, model.loss_, **SAME_ARITHMETIC)
    model.set_params(class_weight=None)
    weighed = model.loss_and_gradients(X[:80], y[:80], compute_sample_weight("balanced", y[:80]))
    assert inside.loss == weighed.loss
    assert_array_equal(inside.coefs[0], weighed.coefs[0])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("weighted", "class_weight"),
        ({0: 1, 1: 2, 5: 1}, r"classes, \[2\], are not in class_weight"),
        ({0: 1, 1: -2, 2: 1}, "class_weight must hold finite numbers"),
        ({0: 1, 1: np.nan, 2: 1}, "class_weight must hold finite numbers"),
        ({0: 0, 1: 0, 2: 0}, "at least one non-zero"),
        ([{0: 1}, {1: 2}, {2: 1}], "one dictionary for each label"),
    ],
)
def test_refused(class_weight, message):
    X, y = data.iris()
    with pytest.raises(ValueError, match=message):
        classifier(class_weight=class_weight).fit(X, y)


@pytest.mark.parametrize("class_weight", [{0: 1, 1: 2}, [{0: 1, 1: 2}]])
def test_multilabel_needs_a_dictionary_for_each_label(class_weight):
    X, Y = data.multilabel()
    with pytest.raises(ValueError, match="class_weight should"):
        classifier(class_weight=class_weight).fit(X, Y)


def test_regressors_have_none():
    assert "class_weight" not in BPRegressor().get_params()
