"""loss="gaussian_nll": networks that predict a mean and a standard deviation for each target."""

import pickle

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, fitted_attributes, random_weights
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import norm
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tolerances import CLOSED_FORM, SAME_ARITHMETIC, SAME_OPTIMUM

from fastbp import BPClassifier, BPRegressor
from fastbp.callbacks import Checkpoint, StopWhen
from fastbp.functions.losses import LOSSES, gaussian_nll, gaussian_raw, gaussian_std

FLOOR = 1e-6
GAUSSIAN = {"loss": "gaussian_nll", "hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}


def gaussian(**params):
    return BPRegressor(**{**GAUSSIAN, "learning_rate_init": 0.01, "batch_size": 25, **EVERY_EPOCH, **params})


def noisy(n, seed=0):
    """One feature; a curve, with noise whose standard deviation grows with it from 0.1 to 0.7."""
    rng = np.random.RandomState(seed)
    x = rng.uniform(-1, 1, size=n)
    std = 0.4 + 0.3 * x
    return x[:, None], np.sin(2 * x) + std * rng.normal(size=n), std


def row_of(z, y, p, dtype=np.float64):
    """The value and the derivatives of one row."""
    z, delta = np.asarray(z, dtype), np.zeros(len(z), dtype)
    return gaussian_nll(z, np.asarray(y, dtype), delta, len(z), dtype(1), p), delta


# --- The formula


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("floor", [1e-6, 0.3])
def test_value_is_the_negative_log_density_and_beta_does_not_change_it(beta, floor):
    X, Y = data.multi_output()
    model = random_weights(
        gaussian(loss_params={"beta": beta, "floor": floor}).fit(X, Y), np.random.RandomState(0)
    )
    outputs = model.activations(X)[-1]
    std = np.sqrt(np.log1p(np.exp(outputs[:, 3:])) + floor)
    targets = (Y - model.target_mean_) / model.target_scale_
    expected = -norm.logpdf(targets, outputs[:, :3], std).sum(axis=1).mean()
    alpha = model.alpha * sum((coef**2).sum() for coef in model.coefs_) / (2 * len(X))
    assert_allclose(model.loss_and_gradients(X, Y).loss, expected + alpha, rtol=1e-12)


def test_beta_multiplies_the_gradient_of_each_target_by_a_power_of_its_variance():
    z, y = np.array([0.3, -1.0, 0.8, -2.0]), np.array([1.0, 0.5])
    variance = gaussian_std(z[2:], (0.0, FLOOR)) ** 2
    value, plain = row_of(z, y, (0.0, FLOOR))
    for beta in (0.25, 1.0):
        same, weighted = row_of(z, y, (beta, FLOOR))
        assert same == value
        assert_allclose(weighted, plain * np.tile(variance**beta, 2), **CLOSED_FORM)
    assert_allclose(row_of(z, y, (1.0, FLOOR))[1][:2], z[:2] - y, **CLOSED_FORM)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("raw", [-1e30, -1e4, -100.0, -20.0, 0.0, 20.0, 1e4, 1e30])
@pytest.mark.parametrize("distance", [0.0, 1e-3, 1.0, 1e6])
def test_stable_far_out(raw, distance, dtype):
    """Also with the largest derivative of all, where the variance is the floor."""
    for beta in (0.0, 0.5, 1.0):
        value, delta = row_of([distance, raw], [0.0], (beta, FLOOR), dtype)
        variance = np.logaddexp(0, raw) + FLOOR
        expected = 0.5 * (np.log(2 * np.pi * variance) + distance**2 / variance)
        assert_allclose(value, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
        assert np.isfinite(delta).all()
        assert_allclose(delta[0], variance ** (beta - 1) * distance, rtol=1e-4)
        if raw < -90:  # at the floor, there is nowhere further down to go
            assert abs(delta[1]) < 1e-8


def test_raw_outputs_of_variances():
    p = (0.5, 1e-3)
    variance = np.array([2.1e-3, 0.1, 1.0, 30.0, 1e5])
    assert_allclose(gaussian_std(gaussian_raw(variance, p), p) ** 2, variance, rtol=1e-12)
    assert_allclose(gaussian_std(gaussian_raw(np.zeros(1), p), p) ** 2, 2e-3, rtol=1e-12)


@pytest.mark.parametrize("shape", [(41,), (41, 2)], ids=["one target", "two targets"])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_variance_are_best(shape, weighted):
    rng = np.random.RandomState(0)
    y, w = 3 + 100 * rng.gamma(2.0, size=shape), rng.uniform(0.2, 2, 41) if weighted else None
    params = {"solver": "lbfgs", "tol": 1e-10, "max_iter": 1000, "alpha": 0.0, "init": "zeros"}
    model = BPRegressor((), loss="gaussian_nll", loss_params={"beta": 0}, **params).fit(
        np.zeros((41, 1)), y, w
    )
    mean, std = model.predict(np.zeros((1, 1)), return_std=True)
    best = np.average(y, axis=0, weights=w)
    assert_allclose(mean[0], best, **SAME_OPTIMUM)
    assert_allclose(std[0], np.sqrt(np.average((y - best) ** 2, axis=0, weights=w)), **SAME_OPTIMUM)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_finds_noise_that_is_not_the_same_everywhere(beta):
    X, y, _ = noisy(3000)
    params = {"activation": "tanh", "hidden_layer_sizes": (16,), "max_iter": 60, "batch_size": 100}
    model = gaussian(loss_params={"beta": beta}, learning_rate_init=0.02, **params).fit(X, y)
    X, y, true = noisy(4000, seed=1)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(std, true, rtol=0.3, atol=0.05)
    assert np.sqrt(np.mean((mean - np.sin(2 * X[:, 0])) ** 2)) < 0.05
    for coverage in (0.5, 0.8, 0.9, 0.95):
        low, high = model.predict_interval(X, coverage).T
        inside = (low <= y) & (y <= high)
        assert_allclose(inside.mean(), coverage, atol=0.03)
        for part in (X[:, 0] < 0, X[:, 0] >= 0):
            assert_allclose(inside[part].mean(), coverage, atol=0.06)


# --- Predictions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_of_the_targets(dtype):
    """Targets in other units train the same network, whose standard deviations follow."""
    X, Y = data.multi_output()
    X, factors = X.astype(dtype), np.array([1000.0, 0.001, 1.0])
    near, far = gaussian().fit(X, Y), gaussian().fit(X, Y * factors + [1e5, -1.0, 0.0])
    rtol = 1e-3 if dtype == np.float32 else 1e-9
    (near_mean, near_std), (mean, std) = (m.predict(X, return_std=True) for m in (near, far))
    assert mean.dtype == std.dtype == dtype
    assert mean.shape == std.shape == Y.shape
    assert_array_equal(far.predict(X), mean)
    assert_allclose(std, near_std * factors, rtol=rtol)
    assert_allclose(mean, near_mean * factors + [1e5, -1.0, 0.0], rtol=rtol)
    raw = near.activations(X)[-1][:, 3:]
    assert_allclose(near_std, np.sqrt(np.logaddexp(0, raw) + FLOOR) * near.target_scale_, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("coverage", [0.5, 0.9, np.float32(0.95)])
@pytest.mark.parametrize("load", [data.regression, data.multi_output])
def test_intervals_are_normal_quantiles(load, coverage, dtype):
    X, y = load()
    model = gaussian().fit(X.astype(dtype), y)
    mean, std = model.predict(X.astype(dtype), return_std=True)
    interval = model.predict_interval(X.astype(dtype), coverage)
    assert interval.shape == (*y.shape, 2)
    assert interval.dtype == dtype
    ends = norm.interval(float(coverage), mean.astype(float), std.astype(float))
    assert_allclose(interval, np.stack(ends, axis=-1), rtol=1e-4, atol=1e-5)
    plain = model.predict_interval(X.astype(dtype))
    assert_array_equal(plain, model.predict_interval(X.astype(dtype), 0.9))


@pytest.mark.parametrize("coverage", [0, 1, -0.5, 1.5, "0.9", None, np.nan, True])
def test_coverages_that_are_none(coverage):
    model = gaussian().fit(*data.regression())
    with pytest.raises(ValueError, match="coverage"):
        model.predict_interval(data.regression()[0], coverage)


@pytest.mark.parametrize("loss", ["squared_error", "pinball"])
def test_losses_without_a_standard_deviation(loss):
    X, y = data.regression()
    model = BPRegressor((4,), loss=loss, max_iter=2)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"return_std=True.*gaussian_nll"):
            model.predict(X, return_std=True)
        with pytest.raises(AttributeError, match="predict_interval") as raised:
            model.predict_interval(X)
        assert "gaussian_nll" in f"{raised.value} {raised.value.__cause__}"
        assert not hasattr(model, "predict_interval")
        model.fit(X, y)
    assert not hasattr(BPClassifier(), "predict_interval")


def test_standard_deviations_from_a_pipeline():
    X, y = data.regression()
    pipeline = make_pipeline(StandardScaler(), gaussian()).fit(X, y)
    mean, std = pipeline.predict(X, return_std=True)
    assert_array_equal(mean, pipeline.predict(X))
    assert (std > 0).all()


def test_number_of_outputs():
    model = gaussian().fit(*data.multi_output())
    assert model.n_outputs_ == 6
    assert model.out_activation_ == "identity"
    assert model.intercepts_[-1].shape == (6,)


def test_constant_targets():
    X, _ = data.regression()
    model = gaussian(max_iter=200).fit(X, np.full(len(X), 7.0))
    mean, std = model.predict(X, return_std=True)
    assert_array_equal(mean, 7.0)
    assert (std >= np.sqrt(FLOOR)).all()
    assert (std < 0.5).all()


def test_assigned_weights():
    """Without a fit nothing is known of the targets' units."""
    X, Y = data.multi_output()
    fitted = gaussian().fit(X, Y)
    model = gaussian()
    model.coefs_, model.intercepts_ = fitted.coefs_, fitted.intercepts_
    mean, std = model.predict(X, return_std=True)
    assert_allclose(std, fitted.predict(X, return_std=True)[1] / fitted.target_scale_, rtol=1e-12)
    assert_array_equal(mean, fitted.activations(X)[-1][:, :3])
    model.coefs_[-1], model.intercepts_[-1] = model.coefs_[-1][:, :5], model.intercepts_[-1][:5]
    with pytest.raises(ValueError, match=r"gaussian_nll.* 2 outputs for each target.* 5"):
        model.predict(X)


# --- Fits


@pytest.mark.parametrize("scoring", [None, "loss", "neg_root_mean_squared_error"])
@pytest.mark.parametrize("load", [data.regression, data.multi_output])
def test_early_stopping(load, scoring):
    X_train, X_val, y_train, y_val = train_test_split(*load(), random_state=0)
    model = gaussian(early_stopping=True, scoring=scoring, max_iter=20, alpha=0.0)
    model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    predicted, k = model.predict(X_val), model.n_outputs_ // 2
    if scoring is None:
        means = model.activations(X_val)[-1][:, :k] * model.target_scale_ + model.target_mean_
        score = r2_score(y_val, means)  # not clipped to the range of the targets
    elif scoring == "loss":
        score = -model.loss_and_gradients(X_val, y_val).loss
    else:
        score = -np.sqrt(((predicted - y_val) ** 2).mean(axis=0)).mean()
    assert len(model.validation_scores_) == 20
    assert_allclose(model.best_validation_score_, score, rtol=1e-6)
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_rows_set_aside():
    X, y = data.regression()
    model = gaussian(early_stopping=True, validation_fraction=0.3).fit(X, y)
    assert len(model.validation_scores_) == 5


def test_same_bits_for_any_number_of_threads():
    X, y = data.multi_output()
    first, second = (gaussian(n_jobs=n, batch_size=90).fit(X, y) for n in (1, 2))
    assert_same_bits(first, second)
    for a, b in zip(*(m.predict(X, return_std=True) for m in (first, second)), strict=True):
        assert_array_equal(a, b)
    for row in (0, 17):
        assert_array_equal(
            first.predict(X[row : row + 1], return_std=True)[1][0], second.predict(X, True)[1][row]
        )


def test_sparse_rows():
    X, y = data.regression()
    X = np.where(X > 0.5, X, 0.0)
    dense, thin = gaussian().fit(X, y), gaussian().fit(sparse.csr_array(X), y)
    std = thin.predict(sparse.csr_array(X), return_std=True)[1]
    assert_allclose(std, dense.predict(X, return_std=True)[1], **SAME_ARITHMETIC)
    assert thin.predict_interval(sparse.csr_array(X)).shape == (len(X), 2)


def test_weights_stand_for_repeated_rows():
    X, y = data.regression()
    counts = np.random.RandomState(0).randint(0, 4, len(X))
    params = {"max_iter": 20, "shuffle": False, "alpha": 0.0}
    weighted = gaussian(**params, batch_size=len(X)).fit(X, y, counts)
    repeated = gaussian(**params, batch_size=counts.sum()).fit(
        np.repeat(X, counts, axis=0), np.repeat(y, counts)
    )
    for a, b in zip(*(m.predict(X, return_std=True) for m in (weighted, repeated)), strict=True):
        assert_allclose(a, b, rtol=1e-6)


def test_partial_fits_keep_the_first_scales():
    X, y = data.regression()
    model = gaussian().partial_fit(X[:60], y[:60])
    scale = model.target_scale_
    assert_allclose(scale, [y[:60].std()])
    model.partial_fit(X[60:], 10 * y[60:])
    assert_array_equal(model.target_scale_, scale)
    assert len(model.loss_curve_) == 2


def test_the_first_block_must_vary():
    X, _ = data.regression()
    with pytest.raises(ValueError, match=r"loss='gaussian_nll'.*first block.*no target varies"):
        gaussian().partial_fit(X[:20], np.ones(20))


def test_warm_starts_go_on():
    X, y = data.regression()
    whole = gaussian(max_iter=6, shuffle=False).fit(X, y)
    parts = gaussian(max_iter=3, shuffle=False, warm_start=True).fit(X, y)
    assert_same_bits(parts.fit(X, y), whole)


def test_what_cannot_go_on():
    X, Y = data.multi_output()
    model = gaussian(warm_start=True).fit(X, Y[:, :2])
    before = fitted_attributes(model)
    for y, params, message in (
        (Y, {}, "6 outputs with loss='gaussian_nll'.* fitted on 4"),
        (Y[:, 0], {}, "2 outputs with loss='gaussian_nll'.* fitted on 4"),
        (Y[:, :2], {"loss": "squared_error"}, "2 targets, but the regressor was fitted on 4"),
        (np.hstack([Y, Y])[:, :4], {"loss": "squared_error"}, "target_scaling=None is not that"),
        (
            np.hstack([Y, Y])[:, :4],
            {"loss": "squared_error", "target_scaling": "standard"},
            "4 targets, but the regressor was fitted on 2",
        ),
    ):
        model.set_params(**{"loss": "gaussian_nll", "target_scaling": None, **params})
        with pytest.raises(ValueError, match=message):
            model.fit(X, y)
        assert_equal_state(fitted_attributes(model), before)
    plain = BPRegressor((6,), max_iter=1, warm_start=True).fit(X, Y[:, :2]).set_params(loss="gaussian_nll")
    with pytest.raises(ValueError, match="loss='gaussian_nll', which scales the targets, is not that"):
        plain.fit(X, Y[:, 0])


def test_target_scaling_changes_nothing():
    X, y = data.regression()
    assert_same_bits(gaussian().fit(X, y), gaussian(target_scaling="standard").fit(X, y))


def test_pickles():
    X, y = data.regression()
    model = gaussian().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X, return_std=True), model.predict(X, return_std=True))
    assert_array_equal(again.predict_interval(X), model.predict_interval(X))


