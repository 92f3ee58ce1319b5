"""Scales of inputs and targets, factors of the learning rate, and the preset that puts them together."""

import pickle

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split

from fastbp import BPClassifier, BPRegressor
from fastbp.estimators.scaling import quantiles, robust_scales, standard_scales
from fastbp.presets import parameters
from fastbp.training.float_errors import silent

PARAMS = {"hidden_layer_sizes": (8,), "max_iter": 30, "random_state": 0}


def test_quantiles_of_weighted_rows_are_those_of_repeated_rows():
    rng = np.random.RandomState(0)
    X, weight = rng.normal(size=(50, 3)), rng.randint(0, 4, size=50)
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    assert_array_equal(quantiles(X, weight, shares), quantiles(np.repeat(X, weight, axis=0), None, shares))


def test_robust_scales():
    X = np.array([[1, 0, 7], [2, 0, 7], [3, 0, 7], [4, 0, 7], [1000, 1, 7]], dtype=float)
    # the quartiles of the second column are equal: its whole range counts by half; the third has none
    assert_allclose(silent(robust_scales)(X, None), [[3, 0, 7], [1 / 2, 2, 0]])


def test_outliers_lie_within_three():
    X, y = data.regression()
    X = np.vstack([X, [1e30] * X.shape[1], [-1e30] * X.shape[1]])
    y = np.append(y, [0, 0])
    model = BPRegressor(**PARAMS, input_scaling="robust").fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    median, factor = model.feature_params_[0]
    t = (X[:5] - median) * factor
    hidden = np.maximum(0, t / np.sqrt(1 + (t / 3) ** 2) @ model.coefs_[0] + model.intercepts_[0])
    assert_allclose(model.transform(X[:5]), hidden, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [1e6, 1e20, -3.4e38])
def test_the_largest_outliers_are_outliers(value, dtype):
    X, y = data.regression()
    X = X.astype(dtype)
    X[0, 0] = value
    model = BPRegressor(**PARAMS, input_scaling="robust", activation="identity").fit(X, y)
    at = np.zeros((1, X.shape[1]), dtype)
    at[:] = model.feature_params_[0][0]  # the medians are 0 then, the outlier is 3
    middle = model.transform(at)
    at[0, 0] = value
    assert_allclose(
        model.transform(at) - middle, np.sign(value) * 3 * model.coefs_[0][:1], rtol=1e-3, atol=1e-5
    )


def test_units_of_the_inputs_do_not_count():
    X, y = data.iris()
    a = BPClassifier(**PARAMS, input_scaling="robust").fit(X, y)
    b = BPClassifier(**PARAMS, input_scaling="robust").fit(X * 1024.0, y)
    assert_same_bits_but_scales(a, b)


def assert_same_bits_but_scales(a, b):
    for x, z in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        assert_array_equal(x, z)


def test_sparse_inputs_have_no_robust_scale():
    X, y = data.iris()
    with pytest.raises(ValueError, match=r"input_scaling='robust'.*dense"):
        BPClassifier(**PARAMS, input_scaling="robust").fit(sparse.csr_array(X), y)
    learned = BPClassifier(**PARAMS, learn_input_scales=True)
    assert_same_bits(clone(learned).fit(sparse.csr_array(X), y), learned.fit(X, y))


def test_the_scale_of_an_input_of_noise_shrinks():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(500, 4))
    y = np.sin(2 * X[:, 0])
    params = {**PARAMS, "max_iter": 100, "learning_rate_init": 0.01, "l2": 1e-3}
    model = BPRegressor(**params, learn_input_scales=True, rate_factors={"features": 5.0}).fit(X, y)
    scales = np.abs(model.feature_params_[0][0])
    assert scales[0] > 2 * scales[1:].max()


