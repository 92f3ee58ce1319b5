"""Overflow, underflow, division by zero on the way: the package says what came of it, NumPy nothing."""

import threading

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from scipy import sparse
from sklearn.metrics import make_scorer, r2_score

from fastbp import BPClassifier, BPRegressor, learning_rate_range
from fastbp.callbacks import StopWhen

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "activations"]

INPUTS = {
    "as they are": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "sparse": sparse.csr_array,
    "denormal": lambda X: X * 1e-310,
    "float32, denormal": lambda X: (X * 1e-42).astype(np.float32),
    "large": lambda X: X * 1e100,
    "huge": lambda X: X * 1e300,
    "float32, huge": lambda X: (X * 1e37).astype(np.float32),
    "constant": lambda X: np.zeros_like(X),
    "of all sizes": lambda X: X * np.logspace(-300, 300, X.shape[1]),
}
OPTIONS = [
    {},
    {"solver": "lbfgs"},
    {"solver": "sgd", "learning_rate_init": 1e3},
    {"early_stopping": True},
    {"early_stopping": True, "scoring": "loss"},
    {"activation": "tanh", "norm": "batch"},
    {"activation": "elu", "norm": "layer", "clip_norm": 1.0},
    {"input_scaling": "robust", "out_bias": "data"},
    {"alpha": 1e308, "l1": 1e-320},
    {"l2": 1e-320, "weight_decay": 1e-320, "max_norm": 1e-320},
    {"preset": "tabular"},
]


WORDS = ("non-finite parameter weights", "too large for", "needs a dense X")


def words_of_the_package(error):
    """Of what is wrong with the data: everything else is a mistake."""
    return any(words in str(error) for words in WORDS)


def use(model, X, y):
    """Everything that computes."""
    try:
        model.fit(X, y)
        for method in METHODS:
            if hasattr(model, method):
                getattr(model, method)(X)
        model.loss_and_gradients(X, y)
        model.score(X, y)
        model.set_params(early_stopping=False).partial_fit(X, y)
    except ValueError as error:
        assert words_of_the_package(error)
    except AttributeError:
        assert model.solver == "lbfgs"  # has no partial_fit


@pytest.mark.parametrize("errors", ["warn", "raise"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("of_inputs", INPUTS)
def test_nothing_of_numpy_reaches_the_user(of_inputs, options, errors):
    with np.errstate(all=errors):
        for Estimator, load in ((BPClassifier, data.iris), (BPRegressor, data.regression)):
            with np.errstate(all="ignore"):
                X, y = load()
                X = INPUTS[of_inputs](X)
            use(Estimator(**{**PARAMS, **options}), X, y)


@pytest.mark.parametrize("errors", ["warn", "raise"])
@pytest.mark.parametrize("size", [1e-310, 1e-300, 1e-30, 1e30, 1e200, 1e300])
@pytest.mark.parametrize(
    "options", [{}, {"target_scaling": "standard"}, {"solver": "lbfgs"}, {"loss": "poisson"}], ids=str
)
def test_targets_of_any_size(options, size, errors):
    X, y = data.regression()
    y = np.abs(y) * size
    with np.errstate(all=errors):
        use(BPRegressor(**PARAMS, **options), X, y)
        use(BPRegressor(**PARAMS, **options), X.astype(np.float32), y)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e300])
def test_weights_of_any_size(size):
    X, y = data.iris()
    weight = np.full(len(y), size)
    with np.errstate(all="raise"):
        for params in ({}, {"solver": "lbfgs"}, {"early_stopping": True}, {"target_scaling": "standard"}):
            Estimator = BPRegressor if "target_scaling" in params else BPClassifier
            try:
                model = Estimator(**PARAMS, **params).fit(X, y, weight)
                model.loss_and_gradients(X, y, weight)
            except ValueError as error:
                assert words_of_the_package(error)


def test_the_range_of_learning_rates():
    X, y = data.regression()
    with np.errstate(all="raise"):
        learning_rate_range(BPRegressor(**PARAMS), X, y, largest=1e300)


def test_the_bits_are_the_same_whatever_numpy_reports():
    X, y = data.iris()
    model = BPClassifier(**PARAMS).fit(X, y)
    with np.errstate(all="raise"):
        assert_same_bits(BPClassifier(**PARAMS).fit(X, y), model)


# The user's own code

SETTINGS = {"divide": "raise", "over": "warn", "under": "raise", "invalid": "ignore"}


def test_the_users_code_runs_under_the_users_settings():
    X, y = data.regression()
    seen = {}

    def scorer(model, X, y):
        seen["scorer"] = np.geterr()
        return r2_score(y, model.predict(X))

    def metric(y, predicted):
        seen["metric"] = np.geterr()
        return r2_score(y, predicted)

    def condition(epoch):
        seen["condition"] = np.geterr()
        assert epoch.estimator.predict(X).shape == y.shape
        seen["condition, then"] = np.geterr()
        return False

    class Hooks(StopWhen):
        def setup(self, estimator, context):
            super().setup(estimator, context)
            seen["setup"] = np.geterr()

        def on_fit_task_begin(self, estimator, context):
            seen["begin"] = np.geterr()

        def teardown(self, estimator, context):
            seen["teardown"] = np.geterr()
            super().teardown(estimator, context)

    with np.errstate(**SETTINGS):
        for scoring in (scorer, make_scorer(metric)):
            model = BPRegressor(**PARAMS, early_stopping=True, scoring=scoring)
            model.set_callbacks(Hooks(condition)).fit(X, y)
        assert np.geterr() == SETTINGS
    assert len(seen) == 7
    assert all(settings == SETTINGS for settings in seen.values()), seen


def test_an_error_of_the_users_code_is_the_users():
    X, y = data.regression()
    model = BPRegressor(**PARAMS).set_callbacks(StopWhen(lambda epoch: np.float64(1) / np.float64(0) > 1))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        model.fit(X, y)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        model.fit(X, y)


def test_threads_do_not_see_the_settings_of_each_other():
    X, y = data.iris()
    found, started = {}, threading.Barrier(2)

    def work(errors):
        def condition(epoch):
            if epoch.number == 1:
                started.wait()  # both fits are under way
            found.setdefault(errors, set()).add(np.geterr()["over"])
            return False

        with np.errstate(all=errors):
            BPClassifier(**PARAMS).set_callbacks(StopWhen(condition)).fit(X, y)
            found.setdefault(errors, set()).add(np.geterr()["over"])

    threads = [threading.Thread(target=work, args=(errors,)) for errors in ("raise", "warn")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"raise": {"raise"}, "warn": {"warn"}}