def test_checkpoints(tmp_path):
    X, y = data.regression()
    whole = gaussian(max_iter=6).fit(X, y)
    path = tmp_path / "run.ckpt"
    stop = StopWhen(lambda epoch: epoch.number == 3)
    clone(whole).set_callbacks(Checkpoint(path), stop).fit(X, y)
    resumed = clone(whole).set_callbacks(Checkpoint(path, resume=True)).fit(X, y)
    assert_same_bits(resumed, whole)


def test_callbacks_see_a_model_that_predicts():
    X, y = data.regression()
    seen = []
    stop = StopWhen(lambda epoch: seen.append(epoch.estimator.predict(X, return_std=True)[1].mean()))
    model = gaussian().set_callbacks(stop).fit(X, y)
    assert_allclose(seen[-1], model.predict(X, return_std=True)[1].mean(), **CLOSED_FORM)
    assert len(set(seen)) == 5


def test_the_preset():
    X, y, _ = noisy(400)
    model = BPRegressor(loss="gaussian_nll", preset="tabular", max_iter=30, random_state=0).fit(X, y)
    mean, std = model.predict(X, return_std=True)
    assert mean.dtype == std.dtype == np.float32
    assert np.corrcoef(std, 0.4 + 0.3 * X[:, 0])[0, 1] > 0.8


