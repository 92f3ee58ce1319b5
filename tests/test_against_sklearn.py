"""From the same initial weights, in the same batches, fastbp takes scikit-learn's steps.

One output or mutually exclusive classes, float64, default `alpha`, `shuffle=False`: there both follow the
same formulas, and the weights agree to rounding. Where scikit-learn has a fault the test says how the two
relate.
"""

import inspect

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tolerances import SAME_ARITHMETIC, SKLEARN, SKLEARN_32

from fastbp import BPClassifier, BPRegressor

PROBLEMS = {
    "binary": (BPClassifier, MLPClassifier, data.binary, {}),
    "multiclass": (BPClassifier, MLPClassifier, data.iris, {}),
    "multilabel": (BPClassifier, MLPClassifier, data.multilabel, {}),
    "regression": (BPRegressor, MLPRegressor, data.regression, {}),
    "poisson": (BPRegressor, MLPRegressor, data.counts, {"loss": "poisson"}),
}
SOLVERS = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
}
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]


def both(problem, dtype=np.float64, sample_weight=None, **params):
    """The two fitted estimators and X. With 7 units and 16 rows no tile of a kernel is full."""
    Ours, Theirs, load, extra = PROBLEMS[problem]
    X, y = load()
    X = X.astype(dtype)
    common = {
        "hidden_layer_sizes": (7, 5),
        "shuffle": False,
        "random_state": 0,
        "max_iter": 3,
        "batch_size": 16,
    }
    common = {**common, **EVERY_EPOCH, **extra, **params}
    ours = Ours(**common).fit(X, y, sample_weight)
    theirs = Theirs(**common).fit(X, y, sample_weight)
    return ours, theirs, X


def assert_same_network(ours, theirs, X, tolerance=SKLEARN):
    for a, b in zip([*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert_allclose(a, b, **tolerance)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.out_activation_ == theirs.out_activation_
    if hasattr(theirs, "predict_proba"):
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=tolerance["atol"] * 10)
    else:
        assert_allclose(ours.predict(X), theirs.predict(X), atol=tolerance["atol"] * 100)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_three_epochs(problem, solver):
    ours, theirs, X = both(problem, **SOLVERS[solver])
    assert_same_network(ours, theirs, X)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, **SKLEARN)
    assert_allclose([ours.loss_, ours.best_loss_], [theirs.loss_, theirs.best_loss_], **SKLEARN)
    assert ours.t_ == theirs.t_


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("problem", ["multiclass", "regression"])
def test_activations(problem, activation):
    ours, theirs, X = both(problem, activation=activation, **SOLVERS["nesterov"])
    assert_same_network(ours, theirs, X)


@pytest.mark.parametrize("batch_size", [1, 8, 32, "auto", 100])
@pytest.mark.parametrize("solver", ["momentum", "adam"])
def test_batch_sizes(solver, batch_size):
    """100 rows: 8 and 32 leave a short last batch, "auto" and 100 take all rows at once."""
    ours, theirs, X = both("regression", batch_size=batch_size, **SOLVERS[solver])
    assert_same_network(ours, theirs, X)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, **SKLEARN)


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 1.0])
def test_alpha_with_its_dependence_on_the_batch(alpha):
    ours, theirs, X = both("multiclass", alpha=alpha, **SOLVERS["nesterov"])
    assert_same_network(ours, theirs, X)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, **SKLEARN)


@pytest.mark.parametrize("hidden_layer_sizes", [1, (1,), (50,), (3, 4, 5, 6), [6, 6], np.array([5])])
def test_hidden_layers(hidden_layer_sizes):
    ours, theirs, X = both("multiclass", hidden_layer_sizes=hidden_layer_sizes, **SOLVERS["adam"])
    assert_same_network(ours, theirs, X)
    assert (ours.n_layers_, ours.n_outputs_) == (theirs.n_layers_, theirs.n_outputs_)


def test_no_hidden_layer():
    ours, theirs, X = both("multiclass", hidden_layer_sizes=(), **SOLVERS["adam"])
    assert_same_network(ours, theirs, X)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression", "poisson"])
