"""Halving searches over `max_iter`: resumed fits have the scores of fits that begin again, to the bit."""

import warnings

import numpy as np
import pytest
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from sklearn import model_selection
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp.model_selection as fused
from fastbp import BPClassifier, BPRegressor
from fastbp.estimators.fit_many import FitJob, fit_many
from fastbp.estimators.resumable_fit import ResumableFit
from fastbp.model_selection import resumption
from fastbp.training.minibatch import MinibatchFit

X, y = load_iris(return_X_y=True)
X, y = X[::2], y[::2]
X_REG, y_reg = make_regression(60, 4, random_state=0)
SMALL = {"hidden_layer_sizes": (5,), "random_state": 0, "learning_rate_init": 0.02, "tol": 0}
GRID = {"alpha": [1e-4, 0.1, 1.0], "activation": ["relu", "tanh"]}
RUNGS = {"resource": "max_iter", "min_resources": 2, "max_resources": 9, "factor": 2, "cv": 2}
N_FITS = {2: 12, 4: 6, 8: 4}  # by epochs: 6, 3 and 2 candidates on two folds
FROM_START = sum(n_epochs * n for n_epochs, n in N_FITS.items())
RESUMED = 2 * 12 + 2 * 6 + 4 * 4


def classifier(**parameters):
    return BPClassifier(**{**SMALL, **parameters})


@pytest.fixture
def trained(monkeypatch):
    """The numbers of epochs that fits of the searches have trained themselves."""
    counts = []
    real = MinibatchFit.conclude

    def conclude(self):
        real(self)
        if self.problem.keeps_position or self.resumed is not None:
            counts.append(self.trainer.n_epochs - (0 if self.resumed is None else self.resumed.n_epochs))

    monkeypatch.setattr(MinibatchFit, "conclude", conclude)
    return counts


def compare(estimator, grid=GRID, data=(X, y), fit=None, name="HalvingGridSearchCV", **options):
    """Compare with scikit-learn's search; return the messages of the warnings of both."""
    results, messages = [], []
    for module in (model_selection, fused):
        np.random.seed(0)
        search = getattr(module, name)(clone(estimator), grid, random_state=0, **{**RUNGS, **options})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            search.fit(*data, **(fit or {}))
        messages.append(sorted(str(one.message) for one in caught if one.category is ConvergenceWarning))
        results.append(search.cv_results_)
    plain, ours = results
    assert list(plain) == list(ours)
    for key, values in plain.items():
        if not key.endswith("_time"):
            np.testing.assert_array_equal(values, ours[key], err_msg=key)
    assert messages[0] == messages[1]
    return ours


RESUMING = {
    "adam": classifier(),
    "sgd": classifier(solver="sgd", momentum=0.8),
    "invscaling": classifier(solver="sgd", learning_rate="invscaling"),
    "adaptive": classifier(solver="sgd", learning_rate="adaptive", tol=0.05, n_iter_no_change=1),
    "plateau": classifier(schedule="plateau", tol=0.05, n_iter_no_change=1),
    "constant": classifier(schedule="constant"),
    "early stopping": classifier(early_stopping=True, validation_fraction=0.3),
    "early stopping on the loss": classifier(early_stopping=True, scoring="loss"),
    "early stopping on a score": classifier(early_stopping=True, scoring="f1_macro"),
    "mean of weights": classifier(average="ema"),
    "noise": classifier(dropout=0.3, input_noise=0.1, batch_size=16),
    "norm": classifier(norm="batch", batch_size=16),
    "float32": classifier(dtype="float32"),
    "class weights": classifier(class_weight="balanced"),
}


@pytest.mark.parametrize("name", RESUMING)
def test_resumes(name, trained):
    results = compare(RESUMING[name])
    assert len(trained) == sum(N_FITS.values())
    assert sum(trained) == RESUMED < FROM_START
    assert sorted(set(results["n_resources"])) == [2, 4, 8]


def test_pipeline(trained):
    grid = {"bpclassifier__alpha": [1e-4, 0.1, 1.0], "standardscaler__with_mean": [True, False]}
    compare(make_pipeline(StandardScaler(), classifier()), grid, resource="bpclassifier__max_iter")
    assert sum(trained) == RESUMED


