"""States of the fits of a halving search over `max_iter`, from which the next iteration resumes."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from fastbp.estimators.resumable_fit import ResumableFit
from fastbp.model_selection.evaluation import Evaluation, value_key
from fastbp.training.checkpoint_state import digest

# Bound of the states of an iteration. Fits whose states are beyond it begin again.
MAX_BYTES = 128 * 2**20


class KeptFits:
    """The fits of this iteration and of the one before it, by candidate and fold.

    Parameters
    ----------
    resource : str
        The parameter that grows.
    """

    def __init__(self, resource: str) -> None:
        self.resource = resource
        # With the candidate's parameters, which must live as long as their identities are keys.
        self._earlier: dict[tuple, tuple[ResumableFit, dict]] = {}
        self._latest: dict[tuple, tuple[ResumableFit, dict]] = {}
        self._n_bytes = 0
        self._folds: dict[int, tuple[Any, bytes]] = {}

    def next_iteration(self) -> None:
        """Forget the iteration before the last, with the states of candidates that were dropped in it."""
        self._earlier, self._latest = self._latest, {}
        self._n_bytes, self._folds = 0, {}

    def find(self, evaluation: Evaluation) -> ResumableFit:
        """Return a fit for the candidate and the fold, with the state of the earlier one if there is any."""
        found = self._earlier.get(self._key(evaluation))
        return ResumableFit() if found is None else ResumableFit(found[0].start, found[0].position)

    def keep(self, evaluation: Evaluation, fit: ResumableFit) -> None:
        """Keep the state of a fit for the next iteration, within the bound."""
        n_bytes = fit.n_bytes
        if fit.position is None or self._n_bytes + n_bytes > MAX_BYTES:
            return
        self._n_bytes += n_bytes
        self._latest[self._key(evaluation)] = fit, evaluation.arguments["parameters"]

    def _key(self, evaluation: Evaluation) -> tuple:
        arguments = evaluation.arguments
        given = arguments["parameters"]
        candidate = tuple((name, value_key(given[name])) for name in sorted(given) if name != self.resource)
        return candidate, self._digest(arguments["train"])

    def _digest(self, rows: Any) -> bytes:
        """Digest of the indices of some rows, computed once in an iteration."""
        if id(rows) not in self._folds:
            self._folds[id(rows)] = rows, digest(np.asarray(rows))
        return self._folds[id(rows)][1]


def kept_fits(search: Any) -> KeptFits | None:
    """Return a place for the fits of a halving search over the epochs of the network, else None."""
    resource, estimator = getattr(search, "resource", None), search.estimator
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    return KeptFits(resource) if resource == f"{prefix}max_iter" else None
