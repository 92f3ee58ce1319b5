"""Input of a fit, checked and encoded."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastbp.engines.dataset import Dataset
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import LbfgsPlan, SolverState, TrainingPlan
from fastbp.training.callback_events import FitTasks
from fastbp.training.checkpoint_state import LbfgsHistory, TrainingState
from fastbp.training.early_stopping import Score
from fastbp.training.progress import Progress


@dataclass
class Problem:
    """Input of one fit.

    Attributes
    ----------
    engine : module
        See ``fastbp.engines.select``.
    network : NetworkPlan
    training : TrainingPlan or LbfgsPlan
        With the monitor "external" if and only if there is a `score`.
    rows : Dataset
        Training rows.
    parameters : ndarray
        Initial flat vector; not changed.
    state : SolverState or None
        Solver state to resume from; None starts afresh.
    score : callable or None
        Under early stopping: returns a context manager that gives the score of flat vectors.
    start_counts : bool
        Whether early stopping may keep the weights that the fit starts from: those of an earlier fit.
    progress : Progress
    n_jobs : int or None
    warn_at_end : bool
        Whether reaching the last epoch is worth a ConvergenceWarning.
    tasks : FitTasks or None
        Link to the callbacks, if there are any.
    resumed : TrainingState or LbfgsHistory or None
        State of a fit from a checkpoint; `parameters` and `state` are then ignored.
    is_stream : bool
        Whether it is one of many calls by the user, as of `partial_fit`.
    keeps_position : bool
        Whether the result of mini-batch training has the state to resume it with more epochs.
    """

    engine: ModuleType
    network: NetworkPlan
    training: TrainingPlan | LbfgsPlan
    rows: Dataset
    parameters: np.ndarray
    progress: Progress
    n_jobs: int | None
    state: SolverState | None = None
    score: Callable[[], AbstractContextManager[Score]] | None = None
    start_counts: bool = False
    warn_at_end: bool = True
    tasks: FitTasks | None = None
    resumed: TrainingState | LbfgsHistory | None = None
    is_stream: bool = False
    keeps_position: bool = False
