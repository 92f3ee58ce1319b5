"""Networks of one shape: they share the program of a step, the kernel and the layout of the arena."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from fastbp.engines.cuda.device_memory import elements_per_row
from fastbp.engines.cuda.jobs import Program
from fastbp.engines.cuda.launch import is_resident
from fastbp.engines.cuda.lowering import Selection, select_training
from fastbp.engines.cuda.program import training_program
from fastbp.engines.cuda.step import TILING
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import TrainingPlan

PASS_BYTES = 1 << 30  # of the activations of a pass; larger batches take several


@dataclass(frozen=True)
class Shape:
    """Common part of the networks of one shape.

    Attributes
    ----------
    network : NetworkPlan
        One of them: they differ in its constants at most.
    selection : Selection
    batch : int
        Rows of a batch, but for the last one of an epoch.
    pass_rows, n_passes : int
        Rows that are computed at a time, and passes of a batch.
    program : Program
    """

    network: NetworkPlan
    selection: Selection
    batch: int
    pass_rows: int
    n_passes: int
    program: Program

    @property
    def arena_bytes(self) -> int:
        """Of one network."""
        return self.program.layout.size * self.network.dtype.itemsize

    def launch_values(self) -> dict[str, Any]:
        """The constants of a launch record."""
        program, layout = self.program, self.program.layout
        return {
            "arena_size": layout.size,
            "n_parameters": self.network.n_parameters,
            "moments": layout.moments,
            "gradient": layout.gradient,
            "coefficients": layout.coefficients,
            "partials": layout.partials,
            "penalties": layout.penalties,
            "squares": layout.squares,
            "loss_tiles": program.loss_tiles,
            "penalty_tiles": program.penalty_tiles,
            "tile_rows": TILING.rows_of_tile,
            "has_solver": self.selection.solver is not None,
        }


def make_shape(network: NetworkPlan, selection: Selection, batch: int) -> Shape:
    """The shape of a network; it depends on nothing but these three."""
    pass_rows = max(min(batch, PASS_BYTES // (elements_per_row(network) * network.dtype.itemsize)), 1)
    if selection.batch_norm:  # which needs all of a batch at once
        pass_rows = batch
    n_passes = -(-batch // pass_rows)
    stored = selection.solver is None or n_passes > 1 or selection.clip_norm
    sizes = (network, selection, TILING, pass_rows, n_passes, stored)
    # The arena lies in shared memory where that has room.
    program = training_program(*sizes, only_small=True)
    if not is_resident(program, network.dtype):
        program = training_program(*sizes)
    return Shape(network, selection, batch, pass_rows, n_passes, program)


def fleet_shape(network: NetworkPlan, training: TrainingPlan, n_rows: int) -> Hashable:
    """A key that is equal for networks which one launch can train.

    They have one shape, and about the same number of steps in an epoch: all wait for the one whose orders
    end first.
    """
    steps = -(-n_rows // training.batch_size)
    return network.shape, select_training(network, training), training.batch_size, steps.bit_length()
