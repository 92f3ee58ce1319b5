"""A network to train: everything that a fit needs, checked and encoded."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import LbfgsPlan, SolverState, TrainingPlan
from fastbp.training.callback_events import FitTasks
from fastbp.training.checkpoint_state import LbfgsHistory, TrainingState
from fastbp.training.dataset import Dataset
from fastbp.training.early_stopping import Score
from fastbp.training.progress import Progress


@dataclass
class Problem:
    """One fit.

    Attributes
    ----------
    engine : module
        See ``fastbp.engines.select``.
    network : NetworkPlan
    training : TrainingPlan or LbfgsPlan
        With the monitor "external" if and only if there is a `score`.
    rows : Dataset
        To train on.
    parameters : ndarray
        Flat vector to start from; not changed.
    state : SolverState or None
        To resume from; None starts afresh.
    score : callable or None
        Under early stopping: makes the score of flat vectors, for as long as its context lasts.
    start_counts : bool
        Whether early stopping may keep the weights that the fit starts from: those of an earlier fit.
    progress : Progress
    n_jobs : int or None
    warn_at_end : bool
        Whether reaching the last epoch is worth a ConvergenceWarning.
    tasks : FitTasks or None
        The callbacks' view of the fit, if there are any.
    resumed : TrainingState or LbfgsHistory or None
        Where a fit from a checkpoint stands; `parameters` and `state` then count for nothing.
    is_stream : bool
        Whether it is one call of many that the user makes, as of `partial_fit`.
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
