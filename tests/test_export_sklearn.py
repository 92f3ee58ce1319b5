"""Networks as scikit-learn's and back: equal predictions, and training that goes on alike."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastbp import Activation, BPClassifier, BPRegressor, from_sklearn

rng = np.random.RandomState(0)
X = rng.normal(size=(60, 4))
LABELS = {
    "binary": np.array(["no", "yes"])[rng.randint(0, 2, 60)],
    "multiclass": rng.randint(0, 3, 60) * 10,
    "multilabel": rng.randint(0, 2, (60, 3)),
    "sparse": sparse.csr_matrix(rng.randint(0, 2, (60, 3))),
}
SMALL = {"hidden_layer_sizes": (5, 3), "max_iter": 3, "random_state": 0, "activation": "tanh"}


def dense(labels):
    return labels.toarray() if sparse.issparse(labels) else labels


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classifiers(kind, dtype):
    rows = X.astype(dtype)
    theirs = MLPClassifier(**SMALL).fit(rows, LABELS[kind])
    ours = from_sklearn(theirs)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    assert isinstance(ours, BPClassifier)
    assert ours.get_params() == BPClassifier(**theirs.get_params()).get_params()
    assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), tolerance)
    assert ours.predict_proba(rows).dtype == dtype
    back = ours.to_sklearn()
    for model in (ours, back, pickle.loads(pickle.dumps(ours))):
        assert type(model.predict(rows)) is type(theirs.predict(rows))
        assert_array_equal(dense(model.predict(rows)), dense(theirs.predict(rows)))
        assert_array_equal(model.classes_, theirs.classes_)
    assert_array_equal(back.predict_proba(rows), theirs.predict_proba(rows))
    assert back.get_params() == theirs.get_params()
    assert back.score(rows, LABELS[kind]) == theirs.score(rows, LABELS[kind])
    ours.coefs_[0][:] = 0  # its own
    assert theirs.coefs_[0].any() and back.coefs_[0].any()


@pytest.mark.parametrize("targets", [X[:, 0], X[:, :2], np.exp(X[:, 1])])
def test_regressors(targets):
    loss = "poisson" if targets.min() > 0 else "squared_error"
    theirs = MLPRegressor(loss=loss, **SMALL).fit(X, targets)
    ours = from_sklearn(theirs)
    assert isinstance(ours, BPRegressor) and ours.loss == loss
    assert_allclose(ours.predict(X), theirs.predict(X), 1e-12)
    assert_array_equal(ours.to_sklearn().predict(X), theirs.predict(X))
    assert (ours.n_iter_, ours.t_, ours.loss_curve_) == (3, 180, theirs.loss_curve_)


SOLVERS = [
    {"solver": "adam", "beta_1": 0.7},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "momentum": 0.8, "learning_rate": "invscaling"},
    {"solver": "sgd", "momentum": 0.8, "nesterovs_momentum": False},
]


@pytest.mark.parametrize("params", SOLVERS)
def test_partial_fit_goes_on_alike(params):
    """Without shuffling, both make the same steps."""
    y = LABELS["multiclass"]
    params = {**SMALL, **params, "shuffle": False, "batch_size": 20, "learning_rate_init": 0.05}
    theirs = MLPClassifier(**params)
    for _ in range(3):
        theirs.partial_fit(X, y, classes=[0, 10, 20])
    ours = from_sklearn(theirs)
    back = ours.to_sklearn()
    before = ours.predict_proba(X)
    for _ in range(2):
        theirs.partial_fit(X, y)
        back.partial_fit(X, y)
        ours.partial_fit(X, y)
    assert np.abs(ours.predict_proba(X) - before).max() > 1e-4
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), 1e-9)
    assert_allclose(back.predict_proba(X), theirs.predict_proba(X), 1e-12)
    again = ours.to_sklearn().partial_fit(X, y)
    assert_allclose(again.predict_proba(X), theirs.partial_fit(X, y).predict_proba(X), 1e-9)


def test_warm_start_goes_on():
    theirs = MLPRegressor(**SMALL, warm_start=True).fit(X, X[:, 0])
    ours = from_sklearn(theirs)
    first = theirs.coefs_[0].copy()
    ours.fit(X, X[:, 0])
    assert 0 < np.abs(ours.coefs_[0] - first).max() < 0.05
    assert_array_equal(theirs.coefs_[0], first)
    assert len(ours.loss_curve_) == 6 and len(theirs.loss_curve_) == 3


def test_early_stopping_and_lbfgs():
    theirs = MLPClassifier(**SMALL, early_stopping=True, validation_fraction=0.3).fit(X, LABELS["binary"])
    ours = from_sklearn(theirs)
    assert ours.best_validation_score_ == theirs.best_validation_score_
    assert ours.to_sklearn().validation_scores_ == theirs.validation_scores_
    theirs = MLPRegressor(**SMALL, solver="lbfgs").fit(X, X[:, 0])
    assert_allclose(from_sklearn(theirs).predict(X), theirs.predict(X), 1e-12)


def test_not_fitted():
    theirs = MLPClassifier((7,), alpha=0.3, solver="sgd", random_state=np.random.RandomState(3))
    ours = from_sklearn(theirs)
    assert not hasattr(ours, "coefs_") and (ours.alpha, ours.solver) == (0.3, "sgd")
    assert ours.random_state is not theirs.random_state
    back = ours.to_sklearn()
    assert not hasattr(back, "coefs_") and back.alpha == 0.3
    clone(ours).fit(X, LABELS["binary"])


def test_names_of_features():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcd"))
    theirs = MLPRegressor(**SMALL).fit(table, X[:, 0])
    ours = from_sklearn(theirs)
    assert_array_equal(ours.feature_names_in_, list("abcd"))
    assert_allclose(ours.to_sklearn().predict(table), theirs.predict(table), 1e-12)


@pytest.mark.parametrize(
    "params",
    [
        {"activation": "gelu"},
        {"activation": ["tanh", "relu"]},
        {"norm": "layer"},
        {"residual": True},
        {"input_scaling": "robust"},
        {"learn_input_scales": True},
        {"parametric_activation": True},
        {"loss": "hinge"},
        {"out_activation": "softmax"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_what_scikit_learn_cannot_compute_is_named(params):
    model = BPClassifier(**{**SMALL, **params}).fit(X, LABELS["binary"])
    with pytest.raises(ValueError, match=f"^{next(iter(params))}=|^out_activation"):
        model.to_sklearn()


@pytest.mark.parametrize(
    "params",
    [
        {"target_scaling": "standard"},
        {"loss": "gaussian_nll"},
        {"out_activation": "softplus"},
        {"loss": "pinball", "loss_params": {"quantile": [0.2, 0.8]}},
        {"preset": "tabular"},
    ],
)
def test_what_scikit_learn_cannot_compute_of_regressors(params):
    model = BPRegressor(**{**SMALL, **params}).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="has no counterpart in scikit-learn"):
        model.to_sklearn()


LOST = [{"l2": 0.1}, {"solver": "lion"}, {"dropout": [0.1, 0.0]}, {"fit_intercept": False}, {"loss": "focal"}]


@pytest.mark.parametrize("params", LOST, ids=lambda params: next(iter(params)))
def test_what_scikit_learn_cannot_train_with_is_named(params):
    name = next(iter(params))
    with pytest.raises(ValueError, match=f"^{name}="):
        BPClassifier(**SMALL, **params).to_sklearn()
    model = BPClassifier(**SMALL, **params).fit(X, LABELS["multiclass"])
    with pytest.warns(UserWarning, match=f"would not train with {name}="):
        theirs = model.to_sklearn()
    assert_allclose(theirs.predict_proba(X), model.predict_proba(X), 1e-12)


def test_without_effect():
    """Parameters at values that change nothing are no obstacle."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BPClassifier(dropout=[0.0, 0.0], activation=["relu", "relu"], n_jobs=2, dtype="float32").to_sklearn()


def test_only_networks_of_scikit_learn():
    for other in (BPClassifier(), object(), "mlp"):
        with pytest.raises(TypeError, match="from_sklearn takes"):
            from_sklearn(other)


def test_one_class_and_no_hidden_layer():
    theirs = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, ["a"] * 60)
    assert_array_equal(from_sklearn(theirs).predict(X), theirs.predict(X))
    model = BPClassifier((), max_iter=2, random_state=0).fit(X, LABELS["multiclass"])
    assert_allclose(model.to_sklearn().predict_proba(X), model.predict_proba(X), 1e-12)


def test_own_functions_are_named():
    model = BPRegressor(**{**SMALL, "activation": Activation("to_sklearn", np.sin)}).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"^activation=Activation\('to_sklearn'\)"):
        model.to_sklearn()
