"""The training doctor's findings: each illness is made and found, and its healthy counterpart is not."""

import json
from dataclasses import asdict
from functools import cache

import data
import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier, BPRegressor
from fastbp.diagnosis import diagnose
from fastbp.diagnosis.registry import CHECKS

GOOD = {"batch_size": 16, "learning_rate_init": 0.01, "random_state": 0}
STOPPED = {**GOOD, "early_stopping": True, "scoring": "loss", "max_iter": 60}


def classifier(sizes=(16,), **changes):
    return BPClassifier(sizes, **{**STOPPED, **changes})


def regressor(sizes=(16,), **changes):
    return BPRegressor(sizes, **{**STOPPED, **changes})


@cache
def two_classes(n=200):
    """Rows of five columns, of which two tell the class, nearly always."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, 5))
    return X, (X[:, 0] + X[:, 1] + 0.3 * rng.normal(size=n) > 0).astype(int)


@cache
def values(n=200):
    """Rows of five columns, and a smooth target of unit scale."""
    rng = np.random.RandomState(1)
    X = rng.normal(size=(n, 5))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] * 0.5 + 0.1 * rng.normal(size=n)


def changed(column=None, to=None, row=slice(None)):
    X, y = two_classes()
    X = X.copy()
    if column is not None:
        X[row, column] = to(X) if callable(to) else to
    return X, y


# --- Data


def missing_values():
    return classifier(), *changed(1, np.nan, row=[3, 7])


def words():
    """Few values of about 1 in each column, as of words in documents."""
    rng = np.random.RandomState(0)
    X = sparse.random_array((300, 400), density=0.003, random_state=rng, format="csr")
    X.data[:] = rng.uniform(0.3, 1, len(X.data))
    return classifier(), X, np.arange(300) % 2


def unscaled_inputs():
    return classifier(), 100 * two_classes()[0], two_classes()[1]


def negligible_column():
    return classifier(), *changed(2, lambda X: 1e-5 * X[:, 2])


def small_inputs():
    return classifier(), two_classes()[0] / 1000, two_classes()[1]


def outliers():
    return classifier(), *changed(0, 1e3, row=7)


def dense_zeros():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 250)) * (rng.uniform(size=(60, 250)) < 0.02)
    return classifier(), X, np.arange(60) % 2


def full_sparse_rows():
    X, y = two_classes()
    return classifier(), sparse.csr_matrix(X), y


def constant_columns():
    return classifier(), *changed(4, 2.5)


def duplicate_columns():
    return classifier(), *changed(4, lambda X: 3 * X[:, 0] + 1)


def leakage():
    return classifier(), *changed(3, lambda X: 2.0 * two_classes()[1] + 1)


def leaked_values():
    X, y = values()
    X = X.copy()
    X[:, 3] = np.exp(y)
    return regressor(), X, y


def duplicate_rows():
    X, y = two_classes()
    return classifier(), np.vstack([X, X[:50]]), np.append(y, y[:50])


def conflicting_rows():
    X, y = two_classes()
    return classifier(), np.vstack([X, X[:50]]), np.append(y, 1 - y[:50])


def conflicting_values():
    X, y = values()
    return regressor(), np.vstack([X, X[:50]]), np.append(y, y[:50] + 1)


def shared_rows():
    X, y = two_classes()
    return classifier(), X, y, X[150:], y[150:]


def duplicate_sparse_rows():
    model, X, y = duplicate_rows()
    return model, sparse.csr_array(np.where(X < 0, 0, X)), y


def shared_sparse_rows():
    model, X, y, X_val, y_val = shared_rows()
    return model, sparse.csr_array(X), y, sparse.csr_array(X_val), y_val


def missing_targets():
    X, y = values()
    return regressor(), X, np.where(np.arange(200) < 3, np.nan, y)


def constant_target():
    return classifier(), two_classes()[0], np.zeros(200)


def rare_classes():
    X, y = two_classes()
    return classifier(), X, np.where(np.arange(200) < 4, 2, y)


def unscaled_targets():
    X, y = values()
    return regressor(), X, 5000 * y


def far_targets():
    X, y = values()
    return regressor(), X, 2000 + y


# --- The start


def initial_loss():
    X, y = values()
    return regressor(), X, 30 + y


def one_batch():
    return classifier(init="zeros"), *two_classes()


# --- Units and layers


def dead_units():
    X, y = two_classes()
    model = classifier(max_iter=5).fit(X, y)
    model.intercepts_[0][:10] = -1e3
    return model, X, y


def saturated_units():
    X, y = two_classes()
    return classifier(activation="tanh", init="normal"), 30 * X, y


def duplicate_units():
    return classifier((8, 8), activation="logistic", init="zeros"), *two_classes()


def vanishing_signals():
    return classifier((16,) * 8, activation="logistic"), *two_classes()


def exploding_signals():
    return classifier((60,) * 6, init="normal"), *two_classes()


def large_steps():
    return classifier(learning_rate_init=3.0), *two_classes()


def small_steps():
    return classifier(solver="sgd", learning_rate_init=1e-6), *two_classes()


# --- Learning rates and curves


def learning_rate_low():
    return classifier(learning_rate_init=1e-5, early_stopping=False, scoring=None), *two_classes()


def learning_rate_high():
    return regressor((32,), learning_rate_init=3.0, early_stopping=False, scoring=None), *values()


def divergence():
    X, y = values()
    return regressor(solver="sgd", learning_rate_init=100.0), 10 * X, y


def oscillating_loss():
    X, y = values()
    params = {**GOOD, "learning_rate_init": 0.5, "batch_size": 8}
    return BPRegressor((32,), solver="sgd", momentum=0.0, max_iter=40, tol=0, **params), X, y


def plateau():
    X, y = data.iris()
    model = BPClassifier(
        (16, 16, 16),
        activation="logistic",
        solver="sgd",
        learning_rate_init=0.01,
        batch_size=8,
        max_iter=40,
        tol=0,
        random_state=0,
    )
    return model, X, y


def overfitting():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(120, 20))
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(int)
    return BPClassifier((64,), **GOOD, max_iter=60), X, y


def early_stop():
    X, y = data.digits()
    return BPClassifier((16,), early_stopping=True, n_iter_no_change=2, random_state=0), X[:400], y[:400]


def max_iter_reached():
    return BPClassifier((16,), batch_size=50, max_iter=10, random_state=0), *two_classes()


def underfitting():
    X, y = datasets.make_moons(300, noise=0.1, random_state=0)
    X = StandardScaler().fit_transform(X)
    return classifier((), max_iter=100), X, (y + (X[:, 0] > 1)) % 2


def large_batches():
    return BPClassifier((16,), max_iter=30, batch_size=160, random_state=0), *two_classes()


# --- Predictions


def no_better_than_guessing():
    X, y = two_classes()
    return classifier(), X, np.random.RandomState(4).permutation(y)


def no_better_than_the_mean():
    X, y = values()
    return regressor(), X, np.random.RandomState(4).permutation(y)


def calibration():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(250, 10))
    y = (X[:, 0] + rng.normal(size=250) > 0).astype(int)
    return BPClassifier((64,), **GOOD, max_iter=80), X, y


def narrow_intervals():
    return BPRegressor((64, 64), loss="gaussian_nll", alpha=0, **GOOD, max_iter=100), *values(300)


def class_bias():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 4))
    y = (X[:, 0] + rng.normal(size=200) > 1.5).astype(int)
    return classifier(class_weight="balanced"), X, y


def hardly_predicted():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 4))
    return classifier(()), X, (X[:, 0] + 2 * rng.normal(size=400) > 3.5).astype(int)


def most_wrong():
    return classifier(), *two_classes()


def suspicious_labels():
    X, y = data.digits()
    X, y = X[:600], y[:600].copy()
    y[:60] = (y[:60] + 1) % 10
    return classifier((32,), batch_size=32), X, y


ILL = {
    "missing_values": [missing_values],
    "unscaled_inputs": [unscaled_inputs, negligible_column, small_inputs],
    "outliers": [outliers],
    "sparsity": [dense_zeros, full_sparse_rows],
    "constant_columns": [constant_columns],
    "duplicate_columns": [duplicate_columns],
    "leakage": [leakage, leaked_values],
    "duplicate_rows": [duplicate_rows, duplicate_sparse_rows],
    "conflicting_rows": [conflicting_rows, conflicting_values],
    "shared_rows": [shared_rows, shared_sparse_rows],
    "missing_targets": [missing_targets],
    "constant_target": [constant_target],
    "rare_classes": [rare_classes],
    "unscaled_targets": [unscaled_targets, far_targets],
    "initial_loss": [initial_loss],
    "one_batch": [one_batch],
    "dead_units": [dead_units],
    "saturated_units": [saturated_units],
    "duplicate_units": [duplicate_units],
    "vanishing_signals": [vanishing_signals],
    "exploding_signals": [exploding_signals],
    "update_ratio": [large_steps, small_steps],
    "learning_rate_low": [learning_rate_low],
    "learning_rate_high": [learning_rate_high],
    "divergence": [divergence],
    "oscillating_loss": [oscillating_loss],
    "plateau": [plateau],
    "overfitting": [overfitting],
    "early_stop": [early_stop],
    "max_iter_reached": [max_iter_reached],
    "underfitting": [underfitting],
    "large_batches": [large_batches],
    "no_better_than_guessing": [no_better_than_guessing, no_better_than_the_mean],
    "calibration": [calibration, narrow_intervals],
    "class_bias": [class_bias, hardly_predicted],
    "most_wrong": [most_wrong],
    "suspicious_labels": [suspicious_labels],
}
CASES = [pytest.param(code, make, id=f"{code}-{make.__name__}") for code in ILL for make in ILL[code]]


@pytest.mark.parametrize(("code", "make"), CASES)
def test_the_illness_is_found(code, make):
    report = diagnose(*make(), only=[code])
    finding = report[code]
    assert finding is not None, report.skipped or "nothing found"
    assert finding.code == code
    assert np.isfinite(finding.value) and finding.message and finding.remedy
    json.dumps(asdict(finding))  # plain values, for programs


def test_every_check_has_its_illness():
    assert ILL.keys() == CHECKS.keys()


# --- Healthy counterparts


def good_classifier():
    return classifier(), *two_classes()


def good_regressor():
    return regressor(), *values()


def all_epochs(sizes=(16,), **changes):
    return BPClassifier(sizes, **{**GOOD, "max_iter": 40, **changes}), *two_classes()


def deep():
    return classifier((16,) * 8, init="he"), *two_classes()


def tanh():
    return classifier((16, 16), activation="tanh"), *two_classes()


def other_rows():
    X, y = two_classes()
    return classifier(), X[:150], y[:150], X[150:], y[150:]


def sparse_rows():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 250)) * (rng.uniform(size=(60, 250)) < 0.02)
    return classifier(), sparse.csr_matrix(X), np.arange(60) % 2


def categories():
    """The two columns of one category are mirrors, not copies; repeated values do not contradict."""
    X, y = two_classes()
    level = (X[:, 2] > 0).astype(float)
    return classifier(), np.column_stack([X, level, 1 - level]), y


def raw_pixels():
    X, y = data.digits()
    return classifier((32,), batch_size=32), 16 * X[:300], y[:300]


def scaled_by_the_network():
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return classifier(), StandardScaler().fit_transform(X)[::3], y[::3]


def petals():
    """One column nearly tells the class."""
    return classifier(), *data.iris()


def scaled_targets():
    X, y = values()
    return regressor(), X, 5 * y


def imbalanced():
    X, y = datasets.make_classification(300, 6, weights=[0.8], flip_y=0, random_state=0)
    return classifier(), X, y


def fitted_classifier():
    X, y = two_classes()
    return classifier().fit(X, y), X, y


def good_intervals():
    return regressor((16,), loss="gaussian_nll", alpha=0.1), *values(300)


def overlapping_classes():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 4))
    return classifier(batch_size=32), X, (2 * X[:, 0] + rng.normal(size=300) > 0).astype(int)


HEALTHY = {
    "unscaled_inputs": [good_classifier, raw_pixels, words],
    "constant_target": [good_classifier, good_regressor],
    "outliers": [good_regressor, scaled_by_the_network],
    "sparsity": [sparse_rows, good_classifier],
    "duplicate_columns": [categories],
    "duplicate_rows": [categories],
    "conflicting_rows": [categories, good_regressor],
    "leakage": [petals, good_regressor],
    "shared_rows": [other_rows],
    "missing_targets": [good_regressor],
    "rare_classes": [imbalanced],
    "unscaled_targets": [scaled_targets],
    "initial_loss": [good_classifier, good_regressor],
    "one_batch": [good_classifier, good_regressor],
    "dead_units": [fitted_classifier, raw_pixels],
    "saturated_units": [tanh],
    "duplicate_units": [deep, fitted_classifier],
    "vanishing_signals": [deep],
    "exploding_signals": [deep],
    "learning_rate_low": [good_classifier, good_regressor],
    "learning_rate_high": [good_classifier, good_regressor],
    "oscillating_loss": [all_epochs, fitted_classifier],
    "plateau": [all_epochs],
    "overfitting": [good_classifier, good_regressor, other_rows],
    "max_iter_reached": [all_epochs],
    "underfitting": [good_classifier, overlapping_classes],
    "large_batches": [good_classifier],
    "no_better_than_guessing": [overlapping_classes, good_regressor],
    "calibration": [overlapping_classes, good_intervals],
    "class_bias": [imbalanced],
    "suspicious_labels": [overlapping_classes],
}
WELL = [
    pytest.param(code, make, id=f"{code}-{make.__name__}")
    for code in CHECKS
    if code != "most_wrong"  # a list, of any network
    for make in HEALTHY.get(code, [good_classifier])
]


@pytest.mark.parametrize(("code", "make"), WELL)
def test_the_healthy_are_left_alone(code, make):
    report = diagnose(*make(), only=[code])
    assert code in report.checked, report.skipped
    found = report[code]
    assert found is None or (found.severity == "info" and code == "suspicious_labels"), found


# --- Whole fits


def friedman():
    X, y = datasets.make_friedman1(300, random_state=0)
    return X, (y - y.mean()) / y.std()


def of(load, Estimator, step=1, **changes):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    if Estimator is BPRegressor:
        y = (y - y.mean()) / y.std()
    return Estimator((32,), **{**STOPPED, **changes}), X[::step], y[::step]


FITS = {
    "digits": lambda: (classifier((64,), batch_size=32), *data.digits()),
    "digits-tanh": lambda: (
        classifier((32, 32), activation="tanh"),
        data.digits()[0][:900],
        data.digits()[1][:900],
    ),
    "breast_cancer": lambda: of(datasets.load_breast_cancer, BPClassifier),
    "breast_cancer-sgd": lambda: of(datasets.load_breast_cancer, BPClassifier, solver="sgd"),
    "wine": lambda: of(datasets.load_wine, BPClassifier),
    "iris": lambda: of(datasets.load_iris, BPClassifier),
    "diabetes": lambda: of(datasets.load_diabetes, BPRegressor),
    "diabetes-dropout": lambda: of(datasets.load_diabetes, BPRegressor, dropout=0.2),
    "friedman": lambda: (regressor((32,)), *friedman()),
    "friedman-silu": lambda: (regressor((32, 32), activation="silu"), *friedman()),
    "moons": lambda: (classifier((32,)), *datasets.make_moons(300, noise=0.2, random_state=0)),
    "overlap": overlapping_classes,
}


@pytest.mark.parametrize("name", FITS)
def test_no_false_alarm(name):
    report = diagnose(*FITS[name]())
    assert report.healthy, str(report)
    assert len(report.checked) > 20, report.skipped
