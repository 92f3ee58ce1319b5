"""The check of the parameters: once for values found valid, never left out for others."""

import data
import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from fastbp import BPClassifier, BPRegressor
from fastbp.estimators import parameter_checks

PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0, "batch_size": 32}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(parameter_checks, "_valid", set())


@pytest.fixture
def checks(monkeypatch):
    """The estimators that the check has looked at."""
    seen = []
    check = parameter_checks.CheckedParameters._check_values

    def spy(self, names):
        seen.append(type(self))
        check(self, names)

    monkeypatch.setattr(parameter_checks.CheckedParameters, "_check_values", spy)
    return seen


# name: a valid value, and one that is refused; those of most have the same hash and compare equal.
LOOKALIKES = [
    ("batch_size", 32, 32.0),
    ("max_iter", 1, 1.0),
    ("max_fun", 1, 1.0),
    ("n_jobs", 1, 1.0),
    ("n_jobs", -1, -1.0),
    ("n_iter_no_change", 1, 1.0),
    ("random_state", 0, 0.0),
    ("shuffle", True, 1),
    ("shuffle", True, 1.0),
    ("fit_intercept", True, 1),
    ("warm_start", False, 0),
    ("early_stopping", False, 0),
    ("nesterovs_momentum", True, 1),
    ("nesterovs_momentum", True, 1.0),
    ("verbose", False, 0.0),
    ("hidden_layer_sizes", (64,), (64.0,)),
    ("hidden_layer_sizes", (1,), (True,)),
    ("hidden_layer_sizes", (4, 4), (4, 4.0)),
    ("hidden_layer_sizes", (4,), (0,)),
    ("hidden_layer_sizes", 1, 1.0),
    ("hidden_layer_sizes", (4,), (-4,)),
    ("alpha", 0.1, "x"),
    ("alpha", 0.1, None),
    ("alpha", 0.1, -0.1),
    ("alpha", 0.1, float("nan")),
    ("momentum", 1, 1.5),
    ("l2", 0, -1),
    ("learning_rate_init", 1, 0),
    ("n_jobs", None, 0),
    ("n_jobs", None, "2"),
    ("learning_rate", "constant", "adam"),
    ("activation", "relu", ["step"]),
    ("init", "glorot", b"glorot"),
]


@pytest.mark.parametrize(("name", "valid", "invalid"), LOOKALIKES, ids=lambda v: repr(v))
def test_refused_after_a_valid_fit(name, valid, invalid):
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, name: valid}).fit(X, y)
    model.set_params(**{name: invalid})
    for _ in range(2):  # a refusal is not remembered as anything else
        with pytest.raises(ValueError, match=name):
            model.fit(X, y)
        with pytest.raises(ValueError, match=name):
            model.partial_fit(X, y)
        with pytest.raises(ValueError, match=name):
            BPClassifier(**{**PARAMS, name: invalid}).fit(X, y)
    model.set_params(**{name: valid}).fit(X, y)


@pytest.mark.parametrize("name", ["momentum", "alpha", "l2", "tol"])
@pytest.mark.parametrize("values", [(1, True, 1.0), (True, 1.0, 1), (1.0, 1, True), (0, 0.0, -0.0, False)])
def test_equal_values_of_other_types_are_as_valid_as_to_sklearn(name, values, checks):
    """scikit-learn takes these: each type is checked for itself, in whatever order they come."""
    X, y = data.iris()
    for number, value in enumerate(values, start=1):
        BPClassifier(**{**PARAMS, name: value}).fit(X, y)
        assert len(checks) == number or value == 0 and number > 2


def test_valid_values_are_checked_once(checks):
    X, y = data.iris()
    for _ in range(3):
        BPClassifier(**PARAMS).fit(X, y).partial_fit(X, y)
    assert checks == [BPClassifier]
    BPClassifier(**{**PARAMS, "alpha": 0.5}).fit(X, y)
    assert checks == [BPClassifier] * 2


def test_each_class_is_checked_for_itself(checks):
    """Classes differ in what they allow."""

    class Strict(BPRegressor):
        _parameter_constraints = {**BPRegressor._parameter_constraints, "max_iter": [None]}

    X, y = data.regression()
    BPRegressor(**PARAMS).fit(X, y)
    with pytest.raises(InvalidParameterError, match="max_iter"):
        Strict(**PARAMS).fit(X, y)
    with pytest.raises(InvalidParameterError, match="loss"):
        BPClassifier(**PARAMS, loss="poisson").fit(X, y > 0)
    BPRegressor(**PARAMS, loss="poisson").fit(X, abs(y))
    with pytest.raises(InvalidParameterError, match="loss"):
        BPClassifier(**PARAMS, loss="poisson").fit(X, y > 0)
    assert checks == [BPRegressor, Strict, BPClassifier, BPRegressor, BPClassifier]


def test_a_subclass_that_checks_less():
    """As scikit-learn has it: what has no constraint is not checked."""

    class Lax(BPClassifier):
        _parameter_constraints = {
            "alpha": BPClassifier._parameter_constraints["alpha"],
            "tol": "no_validation",
        }

    X, y = data.iris()
    model = Lax(**PARAMS, tol=-1.0).fit(X, y)
    assert model.predict(np.vstack([X, X])).shape == (300,)
    assert np.isfinite(model.loss_and_gradients(X, y).loss)
    with pytest.raises(InvalidParameterError, match="alpha"):
        model.set_params(alpha=-1).fit(X, y)


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("hidden_layer_sizes", [4], [4.5]),
        ("hidden_layer_sizes", np.array([4]), np.array([-4])),
        ("alpha", np.float64(0.1), np.float64(-0.1)),
        ("random_state", np.random.RandomState(0), np.random.default_rng(0)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_values_that_may_change_are_checked_each_time(name, valid, invalid, checks):
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, name: valid})
    for _ in range(2):
        model.fit(X, y)
    assert len(checks) == 2
    with pytest.raises(ValueError, match=name):
        model.set_params(**{name: invalid}).fit(X, y)


def test_a_list_that_is_changed_in_place():
    X, y = data.iris()
    sizes = [4]
    model = BPClassifier(**{**PARAMS, "hidden_layer_sizes": sizes}).fit(X, y)
    sizes[0] = -4
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        model.fit(X, y)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(parameter_checks, "MAX_REMEMBERED", 3)
    X, y = data.iris()
    for alpha in range(8):
        BPClassifier(**{**PARAMS, "alpha": alpha}).fit(X, y)
        assert 1 <= len(parameter_checks._valid) <= 3
    with pytest.raises(InvalidParameterError, match="alpha"):
        BPClassifier(**{**PARAMS, "alpha": -1}).fit(X, y)