def test_regressor_with_weights(trained):
    network = BPRegressor(**SMALL, target_scaling="standard")
    weights = np.random.RandomState(0).uniform(0.5, 2, len(y_reg))
    compare(network, data=(X_REG, y_reg), fit={"sample_weight": weights}, return_train_score=True)
    assert sum(trained) == RESUMED


def test_random_search(trained):
    compare(classifier(), name="HalvingRandomSearchCV", n_candidates=6)
    assert sum(trained) == RESUMED


def test_repeated_iterations(trained):
    """With aggressive elimination, several iterations have equal resources."""
    results = compare(classifier(), aggressive_elimination=True, max_resources=4)
    assert list(results["n_resources"]).count(2) > 6
    assert 0 in trained


def test_converged_fits_train_no_more(trained):
    compare(classifier(tol=10.0, n_iter_no_change=2), min_resources=4, max_resources=16)
    assert set(trained[:12]) == {3}
    assert set(trained[12:]) == {0}


BEGINNING_AGAIN = {
    "cosine": classifier(schedule="cosine"),
    "mean after a share": classifier(average="swa"),
    "lbfgs": classifier(solver="lbfgs"),
    "no seed": classifier(random_state=None),
    "warm start": classifier(warm_start=True),
}


@pytest.mark.parametrize("name", BEGINNING_AGAIN)
def test_begins_again(name, trained):
    compare(BEGINNING_AGAIN[name], refit=False)
    if name == "no seed":
        assert sum(trained) == FROM_START  # the start is another one
    else:
        assert trained == []


def test_failed_fits(trained):
    grid = {"learning_rate_init": [1e-3, 1e-2, 1e-1, 1e200], "alpha": [1e-4, 0.1]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = compare(classifier(solver="sgd"), grid, factor=1.2, max_resources=4)
    failed = np.isnan(results["mean_test_score"])
    assert failed.any() and not failed.all()
    assert sum(trained) > 0


class Shifted(TransformerMixin, BaseEstimator):
    """Other rows at each fit."""

    n_fits = 0

    def fit(self, X, y=None):
        Shifted.n_fits += 1
        self.shift_ = Shifted.n_fits
        return self

    def transform(self, X):
        return X + self.shift_


def test_other_rows_begin_again(trained):
    chain = make_pipeline(Shifted(), classifier())
    grid = {f"bpclassifier__{name}": values for name, values in GRID.items()}
    options = {**RUNGS, "resource": "bpclassifier__max_iter", "refit": False}
    fused.HalvingGridSearchCV(chain, grid, **options).fit(X, y)
    assert sum(trained) == FROM_START


def test_states_are_bounded(trained, monkeypatch):
    monkeypatch.setattr(resumption, "MAX_BYTES", 5000)
    compare(classifier())
    assert RESUMED < sum(trained) < FROM_START


def test_a_fit_with_more_epochs_resumes():
    """All attributes are those of a fit that begins again."""
    parameters = {**SMALL, "early_stopping": True, "tol": 1e-3}
    kept = ResumableFit()
    for n_epochs in (3, 7, 7, 20):
        before = kept.n_resumed
        (ours,) = fit_many([FitJob(BPClassifier(**parameters, max_iter=n_epochs), X, y, {}, kept)])
        plain = BPClassifier(**parameters, max_iter=n_epochs).fit(X, y)
        assert kept.n_resumed >= before
        for name in ("n_iter_", "t_", "loss_curve_", "validation_scores_", "best_validation_score_"):
            assert getattr(ours, name) == getattr(plain, name)
        for one, other in zip(ours.coefs_, plain.coefs_, strict=True):
            np.testing.assert_array_equal(one, other)
    assert kept.n_resumed == 7
    fit_many([FitJob(BPClassifier(**parameters, max_iter=5), X, y, {}, kept)])
    assert kept.n_resumed == 0  # it had more epochs
    fit_many([FitJob(BPClassifier(**parameters, max_iter=9), X[1:], y[1:], {}, kept)])
    assert kept.n_resumed == 0  # of other rows
