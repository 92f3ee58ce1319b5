"""Against PyTorch, which has what scikit-learn has not: `l2`, and squared error on any output layer."""

import data
import numpy as np
import pytest
from helpers import EVERY_EPOCH
from numpy.testing import assert_allclose
from tolerances import SKLEARN

from fastbp import BPRegressor

torch = pytest.importorskip("torch")

HEADS = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "softmax": lambda z: torch.softmax(z, dim=1),
    "exp": torch.exp,
}


def test_maxout():
    """torch's maximum over each group of columns, and its derivative."""
    X, Y = data.multi_output()
    rng = np.random.RandomState(0)
    pieces, lr, rows = 3, 0.05, 16
    shapes = [(4, 7 * pieces), (7, 5 * pieces), (5, 3)]
    coefs = [rng.normal(scale=0.5, size=shape) for shape in shapes]
    intercepts = [rng.normal(scale=0.3, size=shape[1]) for shape in shapes]

    W = [torch.tensor(coef, requires_grad=True) for coef in coefs]
    b = [torch.tensor(intercept, requires_grad=True) for intercept in intercepts]
    optimiser = torch.optim.SGD([*W, *b], lr=lr)
    A, B = torch.tensor(X.copy()), torch.tensor(Y.copy())
    for _ in range(10):
        for first in range(0, len(X), rows):
            h, y = A[first : first + rows], B[first : first + rows]
            for layer in range(2):
                h = (h @ W[layer] + b[layer]).unflatten(1, (-1, pieces)).max(dim=2).values
            loss = ((h @ W[2] + b[2] - y) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    model = BPRegressor(
        (7, 5),
        activation="maxout",
        maxout_pieces=pieces,
        loss="mean_squared_error",
        solver="sgd",
        momentum=0.0,
        learning_rate_init=lr,
        alpha=0.0,
        batch_size=rows,
        shuffle=False,
        max_iter=10,
        **EVERY_EPOCH,
    )
    model.fit(X, Y, coefs_init=coefs, intercepts_init=intercepts)
    moved = 0.0
    for ours, theirs, start in zip(model.coefs_ + model.intercepts_, W + b, coefs + intercepts, strict=True):
        assert_allclose(ours, theirs.detach().numpy(), **SKLEARN)
        moved = max(moved, np.abs(ours - start).max())
    assert moved > 0.05


# Both add it to a square root, but before and after the correction of the bias; so it must not count.
TINY = 1e-30


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("out_activation", HEADS)
def test_ten_epochs(out_activation, solver):
    """Without intercepts PyTorch's weight_decay is exactly `l2`: its gradient is l2 · W for every weight."""
    X, Y = data.multi_output()
    rng = np.random.RandomState(0)
    start = [rng.normal(scale=0.3, size=(4, 6)), rng.normal(scale=0.3, size=(6, 3))]
    lr, l2, rows = 0.01, 0.05, 16

    W1, W2 = (torch.tensor(W, requires_grad=True) for W in start)
    optimiser = torch.optim.Adam if solver == "adam" else torch.optim.SGD
    extra = {"eps": TINY} if solver == "adam" else {}
    optimiser = optimiser([W1, W2], lr=lr, weight_decay=l2, **extra)
    A, B = torch.tensor(X.copy()), torch.tensor(Y.copy())
    for _ in range(10):
        for first in range(0, len(X), rows):
            x, y = A[first : first + rows], B[first : first + rows]
            loss = ((HEADS[out_activation](torch.tanh(x @ W1) @ W2) - y) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    model = BPRegressor(
        (6,),
        activation="tanh",
        out_activation=out_activation,
        loss="mean_squared_error",
        fit_intercept=False,
        solver=solver,
        momentum=0.0,
        learning_rate_init=lr,
        alpha=0.0,
        l2=l2,
        epsilon=TINY,
        batch_size=rows,
        shuffle=False,
        max_iter=10,
        **EVERY_EPOCH,
    )
    model.fit(X, Y, coefs_init=start)
    for ours, theirs in zip(model.coefs_, (W1, W2), strict=True):
        assert_allclose(ours, theirs.detach().numpy(), **SKLEARN)
