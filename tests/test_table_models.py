"""Table models: any table fits and predicts, sure as held-out rows show, and nothing is lost on errors."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import TabularClassifier, TabularRegressor
from fastbp.tables.calibration import fit_sharpness, interval_width, sharpened
from fastbp.tables.held_out import member_rows
from fastbp.tables.members import EFFORTS
from fastbp.tables.networks import n_epochs

pd = pytest.importorskip("pandas")


@parametrize_with_checks([TabularClassifier(effort="fast"), TabularRegressor(effort="fast")])
def test_estimator(estimator, check):
    check(estimator)


def mixed_frame(n_rows, seed=0):
    """A frame with every kind of column, and a target that some of them tell."""
    rng = np.random.RandomState(seed)
    days = rng.randint(0, 3000, n_rows)
    colour = rng.choice(["red", "green", "blue", None], n_rows)
    number = rng.normal(size=n_rows)
    frame = pd.DataFrame(
        {
            "number": np.where(rng.rand(n_rows) < 0.1, np.nan, number),
            "tails": rng.standard_cauchy(n_rows) * 1e10,
            "mostly zero": np.where(rng.rand(n_rows) < 0.8, 0.0, rng.rand(n_rows)),
            "whole": rng.randint(0, 3, n_rows),
            "flag": rng.rand(n_rows) < 0.5,
            "colour": colour,
            "size": pd.Categorical(rng.choice(["S", "M", "L"], n_rows), ["S", "M", "L"], ordered=True),
            "city": [f"city {i}" for i in rng.randint(0, max(n_rows // 4, 2), n_rows)],
            "day": pd.Timestamp("2015-01-01") + pd.to_timedelta(days, unit="D"),
            "constant": 1,
            "empty": np.full(n_rows, np.nan),
            "key": [f"id{i}" for i in range(n_rows)],
        }
    )
    frame["copy"] = frame["number"]
    value = number + (colour == "red") * 2 + days / 1000 + rng.normal(size=n_rows) / 10
    return frame, value


def strange_rows(frame):
    """Rows with levels, gaps and values that training has not seen."""
    rows = frame.iloc[:6].copy()
    rows["colour"] = ["violet", None, "", "red", "RED", "7"]
    rows["city"] = "elsewhere"
    rows["size"] = pd.Categorical([None] * 6, ["S", "M", "L"], ordered=True)
    rows["whole"] = [7.5, np.nan, -1, 0, 1, 1e300]
    rows["number"] = [np.inf, -np.inf, np.nan, 1e300, -1e300, 0]
    rows["day"] = pd.to_datetime([None, "1900-01-01", "2200-01-01", None, None, "2016-02-29"])
    rows["constant"] = np.nan
    rows["empty"] = 1.0
    return rows


@pytest.mark.parametrize("n_rows", [20, 60, 600])
def test_every_kind_of_column(n_rows):
    frame, value = mixed_frame(n_rows)
    model = TabularRegressor(effort="fast", random_state=0).fit(frame, value)
    assert n_rows < 600 or model.score(*mixed_frame(200, seed=0)) > 0.8
    labels = np.where(value > np.median(value), "high", "low")
    classifier = TabularClassifier(effort="fast", random_state=0).fit(frame, labels)
    assert np.isfinite(classifier.predict_proba(strange_rows(frame))).all()
    assert set(classifier.predict(strange_rows(frame))) <= {"high", "low"}
    mean, std = model.predict(strange_rows(frame), return_std=True)
    assert np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()


def test_frames_of_other_libraries_are_the_same_table():
    polars = pytest.importorskip("polars")
    frame, value = mixed_frame(120)
    frame = frame[["number", "whole", "flag", "colour", "city"]]
    model = TabularRegressor(effort="fast", random_state=0)
    expected = clone(model).fit(frame, value).predict(frame)
    objects = frame.astype(object).where(frame.notna(), None)
    other = polars.from_dict({name: objects[name].tolist() for name in frame})
    found = clone(model).fit(other, value)
    np.testing.assert_array_equal(found.predict(other), expected)
    assert list(found.feature_names_in_) == list(frame)


def test_sparse_rows():
    rng = np.random.RandomState(0)
    X = scipy.sparse.random(200, 30, 0.2, format="csr", random_state=rng)
    y = (X[:, 0].toarray().ravel() > 0) | (X[:, 1].toarray().ravel() > 0)
    model = TabularClassifier(effort="fast", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    np.testing.assert_allclose(model.predict_proba(X.toarray()), model.predict_proba(X))
    assert model.feature_importances_.argmax() in (0, 1)


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_no_worse_than_logistic_regression(load):
    X, y = load(return_X_y=True)
    simple = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    expected = cross_val_score(simple, X, y, cv=3).mean()
    assert cross_val_score(TabularClassifier(random_state=0), X, y, cv=3).mean() > expected - 0.02


def test_few_noisy_rows_lean_on_a_linear_model():
    X, y = load_diabetes(return_X_y=True)
    model = TabularRegressor(random_state=0).fit(X[::2], y[::2])
    assert model.members_[0].linear_weight > 0
    assert "of a linear model" in model.summary()
    assert model.score(X[1::2], y[1::2]) > Ridge(0.1).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) - 0.03


def test_smooth_rows_do_not():
    X = np.random.RandomState(0).uniform(-1, 1, (600, 2))
    model = TabularRegressor(effort="fast", random_state=0).fit(X, np.sin(4 * X[:, 0] * X[:, 1]))
    assert model.members_[0].linear_weight == 0
    assert model.score(X, np.sin(4 * X[:, 0] * X[:, 1])) > 0.98


# --- How sure it is


def test_sharpness_is_found():
    rng = np.random.RandomState(0)
    logits = rng.normal(size=(4000, 3)) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in p])
    blurred = np.exp(sharpened(np.log(p), 0.5))
    assert fit_sharpness(blurred, y, None) == pytest.approx(2.0, rel=0.1)
    assert fit_sharpness(blurred[:1], y[:1], None) == pytest.approx(1.0, abs=0.5)
    assert fit_sharpness(blurred, y, np.full(4000, 7.0)) == pytest.approx(fit_sharpness(blurred, y, None))


def test_probabilities_are_calibrated_on_held_out_rows():
    X, y = load_digits(return_X_y=True)
    model = TabularClassifier(effort="fast", random_state=0).fit(X[:600], y[:600])
    p = model.predict_proba(X[600:])
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.log(p), model.predict_log_proba(X[600:]), atol=1e-4)
    assert model.sharpness_ > 1 and log_loss(y[600:], p) < log_loss(y[600:], model._mean(X[600:]))


def test_intervals_cover():
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (1500, 2))
    y = X[:, 0] + (0.1 + 0.4 * (X[:, 1] > 0)) * rng.normal(size=1500)
    model = TabularRegressor(effort="fast", random_state=0).fit(X[:1000], y[:1000])
    for coverage in (0.5, 0.9):
        low, high = model.predict_interval(X[1000:], coverage).T
        assert np.mean((low < y[1000:]) & (y[1000:] < high)) == pytest.approx(coverage, abs=0.07)
    _, std = model.predict(X[1000:], return_std=True)
    noisy = X[1000:, 1] > 0
    assert std[noisy].mean() > 2 * std[~noisy].mean()  # it sees where the noise is
    with pytest.raises(ValueError, match="coverage"):
        model.predict_interval(X, coverage=1.0)


def test_interval_width_is_the_conformal_quantile():
    scores = np.arange(1.0, 10.0)[:, None]
    assert interval_width(scores, 0.5) == 5  # the ceil(10 * 0.5)-th of 9
    assert interval_width(scores, 0.99) == 9
    assert interval_width(None, 0.9) == pytest.approx(1.645, abs=1e-3)


# --- Members


@pytest.mark.parametrize("n_rows", [50, 103])
def test_members_hold_out_other_tenths(n_rows):
    y = np.arange(n_rows) % 3
    rows = list(member_rows(y, 10, True, np.random.RandomState(0)))
    held_out = np.concatenate([held for _, held in rows])
    assert sorted(held_out) == list(range(n_rows))
    for train, held in rows:
        assert sorted([*train, *held]) == list(range(n_rows))
        assert np.ptp(np.bincount(y[held], minlength=3)) <= 1


def test_a_single_row_of_a_class_is_trained_on():
    y = np.append(np.zeros(99, int), 1)
    assert all(99 in train for train, _ in member_rows(y, 10, True, np.random.RandomState(0)))
    X = np.random.RandomState(0).normal(size=(100, 2))
    assert TabularClassifier(effort="fast").fit(X, y).predict_proba(X).shape == (100, 2)


def test_few_rows_are_all_trained_on():
    ((train, held_out),) = member_rows(np.zeros(49), 1, False, np.random.RandomState(0))
    assert len(train) == 49 and len(held_out) == 0
    model = TabularRegressor(effort="fast").fit(np.arange(20.0)[:, None], np.arange(20.0))
    assert np.isnan(model.feature_importances_).all()
    assert model.predict_interval([[3.0]]).shape == (1, 2)


def test_efforts():
    X, y = load_iris(return_X_y=True)
    for effort in EFFORTS:
        model = TabularClassifier(effort=effort, n_members=1 if effort == "best" else None).fit(X, y)
        assert len(model.members_) == (1 if effort == "best" else len(EFFORTS[effort].views))
        assert model.members_[0].network.n_iter_ == model.n_epochs_
    assert n_epochs(10_000, 1) == 32 and n_epochs(10_000, 2) == 64
    assert n_epochs(100, 1) == 128 and n_epochs(10_000_000, 1) == 8


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_threads_do_not_change_a_bit(n_jobs):
    frame, value = mixed_frame(200)
    model = TabularRegressor(random_state=3).fit(frame, value)
    other = TabularRegressor(random_state=3, n_jobs=n_jobs).fit(frame, value)
    np.testing.assert_array_equal(model.predict(frame), other.predict(frame))


def test_members_in_several_runs_are_the_same(monkeypatch):
    frame, value = mixed_frame(200)
    expected = TabularRegressor(random_state=3).fit(frame, value).predict(frame)
    monkeypatch.setattr("fastbp.tables.training.BYTES_AT_ONCE", 1)
    np.testing.assert_array_equal(TabularRegressor(random_state=3).fit(frame, value).predict(frame), expected)


def test_blocks_of_rows_are_predicted_the_same(monkeypatch):
    frame, value = mixed_frame(200)
    model = TabularRegressor(effort="fast", random_state=3).fit(frame, value)
    expected = model.predict(frame)
    monkeypatch.setattr("fastbp.tables.base.PREDICTED_AT_ONCE", 7)
    np.testing.assert_array_equal(model.predict(frame), expected)


def test_time_limit():
    X = np.random.RandomState(0).normal(size=(300, 3))
    with pytest.warns(UserWarning, match="time_limit"):
        model = TabularRegressor(time_limit=1e-9, random_state=0).fit(X, X[:, 0])
    assert len(model.members_) == 1 and model.members_[0].network.n_iter_ == 1
    long = TabularRegressor(time_limit=1e9, random_state=0).fit(X, X[:, 0])
    plain = TabularRegressor(random_state=0).fit(X, X[:, 0])
    np.testing.assert_array_equal(long.predict(X), plain.predict(X))
    pickle.loads(pickle.dumps(long))


# --- What is known of the columns


def test_summary_and_importances():
    frame, value = mixed_frame(400)
    model = TabularRegressor(random_state=0).fit(frame, value)
    text = model.summary()
    for words in (
        "9 of 13 columns are used",
        "constant: not used",
        "the same as 'number'",
        "one-hot",
        "days",
    ):
        assert words in text
    important = model.feature_importances_
    assert important.sum() == pytest.approx(1) and (important >= 0).all()
    names = np.array(frame.columns)[np.argsort(important)[::-1]]
    assert set(names[:3]) == {"number", "colour", "day"}
    np.testing.assert_array_equal(important, pickle.loads(pickle.dumps(model)).feature_importances_)


# --- Arguments


def test_given_validation_rows_are_those_of_all_members():
    X, y = load_iris(return_X_y=True)
    model = TabularClassifier(effort="fast", random_state=0).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert {member.network.best_validation_score_ for member in model.members_} != {None}
    with pytest.raises(ValueError, match="has classes not in"):
        TabularClassifier(effort="fast").fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    with pytest.raises(ValueError, match="y_val"):
        TabularClassifier(effort="fast").fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="X_val"):
        TabularRegressor(effort="fast").fit(X, y, y_val=y)


def test_class_weights_are_weights_of_rows():
    X, y = load_breast_cancer(return_X_y=True)
    X, y = X[:200], y[:200]
    of_class = TabularClassifier(effort="fast", class_weight={0: 5, 1: 1}, random_state=0).fit(X, y)
    of_row = TabularClassifier(effort="fast", random_state=0).fit(
        X, y, sample_weight=np.where(y == 0, 5.0, 1.0)
    )
    np.testing.assert_allclose(of_class.predict_proba(X), of_row.predict_proba(X), rtol=1e-5)


def test_rows_without_weight_do_not_count():
    frame, value = mixed_frame(100)
    weight = np.where(np.arange(100) < 80, 1.0, 0.0)
    weighted = TabularRegressor(effort="fast", random_state=0).fit(frame, value, sample_weight=weight)
    fewer = TabularRegressor(effort="fast", random_state=0).fit(
        frame.iloc[:80], value[:80], sample_weight=np.ones(80)
    )
    np.testing.assert_allclose(weighted.predict(frame), fewer.predict(frame), rtol=1e-5)


def test_several_targets_and_labels():
    X = np.random.RandomState(0).normal(size=(120, 3))
    model = TabularRegressor(effort="fast", random_state=0).fit(X, X[:, :2])
    assert model.predict(X).shape == (120, 2) and model.predict_interval(X).shape == (120, 2, 2)
    assert model.score(X, X[:, :2]) > 0.9
    labels = (X[:, :2] > 0).astype(int)
    classifier = TabularClassifier(effort="fast", random_state=0).fit(X, labels)
    assert classifier.predict(X).shape == (120, 2) and classifier.predict_proba(X).shape == (120, 2)
    assert classifier.score(X, labels) > 0.8


def test_a_failed_fit_leaves_the_model_as_it_was():
    frame, value = mixed_frame(80)
    model = TabularRegressor(effort="fast", random_state=0).fit(frame, value)
    before = model.predict(frame)
    with pytest.raises(ValueError, match="no column to learn from"):
        model.fit(frame[["constant", "empty"]], value)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(frame, np.full(80, np.nan))
    with pytest.raises(ValueError, match="sample_weight"):
        model.fit(frame, value, sample_weight=-np.ones(80))
    np.testing.assert_array_equal(model.predict(frame), before)
    with pytest.raises(ValueError, match="effort"):
        model.set_params(effort="more").fit(frame, value)


def test_in_a_search_and_with_routed_weights():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(TabularClassifier(random_state=0), {"effort": ["fast"], "n_members": [1, 2]}, cv=2)
    assert search.fit(X, y).best_score_ > 0.9
    with config_context(enable_metadata_routing=True):
        model = TabularClassifier(effort="fast", random_state=0)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        cross_val_score(model, X, y, cv=2, params={"sample_weight": np.ones(150)})
