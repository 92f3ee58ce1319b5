"""The rows of many networks on the GPU: data sets one after another, each of them once."""

import hashlib
from collections.abc import Hashable
from typing import Any

import numpy as np

from fastbp.engines.cuda.device_memory import dense_rows
from fastbp.engines.cuda.target import cuda
from fastbp.engines.dataset import Dataset
from fastbp.plan.network import NetworkPlan

MOST_ROWS = 2**31 - 1  # of all data sets together: orders have 32 bits


class FleetRows:
    """Data sets by the number of their first row; equal ones share their memory.

    X is compared by where it lies, targets and weights by their values.

    Attributes
    ----------
    n : int
        Rows of all data sets together.
    nbytes : int
        Device memory that they take.
    """

    def __init__(self, network: NetworkPlan) -> None:
        self._network = network
        self._first: dict[tuple, int] = {}
        self._digests: dict[int, bytes] = {}
        self._sources: list[Dataset] = []  # they are kept: addresses must not be given to others
        self._parts: list[tuple[Any, np.ndarray, np.ndarray | None]] = []
        self.n = self.nbytes = 0

    def add(self, rows: Dataset) -> int:
        """The number of the data set's first row; the rows that its index leaves out count, too."""
        key = _place_of(rows.X), self._digest(rows.targets), self._digest(rows.sample_weight)
        self._sources.append(rows)
        if key not in self._first:
            dtype = self._network.dtype
            targets, weights = np.ascontiguousarray(rows.targets, dtype), self.weights(rows)
            X = dense_rows(rows.X, self._network)
            self._parts.append((X, targets.reshape(-1), weights))
            self._first[key] = self.n
            self.n += len(targets)
            self.nbytes += (X.size + targets.size + len(targets)) * dtype.itemsize
        return self._first[key]

    def weights(self, rows: Dataset) -> np.ndarray | None:
        """The weights of all rows in the dtype of the network."""
        given = rows.sample_weight
        return None if given is None else np.ascontiguousarray(given, dtype=self._network.dtype)

    def _digest(self, values: np.ndarray | None) -> bytes:
        if values is None:
            return b""
        if id(values) not in self._digests:
            self._digests[id(values)] = hashlib.blake2b(np.ascontiguousarray(values).data).digest()
        return self._digests[id(values)]

    def upload(self) -> tuple[Any, ...]:
        """Device arrays of X, targets and weights, flat, as kernels take them; nothing is added any more."""
        X, targets, given = zip(*self._parts, strict=True)
        dtype, n_targets = self._network.dtype, self._network.n_targets
        weights = [np.ones(1, dtype)]  # where no data set has any
        if any(values is not None for values in given):
            ones = (np.ones(len(values) // n_targets, dtype) for values in targets)
            weights = [one if values is None else values for one, values in zip(ones, given, strict=True)]
        self._parts, self._sources = [], []
        return _joined(X), _joined(targets), _joined(weights)


def _place_of(X: Any) -> Hashable:
    """Where an array of the host lies; an array of the device itself."""
    if isinstance(X, np.ndarray):
        return X.__array_interface__["data"][0], X.shape, X.strides, X.dtype
    return id(X.values)


def _joined(parts: Any) -> Any:
    """A device array of flat arrays of the host or of the device, one after another."""
    if len(parts) == 1:
        return cuda.to_device(parts[0]) if isinstance(parts[0], np.ndarray) else parts[0]
    if all(isinstance(part, np.ndarray) for part in parts):
        return cuda.to_device(np.concatenate(parts))
    out, at = cuda.device_array(sum(part.size for part in parts), parts[0].dtype), 0
    for part in parts:
        out[at : at + part.size].copy_to_device(part)
        at += part.size
    return out
