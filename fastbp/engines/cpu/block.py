"""Small networks of one shape that are trained on the same rows by one thread, one after the other."""

from collections.abc import Sequence

import numpy as np

from fastbp.engines.control import RUNNING
from fastbp.engines.cpu.batches import TrainingBatches, all_finite
from fastbp.engines.cpu.block_kernel import train_address, train_block
from fastbp.engines.dataset import Dataset
from fastbp.engines.fit_state import FitState
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan

# The start of a network's training, as of ``Trainer``: plan, rows, parameters, solver's state.
Start = tuple[TrainingPlan, Dataset, np.ndarray, SolverState | None]


class Block(TrainingBatches):
    """Trains some networks; Python is asked for once a call, not once a network.

    Parameters
    ----------
    network : NetworkPlan
    starts : sequence of Start
        Their plans have equal `structure`, their rows differ in the weights at most.

    Attributes
    ----------
    members : list of BlockMember
    """

    def __init__(self, network: NetworkPlan, starts: Sequence[Start]) -> None:
        trainings, rows, parameters, states = zip(*starts, strict=True)
        super().__init__(network, trainings, rows, n_jobs=1)
        self.layout.pack_into(self._parameters.reshape(len(starts), -1), np.stack(parameters))
        self.members = [BlockMember(self, i) for i in range(len(starts))]
        for i, state in enumerate(states):
            if state is not None and state.solver == trainings[i].solver:
                self.members[i]._set_state(state)
            self._shuffle(i)

    @property
    def n_epochs(self) -> int:
        """Epochs that were trained, of all networks together."""
        return int(self._control["epochs_here"].sum())

    def train(self, max_steps: int) -> int:
        """Make up to `max_steps` steps; fewer when the last network has come to its end."""
        address = train_address(self.network.dtype, self._arguments)
        done: int = train_block(address, max_steps, *self._arguments)
        if not (self._control["status"] == RUNNING).any():
            for member in self.members:
                member.note_end()
        return done


class BlockMember(FitState):
    """The state of one network of a block: what a ``Trainer`` is to a network that is trained alone."""

    def __init__(self, block: Block, number: int) -> None:
        super().__init__(block.trainings[number])
        self.network, self._layout = block.network, block.layout
        self._control = block._control[number : number + 1]
        self._fit = self._control[0]
        self._parameters = block._parameters.reshape(block.n_networks, -1)[number]
        n_moments = self.training.n_moments
        self._moments = block._moments.reshape(block.n_networks, n_moments, len(self._parameters))[number]
        self._curve = block._curve.reshape(block.n_networks, -1)[number]

    @property
    def parameters(self) -> np.ndarray:
        """Flat vector, a new array."""
        return self._layout.unpack(self._parameters)

    def _get_moments(self) -> np.ndarray:
        return self._layout.unpack(self._moments)

    def _set_moments(self, moments: np.ndarray) -> None:
        self._layout.pack_into(self._moments, moments)

    def _get_average(self) -> np.ndarray:
        return self._layout.unpack(self._moments[-1])

    def note_end(self) -> None:
        """Read the losses, and whether the parameters are finite, after the last step."""
        self._note_run(self._curve[: self._fit["curve_used"]], all_finite(self._parameters))
        self._fit["curve_used"] = 0
