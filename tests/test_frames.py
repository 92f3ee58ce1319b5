"""Large frames are taken in blocks of rows: what comes of them is what one block would give."""

import data
import numpy as np
import pytest
from helpers import assert_same_bits
from sklearn.base import clone

from fastbp import BPClassifier, BPRegressor
from fastbp.estimators import frames

pd = pytest.importorskip("pandas")
PARAMS = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0, "early_stopping": True}
KINDS = ["float64", "float32", "mixed", "nullable", "object", "integers and flags", "polars", "big-endian"]


def frame_of(kind):
    X, y = data.iris()
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    if kind in ("float64", "float32", "object"):
        return frame.astype(kind), y
    if kind == "mixed":
        return frame.astype({"a": np.float64, "c": np.int8}), y
    if kind == "nullable":
        return frame.astype("Float64"), y
    if kind == "integers and flags":
        return pd.DataFrame({"a": (10 * frame.a).astype(int), "b": frame.b > 0}), y
    if kind == "big-endian":
        return pd.DataFrame({"a": frame.a.to_numpy().astype(">f4"), "b": frame.b.to_numpy().astype(">f4")}), y
    return pytest.importorskip("polars").from_pandas(frame.astype({"a": np.float64})), y


@pytest.fixture
def in_blocks(monkeypatch):
    """From a call on, frames are taken a few rows at a time."""

    def begin():
        for name, value in (("MOST_BLOCKS", 1000), ("BLOCK_BYTES", 1), ("FEWEST_ROWS", 7)):
            monkeypatch.setattr(frames, name, value)

    return begin


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("Estimator", [BPClassifier, BPRegressor])
def test_a_frame_in_blocks_is_the_same_frame(Estimator, kind, in_blocks):
    X, y = frame_of(kind)
    model = Estimator(**PARAMS)
    whole = clone(model).fit(X, y)
    expected, dtype = whole.predict(X), whole.coefs_[0].dtype
    assert frames.rows_of_block(X) is None
    in_blocks()
    assert frames.rows_of_block(X) == 7
    blocks = clone(model).fit(X, y)
    assert_same_bits(whole, blocks)
    assert blocks.coefs_[0].dtype == dtype
    np.testing.assert_array_equal(blocks.predict(X), expected)
    assert blocks.n_features_in_ == whole.n_features_in_
    np.testing.assert_array_equal(blocks.feature_names_in_, whole.feature_names_in_)


def spoiled(frame, *, kind):
    frame = frame.copy()
    if kind == "missing number":
        frame.iloc[-1, 0] = np.nan
    elif kind == "infinity":
        frame.iloc[-1, 0] = np.inf
    elif kind == "string":
        frame["a"] = frame["a"].astype(object)
        frame.iloc[-1, 0] = "many"
    elif kind == "another name":
        frame = frame.rename(columns={"a": "z"})
    elif kind == "one feature less":
        frame = frame.drop(columns="d")
    else:
        frame["a"] = frame["a"].astype(object)
        frame.iloc[-1, 0] = 10**400
    return frame


@pytest.mark.parametrize(
    "kind", ["missing number", "infinity", "string", "another name", "one feature less", "huge integer"]
)
def test_what_is_refused_in_a_frame_is_refused_in_its_last_block(kind, in_blocks):
    X, y = frame_of("float64")
    model = BPClassifier(**PARAMS).fit(X, y)
    bad = spoiled(X, kind=kind)
    with pytest.raises((ValueError, TypeError)) as one:
        model.predict(bad)
    in_blocks()
    with pytest.raises(type(one.value)) as several:
        model.predict(bad)
    assert str(several.value) == str(one.value)


def test_targets_of_a_frame_in_blocks_are_looked_at(in_blocks):
    X, y = frame_of("mixed")
    in_blocks()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        BPRegressor(**PARAMS).fit(X, y[1:])
    with pytest.raises(ValueError, match="Input y contains NaN"):
        BPRegressor(**PARAMS).fit(X, np.where(y == 0, np.nan, y))
    with pytest.raises(ValueError, match="requires y to be passed"):
        BPRegressor(**PARAMS).fit(X, None)


def test_frames_with_sparse_columns_stay_sparse(in_blocks):
    X, y = frame_of("float64")
    sparse = X.where(X > 0, 0.0).astype(pd.SparseDtype(float, 0.0))
    in_blocks()
    assert frames.rows_of_block(sparse) is None
    assert_same_bits(
        BPClassifier(**PARAMS).fit(sparse, y), BPClassifier(**PARAMS).fit(sparse.sparse.to_coo(), y)
    )
