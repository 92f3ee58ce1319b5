"""The interface of ensembles: parameters, weights of rows, metadata routing, failures, kinds of output."""

import numpy as np
import pytest
import scipy.sparse
from helpers import assert_same_bits
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from fastbp import BPClassifier, BPEnsembleClassifier, BPEnsembleRegressor, BPRegressor

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
X_R, y_r = (part[:120] for part in load_diabetes(return_X_y=True))
SMALL = BPClassifier((5,), max_iter=10, learning_rate_init=0.05)
SMALL_R = BPRegressor((5,), max_iter=10, learning_rate_init=0.05, target_scaling="standard")
BOTH = [
    (BPEnsembleClassifier(SMALL, n_estimators=3, random_state=0), X, y),
    (BPEnsembleRegressor(SMALL_R, n_estimators=3, random_state=0), X_R, y_r),
]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
both = pytest.mark.parametrize("model, rows, target", BOTH, ids=["classifier", "regressor"])


@both
def test_defaults(model, rows, target):
    plain = type(model)()
    assert plain.estimator is None and plain.n_estimators == 8
    assert is_classifier(plain) == is_classifier(model) and is_regressor(plain) == is_regressor(model)
    expected = {"bootstrap": False, "max_samples": None, "oob_score": False, "warm_start": False}
    expected |= {"random_state": None, "n_jobs": None, "device": None, "verbose": 0}
    assert expected.items() <= plain.get_params().items()
    assert "estimator__alpha" in model.get_params() and estimator_html_repr(model)
    with pytest.raises(NotFittedError):
        plain.predict(rows)


@both
def test_weights_of_rows_reach_the_members(model, rows, target):
    weight = np.random.RandomState(1).uniform(0.5, 2, len(target))
    fitted = clone(model).fit(rows, target, sample_weight=weight)
    for member in fitted.estimators_:
        assert_same_bits(member, clone(member).fit(rows, target, sample_weight=weight))


@both
def test_bits_do_not_depend_on_threads(model, rows, target):
    fitted = [clone(model).set_params(bootstrap=True, n_jobs=n).fit(rows, target) for n in (1, 2, None, -1)]
    for other in fitted[1:]:
        for a, b in zip(fitted[0].estimators_, other.estimators_, strict=True):
            assert_same_bits(a, b)


@both
def test_parameters_and_rows_are_left_alone(model, rows, target):
    own = clone(model)
    before = own.estimator.get_params()
    own.fit(rows, target)
    assert own.estimator.get_params() == before and not hasattr(own.estimator, "coefs_")
    assert own.n_features_in_ == rows.shape[1] and not hasattr(own, "feature_names_in_")
    assert len(own.estimators_) == 3


@both
def test_names_of_features(model, rows, target):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows, columns=[f"x{i}" for i in range(rows.shape[1])])
    own = clone(model).fit(frame, target)
    assert list(own.feature_names_in_) == list(frame.columns)
    own.predict(frame)  # a warning is an error
    with pytest.raises(ValueError, match="feature names"):
        own.predict(frame[frame.columns[::-1]])


def diverging(model):
    """The same ensemble of networks whose weights overflow within a few epochs."""
    return clone(model).set_params(estimator__solver="sgd", estimator__learning_rate_init=1e30)


@both
def test_a_first_fit_that_fails_leaves_nothing(model, rows, target):
    own = diverging(model)
    before = set(vars(own))
    with pytest.raises(ValueError, match="non-finite"):
        own.fit(rows, target)
    assert set(vars(own)) == before


@both
def test_a_failure_names_the_member(model, rows, target):
    weight = np.zeros(len(target))
    weight[-1] = 1
    own = clone(model).set_params(bootstrap=True, n_estimators=8)  # some draw rows of no weight only
    with pytest.raises(ValueError, match=r"Member \d of the ensemble: .*non-zero"):
        own.fit(rows, target, sample_weight=weight)
    assert not hasattr(own, "estimators_")


@both
@pytest.mark.parametrize(
    "wrong",
    [
        {"n_estimators": 0},
        {"n_estimators": 2.5},
        {"max_samples": 0.0},
        {"max_samples": 1.5},
        {"max_samples": 10**6},
        {"bootstrap": "yes"},
        {"random_state": "seed"},
        {"device": "tpu"},
        {"n_jobs": "two"},
    ],
    ids=str,
)
def test_wrong_parameters_are_named(model, rows, target, wrong):
    (name,) = wrong
    with pytest.raises((TypeError, ValueError), match=name):
        clone(model).set_params(**wrong).fit(rows, target)


def test_log_probabilities_are_finite_where_probabilities_vanish():
    model = BPEnsembleClassifier(SMALL, n_estimators=3, random_state=0).fit(X, y)
    far = 1e5 * X
    log = model.predict_log_proba(far)
    assert (model.predict_proba(far) == 0).any() and np.isfinite(log).all()
    members = np.stack([member.predict_log_proba(far) for member in model.estimators_])
    np.testing.assert_allclose(log, np.logaddexp.reduce(members, axis=0) - np.log(3), rtol=1e-10)


def test_string_classes_and_members_that_lack_one():
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    names[:2] = "rare"
    model = BPEnsembleClassifier(SMALL, n_estimators=5, bootstrap=True, random_state=0).fit(X, names)
    assert list(model.classes_) == ["rare", "setosa", "versicolor", "virginica"]
    proba = model.predict_proba(X)
    assert proba.shape == (len(X), 4)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert set(model.predict(X)) <= set(model.classes_) and model.score(X, names) > 0.8


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_means_are_taken_on_the_scale_of_the_response(loss):
    network = BPRegressor((5,), loss=loss, max_iter=10)
    model = BPEnsembleRegressor(network, n_estimators=3, random_state=0).fit(X_R, y_r)
    mean = np.mean([member.predict(X_R) for member in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict(X_R), mean, rtol=1e-12)
    assert (model.predict(X_R) > 0).all()


def test_predictions_of_members_are_the_members_predictions():
    model = clone(BOTH[1][0]).fit(X_R, y_r)
    found = model.predict_members(X_R)
    for row, member in zip(found, model.estimators_, strict=True):
        np.testing.assert_array_equal(row, member.predict(X_R))


@both
def test_sparse_rows_are_dense_rows(model, rows, target):
    sparse = scipy.sparse.csr_array(rows)
    fitted = clone(model).set_params(bootstrap=True).fit(sparse, target)
    for a, b in zip(fitted.estimators_, clone(fitted).fit(rows, target).estimators_, strict=True):
        for V, W in zip(a.coefs_, b.coefs_, strict=True):
            np.testing.assert_allclose(V, W, rtol=1e-6, atol=1e-8)


def test_weights_are_routed():
    weight = np.random.RandomState(0).uniform(0.1, 2, len(y))
    with config_context(enable_metadata_routing=True):
        model = BOTH[0][0]
        asks = clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(make_pipeline(asks), X, y, cv=2, params={"sample_weight": weight})
        plain = cross_validate(make_pipeline(clone(model)), X, y, cv=2)
    assert np.isfinite(found["test_score"]).all()
    assert not np.array_equal(found["test_score"], plain["test_score"])


@both
def test_a_seed_repeats_and_a_generator_moves_on(model, rows, target):
    one, other = clone(model).fit(rows, target), clone(model).fit(rows, target)
    assert_same_bits(one.estimators_[2], other.estimators_[2])
    own = clone(model).set_params(random_state=np.random.RandomState(3))
    first, second = ([m.random_state for m in own.fit(rows, target).estimators_] for _ in range(2))
    assert not set(first) & set(second)
