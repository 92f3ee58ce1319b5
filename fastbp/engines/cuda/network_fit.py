"""The part of a trainer that knows where parameters and moments lie in an arena."""

from abc import abstractmethod

import numpy as np

from fastbp.engines.control import batches, rules
from fastbp.engines.cuda.shape import Shape
from fastbp.engines.dataset import Dataset
from fastbp.engines.fit_state import FitState
from fastbp.plan.training import SolverState, TrainingPlan


class NetworkFit(FitState):
    """A fit whose numbers lie in an arena of the GPU.

    A subclass sets `network` and `shape` before anything else is asked for.
    """

    shape: Shape

    @abstractmethod
    def _place(self, offset: int, values: np.ndarray) -> None:
        """Numbers into the arena."""

    @abstractmethod
    def _fetch(self, offset: int) -> np.ndarray:
        """A new vector, as long as the parameters, from the arena."""

    def _begin(self, parameters: np.ndarray, state: SolverState | None) -> None:
        """Place constants, parameters and, where the solver is the same, its state."""
        self._place(self.shape.program.layout.constants, np.array(self.network.constants, self.network.dtype))
        self._place(0, parameters)
        if self.shape.selection.averages:
            # Parameters that no step moves are their own mean.
            for op, row in zip(self.network.parametric, self.network.rows(parameters), strict=True):
                if not op.learned:
                    self._place(self._moment(self.shape.selection.n_states) + op.offset, row.ravel())
        if state is not None:
            self._set_state(state)

    def _moment(self, number: int) -> int:
        """Where in the arena one of them begins."""
        return self.shape.program.layout.moments + number * self.network.n_parameters

    def _get_moments(self) -> np.ndarray:
        moments = [self._fetch(self._moment(i)) for i in range(self.shape.selection.n_moments)]
        return np.array(moments, self.network.dtype).reshape(-1, self.network.n_parameters)

    def _set_moments(self, moments: np.ndarray) -> None:
        for i, moment in enumerate(moments):
            self._place(self._moment(i), np.ascontiguousarray(moment, dtype=self.network.dtype))

    def _get_average(self) -> np.ndarray:
        return self._fetch(self._moment(self.shape.selection.n_states))


def usable_state(state: SolverState | None, training: TrainingPlan) -> SolverState | None:
    """The state, unless it is another solver's."""
    return None if state is None or state.solver != training.solver else state


def total_weight(rows: Dataset, weights: np.ndarray | None) -> float:
    """Sum of the weights of a fit's rows; `weights` are those of all rows, None for 1 each."""
    if weights is None:
        return float(len(rows))
    return float((weights if rows.index is None else weights[rows.index]).sum(dtype=np.float64))


def control_values(shape: Shape, rows: Dataset, weight: float, training: TrainingPlan | None) -> dict:
    """The values of a control record at the beginning of a fit; without `training`, of gradients alone."""
    fields = batches(len(rows), shape.batch, shape.pass_rows, weight)
    return fields if training is None else fields | rules(training, fields["epoch_steps"])
