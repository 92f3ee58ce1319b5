"""Encodings of numbers: against their formulas, by scikit-learn's checks, and on odd columns."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp.preprocessing import PeriodicEncoder, PiecewiseLinearEncoder
from fastbp.preprocessing.quantiles import weighted_quantiles


@parametrize_with_checks([PiecewiseLinearEncoder(), PeriodicEncoder()])
def test_estimator(estimator, check):
    check(estimator)


def naive_bins(x, edges):
    return [min(max((x - low) / (high - low), 0), 1) for low, high in zip(edges[:-1], edges[1:], strict=True)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bins_are_those_of_the_formula(dtype):
    X = np.random.RandomState(0).normal(size=(200, 3)).astype(dtype)
    encoder = PiecewiseLinearEncoder(n_bins=5).fit(X)
    found = encoder.transform(X * 2)
    expected = [
        np.concatenate([naive_bins(float(x), e) for x, e in zip(row, encoder.bin_edges_, strict=True)])
        for row in X * 2
    ]
    assert found.dtype == dtype and found.shape == (200, 15)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert list(encoder.get_feature_names_out()[:2]) == ["x0_bin0", "x0_bin1"]


COLUMNS = {
    "normal": np.random.RandomState(0).normal(size=1000),
    "mostly zero": np.where(np.arange(1000) % 10 > 0, 0.0, np.arange(1000) / 100),
    "few values": np.arange(1000) % 5,
    "constant": np.full(50, 3.0),
    "two": np.array([1.0, 2.0] * 10),
    "one outlier": np.append(np.zeros(1000), 1e30),
    "many equal": np.concatenate([np.repeat(np.arange(8), 100), np.linspace(0, 9, 50)]),
    "huge": np.array([-1.7e308, 0.0, 1.7e308]),
    "tiny": np.linspace(0, 1e-300, 30),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("n_bins", [1, 2, 7, 16])
def test_edges_increase_and_span_the_values(name, n_bins):
    x = COLUMNS[name].astype(float)
    encoder = PiecewiseLinearEncoder(n_bins).fit(x[:, None])
    (edges,) = encoder.bin_edges_
    assert 2 <= len(edges) <= n_bins + 1 and (edges[1:] > edges[:-1]).all()
    assert edges[0] == x.min() and (edges[-1] == x.max() or name == "constant")
    found = encoder.transform([[-1e300], [0.5], [1e300]])
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1


def test_a_frequent_value_does_not_take_the_bins_of_the_others():
    x = COLUMNS["mostly zero"]
    (edges,) = PiecewiseLinearEncoder(8).fit(x[:, None]).bin_edges_
    assert len(edges) == 9 and np.count_nonzero(edges > 0) == 8


def test_few_values_are_edges():
    (edges,) = PiecewiseLinearEncoder(16).fit(COLUMNS["few values"][:, None]).bin_edges_
    assert edges.tolist() == [0, 1, 2, 3, 4]


def test_weights_stand_for_repeated_rows():
    rng = np.random.RandomState(1)
    x, weight = rng.normal(size=(60, 2)).round(1), rng.randint(0, 4, 60)
    weighted = PiecewiseLinearEncoder(6).fit(x, sample_weight=weight)
    repeated = PiecewiseLinearEncoder(6).fit(np.repeat(x, weight, axis=0))
    for one, other in zip(weighted.bin_edges_, repeated.bin_edges_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weighted_quantiles_are_numpys():
    rng = np.random.RandomState(2)
    values, levels = rng.normal(size=40), np.linspace(0, 1, 23)
    expected = np.quantile(values, levels, method="inverted_cdf")
    np.testing.assert_array_equal(weighted_quantiles(values, np.full(40, 0.3), levels), expected)


def test_waves_are_those_of_the_formula():
    X = np.random.RandomState(0).normal(size=(7, 2))
    encoder = PeriodicEncoder(3, scale=0.5, random_state=0).fit(X)
    found = encoder.transform(X)
    assert found.shape == (7, 2 * 7)
    c = encoder.frequencies_
    expected = [np.sin(2 * np.pi * c[i, k] * X[:, i]) for i in range(2) for k in range(3)]
    np.testing.assert_allclose(found[:, 2:8].T, expected, atol=1e-12)
    np.testing.assert_allclose(found[:, 8:] ** 2 + found[:, 2:8] ** 2, 1, atol=1e-12)
    assert len(encoder.get_feature_names_out()) == found.shape[1]


def test_they_make_a_linear_model_learn_a_curve():
    X = np.linspace(-2, 2, 400)[:, None]
    y = np.abs(np.sin(3 * X[:, 0]))
    plain = Ridge().fit(X, y).score(X, y)
    for encoder in (PiecewiseLinearEncoder(), PeriodicEncoder(16, scale=1.0, random_state=0)):
        model = make_pipeline(encoder, Ridge(1e-3)).fit(X, y)
        assert model.score(X, y) > 0.9 > plain
        assert pickle.loads(pickle.dumps(model)).score(X, y) == model.score(X, y)


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        (PiecewiseLinearEncoder(0), "n_bins"),
        (PeriodicEncoder(0), "n_frequencies"),
        (PeriodicEncoder(scale=0.0), "scale"),
    ],
)
def test_parameters_are_checked(encoder, name):
    with pytest.raises(ValueError, match=name):
        encoder.fit([[1.0], [2.0]])
