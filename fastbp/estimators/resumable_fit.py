"""Fits that resume an earlier fit of fewer epochs, with the same bits as if they began again.

Training depends on nothing but its problem. So the problem is always made anew, and the earlier fit is
resumed if its problem was the same but for the number of epochs.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse

from fastbp.engines.dataset import Dataset
from fastbp.estimators.options import Options
from fastbp.estimators.shared_checks import MOST_REMEMBERED
from fastbp.plan.training import TrainingPlan
from fastbp.training.checkpoint_state import TrainingState, digest
from fastbp.training.result import Result

if TYPE_CHECKING:
    from fastbp.estimators.mlp import PendingFit


class FitStart(NamedTuple):
    """All that the course of a fit depends on, apart from its number of epochs.

    Attributes
    ----------
    options : Options
    training : TrainingPlan
        With the seed of shuffling and noise.
    network : tuple
        Size, precision and output activation of the network, and the engine's device.
    values : tuple of bytes
        Digests of the initial weights, the training rows and the validation rows.
    """

    options: Options
    training: TrainingPlan
    network: tuple
    values: tuple[bytes, ...]


@dataclass(eq=False)
class ResumableFit:
    """The start and the state of a fit; empty before the first.

    Attributes
    ----------
    start : FitStart or None
        None for a fit that cannot be resumed.
    position : TrainingState or None
        After the last epoch.
    n_resumed : int
        Epochs that the last fit has not repeated.
    """

    start: FitStart | None = None
    position: TrainingState | None = None
    n_resumed: int = 0

    def begin(self, fit: "PendingFit", digests: "Digests") -> None:
        """Let a fit resume the earlier one, if it is the same but for the epochs, and keep its state."""
        start, position = start_of(fit, digests), self.position
        resumes = (
            position is not None
            and position.n_epochs <= fit.prepared.options.max_iter
            and are_equal(self.start, start)
        )
        self.start, self.position, self.n_resumed = start, None, 0
        fit.problem.keeps_position = start is not None
        if position is not None and resumes:
            fit.problem.resumed, self.n_resumed = position, position.n_epochs

    def end(self, result: Result) -> None:
        """Keep the state after a fit."""
        self.position, result.position = result.position, None

    @property
    def n_bytes(self) -> int:
        """Memory of the state."""
        position = self.position
        if position is None:
            return 0
        vectors = [position.parameters, position.result, position.best_parameters, position.state.moments]
        return sum(vector.nbytes for vector in vectors if vector is not None)


class Digests:
    """Digests of arrays, computed once for the same object."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}

    def of(self, rows: Dataset | None) -> bytes | None:
        """Return the digest of a data set; None for rows on a GPU."""
        if rows is None:
            return b""
        X = rows.X
        if not (isinstance(X, np.ndarray) or scipy.sparse.issparse(X)):
            return None
        if id(X) not in self._known:
            parts = [X] if isinstance(X, np.ndarray) else [X.data, X.indices, X.indptr]
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            # The object must live as long as its identity counts.
            self._known[id(X)] = X, repr(X.shape).encode() + digest(*parts)
        others = [part for part in (rows.targets, rows.sample_weight, rows.index) if part is not None]
        return self._known[id(X)][1] + digest(*others)


def start_of(fit: "PendingFit", digests: Digests) -> FitStart | None:
    """Return the start of a fit, or None for a fit that must not be resumed."""
    prepared, problem = fit.prepared, fit.problem
    training, options = problem.training, prepared.options
    if not isinstance(training, TrainingPlan) or problem.tasks is not None:
        return None
    if training.has_rate_schedule or training.average_after > 0:
        return None  # planned over all epochs
    if prepared.keeps_earlier or problem.state is not None or options.verbose:
        return None
    values = [digest(problem.parameters), digests.of(problem.rows), digests.of(prepared.held_out)]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    network = problem.network
    return FitStart(
        options=replace(options, max_iter=1),
        training=replace(training, max_epochs=1, planned_epochs=1),
        network=(
            network.n_parameters,
            str(network.dtype),
            prepared.targets.out_activation,
            prepared.engine.DEVICE,
        ),
        values=tuple(known),
    )


def are_equal(one: FitStart | None, other: FitStart | None) -> bool:
    """Return whether two fits are known to start equally."""
    if one is None or other is None:
        return False
    try:
        return bool(one == other)
    except ValueError:  # parameters that are arrays
        return False
