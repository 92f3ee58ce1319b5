"""The workloads that every benchmark of this folder uses, defined once.

`WORKLOADS` are the networks of the documents' tables, `STREAMS` train with one to three rows a step, and
`random_shapes` draws others that nobody tuned for.
Inputs are standard normal, classes and targets are random: a benchmark needs work, not a lesson.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One network, its data and how it is trained; `hidden` may be empty."""

    name: str
    rows: int
    inputs: int
    hidden: tuple[int, ...]
    outputs: int
    kind: str  # "classes" (softmax, log loss) or "values" (identity, squared error)
    activation: str
    batch: int
    epochs: int
    solver: str
    learning_rate: float = 1e-3
    momentum: float = 0.9  # of sgd, Nesterov's where it is not 0
    alpha: float = 1e-4
    seed: int = 0
    partial: bool = False  # a call of partial_fit for each batch, in the rows' order, in place of a fit

    @property
    def layer_shapes(self) -> list[tuple[int, int]]:
        widths = (self.inputs, *self.hidden, self.outputs)
        return list(pairwise(widths))

    @property
    def steps(self) -> int:
        """Solver steps in an epoch, the short last batch among them."""
        return math.ceil(self.rows / self.batch)

    @property
    def operations(self) -> int:
        """Floating-point operations of an epoch's matrix products.

        Each layer has three products of 2·p·q a row; the first layer hands no gradient back to the inputs.
        """
        products = [p * q for p, q in self.layer_shapes]
        return (6 * sum(products) - 2 * products[0]) * self.rows

    def data(self, dtype) -> tuple[np.ndarray, np.ndarray]:
        """Return X of shape (rows, inputs) and y of shape (rows,): class numbers, or values of `dtype`."""
        rng = np.random.default_rng([self.seed, 1])
        X = rng.standard_normal((self.rows, self.inputs)).astype(dtype)
        if self.kind == "values":
            return X, rng.standard_normal(self.rows).astype(dtype)
        y = rng.integers(0, self.outputs, self.rows)
        # every class must occur, or the network would have fewer outputs
        y[: self.outputs] = np.arange(self.outputs)
        return X, y

    def initial_weights(self, dtype) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the weights and biases that scikit-learn draws from ``random_state=seed``."""
        rng = np.random.RandomState(self.seed)
        coefs, intercepts = [], []
        for p, q in self.layer_shapes:
            bound = math.sqrt((2.0 if self.activation == "logistic" else 6.0) / (p + q))
            coefs.append(rng.uniform(-bound, bound, (p, q)).astype(dtype))
            intercepts.append(rng.uniform(-bound, bound, q).astype(dtype))
        return coefs, intercepts

    def forward(self, coefs, intercepts, X) -> np.ndarray:
        """Return the outputs before softmax, in plain float64 NumPy."""
        h = X.astype(np.float64)
        for layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            h = h @ W.astype(np.float64) + b
            if layer < len(self.hidden):
                h = ACTIVATIONS[self.activation](h)
        return h

    def loss(self, coefs, intercepts, X, y) -> float:
        """Return the mean loss over X, y without penalties, in plain float64 NumPy."""
        z = self.forward(coefs, intercepts, X)
        if self.kind == "values":
            return float(0.5 * np.mean((z[:, 0] - y) ** 2))
        z -= z.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]))


ACTIVATIONS = {
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
}

WORKLOADS = {
    w.name: w
    for w in [
        Workload(
            "seed", 4, 3, (4,), 1, "values", "logistic", 4, 1500, "sgd", learning_rate=0.1, momentum=0.0
        ),
        Workload("tiny", 1_000, 20, (32,), 3, "classes", "relu", 32, 50, "adam"),
        Workload("pbp", 5_000, 8, (50,), 1, "values", "relu", 32, 20, "adam"),
        Workload("tab", 20_000, 54, (128, 64), 7, "classes", "relu", 256, 5, "adam"),
        Workload("deep", 10_000, 32, (64,) * 8, 5, "classes", "tanh", 64, 4, "adam"),
        Workload("fmnist", 20_000, 784, (256, 128), 10, "classes", "relu", 200, 2, "adam"),
        Workload("wide", 8_000, 256, (1024, 1024), 10, "classes", "relu", 512, 2, "sgd", learning_rate=0.01),
    ]
}

STREAMS = {
    w.name: w
    for w in [
        *(Workload(f"stream{n}", 1_000, 20, (32,), 3, "classes", "relu", n, 5, "adam") for n in (1, 2, 3)),
        Workload("partial", 1_000, 20, (32,), 3, "classes", "relu", 1, 1, "adam", partial=True),
    ]
}


def random_shapes(count: int = 30, seed: int = 0) -> dict[str, Workload]:
    """Draw workloads of 1 to 12 layers, widths 1 to 2048 but no multiples of 16, batches 1 to 4096.

    Sizes are log-uniform. The number of steps follows from the operations of one, and what would still be too
    large is drawn again, so that a fit takes tenths of a second. The small learning rate keeps rounding
    errors from growing, so that answers can be compared.
    """
    rng = np.random.default_rng(seed)
    shapes: dict[str, Workload] = {}
    while len(shapes) < count:
        widths = [_width(rng) for _ in range(rng.integers(1, 13))]  # the inputs, then the hidden layers
        batch = _log_uniform(rng, 4096)
        kind = str(rng.choice(["classes", "values"]))
        outputs = int(rng.integers(3, 40)) if kind == "classes" else 1
        activation, solver = str(rng.choice(list(ACTIVATIONS))), str(rng.choice(["adam", "sgd"]))
        one_step = 6 * batch * sum(p * q for p, q in pairwise([*widths, outputs]))
        steps = int(np.clip(2e9 / one_step, 4, 200))
        rows = max(batch * steps - int(rng.integers(batch)), outputs)  # as a rule the last batch is short
        name, hidden = f"shape{len(shapes):02d}", tuple(widths[1:])
        shape = Workload(name, rows, widths[0], hidden, outputs, kind, activation, batch, 2, solver, 1e-4)
        if shape.operations * shape.epochs < 2e10 and rows * max(widths) < 3e7:
            shapes[name] = shape
    return shapes


def _log_uniform(rng, high: int) -> int:
    return int(np.exp(rng.uniform(0, math.log(high + 1))))


def _width(rng) -> int:
    width = _log_uniform(rng, 2048)
    return width if width % 16 else width - 1
