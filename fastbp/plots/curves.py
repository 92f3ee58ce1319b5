"""The numbers of a loss curve, read from fitted networks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from fastbp.estimators.mlp import BackPropagation
from fastbp.plots.learning_rates import learning_rates
from fastbp.plots.models import networks_of
from fastbp.training.early_stopping import ROUNDING

LONGEST_LABEL = 40
LONGEST_VALUE = 30
MOST_DIFFERENCES = 2


@dataclass(frozen=True, eq=False)
class LossCurve:
    """The course of one fit.

    Attributes
    ----------
    name : str or None
        For the legend; members of an ensemble share one.
    loss : ndarray of shape (n_epochs,)
        Training loss.
    validation_loss, validation_score : ndarray of shape (n_epochs,) or None
        At most one of both, under early stopping.
    score_name : str
        Of the validation score.
    best_epoch : int or None
        Number, from 1, of the epoch whose weights were kept; None without early stopping.
    rates : tuple of two ndarrays or None
        Epochs, which may be fractions, and the learning rates there; None if it did not change.
    is_member : bool
        Whether it is one of an ensemble.
    """

    name: str | None
    loss: np.ndarray
    validation_loss: np.ndarray | None = None
    validation_score: np.ndarray | None = None
    score_name: str = "score"
    best_epoch: int | None = None
    rates: tuple[np.ndarray, np.ndarray] | None = None
    is_member: bool = False

    @property
    def monitored(self) -> np.ndarray | None:
        """The validation curve, a loss or a score."""
        return self.validation_score if self.validation_loss is None else self.validation_loss


def curves_of(estimators: Any, caller: str) -> list[LossCurve]:
    """Return the curves of one fitted estimator, or of a list or dictionary of them."""
    curves = []
    for name, estimator in _named(estimators, caller):
        networks, are_members = networks_of(estimator, caller)
        curves += [_curve_of(network, name, are_members, caller) for network in networks]
    return curves


def curve_of_history(history: Any) -> LossCurve:
    """Return the curve of a history of layer statistics."""
    scores = None if np.isnan(history.score).all() else history.score
    return LossCurve(
        None,
        history.loss,
        validation_score=scores,
        score_name=history.score_name,
        best_epoch=None if scores is None else _last_best(scores),
    )


def _curve_of(network: Any, name: str | None, is_member: bool, caller: str) -> LossCurve:
    curve = getattr(network, "loss_curve_", None)
    if not curve:
        raise ValueError(
            f"{caller}: {type(network).__name__} has no loss_curve_. solver='lbfgs' keeps none: record one "
            "by network.set_callbacks(recorder := fastbp.plots.LayerStatistics()) before the fit, and use "
            "LossCurveDisplay.from_history(recorder)."
        )
    scores = getattr(network, "validation_scores_", None)
    losses = getattr(network, "validation_loss_curve_", None)
    best = None
    if scores:
        best = _last_best(np.array(scores)) if isinstance(network, BackPropagation) else _first_best(scores)
    return LossCurve(
        name,
        np.array(curve),
        validation_loss=None if not losses else np.array(losses),
        validation_score=None if not scores or losses else np.array(scores),
        score_name=score_name_of(network),
        best_epoch=best,
        rates=learning_rates(network),
        is_member=is_member,
    )


def _last_best(scores: np.ndarray) -> int:
    """Return the epoch whose weights fastbp keeps: of equal scores the last."""
    best = np.nanmax(scores)
    return int(np.flatnonzero(scores >= best - ROUNDING * abs(best))[-1]) + 1


def _first_best(scores: Sequence[float]) -> int:
    return int(np.argmax(scores)) + 1


def score_name_of(network: Any) -> str:
    """Return the name of the score that early stopping monitors."""
    scoring = getattr(network, "scoring", None)
    if isinstance(network, BackPropagation):
        scoring = network._options().scoring
    if scoring is None:
        return "accuracy" if is_classifier(network) else "R²"
    if scoring == "loss":
        return "−loss"
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
    return f"−{name[4:]}".replace("_", " ") if name.startswith("neg_") else name.replace("_", " ")


# --- Names


def text_of(value: Any) -> str:
    """Return a parameter's value as text; of floats the digits that tell them apart."""
    text = f"{value:.4g}" if isinstance(value, float | np.floating) else " ".join(str(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _named(estimators: Any, caller: str) -> Iterator[tuple[str | None, Any]]:
    """Yield names and estimators; the name of a single one is None."""
    if isinstance(estimators, Mapping):
        pairs = [(str(name), one) for name, one in estimators.items()]
    elif isinstance(estimators, list | tuple):
        pairs = list(zip(_labels(estimators), estimators, strict=True))
    else:
        yield None, estimators
        return
    if not pairs:
        raise ValueError(f"{caller}: there is no estimator in {estimators!r}.")
    yield from pairs


def is_plain(name: str, value: Any) -> bool:
    """Return whether a parameter is none of the estimators whose parameters are listed, too."""
    return not (hasattr(value, "get_params") or name.rpartition("__")[2] == "steps")


def _labels(estimators: Sequence[Any]) -> list[str]:
    """Tell estimators apart by what differs in their parameters; else by their numbers."""
    kinds = [type(one).__name__ for one in estimators]
    if len(set(kinds)) == len(kinds):
        return kinds
    numbered = [f"{kind} {number}" for number, kind in enumerate(kinds, 1)]
    if len(set(kinds)) > 1 or not all(hasattr(one, "get_params") for one in estimators):
        return numbered
    given = [
        {name: text_of(value) for name, value in one.get_params().items() if is_plain(name, value)}
        for one in estimators
    ]
    differing = [name for name in given[0] if len({one.get(name) for one in given}) > 1]
    if not 0 < len(differing) <= MOST_DIFFERENCES:
        return numbered
    labels = [
        ", ".join(f"{name.rpartition('__')[2]}={one[name]}" for name in differing if name in one)
        for one in given
    ]
    fits = len(set(labels)) == len(labels) and max(map(len, labels)) <= LONGEST_LABEL
    return labels if fits else numbered