def test_factors_of_the_learning_rate():
    """One step of plain gradient descent: each array moves by its own rate."""
    X, y = data.iris()
    params = {**PARAMS, "solver": "sgd", "momentum": 0.0, "batch_size": len(X), "max_iter": 1}
    start = BPClassifier(**{**params, "learning_rate_init": 1e-300}, norm="layer").fit(X, y)
    plain = BPClassifier(**params, norm="layer").fit(X, y)
    factors = {"weights": 2.0, "biases": 0.5, "features": 3.0, "fan_in_power": 1.0}
    model = BPClassifier(**params, norm="layer", rate_factors=factors).fit(X, y)
    for name, factor in [("coefs_", None), ("intercepts_", 0.5), ("feature_params_", 3.0)]:
        for a, b, c in zip(*(getattr(m, name) for m in (start, plain, model)), strict=True):
            own = 2.0 / a.shape[0] if factor is None else factor
            assert np.abs(b - a).max() > 0
            assert_allclose(c - a, own * (b - a), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"bias": 1.0}, "rate_factors.*bias"),
        ({"weights": -1.0}, "weights.*rate_factors|rate_factors.*weights"),
        ({"features": "many"}, "features.*rate_factors|rate_factors.*features"),
    ],
)
def test_wrong_factors(factors, message):
    X, y = data.iris()
    with pytest.raises(ValueError, match=message):
        BPClassifier(rate_factors=factors).fit(X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_are_scaled_back(dtype):
    X, y = data.multi_output()
    X = X.astype(dtype)
    far = y * [1000.0, 0.001, 1.0] + [1e5, -1.0, 0.0]
    near = BPRegressor(**PARAMS, target_scaling="standard").fit(X, y)
    model = BPRegressor(**PARAMS, target_scaling="standard").fit(X, far)
    rtol = 1e-4 if dtype == np.float32 else 1e-9
    assert_allclose(model.predict(X), near.predict(X) * [1000.0, 0.001, 1.0] + [1e5, -1.0, 0.0], rtol=rtol)
    assert_allclose(model.score(X, far), near.score(X, y), rtol=10 * rtol)
    assert_allclose(model.target_mean_, far.mean(axis=0), rtol=1e-9)
    assert_allclose(model.target_scale_, far.std(axis=0), rtol=1e-9)
    assert_array_equal(model.target_range_, [far.min(axis=0), far.max(axis=0)])
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))


def test_predictions_stay_within_the_range_of_the_targets():
    X = np.linspace(-1, 1, 100)[:, None]
    y = 3 * X[:, 0] + 10
    model = BPRegressor(**{**PARAMS, "max_iter": 200}, target_scaling="standard", solver="lbfgs").fit(X, y)
    assert_allclose(model.predict([[-50.0], [50.0]]), [7.0, 13.0])
    more = BPRegressor(**PARAMS, target_scaling="standard")
    more.partial_fit(X, y).partial_fit(X, y + 5)
    assert_allclose(more.target_range_[:, 0], [7.0, 18.0])
    assert_allclose(more.target_mean_, [10.0])


def test_assigned_weights_compute_the_standardised_target():
    X = np.linspace(-1, 1, 100)[:, None]
    y = 3 * X[:, 0] + 10
    model = BPRegressor((), target_scaling="standard", max_iter=2).fit(X, y)
    model.coefs_, model.intercepts_ = [np.array([[3.0]]) / y.std()], [np.zeros(1)]
    assert_allclose(model.predict(X), y)


@pytest.mark.parametrize("scoring", [None, "loss", "neg_root_mean_squared_error"])
def test_early_stopping_on_scaled_targets(scoring):
    X, y = load_diabetes(return_X_y=True)
    X_train, X_val, y_train, y_val = train_test_split(X, y, random_state=0)
    params = {**PARAMS, "early_stopping": True, "scoring": scoring, "alpha": 0.0}
    model = BPRegressor(**params, target_scaling="standard").fit(X_train, y_train, X_val=X_val, y_val=y_val)
    if scoring is None:
        expected = model.score(X_val, y_val)
    elif scoring == "loss":
        expected = -model.loss_and_gradients(X_val, y_val).loss
    else:
        expected = -np.sqrt(np.mean((model.predict(X_val) - y_val) ** 2))
    assert_allclose(model.best_validation_score_, expected, rtol=1e-6)


