"""What `partial_fit` and warm starts need to resume where the last call ended."""

from dataclasses import dataclass

from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan
from fastbp.training.minibatch import adapt_rate
from fastbp.training.result import Result


@dataclass
class WarmStartState:
    """What an estimator remembers of a fit beside its weights.

    Attributes
    ----------
    state : SolverState or None
    seed : int
        Of the shuffling, whose epochs are counted by the state.
    incremental : bool
        Whether the last call was `partial_fit`.
    best, n_stale
        Of the adaptive learning rate across calls of `partial_fit`.
    """

    state: SolverState | None
    seed: int
    incremental: bool = False
    best: float = float("inf")
    n_stale: int = 0

    def fits(self, training: TrainingPlan, network: NetworkPlan) -> bool:
        """Whether the solver's state means anything to this solver and this network."""
        state = self.state
        return (
            state is not None
            and state.solver == training.solver
            and state.moments.shape == (training.n_moments, network.n_parameters)
            and state.moments.dtype == network.dtype
        )


def remembered(
    training: TrainingPlan, memory: WarmStartState, result: Result, incremental: bool
) -> WarmStartState:
    """What is remembered of a fit that resumed from `memory`."""
    state, best, n_stale = result.state, float("inf"), 0
    if incremental and state is not None and result.n_epochs:
        state, best, n_stale = adapt_rate(training, state, result.loss, memory.best, memory.n_stale)
    return WarmStartState(state, memory.seed, incremental, best, n_stale)
