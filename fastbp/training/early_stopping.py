"""Early stopping: scores of validation rows, and the weights with the best score."""

from collections.abc import Callable

import numpy as np

from fastbp.training.checkpoint_state import TrainingState

# Score of a flat vector: higher is better; not finite if the predictions are not.
Score = Callable[[np.ndarray], float]

ROUNDING = 1e-12  # relative: closer scores count as equal, such as sums of weights in another order


class Validation:
    """Validation scores under early stopping, and the weights with the best score.

    Among equal scores the last one counts: accuracy on few rows is the same for many epochs, and weights
    trained longer are better on other rows.

    Parameters
    ----------
    score : callable
        ``score(parameters) -> float``, higher is better; not finite if the predictions are not.
    start : ndarray or None
        Weights of an earlier fit that is resumed: later ones have to be as good.
    """

    def __init__(self, score: Score, start: np.ndarray | None = None) -> None:
        self._score = score
        self.scores: list[float] = []
        self.best_score = float("-inf")
        self.best_parameters: np.ndarray | None = None
        if start is not None and np.isfinite(baseline := score(start)):
            self._keep(baseline, start)

    def score_epoch(self, parameters: np.ndarray) -> float:
        """Score the weights after an epoch; keep a copy of the best, of equal ones the last."""
        score = self._score(parameters)
        if np.isfinite(score):
            self.scores.append(score)
            if score >= self.best_score - ROUNDING * abs(self.best_score):
                self._keep(max(score, self.best_score), parameters)
        return score

    def resume(self, position: TrainingState) -> None:
        """Restore the state of a saved fit."""
        assert position.scores is not None and position.best_score is not None
        self.scores, self.best_score = position.scores.tolist(), position.best_score
        best = position.best_parameters
        self.best_parameters = None if best is None else best.copy()

    def _keep(self, score: float, parameters: np.ndarray) -> None:
        self.best_score = score
        if self.best_parameters is None:
            self.best_parameters = parameters.copy()
        else:
            np.copyto(self.best_parameters, parameters)
