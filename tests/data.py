"""Small data sets: scikit-learn's bundled ones and synthetic ones, none from the network.

The arrays are shared between the tests, so they are read-only; that also makes every test one of read-only
input.
"""

from functools import cache

import numpy as np
from sklearn import datasets
from sklearn.preprocessing import StandardScaler


def _frozen(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


@cache
def iris():
    """150 rows, 4 features, 3 classes, standardised, in an order that mixes the classes."""
    X, y = datasets.load_iris(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    return _frozen(StandardScaler().fit_transform(X)[order], y[order])


@cache
def digits():
    """1797 rows, 64 features in [0, 1], 10 classes."""
    X, y = datasets.load_digits(return_X_y=True)
    return _frozen(X / 16.0, y)


@cache
def binary():
    """100 rows, 5 features, 2 classes that overlap."""
    X, y = datasets.make_classification(100, 5, n_informative=3, flip_y=0.1, random_state=3)
    return _frozen(X, y)


@cache
def multilabel():
    """60 rows, 6 features, 3 labels."""
    X, Y = datasets.make_multilabel_classification(60, 6, n_classes=3, random_state=0)
    return _frozen(StandardScaler().fit_transform(X), Y)


@cache
def regression():
    """100 rows, 10 features, one standardised target (diabetes)."""
    X, y = datasets.load_diabetes(return_X_y=True)
    X, y = X[:100], y[:100]
    return _frozen(StandardScaler().fit_transform(X), (y - y.mean()) / y.std())


@cache
def multi_output():
    """90 rows, 4 features, 3 smooth targets."""
    rng = np.random.RandomState(5)
    X = rng.normal(size=(90, 4))
    Y = np.sin(X @ rng.normal(size=(4, 3))) + 0.1 * rng.normal(size=(90, 3))
    return _frozen(X, Y)


@cache
def counts():
    """100 rows, 3 features, counts whose logarithm of the mean is linear."""
    rng = np.random.RandomState(6)
    X = rng.uniform(-1, 1, size=(100, 3))
    return _frozen(X, rng.poisson(np.exp(X @ [1.0, -0.5, 0.3] + 0.5)).astype(float))


@cache
def fractions():
    """80 rows, 3 features, targets strictly within (0, 1)."""
    rng = np.random.RandomState(7)
    X = rng.normal(size=(80, 3))
    return _frozen(X, 1 / (1 + np.exp(-(X @ [1.0, -1.0, 0.5]) + 0.1 * rng.normal(size=80))))


@cache
def sparse_like():
    """120 rows, 20 features of which most are zero, 3 classes."""
    rng = np.random.RandomState(8)
    X = rng.normal(size=(120, 20)) * (rng.uniform(size=(120, 20)) < 0.2)
    y = (X @ rng.normal(size=(20, 3))).argmax(axis=1)
    return _frozen(X, y)