def test_targets_that_hardly_vary():
    X, _ = data.regression()
    model = BPRegressor(**PARAMS, target_scaling="standard").fit(X[:3], [0.1, 0.1, 0.1])
    assert_array_equal(model.target_scale_, [1.0])
    assert_allclose(model.predict(X), 0.1)


@pytest.mark.parametrize("size", [1e-310, 1e-300, 1e200, 1e300])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_targets_of_any_size(size, early_stopping):
    """Squares of them vanish or overflow; denormal ones have few digits."""
    X, y = data.regression()
    params = {**PARAMS, "early_stopping": early_stopping, "target_scaling": "standard"}
    near = BPRegressor(**params).fit(X, y)
    model = BPRegressor(**params).fit(X, y * size)
    digits = 1e-3 if size < 1e-307 else 1e-9
    assert_allclose(model.predict(X) / size, near.predict(X), rtol=digits, atol=digits)
    assert_allclose(model.score(X, y * size), near.score(X, y), rtol=10 * digits)


def test_scales_have_no_other_bits_for_being_safe():
    rng = np.random.RandomState(0)
    y, weight = rng.normal(3.0, 50.0, size=(99, 2)), rng.uniform(size=99)
    mean = np.average(y, axis=0, weights=weight)
    deviation = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
    assert_array_equal(standard_scales(y, weight)[:2], [mean, deviation])


def test_the_smallest_targets_of_all():
    X, _ = data.regression()
    y = np.where(X[:, 0] > 0, 5e-324, 0.0)
    model = BPRegressor(**PARAMS, target_scaling="standard").fit(X, y)
    assert set(model.predict(X)) <= {0.0, 5e-324}


def test_targets_beyond_the_dtype_of_the_predictions():
    X, y = data.regression()
    with pytest.raises(ValueError, match="Input y contains a value too large for float32"):
        BPRegressor(**PARAMS, target_scaling="standard").fit(X.astype(np.float32), y * 1e200)


def test_target_scaling_stays_what_it_was():
    X, y = data.regression()
    for first, then in ((None, "standard"), ("standard", None)):
        model = BPRegressor(**PARAMS, target_scaling=first).partial_fit(X, y)
        with pytest.raises(ValueError, match=f"target_scaling={then!r} is not that"):
            model.set_params(target_scaling=then).partial_fit(X, y)


def test_scorers_see_targets_beyond_the_range():
    X, y = data.regression()
    params = {**PARAMS, "early_stopping": True, "scoring": "neg_mean_squared_error"}
    model = BPRegressor(**params, target_scaling="standard").fit(X, y, X_val=X[:20], y_val=y[:20] + 1000)
    assert_allclose(model.best_validation_score_, -np.mean((model.predict(X[:20]) - y[:20] - 1000) ** 2))


@pytest.mark.parametrize("params", [{"loss": "poisson"}, {"out_activation": "logistic"}], ids=str)
def test_losses_of_positive_targets_are_not_scaled(params):
    X, y = data.regression()
    with pytest.raises(ValueError, match="target_scaling='standard' needs a loss"):
        BPRegressor(**PARAMS, **params, target_scaling="standard").fit(X, np.abs(y) + 1)


# The preset


def test_preset_classifier():
    X, y = load_breast_cancer(return_X_y=True)
    scores = cross_val_score(BPClassifier(preset="tabular", random_state=0), X, y, cv=3)
    assert scores.mean() > 0.95


@pytest.mark.parametrize(("load", "least"), [(load_iris, 0.95), (load_wine, 0.96)])
def test_preset_on_small_tables(load, least):
    """A tenth of them is a dozen rows, whose accuracy is soon the best it can be."""
    X, y = load(return_X_y=True)
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    scores = [
        cross_val_score(BPClassifier(preset="tabular", random_state=seed), X, y, cv=folds).mean()
        for seed in range(3)
    ]
    assert np.mean(scores) >= least


