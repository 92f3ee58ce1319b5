"""How much memory there is on the GPU, and how much of it a row takes."""

from typing import Any

import numpy as np

from fastbp.engines.cuda.arrays import DeviceRows
from fastbp.engines.cuda.target import SIMULATOR, cuda
from fastbp.plan.network import Kind, NetworkPlan

SPARE_BYTES = 64 << 20  # left to the driver: the kernels themselves, printing, other small things


def free_memory() -> float:
    """Bytes that may be allocated on the GPU."""
    if SIMULATOR:
        return float("inf")
    return max(cuda.current_context().get_memory_info().free - SPARE_BYTES, 0)


def dense_rows(X, network: NetworkPlan) -> Any:
    """X as a flat vector of the network's dtype, of the host or, for `DeviceRows`, of the device.

    Sparse matrices are refused before (``fastbp.engines.select``).
    """
    if isinstance(X, DeviceRows):
        return X.values
    return np.ascontiguousarray(X, dtype=network.dtype).reshape(-1)


def elements_per_row(network: NetworkPlan) -> int:
    """Elements of the arena that a row of a pass takes, about."""
    deltas = sum(op.n_out for op in network.ops if op.kind in (Kind.DENSE, Kind.ADD, Kind.GROUP))
    return sum(network.widths) + deltas + network.n_targets + 1