# --- Refusals


@pytest.mark.parametrize(
    ("loss_params", "message"),
    [
        ({"beta": -0.1}, r"beta of loss='gaussian_nll' must be a number in \[0, 1\], got -0.1"),
        ({"beta": 1.1}, r"beta of loss='gaussian_nll' must be a number in \[0, 1\]"),
        ({"beta": None}, r"beta of loss='gaussian_nll' must be a number in \[0, 1\]"),
        ({"floor": 0.0}, r"floor of loss='gaussian_nll' must be a number in \(0, inf\)"),
        ({"floor": np.inf}, r"floor of loss='gaussian_nll' must be a number in \(0, inf\)"),
        ({"gamma": 1.0}, r"'gamma'.*\['beta', 'floor'\]"),
    ],
)
def test_wrong_parameters(loss_params, message):
    with pytest.raises(ValueError, match=message):
        gaussian(loss_params=loss_params).fit(*data.regression())


def test_right_parameters():
    X, y = data.regression()
    for loss_params in ({"beta": 0}, {"beta": 1}, {"beta": np.float32(0.5), "floor": np.float16(0.5)}):
        model = gaussian(loss_params=loss_params).fit(X, y)
        assert np.isfinite(model.loss_)
        floor = float(loss_params.get("floor", FLOOR))
        assert (model.predict(X, return_std=True)[1] >= np.sqrt(floor) * model.target_scale_).all()