def test_preset_regressor():
    X, y = load_diabetes(return_X_y=True)
    model = BPRegressor(preset="tabular", random_state=0)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.4


@pytest.mark.parametrize(("Estimator", "task"), [(BPClassifier, "classifier"), (BPRegressor, "regressor")])
def test_preset_is_its_parameters(Estimator, task):
    X, y = data.iris()
    preset = Estimator(preset="tabular", random_state=0).fit(X, y)
    spelt_out = Estimator(**parameters("tabular", task), random_state=0).fit(X, y)
    assert_same_bits(preset, spelt_out)
    assert_array_equal(preset.predict(X), spelt_out.predict(X))
    assert preset.get_params() == Estimator(preset="tabular", random_state=0).get_params()
    assert_array_equal(pickle.loads(pickle.dumps(preset)).predict(X), preset.predict(X))
    assert_same_bits(clone(preset).fit(X, y), preset)


@pytest.mark.parametrize(
    ("Estimator", "params"),
    [
        (BPRegressor, {"loss": "poisson"}),
        (BPRegressor, {"loss": "gamma"}),
        (BPRegressor, {"loss": "huber"}),
        (BPRegressor, {"out_activation": "exp"}),
        (BPRegressor, {"loss": "pinball", "loss_params": {"quantile": [0.1, 0.9]}}),
        (BPClassifier, {"loss": "hinge"}),
        (BPClassifier, {"loss": "squared_error"}),
        (BPClassifier, {"loss": "focal"}),
        (BPClassifier, {"solver": "lbfgs"}),
    ],
    ids=str,
)
def test_preset_goes_with_every_loss(Estimator, params):
    X, y = data.iris()
    model = Estimator(preset="tabular", max_iter=5, random_state=0, **params).fit(
        X, y + 0.5 * (Estimator is BPRegressor)
    )
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("n", [2, 3, 8, 19, 20, 25])
def test_preset_on_few_rows(n):
    X, _ = data.iris()
    labels = np.zeros(n)
    labels[0] = 1  # one row of a class
    assert BPClassifier(preset="tabular", max_iter=5).fit(X[:n], labels).predict(X).shape == (150,)
    assert np.isfinite(BPRegressor(preset="tabular", max_iter=5).fit(X[:n], X[:n, 0]).predict(X)).all()


def test_preset_names_itself_in_errors():
    X, y = data.iris()
    with pytest.raises(ValueError, match=r"input_scaling='robust' \(set by preset='tabular'\)"):
        BPClassifier(preset="tabular").fit(sparse.csr_array(X), y)
    with pytest.raises(ValueError, match="'preset' parameter"):
        cross_val_score(BPClassifier(preset="tabuler"), X, y, error_score="raise")


def test_preset_of_a_subclass():
    class Tables(BPClassifier):
        def __init__(self, hidden_layer_sizes=(9,)):
            super().__init__(hidden_layer_sizes, preset="tabular", max_iter=5)

    X, y = data.iris()
    assert Tables().fit(X, y).coefs_[0].shape == (4, 9)


def test_preset_and_partial_fit():
    X, y = data.regression()
    model = BPRegressor(preset="tabular", random_state=0)
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.5
    with pytest.raises(ValueError, match="early_stopping"):
        model.set_params(early_stopping=True).partial_fit(X, y)


def test_what_the_user_changes_counts():
    X, y = data.iris()
    model = BPClassifier((5,), preset="tabular", max_iter=3, activation="tanh", random_state=0).fit(X, y)
    assert [coef.shape for coef in model.coefs_] == [(4, 5), (5, 3)]
    assert model.n_iter_ == 3
    hidden = model.transform(X)
    assert np.abs(hidden).max() <= 1
    assert_array_equal(model.predict_proba(X[:1]), model.predict_proba(X)[:1])