def test_sample_weight_with_all_rows_in_one_batch(problem, solver):
    """scikit-learn divides by the batch's weight, fastbp by the mean weight: one batch makes them equal."""
    X, _ = PROBLEMS[problem][2]()
    w = np.random.RandomState(1).uniform(0.0, 3.0, len(X))
    w[::7] = 0.0
    ours, theirs, X = both(problem, sample_weight=w, batch_size=len(X), **SOLVERS[solver])
    assert_same_network(ours, theirs, X)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, **SKLEARN)


def test_sample_weight_in_batches_of_equal_weight():
    X, _ = data.regression()
    w = np.tile([0.5, 1.0, 3.0, 0.0, 2.5], len(X) // 5)
    ours, theirs, X = both("regression", sample_weight=w, batch_size=10, **SOLVERS["adam"])
    assert_same_network(ours, theirs, X)


def test_invscaling():
    ours, theirs, X = both(
        "multiclass",
        solver="sgd",
        learning_rate="invscaling",
        learning_rate_init=0.5,
        power_t=0.3,
        max_iter=6,
    )
    assert_same_network(ours, theirs, X)


def test_adaptive():
    """The tolerance is never met, so the rate falls and falls; scikit-learn waits for one epoch more."""
    k = 2
    params = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 10.0}
    Ours, Theirs, load, _ = PROBLEMS["multiclass"]
    X, y = load()
    common = {"hidden_layer_sizes": (7,), "shuffle": False, "random_state": 0, "max_iter": 200, **params}
    ours = Ours(**common, n_iter_no_change=k + 1).fit(X, y)
    theirs = Theirs(**common, n_iter_no_change=k).fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_ < 200
    assert_same_network(ours, theirs, X)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_lbfgs(problem):
    """A few iterations only, for the line search amplifies rounding."""
    ours, theirs, X = both(problem, solver="lbfgs", max_iter=8, tol=1e-9)
    assert_same_network(ours, theirs, X)
    assert_allclose(ours.loss_, theirs.loss_, **SKLEARN)


def test_lbfgs_with_weights():
    X, _ = data.iris()
    w = np.random.RandomState(2).uniform(0, 2, len(X))
    ours, theirs, X = both("multiclass", solver="lbfgs", max_iter=8, tol=1e-9, alpha=0.1, sample_weight=w)
    assert_same_network(ours, theirs, X)


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32(solver):
    ours, theirs, X = both("multiclass", dtype=np.float32, **SOLVERS[solver])
    assert_same_network(ours, theirs, X, SKLEARN_32)


def test_given_initial_weights():
    X, y = data.regression()
    rng = np.random.RandomState(4)
    coefs = [rng.normal(size=(X.shape[1], 6)), rng.normal(size=(6, 1))]
    intercepts = [rng.normal(size=6), rng.normal(size=1)]
    params = {
        "hidden_layer_sizes": (6,),
        "shuffle": False,
        "max_iter": 3,
        "batch_size": 25,
        "random_state": 0,
    }
    ours = BPRegressor(**params).fit(X, y, coefs_init=coefs, intercepts_init=intercepts)

    # scikit-learn's documented-nowhere way: a warm start from assigned weights.
    theirs = MLPRegressor(**params, warm_start=True).fit(X, y)
    theirs.coefs_ = [c.copy() for c in coefs]
    theirs.intercepts_ = [b.copy() for b in intercepts]
    theirs.fit(X, y)
    assert_same_network(ours, theirs, X)


def test_multi_output_steps_agree_and_the_reported_loss_is_the_one_followed():
    """scikit-learn reports the mean over the outputs and follows the gradient of the sum (issue 8349)."""
    X, Y = data.multi_output()
    params = {
        "hidden_layer_sizes": (6,),
        "shuffle": False,
        "random_state": 0,
        "max_iter": 3,
        "batch_size": 16,
    }
    params |= {"alpha": 0.0, **EVERY_EPOCH, **SOLVERS["adam"]}
    ours = BPRegressor(**params).fit(X, Y)
    theirs = MLPRegressor(**params).fit(X, Y)
    assert_same_network(ours, theirs, X)
    assert_allclose(ours.loss_curve_, Y.shape[1] * np.array(theirs.loss_curve_), **SAME_ARITHMETIC)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_early_stopping_has_the_same_split_and_scores(problem, weighted):
    """One batch an epoch. The weights of the validation rows count in the scores, too.

    R^2 has one best epoch; of the epochs with the same accuracy scikit-learn keeps the first.
    """
    X, _ = PROBLEMS[problem][2]()
    w = np.random.RandomState(0).uniform(0, 3, len(X)) if weighted else None
    ours, theirs, X = both(
        problem,
        sample_weight=w,
        max_iter=12,
        batch_size="auto",
        learning_rate_init=0.02,
        early_stopping=True,
        validation_fraction=0.2,
    )
    assert ours.t_ == theirs.t_
    assert_allclose(ours.validation_scores_, theirs.validation_scores_, **SKLEARN)
    assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, **SKLEARN)
    if isinstance(ours, BPRegressor):
        assert_same_network(ours, theirs, X)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_fitted_attributes_are_all_there(problem, solver):
    ours, theirs, _ = both(problem, solver=solver)
    for name, value in vars(theirs).items():
        if name.endswith("_") and not name.startswith("_"):
            mine = getattr(ours, name)
            # A list stays a list, None stays None; NumPy and Python scalars are exchangeable.
            if value is None or isinstance(value, list | str):
                assert type(mine) is type(value), name
    if hasattr(theirs, "classes_"):
        assert_array_equal(ours.classes_, theirs.classes_)
        assert ours.classes_.dtype == theirs.classes_.dtype


