"""How many blocks train a network, and how they are launched."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp.engines.cuda.jobs import Program
from fastbp.engines.cuda.lowering import Selection
from fastbp.engines.cuda.step import (
    BLOCK,
    CLOSE,
    FLEET,
    GRID,
    RESIDENT,
    TILING,
    WHOLE_STEPS,
    make_kernel,
    resident_elements,
)
from fastbp.engines.cuda.target import SIMULATOR, cuda

PHASES = "phases"  # several blocks, launched phase by phase


@dataclass(frozen=True)
class LaunchConfig:
    """A kind of kernel and a number of blocks.

    Attributes
    ----------
    kind : str
        RESIDENT, BLOCK, GRID or PHASES; FLEET, with a block for each network.
    n_blocks : int
    """

    kind: str
    n_blocks: int

    def kernel(self, dtype: np.dtype, selection: Selection) -> Any:
        """The kernel that this team launches."""
        real: type = dtype.type
        return make_kernel(real, BLOCK if self.kind == PHASES else self.kind, selection, TILING)

    def run(
        self, kernel: Any, tables: tuple, stream: Any, n_steps: int, units: int, close: bool = True
    ) -> None:
        """Start up to `n_steps` steps; they end some time later.

        Parameters
        ----------
        tables : tuple
            The arrays that the kernel takes.
        stream : cuda.stream
            Not the default one, for which copies on other streams wait.
        units : int
            Phases of a step, through all its passes; for PHASES, which makes one step.
        close : bool
            Whether the bookkeeping is to be done; a kernel of prediction has none.
        """
        with warnings.catch_warnings():
            # A small network needs few blocks, and Numba warns below 128.
            warnings.filterwarnings("ignore", message="Grid size")
            launch = kernel[self.n_blocks, TILING.threads, stream]
        if self.kind != PHASES:
            launch(*tables, n_steps, WHOLE_STEPS)
            return
        for unit in range(units):
            launch(*tables, 1, unit)
        if close:
            launch(*tables, 1, CLOSE)


def is_resident(program: Program, dtype: np.dtype) -> bool:
    """Whether the arena has room in the shared memory of one block."""
    return program.layout.size <= resident_elements(dtype.type, TILING)


def gains_by_fleet(program: Program, dtype: np.dtype, n_networks: int) -> bool:
    """Whether many networks at a time, a block each, make better use of the GPU than one after another.

    They do where so many are trained at a time as a network alone has blocks, if not more.
    """
    if n_networks == 1 or is_resident(program, dtype):
        return n_networks > 1
    n_blocks = n_networks if SIMULATOR else cuda.get_current_device().MULTIPROCESSOR_COUNT
    return program.most_tiles <= min(n_blocks, n_networks)


def fleet_team(program: Program, dtype: np.dtype, n_networks: int) -> LaunchConfig:
    """A block for each of many networks."""
    return LaunchConfig(RESIDENT if is_resident(program, dtype) else FLEET, n_networks)


def choose_team(program: Program, dtype: np.dtype) -> LaunchConfig:
    """The team for a program; the number of blocks changes nothing but the time."""
    if is_resident(program, dtype):
        return LaunchConfig(RESIDENT, 1)
    if program.most_tiles == 1 or SIMULATOR:
        return LaunchConfig(BLOCK, 1)
    device = cuda.get_current_device()
    if not getattr(device, "COOPERATIVE_LAUNCH", 1):
        return LaunchConfig(PHASES, min(program.most_tiles, 4 * device.MULTIPROCESSOR_COUNT))
    return LaunchConfig(GRID, program.most_tiles)


def within_device(team: LaunchConfig, kernel: Any, tables: tuple) -> LaunchConfig:
    """The same team with as many blocks as a cooperative launch on this device allows."""
    if team.kind != GRID or SIMULATOR:
        return team
    arguments = (*tables, 1, WHOLE_STEPS)
    compiled = kernel.compile(tuple(kernel.typeof_pyval(value) for value in arguments))
    return LaunchConfig(
        GRID, max(1, min(team.n_blocks, compiled.max_cooperative_grid_blocks(TILING.threads)))
    )
