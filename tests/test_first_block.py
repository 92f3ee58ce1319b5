"""The first block of `partial_fit`: scales that it cannot give are refused, or come with later blocks."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, snapshot
from numpy.testing import assert_allclose, assert_array_equal

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (8,), "random_state": 0}
ROBUST, STANDARD = {"input_scaling": "robust"}, {"target_scaling": "standard"}


def first_blocks():
    X, y = data.regression()
    same = np.repeat(X[:1], 50, axis=0)
    yield "one row", X[:1], y[:1], None
    yield "equal rows", same, y[:50], None
    weight = np.zeros(50)
    weight[7] = 2
    yield "one row with weight", X[:50], y[:50], weight


@pytest.mark.parametrize(
    ("name", "X", "y", "weight"), [*first_blocks()], ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.parametrize("params", [ROBUST, {"preset": "tabular"}], ids=str)
def test_a_first_block_in_which_no_column_varies(params, name, X, y, weight):
    for model, targets, more in (
        (BPRegressor(**PARAMS, **params, target_scaling=None), y + np.arange(len(y)), {}),
        (BPClassifier(**PARAMS, **params), np.arange(len(X)) % 2, {"classes": [0, 1]}),
    ):
        if isinstance(model, BPRegressor) and params != ROBUST:
            continue  # of the preset, the target is looked at first
        before = vars(model).copy()
        with pytest.raises(
            ValueError, match=r"input_scaling='robust'.*first block.*no column of X varies.*begin with fit"
        ):
            model.partial_fit(X, targets, weight, **more)
        assert vars(model) == before


def test_the_preset_names_itself_for_a_first_block_of_one_row():
    X, y = data.regression()
    with pytest.raises(
        ValueError, match=r"target_scaling='standard' \(set by preset='tabular'\).* no target varies"
    ):
        BPRegressor(preset="tabular").partial_fit(X[:1], y[:1])
    with pytest.raises(ValueError, match=r"input_scaling='robust' \(set by preset='tabular'\).* no column"):
        BPClassifier(preset="tabular").partial_fit(X[:1], [1], classes=[0, 1])


@pytest.mark.parametrize("y", [[3.0], [3.0] * 50, [[3.0, 4.0]] * 50], ids=["one row", "equal", "two equal"])
def test_a_first_block_in_which_no_target_varies(y):
    X, _ = data.regression()
    with pytest.raises(ValueError, match=r"target_scaling='standard'.*first block.*no target varies"):
        BPRegressor(**PARAMS, **STANDARD).partial_fit(X[: len(y)], y)


@pytest.mark.parametrize("params", [ROBUST, STANDARD], ids=str)
def test_a_first_block_of_few_rows(params):
    X, y = data.regression()
    with pytest.warns(UserWarning, match=r"first block of partial_fit, which has 4 rows"):
        model = BPRegressor(**PARAMS, **params).partial_fit(X[:4], y[:4])
    model.partial_fit(X[:1], y[:1])  # of later blocks nothing is asked
    weight = np.r_[np.ones(4), np.zeros(46)]
    with pytest.warns(UserWarning, match=r"which has 4 rows"):
        BPRegressor(**PARAMS, **params).partial_fit(X[:50], y[:50], weight)


def test_fits_of_constant_data_are_no_first_blocks():
    X, y = data.regression()
    for rows in (X[:1], np.repeat(X[:1], 30, axis=0)):
        model = BPRegressor(**PARAMS, **ROBUST, **STANDARD, max_iter=3).fit(rows, y[:1].repeat(len(rows)))
        assert_allclose(model.predict(rows), y[0])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_column_that_was_constant_comes_back(weighted, dtype):
    X, y = data.regression()
    X = X.astype(dtype)
    first = X.copy()
    first[:, [2, 5]] = [7.0, -1.0]
    weight = np.random.RandomState(0).uniform(1, 2, len(X)) if weighted else None
    model = BPRegressor(**PARAMS, **ROBUST).partial_fit(first, y, weight)
    scales = model.feature_params_[0].copy()
    assert_array_equal(scales[:, [2, 5]], [[7.0, -1.0], [0.0, 0.0]])
    assert_same_scales(model.partial_fit(first[:1], y[:1]), scales)

    then = first.copy()
    then[:, 2] = 1000 * X[:, 2] + 50
    model.partial_fit(then, y, weight)
    median, factor = model.feature_params_[0]
    assert abs(median[2] - 50) < 500
    assert 1 / 3000 < factor[2] < 1 / 700
    scales[:, 2] = median[2], factor[2]
    assert_same_scales(model, scales)

    then[:, 2] *= 1e6
    assert_same_scales(model.partial_fit(then, y), scales)  # from then on it stays
    assert factor[5] == 0


def assert_same_scales(model, scales):
    assert_array_equal(model.feature_params_[0], scales)


def test_the_earlier_constant_is_one_of_the_values():
    """Then a block in which a column has another constant tells its scale."""
    X, y = data.regression()
    first = X.copy()
    first[:, 0] = 3.0
    model = BPRegressor(**PARAMS, **ROBUST).partial_fit(first, y)
    first[:, 0] = 5.0
    model.partial_fit(first[:1], y[:1])
    assert_array_equal(model.feature_params_[0][:, 0], [3.0, 1 / 2])


@pytest.mark.parametrize("goes_on", ["partial_fit", "fit"])
def test_training_after_a_fit_finds_what_was_constant(goes_on):
    X, y = data.iris()
    first = X.copy()
    first[:, 2:] = 0
    params = {"max_iter": 300, "learning_rate_init": 0.01, **EVERY_EPOCH}
    model = BPClassifier(**PARAMS, **ROBUST, warm_start=True, **params).fit(first, y)
    for _ in range(1 if goes_on == "fit" else 300):
        getattr(model, goes_on)(X, y)
    assert (model.feature_params_[0][1] > 0).all()
    assert model.score(X, y) > 0.95


def test_a_failed_call_leaves_the_scales_as_they_were():
    X, y = data.regression()
    first = X.copy()
    first[:, 0] = 1.0
    model = BPRegressor(**PARAMS, **ROBUST, **STANDARD).fit(first[:30], np.full(30, 2.0))
    before = snapshot(model)
    with pytest.raises(ValueError, match="non-finite"):
        model.set_params(solver="sgd", learning_rate_init=1e200, batch_size=10).partial_fit(X, y)
    model.set_params(solver="adam", learning_rate_init=0.001, batch_size="auto")
    assert_equal_state(snapshot(model), before)


def test_a_target_that_was_constant_gets_its_scale():
    X, Y = data.multi_output()
    first = Y.copy()
    first[:, 1] = 1e6
    model = BPRegressor(**PARAMS, **STANDARD, learning_rate_init=0.01).partial_fit(X, first)
    assert_array_equal(model.target_scale_[1], 1.0)
    then = Y.copy()
    then[:, 1] = 1e6 + 1e4 * Y[:, 1]
    mean, scale = model.target_mean_.copy(), model.target_scale_.copy()
    model.partial_fit(X, then)
    assert_allclose(model.target_scale_[1], then[:, 1].std(), rtol=0.02)
    assert_allclose(model.target_mean_[1], then[:, 1].mean(), rtol=0.02)
    assert_array_equal(model.target_mean_[[0, 2]], mean[[0, 2]])
    assert_array_equal(model.target_scale_[[0, 2]], scale[[0, 2]])
    for _ in range(500):
        model.partial_fit(X, then)
    assert model.score(X, then) > 0.8


def test_a_warm_start_after_a_constant_target():
    X, y = data.regression()
    model = BPRegressor(**PARAMS, **STANDARD, max_iter=300, warm_start=True, **EVERY_EPOCH)
    model.fit(X, np.full(len(y), 5.0))
    assert model.fit(X, 1000 * y).score(X, 1000 * y) > 0.5


def test_a_stream_with_a_rare_column_is_the_same_twice():
    X, y = data.regression()
    X = X.copy()
    X[:60, 3] = 0.0
    models = [BPRegressor(**PARAMS, preset="tabular") for _ in range(2)]
    for block in (slice(0, 40), slice(40, 60), slice(60, 100)):
        for model in models:
            model.partial_fit(X[block], y[block])
    assert_same_bits(*models)
    assert models[0].feature_params_[0][1, 3] > 0
