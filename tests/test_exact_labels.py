"""Labels that NumPy would compare as floats are compared as what they are."""

import data
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from fastbp import BPClassifier

FIRST = 2**53  # the first of three neighbours of which float64 makes two
PARAMS = {"hidden_layer_sizes": (9,), "max_iter": 200, "learning_rate_init": 0.02, "random_state": 0}
EQUAL = {
    "int64": lambda ids: ids.astype(np.int64),
    "uint64": lambda ids: ids.astype(np.uint64),
    "objects": lambda ids: np.array(ids.tolist(), dtype=object),
    "list": lambda ids: ids.tolist(),
    "nullable": lambda ids: pd.Series(ids.astype(np.int64)).astype("Int64"),
    "nullable unsigned": lambda ids: pd.Series(ids.astype(np.uint64)).astype("UInt64"),
}


def numbered():
    X, y = data.iris()
    return X, FIRST + y.astype(np.int64)


@pytest.mark.parametrize("later", EQUAL)
@pytest.mark.parametrize("first", EQUAL)
def test_a_stream_whose_ids_are_signed_here_and_unsigned_there(first, later):
    X, ids = numbered()
    known = BPClassifier(**PARAMS)
    for _ in range(60):
        known.partial_fit(X, ids, classes=np.unique(ids))
    model = BPClassifier(**PARAMS)
    for _ in range(60):
        model.partial_fit(X, EQUAL[later](ids), classes=EQUAL[first](np.unique(ids)))
    assert_array_equal(model.predict_proba(X), known.predict_proba(X))
    assert model.predict(X).tolist() == known.predict(X).tolist()
    assert model.score(X, EQUAL[first](ids)) == known.score(X, ids) > 0.9
    assert model.loss_and_gradients(X, EQUAL[first](ids)).loss == known.loss_and_gradients(X, ids).loss


@pytest.mark.parametrize("other", EQUAL)
def test_validation_rows_and_warm_starts_with_ids_of_another_dtype(other):
    X, ids = numbered()
    params = {**PARAMS, "max_iter": 5, "early_stopping": True, "warm_start": True}
    same, model = BPClassifier(**params), BPClassifier(**params)
    for _ in range(2):
        same.fit(X, ids, X_val=X, y_val=ids)
    model.fit(X, ids, X_val=X, y_val=EQUAL[other](ids))
    model.fit(X, EQUAL[other](ids), X_val=X, y_val=ids)
    assert model.validation_scores_ == same.validation_scores_


@pytest.mark.parametrize("other", ["int64", "uint64", "objects"])
def test_weights_of_ids(other):
    X, ids = numbered()
    weights = {FIRST: 1.0, FIRST + 1: 2.0, FIRST + 2: 3.0}
    params = {**PARAMS, "max_iter": 3, "class_weight": weights}
    known, model = (BPClassifier(**params).fit(X, y) for y in (ids, EQUAL[other](ids)))
    assert known.loss_curve_ == model.loss_curve_


@pytest.mark.parametrize(
    "unknown",
    [
        np.array([FIRST + 3], np.uint64),
        np.array([-1], np.int64),
        np.array([2**64 - 1], np.uint64),
        np.array([float(FIRST + 4)]),
        np.array([0.5]),
        np.array([FIRST + 3], object),
    ],
    ids=str,
)
def test_an_id_that_is_not_known_is_never_taken_for_one_that_is(unknown):
    X, ids = numbered()
    model = BPClassifier(**PARAMS).partial_fit(X, ids, classes=np.unique(ids))
    before = model.coefs_[0].copy()
    with pytest.raises(ValueError):
        model.partial_fit(X[:1], unknown)
    with pytest.raises(ValueError, match=r"classes"):
        model.partial_fit(X, ids, classes=np.concatenate([np.unique(ids)[:2].astype(unknown.dtype), unknown]))
    assert_array_equal(model.coefs_[0], before)


def test_names_of_several_lengths():
    X, y = data.iris()
    names = np.array(["a", "bb", "a much longer name"])
    model = BPClassifier(**PARAMS).partial_fit(X, names[y], classes=names)
    model.partial_fit(X[y == 0], names[y[y == 0]].astype("U1"))
    with pytest.raises(ValueError, match="a much longer"):
        model.partial_fit(X[:1], np.array(["a much longer nam"]))


NESTED = {
    "objects in a series": lambda ids: pd.Series(ids.tolist(), dtype=object),
    "objects in a frame": lambda ids: pd.DataFrame({"id": ids.tolist()}, dtype=object),
    "floats and integers": lambda ids: [float(i) if i % 2 == 0 else int(i) for i in ids],
}
if np.finfo(np.longdouble).nmant >= 63:  # elsewhere they are float64 and round
    NESTED["long doubles"] = lambda ids: ids.astype(np.longdouble)


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("kind", NESTED)
def test_ids_in_other_containers(kind):
    X, ids = numbered()
    known = BPClassifier(**{**PARAMS, "max_iter": 20}).fit(X, ids)
    assert known.score(X, NESTED[kind](ids)) == known.score(X, ids)
    assert known.loss_and_gradients(X, NESTED[kind](ids)).loss == known.loss_and_gradients(X, ids).loss
    assert len(BPClassifier(**{**PARAMS, "max_iter": 1}).fit(X, NESTED[kind](ids)).classes_) == 3


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("ids", [[FIRST + 1, float(FIRST)], [2**63 + 1, -1], [True, 2**63 + 1]], ids=str)
def test_a_list_of_ids_of_which_numpy_would_make_floats(ids):
    X, _ = data.iris()
    for y in ([ids[i % 2] for i in range(len(X))], [[ids[i % 2]] for i in range(len(X))]):
        assert BPClassifier(**{**PARAMS, "max_iter": 1}).fit(X, y).classes_.tolist() == sorted(map(int, ids))


@pytest.mark.parametrize("scoring", ["accuracy", "f1_macro", "neg_log_loss"])
@pytest.mark.parametrize("other", EQUAL)
def test_scorers_of_scikit_learn_see_the_ids_of_validation_rows_exactly(scoring, other):
    X, ids = numbered()
    params = {**PARAMS, "max_iter": 15, "early_stopping": True, "scoring": scoring}
    known = BPClassifier(**params).fit(X, ids, X_val=X, y_val=ids)
    model = BPClassifier(**params).fit(X, ids, X_val=X, y_val=EQUAL[other](ids))
    assert model.validation_scores_ == known.validation_scores_


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
def test_a_score_of_numbers_that_are_no_labels(value):
    """They are refused, not counted as wrong."""
    X, y = data.iris()
    model = BPClassifier(**{**PARAMS, "max_iter": 1}).fit(X, y)
    with pytest.raises(ValueError, match=r"NaN|infinity|continuous"):
        model.score(X, np.where(y == 0, value, y))


def test_strings_in_the_dtype_of_numpy_2():
    dtypes = getattr(np, "dtypes", None)
    if not hasattr(dtypes, "StringDType"):
        return  # NumPy 1 has none
    X, y = data.iris()
    names = np.array(["a", "bb", "ccc"])[y]
    strings = names.astype(dtypes.StringDType())
    params = {**PARAMS, "max_iter": 20}
    known, model = BPClassifier(**params).fit(X, names), BPClassifier(**params).fit(X, strings)
    assert model.predict(X).tolist() == known.predict(X).tolist()
    assert known.score(X, strings) == model.score(X, names) == known.score(X, names)
    known.partial_fit(X, strings, classes=np.unique(strings))