@pytest.mark.parametrize(("Ours", "Theirs"), [(BPClassifier, MLPClassifier), (BPRegressor, MLPRegressor)])
def test_parameters_and_defaults(Ours, Theirs):
    ours = inspect.signature(Ours).parameters
    theirs = inspect.signature(Theirs).parameters
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name
    for name, parameter in ours.items():
        keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert keyword_only != (name == "hidden_layer_sizes"), name


@pytest.mark.parametrize(("Ours", "Theirs"), [(BPClassifier, MLPClassifier), (BPRegressor, MLPRegressor)])
def test_public_methods(Ours, Theirs):
    theirs = {name for name in dir(Theirs()) if not name.startswith("_")}
    assert theirs <= set(dir(Ours()))
    for name in ("fit", "partial_fit", "predict", "score"):
        ours = inspect.signature(getattr(Ours(), name)).parameters
        shared = list(inspect.signature(getattr(Theirs(), name)).parameters)
        assert list(ours)[: len(shared)] == shared


def test_the_first_positional_argument_of_the_regressor_is_its_layers():
    """`MLPRegressor((20,))` takes the tuple for the loss and breaks."""
    X, y = data.regression()
    assert BPRegressor((20,), max_iter=1).fit(X, y).coefs_[0].shape == (10, 20)


@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_partial_fit_is_hidden_for_lbfgs_on_both(Estimator):
    assert hasattr(Estimator(), "partial_fit")
    assert hasattr(Estimator(solver="sgd"), "partial_fit")
    assert not hasattr(Estimator(solver="lbfgs"), "partial_fit")


def test_log_probabilities_are_finite_where_the_logits_are():
    """scikit-learn takes the logarithm of a probability that has become 0."""
    X, y = data.iris()
    ours = BPClassifier((), max_iter=1, random_state=0).fit(X, y)
    ours.coefs_ = [ours.coefs_[0] * 1e4]
    log_proba = ours.predict_log_proba(X)
    assert np.isfinite(log_proba).all()
    assert log_proba.min() < -1e3
    logits = X @ ours.coefs_[0] + ours.intercepts_[0]
    expected = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    assert_allclose(log_proba, expected, rtol=1e-9, atol=1e-9)


def test_binary_log_probabilities_are_finite_where_the_logits_are():
    X, y = data.binary()
    ours = BPClassifier((), max_iter=1, random_state=0).fit(X, y)
    ours.coefs_ = [ours.coefs_[0] * 1e4]
    z = (X @ ours.coefs_[0] + ours.intercepts_[0]).ravel()
    expected = np.column_stack([-np.logaddexp(0, z), -np.logaddexp(0, -z)])
    assert_allclose(ours.predict_log_proba(X), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_small_probabilities_are_as_exact_as_large_ones(scale):
    """1 - p is 0 for a class 0 whose probability is 1e-20, though its logarithm is -46."""
    X, y = data.binary()
    ours = BPClassifier((), max_iter=1, random_state=0).fit(X, y)
    ours.coefs_ = [ours.coefs_[0] * scale]
    assert_allclose(ours.predict_proba(X), np.exp(ours.predict_log_proba(X)), rtol=1e-9)
    assert ours.predict_proba(X).min() > 0
