"""Any number of rows: the same bits for the rows they share, and scikit-learn's errors for none."""

import data
import numpy as np
import pytest
from combinations import make_network
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.neural_network import MLPClassifier

from fastbp import BPClassifier, BPRegressor
from fastbp.engines.cpu import engine as cpu

# Around the sizes at which the way to the result changes: few rows, registers, blocks.
SIZES = (1, 2, 63, 64, 65, 255, 256, 257, 511, 513, 1000)
PARAMS = {"max_iter": 2, "random_state": 0}


def rows(n=1000, n_features=7, dtype=np.float64, seed=0):
    return np.random.RandomState(seed).normal(size=(n, n_features)).astype(dtype)


def methods(model):
    if isinstance(model, BPRegressor):
        return [model.predict, model.transform]
    return [model.predict, model.predict_proba, model.predict_log_proba, model.transform]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(), (33,), (130, 70)], ids=str)
@pytest.mark.parametrize("task", ["binary", "classes", "multilabel", "one value", "values"])
def test_any_number_of_rows(task, hidden, dtype, container):
    X = rows(dtype=dtype)
    y = {
        "binary": np.arange(1000) % 2,
        "classes": np.arange(1000) % 20,
        "multilabel": (X[:, :3] > 0).astype(int),
        "one value": X[:, 0],
        "values": X[:, :3],
    }[task]
    Estimator = BPRegressor if "value" in task else BPClassifier
    model = Estimator(hidden, n_jobs=2, **PARAMS).fit(X, y)
    X = container(X)
    for method in methods(model):
        together = method(X)
        if sparse.issparse(together):
            together = together.toarray()
        for size in SIZES:
            for part in (slice(0, size), slice(1000 - size, 1000)):
                some = method(X[part])
                some = some.toarray() if sparse.issparse(some) else some
                assert_array_equal(some, together[part])


@pytest.mark.parametrize(
    "labels",
    [np.arange(10), np.array(list("jihgfedcba")), np.arange(10) * -5.0],
    ids=["ints", "words", "floats"],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("params", [{}, {"out_activation": "logistic"}, {"activation": "tanh"}], ids=str)
def test_predict_is_the_most_probable_class(params, n_classes, dtype, labels):
    X = rows(20_000, dtype=dtype)
    X *= 10.0 ** rows(20_000, 1, seed=1).astype(dtype)  # from doubt to certainty
    y = labels[(np.abs(X).sum(axis=1) * 3).astype(int) % n_classes]
    model = BPClassifier((20,), learning_rate_init=0.01, batch_size=500, **PARAMS, **params).fit(X, y)
    probabilities = model.predict_proba(X)
    assert len(model.classes_) == n_classes
    predicted = model.predict(X)
    assert_array_equal(model.predict(X[:50]), predicted[:50])
    if n_classes > 2 and params.get("out_activation") == "logistic":
        # Probabilities are divided by their sum, and rounded once more: two classes may then be equal.
        chosen = np.searchsorted(model.classes_, predicted)[:, None]
        assert_allclose(
            np.take_along_axis(probabilities, chosen, 1)[:, 0], probabilities.max(axis=1), rtol=1e-6
        )
    else:
        assert_array_equal(predicted, model.classes_[probabilities.argmax(axis=1)])


def test_of_equals_the_first_class_is_predicted():
    X = rows(100)
    model = BPClassifier((5,), **PARAMS).fit(X, np.arange(100) % 4)
    model.coefs_[-1][:] = 0
    model.intercepts_[-1][:] = [0, 1, 1, 1]
    assert (model.predict(X) == 1).all()
    assert (model.predict(X[:1]) == 1).all()


NOTHING = {
    "an empty slice": lambda X: X[:0],
    "an empty slice at the end": lambda X: X[len(X) :],
    "a mask of no row": lambda X: X[np.zeros(len(X), bool)],
    "an empty float32 array": lambda X: X[:0].astype("f"),
    "an empty sparse matrix": lambda X: sparse.csr_array(X[:0]),
    "no columns": lambda X: X[:, :0],
    "an empty list": lambda X: [],
    "a number": lambda X: 1.0,
    "a number of NumPy's": lambda X: np.float64(1),
    "an array of no dimension": lambda X: np.array(1.0),
    "one dimension": lambda X: X[0],
    "three dimensions": lambda X: X[:, :, None],
    "a column less": lambda X: X[:1, 1:],
}


@pytest.mark.parametrize("case", NOTHING)
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_errors_are_those_of_sklearn(method, case):
    X, y = data.iris()
    ours, theirs = (E((4,), **PARAMS).fit(X, y) for E in (BPClassifier, MLPClassifier))
    bad = NOTHING[case](X)
    with pytest.raises(ValueError) as expected:
        getattr(theirs, method)(bad)
    with pytest.raises(ValueError) as found:
        getattr(ours, method)(bad)
    assert str(found.value) == str(expected.value).replace("MLPClassifier", "BPClassifier")


@pytest.mark.parametrize("n_rows", [0, 1, 40, 1500])
@pytest.mark.parametrize("options", [{}, {"layer": "logits"}, {"largest": True, "n_jobs": 2}], ids=str)
def test_outputs_for_parameters_that_change(n_rows, options):
    """The same as outputs for each of them anew: nothing of one call is left for the next."""
    network = make_network("float32")
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_rows, network.n_inputs)).astype(np.float32)
    forward = cpu.Forward(network, X, **options)
    for scale in (1.0, 1e30, 0.5):  # the second overflows
        parameters = (scale * rng.normal(size=network.n_parameters)).astype(np.float32)
        assert_array_equal(forward(parameters), cpu.forward(network, parameters, X, **options))