@pytest.mark.parametrize("out_activation", ["tanh", "softplus", "softmax", "increasing"])
def test_raw_outputs_are_needed(out_activation):
    with pytest.raises(ValueError, match=r"loss='gaussian_nll' needs out_activation in \['identity'\]"):
        gaussian(out_activation=out_activation).fit(*data.regression())


def test_lbfgs_needs_the_gradient_of_the_loss():
    X, y = data.regression()
    for loss_params in (None, {"beta": 1.0}):
        with pytest.raises(ValueError, match=r"loss_params: beta other than 0.*solver='lbfgs'.*set it to 0"):
            gaussian(solver="lbfgs", loss_params=loss_params).fit(X, y)
    model = gaussian(solver="lbfgs", loss_params={"beta": 0}, max_iter=30).fit(X, y)
    assert model.score(X, y) > 0.3


def test_default_of_beta():
    X, y = data.regression()
    assert LOSSES["gaussian_nll+identity"].constants({}) == (0.5, FLOOR)
    assert_same_bits(gaussian().fit(X, y), gaussian(loss_params={"beta": 0.5}).fit(X, y))


# --- Conformal intervals, by a library that does it well


@pytest.mark.parametrize("params", [{}, {"loss": "gaussian_nll"}, {"preset": "tabular"}], ids=str)
@pytest.mark.parametrize("prefit", [True, False])
def test_conformal_intervals_of_mapie(params, prefit):
    regression = pytest.importorskip("mapie.regression")
    parts = [noisy(n, seed)[:2] for seed, n in enumerate((1000, 1000, 2000))]
    (X, y), (X_held, y_held), (X_test, y_test) = parts
    model = BPRegressor((8,), max_iter=20, random_state=0, **params)
    if prefit:
        model.fit(X, y)
    wrapped = regression.SplitConformalRegressor(model, confidence_level=[0.5, 0.9], prefit=prefit)
    if not prefit:
        wrapped.fit(X, y)
    wrapped.conformalize(X_held, y_held)
    predicted, intervals = wrapped.predict_interval(X_test)
    assert intervals.shape == (2000, 2, 2)
    if prefit:
        assert_array_equal(predicted, model.predict(X_test))
    inside = (intervals[:, 0] <= y_test[:, None]) & (y_test[:, None] <= intervals[:, 1])
    assert_allclose(inside.mean(axis=0), [0.5, 0.9], atol=0.04)
