"""What every peer offers to the benchmarks."""

import time

import numpy as np


class Peer:
    """One library, ready to train one workload again and again from the same initial weights."""

    def __init__(self, workload, dtype: str, threads: int):
        self.workload, self.dtype, self.threads = workload, np.dtype(dtype), threads
        self.X, self.y = workload.data(self.dtype)

    def warm_up(self, **how) -> None:
        """Do what only a first `fit(**how)` has to do: compile, allocate, start threads."""
        self.fit(**how)

    def fit(self, epochs: int | None = None, shuffle: bool = True) -> float:
        """Train from the initial weights; return the seconds that a whole fit took."""
        epochs = self.workload.epochs if epochs is None else epochs
        start = time.perf_counter()
        self._fit(epochs, shuffle)
        return time.perf_counter() - start

    def _fit(self, epochs: int, shuffle: bool) -> None:
        raise NotImplementedError

    @property
    def loss(self) -> float:
        """The last epoch's mean training loss; where `loss_is_objective`, with the penalty."""
        raise NotImplementedError

    loss_is_objective = False

    def weights(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the trained (inputs, outputs) matrices and biases."""
        raise NotImplementedError

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return class numbers or values, as a user gets them."""
        raise NotImplementedError


class EstimatorPeer(Peer):
    """A peer with scikit-learn's interface: `parameters` and `fit_arguments` may differ."""

    classes: tuple[type, type]  # classifier, regressor
    loss_is_objective = True

    def parameters(self) -> dict:
        w = self.workload
        return {
            "hidden_layer_sizes": w.hidden,
            "activation": w.activation,
            "solver": w.solver,
            "alpha": w.alpha,
            "batch_size": w.batch,
            "learning_rate_init": w.learning_rate,
            "momentum": w.momentum,
            "nesterovs_momentum": w.momentum > 0,
            "random_state": w.seed,
            "tol": 0.0,
            "n_iter_no_change": np.inf,
        }

    def fit_arguments(self) -> dict:
        return {}

    def _fit(self, epochs, shuffle):
        make = self.classes[self.workload.kind == "values"]
        self.model = make(max_iter=epochs, shuffle=shuffle, **self.parameters())
        if self.workload.partial:
            self._stream(epochs)
        else:
            self.model.fit(self.X, self.y, **self.fit_arguments())

    def _stream(self, epochs):
        w = self.workload
        first = {} if w.kind == "values" else {"classes": np.arange(w.outputs)}
        for _ in range(epochs):
            for start in range(0, w.rows, w.batch):
                rows = slice(start, start + w.batch)
                self.model.partial_fit(self.X[rows], self.y[rows], **first)
                first = {}

    @property
    def loss(self):
        return float(self.model.loss_)

    def weights(self):
        return list(self.model.coefs_), list(self.model.intercepts_)

    def predict(self, X):
        return self.model.predict(X)
