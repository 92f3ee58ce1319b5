"""A scorer of early stopping sees rows of the kind that the user has given, and no warnings come of it."""

import array

import data
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.metrics import accuracy_score, get_scorer
from sklearn.model_selection import train_test_split

from fastbp import BPClassifier, BPRegressor

PARAMS = {"hidden_layer_sizes": (5,), "max_iter": 4, "early_stopping": True, "random_state": 0}
NAMES = ["a", "b", "c", "d"]
LIBRARIES = pytest.mark.parametrize("library", ["pandas", "polars"])


def framed(library, values):
    module = pytest.importorskip(library)
    if values.ndim == 1:
        return module.Series(values)
    return module.DataFrame(np.array(values), **{"columns" if library == "pandas" else "schema": NAMES})


class Watching:
    """A scorer that keeps what it is given."""

    def __init__(self):
        self.seen = []

    def __call__(self, estimator, X, y):
        self.seen.append((X, y))
        return accuracy_score(y, estimator.predict(X))


@LIBRARIES
@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss", "loss", None])
def test_frames_are_scored_without_warnings(scoring, library):
    X, y = data.iris()
    params = {**PARAMS, "scoring": scoring}
    framed_scores = BPClassifier(**params).fit(framed(library, X), framed(library, y)).validation_scores_
    assert framed_scores == BPClassifier(**params).fit(X, y).validation_scores_
    validation = {"X_val": framed(library, X), "y_val": framed(library, y)}
    assert len(BPClassifier(**params).fit(framed(library, X), y, **validation).validation_scores_) == 4


@LIBRARIES
def test_a_scorer_sees_rows_of_the_frame(library):
    X, y = data.iris()
    watching = Watching()
    BPClassifier(**PARAMS, scoring=watching).fit(framed(library, X), framed(library, y))
    _, rows = train_test_split(np.arange(len(y)), test_size=0.1, random_state=_split_state(X, y))
    assert len(watching.seen) == 4
    for seen, labels in watching.seen:
        assert type(seen) is type(framed(library, X))
        assert type(labels) is type(framed(library, y))
        assert list(seen.columns) == NAMES
        assert_array_equal(np.asarray(seen), X[rows])
        assert_array_equal(np.asarray(labels), y[rows])


def _split_state(X, y):
    """Where the random state stands when the rows are set aside: the weights are drawn first."""
    watching = Watching()
    BPClassifier(**PARAMS, scoring=watching).fit(X, y)
    state = np.random.RandomState(0)
    for shape in [(4, 5), (5,), (5, 3), (3,)]:
        state.uniform(size=shape)
    return state


@LIBRARIES
def test_a_scorer_sees_the_validation_rows_themselves(library):
    X, y = data.iris()
    watching, X_val, y_val = Watching(), framed(library, X), framed(library, y)
    BPClassifier(**PARAMS, scoring=watching).fit(framed(library, X), y, X_val=X_val, y_val=y_val)
    assert all(seen is X_val and labels is y_val for seen, labels in watching.seen)


def test_validation_rows_in_another_container_warn_once():
    X, y = data.iris()
    frame = framed("pandas", X)
    for first, second, message in (
        (frame, X, "X does not have valid feature names"),
        (X, frame, "X has feature names"),
    ):
        with pytest.warns(UserWarning, match=message) as caught:
            BPClassifier(**PARAMS, scoring="accuracy").fit(first, y, X_val=second, y_val=y)
        assert len([one for one in caught if "feature names" in str(one.message)]) == 1


class Arraylike:
    """Numbers that are an array only when asked."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


@pytest.mark.parametrize(
    ("give", "kind"),
    [
        (np.asarray, np.ndarray),
        (np.asfortranarray, np.ndarray),
        (lambda X: X.astype("f"), np.ndarray),
        (lambda X: X.tolist(), list),
        (sparse.csr_array, sparse.sparray),
        (sparse.csc_array, sparse.sparray),
        (sparse.coo_array, sparse.sparray),
        (sparse.lil_matrix, sparse.spmatrix),
        (Arraylike, np.ndarray),
        (lambda X: [array.array("d", row) for row in X], list),
    ],
)
def test_other_containers(give, kind):
    X, y = data.iris()
    watching = Watching()
    model = BPClassifier(**PARAMS, scoring=watching).fit(give(X), y.tolist())
    assert all(isinstance(seen, kind) and isinstance(labels, list) for seen, labels in watching.seen)
    plain = BPClassifier(**PARAMS, scoring="accuracy").fit(X, y)
    assert model.validation_scores_ == plain.validation_scores_


def test_labels_and_targets_are_those_that_were_given():
    X, y = data.iris()
    words = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    watching = Watching()
    BPClassifier(**PARAMS, scoring=watching).fit(X, words)
    assert {labels.dtype for _, labels in watching.seen} == {np.dtype(object)}

    X, y = data.regression()
    seen = []

    def scorer(estimator, X, y):
        seen.append(y)
        return get_scorer("r2")(estimator, X, y)

    BPRegressor(**PARAMS, scoring=scorer, target_scaling="standard").fit(X.astype("f"), y)
    assert np.isin(seen[0], y).all()
    X, Y = data.multilabel()
    watching = Watching()
    BPClassifier(**PARAMS, scoring=watching).fit(X, sparse.csr_array(Y))
    assert all(sparse.issparse(labels) for _, labels in watching.seen)
