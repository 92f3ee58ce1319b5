"""Warnings begin with scikit-learn's words, say what to do, and point at the user's line."""

import subprocess
import sys
import warnings

import data
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import BPClassifier

ADAM = {"max_iter": 3}
LBFGS = {"solver": "lbfgs", "max_iter": 3}
MAX_FUN = {"solver": "lbfgs", "max_fun": 3}
CLIPPED = {"batch_size": 1000, "max_iter": 2, "n_iter_no_change": 1, "tol": 1e9}


def caught(call):
    """The warnings of a call, each wherever it comes from."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return found


@pytest.mark.parametrize(
    ("params", "category", "advice"),
    [
        (ADAM, ConvergenceWarning, "Raise max_iter"),
        (LBFGS, ConvergenceWarning, "Increase the number of iterations"),
        (MAX_FUN, ConvergenceWarning, "max_fun=3"),
        (CLIPPED, UserWarning, "batch_size=1000"),
    ],
)
def test_scikit_learns_words_then_what_to_do(params, category, advice):
    X, y = data.iris()
    (ours,) = caught(lambda: BPClassifier((4,), random_state=0, **params).fit(X, y))
    theirs, *_ = caught(lambda: MLPClassifier((4,), random_state=0, **params).fit(X, y))
    assert ours.category is theirs.category is category
    words = str(theirs.message).splitlines()
    assert str(ours.message).startswith(words[0])
    assert set(words) <= {*str(ours.message).splitlines(), words[0]}
    assert advice in str(ours.message)


@pytest.mark.parametrize("params", [ADAM, LBFGS, MAX_FUN, CLIPPED], ids=str)
@pytest.mark.parametrize(
    "fit",
    [
        lambda model, X, y: model.fit(X, y),
        lambda model, X, y: make_pipeline(StandardScaler(), model).fit(X, y),
        lambda model, X, y: cross_val_score(model, X, y, cv=2),
        lambda model, X, y: GridSearchCV(model, {"alpha": [0.1]}, cv=2).fit(X, y),
    ],
    ids=["fit", "pipeline", "cross-validation", "search"],
)
def test_the_users_line(fit, params):
    X, y = data.iris()
    found = caught(lambda: fit(BPClassifier((4,), random_state=0, **params), X, y))
    assert found and {warning.filename for warning in found} == {__file__}
    assert {warning.lineno for warning in found} == {fit.__code__.co_firstlineno}


def test_numba_that_may_not_compile_is_named():
    program = """
import fastbp
fastbp.BPRegressor((2,), max_iter=1).fit([[0.0], [1.0]], [0.0, 1.0])
"""
    done = subprocess.run(
        [sys.executable, "-c", "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'" + program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: fastbp cannot compute with NUMBA_DISABLE_JIT=1")
    assert "Unset it" in last
    assert "llvm" not in done.stderr
