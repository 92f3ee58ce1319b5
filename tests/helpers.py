"""What several test files need."""

import copy
import gc

import numpy as np
from numpy.testing import assert_array_equal
from reference import ACTIVATE, maxout
from scipy import sparse

# Trains for exactly max_iter epochs.
EVERY_EPOCH = {"tol": 0.0, "n_iter_no_change": np.inf}


def weights(estimator):
    """All weights and intercepts in one vector."""
    return np.concatenate([np.ravel(w) for w in [*estimator.coefs_, *estimator.intercepts_]])


def assert_same_bits(first, second):
    """Both estimators have the same weights, to the last bit."""
    assert len(first.coefs_) == len(second.coefs_)
    arrays = ([*one.coefs_, *one.intercepts_, *one.feature_params_] for one in (first, second))
    for a, b in zip(*arrays, strict=True):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)


def best_epoch(estimator):
    """Number of the epoch, from 1, that early stopping keeps: the last of those with the best score."""
    scores = np.array(estimator.validation_scores_)
    return int(np.flatnonzero(scores >= scores.max() - 1e-12 * abs(scores.max()))[-1]) + 1


def fitted_attributes(estimator):
    """Name -> value of the public fitted attributes."""
    return {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}


def snapshot(estimator):
    """A deep copy of the public state: parameters and fitted attributes."""
    return copy.deepcopy((estimator.get_params(), fitted_attributes(estimator)))


def assert_equal_state(a, b):
    """Nested containers of arrays and scalars are equal, bit for bit (NaN equals NaN)."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal_state(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal_state(x, y)
    elif sparse.issparse(a):
        assert_array_equal(a.toarray(), b.toarray())
    elif isinstance(a, np.ndarray | np.generic | float | int | str | bool | type(None)):
        assert_array_equal(a, b)
    else:
        assert vars(a).keys() == vars(b).keys()


def kernels():
    """Every dispatcher of Numba's whose Python function lives in the package."""
    from numba.core.dispatcher import Dispatcher

    found = [
        thing
        for thing in gc.get_objects()
        # Not isinstance, which asks objects for their __class__: some that are none of ours then warn.
        if issubclass(type(thing), Dispatcher) and thing.py_func.__module__.startswith("fastbp")
    ]
    assert found
    return found


def random_weights(estimator, rng, scale=0.7):
    """Replace a fitted network's weights and intercepts by random ones."""
    estimator.coefs_ = [rng.normal(scale=scale, size=c.shape) for c in estimator.coefs_]
    if estimator.fit_intercept:
        estimator.intercepts_ = [rng.normal(scale=scale, size=b.shape) for b in estimator.intercepts_]
    return estimator


def logistic(z):
    return 1 / (1 + np.exp(-z))


def forward(estimator, X):
    """The textbook forward pass: the list of every layer's activations."""
    layers = []
    h = X
    hidden = estimator.activation
    for number, (W, b) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True), start=1):
        last = number == len(estimator.coefs_)
        own = hidden if isinstance(hidden, str) or last else hidden[number - 1]
        z = h @ W + b
        if own == "maxout" and not last:
            h = maxout(z, estimator.maxout_pieces)
        else:
            h = ACTIVATE[estimator.out_activation_ if last else own](z)
        layers.append(h)
    return layers
