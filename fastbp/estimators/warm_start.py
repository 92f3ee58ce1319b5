"""State that `partial_fit` and warm starts need to resume where the last call ended."""

from dataclasses import dataclass

from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan
from fastbp.training.minibatch import adapt_rate
from fastbp.training.result import Result


@dataclass
class WarmStartState:
    """State of a fit that an estimator keeps besides its weights.

    Attributes
    ----------
    state : SolverState or None
    seed : int
        Seed of the shuffling; `state` counts its epochs.
    incremental : bool
        Whether the last call was `partial_fit`.
    best, n_stale
        State of the adaptive learning rate across calls of `partial_fit`.
    """

    state: SolverState | None
    seed: int
    incremental: bool = False
    best: float = float("inf")
    n_stale: int = 0

    def fits(self, training: TrainingPlan, network: NetworkPlan) -> bool:
        """Return whether the solver state belongs to this solver and this network."""
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
    """Return the state to keep of a fit that resumed from `memory`."""
    state, best, n_stale = result.state, float("inf"), 0
    if incremental and state is not None and result.n_epochs:
        state, best, n_stale = adapt_rate(training, state, result.loss, memory.best, memory.n_stale)
    return WarmStartState(state, memory.seed, incremental, best, n_stale)
