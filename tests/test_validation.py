"""Validation rows that the user gives to fit, as to scikit-learn's HistGradientBoosting estimators."""

import data
import numpy as np
import pandas as pd
import pytest
from helpers import EVERY_EPOCH, assert_equal_state, assert_same_bits, best_epoch, snapshot
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split

from fastbp import BPClassifier, BPRegressor


def classifier(**params):
    return BPClassifier(
        **{"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 20, "early_stopping": True, **params}
    )


def regressor(**params):
    return BPRegressor(
        **{"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 20, "early_stopping": True, **params}
    )


def parts(name="iris"):
    X, y = getattr(data, name)()
    w = np.random.RandomState(4).uniform(0.2, 3, len(X))
    return train_test_split(X, y, w, test_size=0.4, random_state=1)


KINDS = {
    "binary": (classifier, "binary"),
    "multiclass": (classifier, "iris"),
    "multilabel": (classifier, "multilabel"),
    "one target": (regressor, "regression"),
    "several targets": (regressor, "multi_output"),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_given_rows(kind, weighted, dtype):
    """After each epoch: a fit that is cut off there scores the same on the rows."""
    make, name = KINDS[kind]
    X, X_val, y, y_val, _, w_val = parts(name)
    X, w_val = X.astype(dtype), w_val if weighted else None
    params = {"learning_rate_init": 0.05, **EVERY_EPOCH}
    model = make(**params).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w_val)
    assert len(model.validation_scores_) == 20
    assert model.t_ == 20 * len(X)  # nothing is set aside
    assert model.best_validation_score_ == max(model.validation_scores_)
    predicted = model.predict(X_val.astype(dtype))
    score = accuracy_score if make is classifier else r2_score
    assert model.best_validation_score_ == pytest.approx(
        score(y_val, predicted, sample_weight=w_val), rel=1e-5
    )
    # The training is that of a fit without validation, up to the best epoch.
    plain = make(**{**params, "early_stopping": False, "max_iter": best_epoch(model)}).fit(X, y)
    assert_same_bits(model, plain)


def test_the_split_is_as_if_its_rows_were_given():
    X, y = data.iris()
    split = classifier(validation_fraction=0.2, shuffle=False, init="zeros", out_init="zeros").fit(X, y)
    rng = np.random.RandomState(0)
    train, held_out = train_test_split(np.arange(len(X)), test_size=0.2, random_state=rng)
    given = classifier(shuffle=False, init="zeros", out_init="zeros")
    given.fit(X[train], y[train], X_val=X[held_out], y_val=y[held_out])
    assert_same_bits(split, given)
    assert split.validation_scores_ == given.validation_scores_


def test_validation_fraction_counts_for_nothing():
    X, X_val, y, y_val, _, _ = parts()
    first, second = (
        classifier(validation_fraction=fraction).fit(X, y, X_val=X_val, y_val=y_val)
        for fraction in (0.0, 0.5)
    )
    assert_same_bits(first, second)
    assert first.t_ == len(X) * first.n_iter_


def test_stops_early():
    X, X_val, y, y_val, _, _ = parts("regression")
    model = regressor(max_iter=1000, learning_rate_init=0.01, n_iter_no_change=5)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ < 1000


@pytest.mark.parametrize(
    "convert", [sparse.csr_matrix, sparse.csc_array, np.asfortranarray, np.ndarray.tolist]
)
def test_any_container(convert):
    X, X_val, y, y_val, _, _ = parts()
    first = classifier().fit(X, y, X_val=convert(X_val), y_val=list(y_val))
    second = classifier().fit(X, y, X_val=X_val, y_val=y_val)
    assert_same_bits(first, second)
    assert first.validation_scores_ == second.validation_scores_


def test_a_single_row_and_missing_classes():
    X, X_val, y, y_val, _, _ = parts()
    model = classifier().fit(X, y, X_val=X_val[:1], y_val=y_val[:1])
    assert set(model.validation_scores_) <= {0.0, 1.0}
    assert_array_equal(model.classes_, [0, 1, 2])


def test_words_as_labels():
    X, X_val, y, y_val, _, _ = parts()
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    first = classifier().fit(X, names[y], X_val=X_val, y_val=names[y_val])
    assert_same_bits(first, classifier().fit(X, y, X_val=X_val, y_val=y_val))


def test_warm_start_has_to_beat_what_it_begins_with():
    X, X_val, y, y_val, _, _ = parts("regression")
    rows = {"X_val": X_val, "y_val": y_val}
    model = regressor(warm_start=True, max_iter=40, learning_rate_init=0.02).fit(X, y, **rows)
    before = model.best_validation_score_
    assert model.fit(X, y, **rows).best_validation_score_ >= before


def test_several_quantiles():
    X, X_val, y, y_val, _, _ = parts("regression")
    model = regressor(loss="pinball", loss_params={"quantile": [0.1, 0.5, 0.9]})
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val))


