"""Ensembles: members that are single fits to the bit, averaged; and the manners of scikit-learn's."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import BPClassifier, BPEnsembleClassifier, BPEnsembleRegressor, BPRegressor
from fastbp.ensembles.samples import draws
from fastbp.estimators import shared_checks

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_R, Y_R = load_diabetes(return_X_y=True)
SMALL = BPClassifier((6,), max_iter=30, learning_rate_init=0.05)
SMALL_R = BPRegressor((6,), max_iter=30, learning_rate_init=0.05, target_scaling="standard")
NORMAL = BPRegressor((6,), max_iter=30, learning_rate_init=0.05, loss="gaussian_nll")
CHECKED = {"max_iter": 200, "learning_rate_init": 0.02, "solver": "lbfgs"}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@parametrize_with_checks(
    [
        BPEnsembleClassifier(BPClassifier((8,), **CHECKED), n_estimators=2),
        BPEnsembleRegressor(BPRegressor((8,), **CHECKED), n_estimators=2),
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)


def same(one, other) -> bool:
    return all(np.array_equal(W, V) for W, V in zip(one.coefs_, other.coefs_, strict=True))


@pytest.mark.parametrize("n_jobs", [1, 2, None])
def test_members_are_single_fits(n_jobs):
    model = BPEnsembleClassifier(SMALL, n_estimators=3, random_state=0, n_jobs=n_jobs).fit(X, Y)
    assert len({member.random_state for member in model.estimators_}) == 3
    for member in model.estimators_:
        assert same(member, clone(member).fit(X, Y))
    mean = np.mean([member.predict_proba(X) for member in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), mean, rtol=1e-13)
    np.testing.assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(mean), rtol=1e-10)
    assert model.predict_members(X).shape == (3, len(X))


def test_rows_are_checked_once_for_all_members(monkeypatch):
    calls = []
    check = shared_checks.check_rows
    monkeypatch.setattr(shared_checks, "check_rows", lambda *args: (calls.append(1), check(*args))[1])
    BPEnsembleClassifier(SMALL, n_estimators=4, random_state=0).fit(X, Y)
    assert len(calls) == 1


def test_bootstrap_weighs_rows_by_their_draws():
    weight = np.linspace(1, 2, len(X))
    model = BPEnsembleClassifier(SMALL, n_estimators=2, bootstrap=True, random_state=0).fit(X, Y, weight)
    for member, seed in zip(model.estimators_, model._sample_seeds, strict=True):
        counts = draws(seed, len(X), len(X), bootstrap=True)
        assert counts.sum() == len(X) and (counts == 0).any()
        assert same(member, clone(member).fit(X, Y, counts * weight))


@pytest.mark.parametrize("max_samples", [0.5, 75])
def test_max_samples_without_bootstrap_draws_each_row_at_most_once(max_samples):
    model = BPEnsembleClassifier(SMALL, n_estimators=2, max_samples=max_samples, random_state=0).fit(X, Y)
    for member, seed in zip(model.estimators_, model._sample_seeds, strict=True):
        counts = draws(seed, len(X), 75, bootstrap=False)
        assert counts.sum() == 75 and counts.max() == 1
        assert same(member, clone(member).fit(X, Y, counts))


def test_out_of_bag_score():
    model = BPEnsembleClassifier(SMALL, n_estimators=25, bootstrap=True, oob_score=True, random_state=0)
    model.fit(X, Y)
    votes, n_votes = np.zeros((len(X), 3)), np.zeros(len(X))
    for member, seed in zip(model.estimators_, model._sample_seeds, strict=True):
        unseen = draws(seed, len(X), len(X), bootstrap=True) == 0
        votes[unseen] += member.predict_proba(X[unseen])
        n_votes += unseen
    assert n_votes.min() > 0
    np.testing.assert_allclose(model.oob_decision_function_, votes / n_votes[:, None], rtol=1e-12)
    assert model.oob_score_ == accuracy_score(Y, votes.argmax(axis=1)) > 0.9
    with pytest.raises(ValueError, match="bootstrap=True"):
        BPEnsembleClassifier(SMALL, oob_score=True).fit(X, Y)


def test_rows_that_all_members_have_seen_have_no_out_of_bag_prediction():
    model = BPEnsembleRegressor(SMALL_R, n_estimators=2, bootstrap=True, oob_score=True, random_state=0)
    with pytest.warns(UserWarning, match="no out-of-bag prediction"):
        model.fit(X_R, Y_R)
    assert 0 < np.isnan(model.oob_prediction_).sum() < len(X_R) and np.isfinite(model.oob_score_)


def test_spread_of_the_members():
    model = BPEnsembleRegressor(SMALL_R, n_estimators=4, random_state=0).fit(X_R, Y_R)
    members = model.predict_members(X_R)
    mean, std = model.predict(X_R, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(X_R))
    np.testing.assert_allclose(mean, members.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, members.std(axis=0), rtol=1e-12)
    assert not hasattr(model, "predict_interval")


def test_mixture_of_normal_distributions():
    model = BPEnsembleRegressor(NORMAL, n_estimators=4, random_state=0).fit(X_R, Y_R)
    found = [member.predict(X_R, return_std=True) for member in model.estimators_]
    means, stds = (np.stack(part) for part in zip(*found, strict=True))
    mean, std = model.predict(X_R, return_std=True)
    np.testing.assert_allclose(mean, means.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std**2, (stds**2 + means**2).mean(axis=0) - means.mean(axis=0) ** 2, rtol=1e-8)
    low, high = model.predict_interval(X_R, coverage=0.9).T
    np.testing.assert_allclose(high - low, 2 * 1.6448536269514722 * std, rtol=1e-10)
    assert 0.8 < ((low < Y_R) & (high > Y_R)).mean() <= 1
    with pytest.raises(ValueError, match="coverage"):
        model.predict_interval(X_R, coverage=1.5)


def test_losses_without_probabilities_average_decision_functions():
    model = BPEnsembleClassifier(clone(SMALL).set_params(loss="hinge"), n_estimators=3, random_state=0)
    model.fit(X, Y == 1)
    assert not hasattr(model, "predict_proba")
    mean = np.mean([member.decision_function(X) for member in model.estimators_], axis=0)
    np.testing.assert_allclose(model.decision_function(X), mean, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), mean > 0)


def test_multilabel_and_several_targets():
    X_m, Y_m = make_multilabel_classification(100, 8, n_classes=3, random_state=0)
    model = BPEnsembleClassifier(SMALL, n_estimators=3, bootstrap=True, oob_score=True, random_state=0)
    model.set_params(n_estimators=25).fit(X_m, Y_m)
    np.testing.assert_array_equal(model.predict(X_m), model.predict_proba(X_m) > 0.5)
    assert model.oob_decision_function_.shape == Y_m.shape
    both = np.column_stack([Y_R, -Y_R])
    mean, std = BPEnsembleRegressor(NORMAL, n_estimators=2, random_state=0).fit(X_R, both).predict(X_R, True)
    assert mean.shape == std.shape == both.shape


def test_warm_start_adds_members():
    model = BPEnsembleClassifier(SMALL, n_estimators=2, random_state=0, warm_start=True, bootstrap=True)
    first = model.fit(X, Y).estimators_
    model.set_params(n_estimators=4).fit(X, Y)
    assert model.estimators_[:2] == first
    whole = BPEnsembleClassifier(SMALL, n_estimators=4, random_state=0, bootstrap=True).fit(X, Y)
    assert all(same(one, other) for one, other in zip(model.estimators_, whole.estimators_, strict=True))
    with pytest.warns(UserWarning, match="without increasing"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="n_estimators=1"):
        model.set_params(n_estimators=1).fit(X, Y)


def test_partial_fit_trains_each_member_for_an_epoch():
    model = BPEnsembleClassifier(SMALL, n_estimators=2, random_state=0)
    for _ in range(3):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    alone = clone(model.estimators_[1])
    for _ in range(3):
        alone.partial_fit(X, Y, classes=[0, 1, 2])
    assert same(alone, model.estimators_[1]) and len(model.estimators_[1].loss_curve_) == 3
    before, curve = model.estimators_, list(model.estimators_[0].loss_curve_)
    with pytest.raises(ValueError):
        model.partial_fit(X, np.full(len(Y), 7))
    assert model.estimators_ is before and model.estimators_[0].loss_curve_ == curve
    assert not hasattr(BPEnsembleClassifier(BPClassifier(solver="lbfgs")), "partial_fit")


def test_a_member_that_fails_is_named_and_the_ensemble_stays_as_it_was():
    model = BPEnsembleRegressor(SMALL_R, n_estimators=2, random_state=0).fit(X_R, Y_R)
    before = model.estimators_
    model.set_params(estimator=BPRegressor(solver="sgd", learning_rate_init=1e30, max_iter=5))
    with pytest.raises(ValueError, match=r"^Member 0 of the ensemble: .*non-finite"):
        model.fit(X_R, Y_R)
    assert model.estimators_ is before
    for wrong, message in ((BPClassifier(), "must be a BPRegressor"), ("net", "estimator")):
        with pytest.raises((TypeError, ValueError), match=message):
            BPEnsembleRegressor(wrong).fit(X_R, Y_R)


def test_early_stopping_on_given_rows():
    stopping = clone(SMALL).set_params(early_stopping=True)
    model = BPEnsembleClassifier(stopping, n_estimators=2, random_state=0)
    model.fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    one = model.estimators_[0]
    assert same(one, clone(one).fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2]))


def test_sparse_rows_pickles_and_lists():
    model = BPEnsembleClassifier(SMALL, n_estimators=2, random_state=0).fit(scipy.sparse.csr_matrix(X), Y)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(scipy.sparse.csr_matrix(X)))
    np.testing.assert_array_equal(model.predict(X[:5].tolist()), model.predict(X[:5]))


def test_in_a_search():
    model = make_pipeline(StandardScaler(), BPEnsembleClassifier(SMALL, n_estimators=2, random_state=0))
    grid = {"bpensembleclassifier__estimator__alpha": [1e-4, 1.0]}
    assert GridSearchCV(model, grid, cv=2).fit(X, Y).best_score_ > 0.9
