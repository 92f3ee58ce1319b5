"""The metrics of early stopping, against scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics
from tolerances import CLOSED_FORM

from fastbp.training.metrics import accuracy, d2_pinball, r_squared

N_ROWS = 50
WEIGHTS = np.random.RandomState(9).uniform(0.2, 2.0, size=N_ROWS)
both_weights = pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["unweighted", "weighted"])


@both_weights
def test_accuracy_of_two_classes(weight):
    rng = np.random.RandomState(0)
    outputs, targets = rng.uniform(size=(N_ROWS, 1)), rng.randint(2, size=(N_ROWS, 1)).astype(float)
    expected = metrics.accuracy_score(targets[:, 0], outputs[:, 0] > 0.3, sample_weight=weight)
    assert_allclose(accuracy(outputs, targets, weight, multilabel=False, threshold=0.3), expected)


@both_weights
@pytest.mark.parametrize("one_hot", [False, True])
def test_accuracy_of_several_classes(weight, one_hot):
    rng = np.random.RandomState(0)
    outputs, label = rng.uniform(size=(N_ROWS, 3)), rng.randint(3, size=N_ROWS)
    targets = np.eye(3)[label] if one_hot else label[:, None].astype(float)
    expected = metrics.accuracy_score(label, outputs.argmax(axis=1), sample_weight=weight)
    assert_allclose(accuracy(outputs, targets, weight, multilabel=False, threshold=0.5), expected)


@both_weights
def test_accuracy_of_several_labels(weight):
    rng = np.random.RandomState(0)
    outputs, targets = rng.uniform(size=(N_ROWS, 2)), rng.randint(2, size=(N_ROWS, 2)).astype(float)
    expected = metrics.accuracy_score(targets, outputs > 0.5, sample_weight=weight)
    assert_allclose(accuracy(outputs, targets, weight, multilabel=True, threshold=0.5), expected)


@both_weights
def test_r_squared(weight):
    """Of a varying target, of a constant one that is met and of one that is not."""
    rng = np.random.RandomState(0)
    outputs, targets = rng.normal(size=(N_ROWS, 3)), rng.normal(size=(N_ROWS, 3))
    targets[:, 1:] = outputs[:, 1] = 2.0
    expected = metrics.r2_score(targets, outputs, sample_weight=weight)
    assert_allclose(r_squared(outputs, targets, weight), expected, **CLOSED_FORM)


@both_weights
def test_d2_pinball(weight):
    rng, quantiles = np.random.RandomState(0), [0.1, 0.7]
    outputs, y = rng.normal(size=(N_ROWS, 2)), rng.normal(size=N_ROWS)
    columns = zip(outputs.T, quantiles, strict=True)
    expected = np.mean([metrics.d2_pinball_score(y, f, alpha=q, sample_weight=weight) for f, q in columns])
    assert_allclose(d2_pinball(y, outputs, quantiles, weight), expected, **CLOSED_FORM)
