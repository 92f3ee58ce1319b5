"""Callback that records statistics of a network's layers after each epoch."""

from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _num_samples

from fastbp.callbacks.network_callback import NetworkCallback
from fastbp.estimators import type_hints
from fastbp.estimators.parameter_checks import check
from fastbp.functions.values import python_number
from fastbp.plots.curves import score_name_of
from fastbp.plots.models import hidden_units, layer_names

# The bounds of activations that level off on both sides.
BOUNDS = {
    "logistic": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
}
NEAR = 0.02  # of the distance between the bounds: closer values are saturated
RECTIFIERS = ("relu", "relu6")  # units of these may be zero for every row
OF_LAYERS = (
    "activation_mean",
    "activation_std",
    "inactive",
    "gradient_mean",
    "gradient_std",
    "weight_std",
    "update_ratio",
)


@dataclass(frozen=True, eq=False)
class LayerHistory:
    """Statistics of the layers of one fit, from some of the rows given to it.

    All arrays but `epoch`, `loss` and `score` have the shape (n_epochs, n_layers): hidden layers and output.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers.
    activations : tuple of str
        Names of their activations.
    score_name : str
    epoch : ndarray of shape (n_epochs,)
        From 1. With ``solver="lbfgs"`` an iteration.
    loss : ndarray of shape (n_epochs,)
        Training loss.
    score : ndarray of shape (n_epochs,)
        Validation score; NaN without early stopping.
    activation_mean, activation_std : ndarray
        Over rows and units.
    inactive : ndarray
        Of relu and relu6 the share of dead units, which are zero for all the rows; of activations that level
        off on both sides the share of saturated values, which are closer to a bound than a fiftieth of the
        distance between the bounds. NaN for others, and for the output.
    gradient_mean, gradient_std : ndarray
        Of the loss's derivatives with respect to the layer's weights, over the weights.
    weight_std : ndarray
        Root of the mean square of the weights.
    update_ratio : ndarray
        Norm of the change of the weights in this epoch over their norm before it; NaN where that is zero.
    """

    layers: tuple[str, ...]
    activations: tuple[str, ...]
    score_name: str
    epoch: np.ndarray
    loss: np.ndarray
    score: np.ndarray
    activation_mean: np.ndarray
    activation_std: np.ndarray
    inactive: np.ndarray
    gradient_mean: np.ndarray
    gradient_std: np.ndarray
    weight_std: np.ndarray
    update_ratio: np.ndarray


@dataclass
class Recording:
    """State of a running fit."""

    goes_on: bool = False  # the latest history, by another call of partial_fit
    layers: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    score_name: str = "score"
    before: list[np.ndarray] | None = None
    epochs: list[dict[str, Any]] = field(default_factory=list)


