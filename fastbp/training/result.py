"""Result of a fit, and messages shared by mini-batch and L-BFGS training."""

import dataclasses

import numpy as np

from fastbp.plan.training import SolverState
from fastbp.training.call_stack import is_part_of_another_call
from fastbp.training.checkpoint_state import TrainingState

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be"
    " preprocessed."
)
INTERRUPTED = "Training interrupted by user."
ADVICE = (
    "Try inputs (and, in regression, targets) scaled by StandardScaler, a smaller learning_rate_init, "
    "or another solver."
)
OVERFLOW = "The outputs for the training rows are not finite after"


@dataclasses.dataclass
class Result:
    """Result of a fit.

    Attributes
    ----------
    parameters : ndarray
        Flat vector; the best one under early stopping.
    loss : float
        Loss of the last epoch or iteration; NaN if none was finished.
    n_epochs : int
        Epochs, or iterations of L-BFGS, of this call.
    loss_curve : list of float
        One value per epoch; empty for L-BFGS.
    n_samples : int
        Rows seen in the epochs of this call; 0 for L-BFGS.
    state : SolverState or None
        Solver state; None for L-BFGS.
    scores : list of float or None
        Validation scores of the epochs under early stopping.
    best_score : float or None
    position : TrainingState or None
        State to resume the fit with more epochs, if its problem asks for it and nothing went wrong.
    """

    parameters: np.ndarray
    loss: float
    n_epochs: int
    loss_curve: list[float] = dataclasses.field(default_factory=list)
    n_samples: int = 0
    state: SolverState | None = None
    scores: list[float] | None = None
    best_score: float | None = None
    position: TrainingState | None = None


def let_interrupt_through(is_stream: bool = False) -> None:
    """Raise KeyboardInterrupt if the fit is part of a larger call, not one by the user.

    Otherwise one Ctrl-C would end one fit of a search, which would score the truncated network like a
    complete one and continue with the next; or one of many calls of `partial_fit`.
    """
    if is_stream or is_part_of_another_call():
        raise KeyboardInterrupt
