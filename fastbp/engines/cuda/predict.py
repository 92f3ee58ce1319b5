"""Outputs of a network on the GPU, for rows of the host or for rows that lie there."""

from typing import Any

import numpy as np

from fastbp.engines.control import batches, new_control, new_records
from fastbp.engines.cuda import device_memory
from fastbp.engines.cuda.control import LAUNCH
from fastbp.engines.cuda.device_memory import dense_rows, elements_per_row
from fastbp.engines.cuda.launch import LaunchConfig, choose_team, within_device
from fastbp.engines.cuda.lowering import select_prediction
from fastbp.engines.cuda.program import prediction_program
from fastbp.engines.cuda.step import TILING
from fastbp.engines.cuda.target import cuda
from fastbp.plan.network import NetworkPlan

BLOCK_BYTES = 1 << 28  # of the activations of a block of rows
HELD_SHARE = 4  # rows are held where the free memory is at least this many times their size


class Predictor:
    """Program, arena and kernel for one layer of a network; rows pass through in blocks.

    Parameters
    ----------
    network : NetworkPlan
    n_rows : int
        Maximum number of rows of a call.
    layer, largest
        As of ``fastbp.engines.cpu.engine.Forward``.
    """

    def __init__(self, network: NetworkPlan, n_rows: int, layer: int | str | None, largest: bool) -> None:
        self._network, dtype = network, network.dtype
        n_ops, selection = network.n_ops_until(layer), select_prediction(network)
        self._width = 1 if largest else network.ops[n_ops - 1].n_out
        # Rows of a block: from the plan alone, so that a row's bits do not depend on its neighbours.
        self._block = min(max(BLOCK_BYTES // (elements_per_row(network) * dtype.itemsize), 1), n_rows)
        program, self._result = prediction_program(network, selection, TILING, self._block, n_ops, largest)
        self._inputs, self._n_phases = program.layout.activations[0], len(program.phases)
        team = choose_team(program, dtype)
        if team.kind == "resident":
            team = LaunchConfig("block", 1)
        needed, free = program.layout.size * dtype.itemsize, device_memory.free_memory()
        if needed > free:
            raise MemoryError(
                f"device='cuda': weights and activations of {self._block} rows take {needed / 2**20:,.0f} "
                f"MiB, but the GPU has {free / 2**20:,.0f} MiB free. Choose device='cpu'."
            )
        self._arena = cuda.to_device(np.zeros(program.layout.size, dtype))
        values = {
            "coefficients": program.layout.coefficients,
            "partials": program.layout.partials,
            "loss_tiles": program.loss_tiles,
        }
        self._control = cuda.to_device(self._rows_of_block(self._block))
        nothing, no_order = cuda.to_device(np.zeros(1, dtype)), cuda.to_device(np.zeros(1, np.int32))
        self._tables = (
            cuda.to_device(program.phases),
            cuda.to_device(program.jobs),
            self._arena,
            nothing,
            nothing,
            nothing,
            no_order,
            self._control,
            cuda.to_device(new_records(LAUNCH, values)),
            cuda.to_device(np.zeros(1)),
        )
        self._kernel, self._stream = team.kernel(dtype, selection), cuda.stream()
        self._team = within_device(team, self._kernel, self._tables)

    @staticmethod
    def _rows_of_block(n_rows: int) -> np.ndarray:
        """The control array with which the kernel takes that many rows at once."""
        return new_control(batches(n_rows, n_rows, n_rows, float(n_rows)))

    def __call__(self, parameters: np.ndarray, values: Any) -> np.ndarray:
        """The outputs for rows `values`, a flat vector of the host or of the device."""
        n_inputs, width, arena = self._network.n_inputs, self._width, self._arena
        plain = np.ascontiguousarray(parameters, dtype=self._network.dtype)
        arena[: plain.size].copy_to_device(plain)
        n_rows = values.size // n_inputs
        flat = np.empty(n_rows * width, self._network.dtype)
        for start in range(0, n_rows, self._block):
            rows = min(self._block, n_rows - start)
            part = values[start * n_inputs : (start + rows) * n_inputs]
            arena[self._inputs : self._inputs + part.size].copy_to_device(part)
            self._control.copy_to_device(self._rows_of_block(rows))
            self._team.run(self._kernel, self._tables, self._stream, 1, self._n_phases, close=False)
            to = flat[start * width : (start + rows) * width]
            arena[self._result : self._result + rows * width].copy_to_host(to)
        return flat.reshape(n_rows, width)


class HeldRows:
    """Rows that stay on the device, with all that the outputs of a network for them take.

    Parameters
    ----------
    network : NetworkPlan
    X : array of shape (n, n_inputs)
        Copied, where the GPU has room; else it must not change.
    """

    def __init__(self, network: NetworkPlan, X) -> None:
        values = dense_rows(X, network)
        fits = HELD_SHARE * values.nbytes <= device_memory.free_memory() and values.size
        send = isinstance(values, np.ndarray) and fits
        self.values: Any = cuda.to_device(values) if send else values
        self._network, self._predictors = network, dict[tuple, Predictor]()

    def predictor(self, network: NetworkPlan, layer: int | str | None, largest: bool) -> Predictor:
        """The same for every call with the same arguments."""
        assert network is self._network, "the rows are held for another network"
        key = layer, largest
        if key not in self._predictors:
            n_rows = self.values.size // network.n_inputs
            self._predictors[key] = Predictor(network, n_rows, layer, largest)
        return self._predictors[key]


def forward(
    network: NetworkPlan,
    parameters: np.ndarray,
    X,
    layer: int | str | None = None,
    n_jobs: int | None = None,
    largest: bool = False,
) -> np.ndarray:
    """Outputs of a layer for all rows of X; parameters and result as of `Forward`."""
    values = X.values if isinstance(X, HeldRows) else dense_rows(X, network)
    n_rows = values.size // network.n_inputs
    if not n_rows:
        width = network.ops[network.n_ops_until(layer) - 1].n_out
        return np.empty(0, np.intp) if largest else np.empty((0, width), network.dtype)
    if isinstance(X, HeldRows):
        predictor = X.predictor(network, layer, largest)
    else:
        predictor = Predictor(network, n_rows, layer, largest)
    out = predictor(parameters, values)
    return out[:, 0].astype(np.intp) if largest else out


class Forward:
    """Outputs for parameters that change; parameters and result of the CPU engine's ``Forward``."""

    def __init__(self, network: NetworkPlan, X: Any, *layer: Any, **options: Any) -> None:
        self._network, self._X, self._layer, self._options = network, X, layer, options

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        """Return the outputs for the parameters of a flat vector."""
        return forward(self._network, parameters, self._X, *self._layer, **self._options)


def hold(network: NetworkPlan, X, index: np.ndarray | None = None) -> HeldRows:
    """Prepare rows that are used repeatedly: `Forward` takes the result in place of X.

    `index` holds their numbers, None for all.
    """
    return HeldRows(network, X if index is None else X[index])