class LayerStatistics(NetworkCallback[Recording]):
    """Record activations, gradients and updates of each layer after each epoch.

    For `LayerStatisticsDisplay` and `LossCurveDisplay.from_history`. The statistics are of the weights after
    the epoch, not of the best ones so far, and of the network as it predicts, without dropout. With
    ``solver="lbfgs"`` an iteration counts as an epoch.

    Parameters
    ----------
    n_rows : int, default=500
        Number of the rows given to `fit`, evenly spread, that activations and gradients are computed from;
        fewer if there are not so many.

    Attributes
    ----------
    histories_ : list of LayerHistory
        One for each fit that has ended. `partial_fit` continues that of the network if it is the latest.
    history_ : LayerHistory
        The latest of them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp import BPClassifier
    >>> from fastbp.plots import LayerStatistics
    >>> X, y = load_iris(return_X_y=True)
    >>> recorder = LayerStatistics()
    >>> network = BPClassifier((20, 10), max_iter=5, tol=0, random_state=0).set_callbacks(recorder)
    >>> network = network.fit(X, y)
    >>> recorder.history_.layers
    ('hidden 1', 'hidden 2', 'output')
    >>> recorder.history_.update_ratio.shape
    (5, 3)
    """

    def __init__(self, n_rows: type_hints.Count = 500) -> None:
        super().__init__()
        check({"n_rows": [Interval(Integral, 1, None, closed="left")]}, {"n_rows": n_rows}, "LayerStatistics")
        self.n_rows = python_number(n_rows)
        self.histories_: list[LayerHistory] = []
        self._latest: list[np.ndarray] | None = None  # weights at the end of the latest history

    @property
    def history_(self) -> LayerHistory:
        if not self.histories_:
            raise AttributeError(
                "LayerStatistics has no history: set it on a network by network.set_callbacks(recorder) and "
                "call fit. A copy that was sent to another process records there."
            )
        return self.histories_[-1]

    def begin(self, estimator: Any, context: Any) -> Recording:
        goes_on = context.task_name == "partial_fit" and self._has_trained(estimator)
        return Recording(goes_on=goes_on)

    def on_fit_task_begin(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        recording = self._fits[estimator]
        if fitted_estimator is not None and recording.before is None:
            recording.before = _copies(fitted_estimator.coefs_)

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any = None, y: Any = None, metadata: Any = None
    ) -> bool:
        epoch = estimator._epoch
        if epoch is None:
            return False
        recording, network = self._fits[estimator], epoch.current
        if not recording.layers:
            n_layers = len(network.coefs_)
            recording.layers = tuple(layer_names(n_layers))
            recording.activations = tuple(hidden_units(network, layer)[1] for layer in range(n_layers))
            recording.score_name = score_name_of(network)
        weight = (metadata or {}).get("sample_weight")
        X, y, weight = self._some_rows(X, y, weight)
        recording.epochs.append(
            {
                "epoch": epoch.number,
                "loss": epoch.loss,
                "score": np.nan if epoch.score is None else epoch.score,
                **_of_activations(network, X),
                **_of_gradients(network, X, y, weight),
                **_of_weights(recording.before, network.coefs_),
            }
        )
        recording.before = _copies(network.coefs_)
        return False

    def teardown(self, estimator: Any, context: Any) -> None:
        recording = self._fits.pop(estimator, None)
        if recording is None or not recording.epochs:
            return
        names = [one.name for one in fields(LayerHistory)][3:]
        arrays = {name: np.array([epoch[name] for epoch in recording.epochs]) for name in names}
        if recording.goes_on:
            earlier = self.histories_.pop()
            arrays["epoch"] = arrays["epoch"] + earlier.epoch[-1]
            arrays = {name: np.concatenate([getattr(earlier, name), arrays[name]]) for name in names}
        self._latest = recording.before
        history = LayerHistory(recording.layers, recording.activations, recording.score_name, **arrays)
        self.histories_.append(history)

    def _has_trained(self, estimator: Any) -> bool:
        """Return whether the latest history ends with the weights of this estimator."""
        now, latest = getattr(estimator, "coefs_", None), self._latest
        if now is None or latest is None or len(now) != len(latest):
            return False
        return all(np.array_equal(one, other) for one, other in zip(now, latest, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_latest": None}

    def _some_rows(self, X: Any, y: Any, weight: Any) -> tuple[Any, Any, Any]:
        n = _num_samples(X)
        if n > self.n_rows:
            rows = np.linspace(0, n - 1, self.n_rows).round().astype(int)
            X, y = _safe_indexing(X, rows), _safe_indexing(y, rows)
            weight = None if weight is None else np.asarray(weight)[rows]
        if weight is not None and not np.any(weight):
            weight = None  # a mean of these rows alone would not be defined
        return X, y, weight


def history_of(history: Any, caller: str) -> LayerHistory:
    """Return a history, of a callback the latest one, or raise TypeError."""
    if isinstance(history, LayerStatistics):
        history = history.history_
    if not isinstance(history, LayerHistory):
        raise TypeError(
            f"{caller} needs the LayerStatistics callback of a fit or its history_, got "
            f"{type(history).__name__}."
        )
    return history


def _copies(arrays: Any) -> list[np.ndarray]:
    return [np.array(one, np.float64) for one in arrays]


def _of_activations(network: Any, X: Any) -> dict[str, list[float]]:
    layers = network.activations(X)
    is_residual, blends = network._options().residual, network._options().parametric_activation
    inactive = []
    for number, layer in enumerate(layers):
        name = hidden_units(network, number)[1]
        own = layer
        if is_residual and number > 0 and layers[number - 1].shape == layer.shape:
            own = layer - layers[number - 1]
        plain = number < len(layers) - 1 and not blends
        inactive.append(_inactive(own, name) if plain else np.nan)
    return {
        "activation_mean": [float(layer.mean(dtype=np.float64)) for layer in layers],
        "activation_std": [float(layer.std(dtype=np.float64)) for layer in layers],
        "inactive": inactive,
    }


def _inactive(values: np.ndarray, activation: str) -> float:
    """Return the share of dead units or of saturated values; NaN where there are none by nature."""
    if activation in RECTIFIERS:
        return float((values == 0).all(axis=0).mean())
    if activation not in BOUNDS:
        return np.nan
    low, high = BOUNDS[activation]
    margin = NEAR * (high - low)
    return float(((values < low + margin) | (values > high - margin)).mean())


def _of_gradients(network: Any, X: Any, y: Any, weight: Any) -> dict[str, list[float]]:
    slopes = network.loss_and_gradients(X, y, weight).coefs
    return {
        "gradient_mean": [float(slope.mean(dtype=np.float64)) for slope in slopes],
        "gradient_std": [float(slope.std(dtype=np.float64)) for slope in slopes],
    }


def _of_weights(before: list[np.ndarray] | None, after: list[np.ndarray]) -> dict[str, list[float]]:
    ratios = [np.nan] * len(after)
    if before is not None:
        norms = [float(np.linalg.norm(one)) for one in before]
        changes = [float(np.linalg.norm(new - old)) for new, old in zip(after, before, strict=True)]
        ratios = [c / n if n > 0 else np.nan for c, n in zip(changes, norms, strict=True)]
    squares = [np.mean(np.square(one, dtype=np.float64)) for one in after]
    return {
        "weight_std": [float(np.sqrt(one)) for one in squares],
        "update_ratio": [float(r) for r in ratios],
    }