def test_column_names_must_be_those_of_X():
    X, X_val, y, y_val, _, _ = parts()
    X, X_val = (pd.DataFrame(part, columns=list("abcd")) for part in (X, X_val))
    classifier().fit(X, y, X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError, match=r"X_val.*feature names"):
        classifier().fit(X, y, X_val=X_val[list("badc")], y_val=y_val)


def replaced(**changes):
    return lambda rows: {**rows, **{name: change(rows[name]) for name, change in changes.items()}}


BAD_ROWS = {
    "no targets": (lambda rows: {"X_val": rows["X_val"]}, "X_val given to fit without y_val"),
    "no inputs": (lambda rows: {"y_val": rows["y_val"]}, "y_val given to fit without X_val"),
    "only weights": (
        lambda rows: {"sample_weight_val": rows["sample_weight_val"]},
        "sample_weight_val given to fit without X_val and y_val",
    ),
    "too few columns": (replaced(X_val=lambda X: X[:, 1:]), "X_val.*features"),
    "no rows": (replaced(X_val=lambda X: X[:0], y_val=lambda y: y[:0]), "X_val.*0 sample"),
    "NaN": (replaced(X_val=lambda X: X * np.nan), "X_val.*NaN"),
    "of one dimension": (replaced(X_val=lambda X: X[:, 0]), "X_val.*2D"),
    "too few targets": (replaced(y_val=lambda y: y[1:]), "y_val.*inconsistent"),
    "NaN as target": (replaced(y_val=lambda y: y * np.nan), "y_val.*NaN"),
    "too few weights": (replaced(sample_weight_val=lambda w: w[1:]), "sample_weight_val.*shape"),
    "negative weights": (replaced(sample_weight_val=lambda w: -w), "sample_weight_val.*[Nn]egative"),
    "no weight": (replaced(sample_weight_val=lambda w: 0 * w), "sample_weight_val.*non-zero"),
}


@pytest.mark.parametrize(("make", "name"), [(classifier, "iris"), (regressor, "regression")])
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_bad_rows_are_refused(bad, make, name):
    change, message = BAD_ROWS[bad]
    X, X_val, y, y_val, _, w_val = parts(name)
    rows = change({"X_val": X_val, "y_val": y_val, "sample_weight_val": w_val})
    model = make(max_iter=2).fit(X, y)
    before = snapshot(model)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(X, y, **rows)
    assert_equal_state(snapshot(model), before)


def test_targets_that_do_not_go_with_those_of_training():
    X, X_val, y, y_val, _, _ = parts()
    with pytest.raises(ValueError, match=r"y_val.*classes not in"):
        classifier().fit(X, y, X_val=X_val, y_val=y_val + 1)
    with pytest.raises(ValueError, match=r"y_val.*multilabel"):
        classifier().fit(X, y, X_val=X_val, y_val=np.eye(3, dtype=int)[y_val])
    with pytest.raises(ValueError, match=r"y_val.*2 targets"):
        regressor().fit(X, y, X_val=X_val, y_val=np.c_[y_val, y_val])
    with pytest.raises(ValueError, match=r"y_val.*y >= 0"):
        regressor(loss="poisson").fit(X, y, X_val=X_val, y_val=y_val - 5)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"early_stopping": False}, "early_stopping=True"), ({"solver": "lbfgs"}, "mini-batches")],
)
def test_rows_that_nobody_would_look_at_are_refused(params, message):
    """As by HistGradientBoosting, where early_stopping is False."""
    X, X_val, y, y_val, _, _ = parts()
    with pytest.raises(ValueError, match=f"X_val and y_val.*{message}"):
        classifier(**params).fit(X, y, X_val=X_val, y_val=y_val)
