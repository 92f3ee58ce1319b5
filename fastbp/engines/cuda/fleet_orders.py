"""The orders of epochs of many networks, drawn on the GPU: a thread draws the order of an epoch.

They are the orders of ``fastbp.engines.shuffle``, number by number. Networks that train on the same rows with
the same seed share them.
"""

import numpy as np

from fastbp.engines.cuda.arrays import launch
from fastbp.engines.cuda.target import cuda, device
from fastbp.engines.cuda.uniforms import GOLDEN, U32, mix64
from fastbp.functions import random

SHUFFLE = np.uint64(random.SHUFFLE)
# Columns of the table of orders: where the numbers of the rows begin, and how many they are; the seed, and
# whether rows are shuffled; the first epoch that is drawn; where its order goes.
INDEX, N_ROWS, SEED, SHUFFLED, EPOCH, START = range(6)


class FleetOrders:
    """Orders by number.

    Attributes
    ----------
    device : device array or None
        Orders as kernels take them: of each its epochs, one after another.
    n_rows : int
        Of an epoch of all orders together.
    n_held : int
        Epochs of each order that lie on the device.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple, int] = {}
        self._rows: list[list[int]] = []
        self._indices: dict[tuple, int] = {}  # where they begin
        self._pieces: list[np.ndarray] = []
        self._n_index = self.n_rows = self.n_held = 0
        self.device = self._index = None

    @property
    def nbytes(self) -> int:
        """Of one epoch, on the device."""
        return 4 * (self.n_rows + self._n_index)

    def add(self, first: int, n: int, index: np.ndarray | None, seed: int | None, epoch: int) -> int:
        """The number of an order of rows `first` + `index`, or of the `n` rows from `first` on.

        Without a seed they are not shuffled. The index must be kept elsewhere. Networks of one order begin
        with the same `epoch`, and make the same steps until they end.
        """
        key = first, n, id(index), seed, epoch
        if key not in self._numbers:
            self._numbers[key] = len(self._rows)
            start = self._index_at(key[:3], index)
            self._rows.append([start, n, seed or 0, seed is not None, epoch, self.n_rows])
            self.n_rows += n
        return self._numbers[key]

    def _index_at(self, key: tuple, index: np.ndarray | None) -> int:
        first, n, _ = key
        if key not in self._indices:
            self._indices[key] = self._n_index
            self._pieces.append((np.arange(n) if index is None else index) + first)
            self._n_index += n
        return self._indices[key]

    def upload(self, capacity: int) -> None:
        """Make room for `capacity` epochs of each order; nothing is added from now on."""
        self._table = np.array(self._rows, np.int64)
        self._table[:, START] *= capacity
        self._index = cuda.to_device(np.concatenate(self._pieces).astype(np.int32))
        self.device = cuda.device_array(capacity * self.n_rows, np.int32)
        self._pieces = []

    def close(self) -> None:
        """Give the memory of the GPU back."""
        self.device = self._index = None

    def draw(self, numbers: np.ndarray, epochs: np.ndarray, n_epochs: int) -> None:
        """Draw `n_epochs` epochs of the orders of these numbers, each from its epoch in `epochs` on."""
        self._table[numbers, EPOCH] = epochs
        table = cuda.to_device(self._table[np.unique(numbers)])
        launch(_draw, n_epochs * len(table))(table, self._index, n_epochs, self.device)
        self.n_held = n_epochs

    def epoch_end(self, numbers: np.ndarray) -> np.ndarray:
        """The first epoch of each of these orders that is not held."""
        return self._table[numbers, EPOCH] + self.n_held

    def position(self, numbers: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """Where these epochs of these orders begin."""
        rows = self._table[numbers]
        return rows[:, START] + (epochs - rows[:, EPOCH]) * rows[:, N_ROWS]


@device
def _epoch_key(seed, epoch):
    return mix64(mix64(np.uint64(seed) + SHUFFLE * GOLDEN) + np.uint64(epoch) * GOLDEN)


@cuda.jit
def _draw(table, index, n_epochs, out):
    for i in range(cuda.grid(1), table.shape[0] * n_epochs, cuda.gridsize(1)):
        order, epoch = i // n_epochs, i % n_epochs
        n, first = table[order, N_ROWS], table[order, INDEX]
        at = table[order, START] + epoch * n
        for r in range(n):
            out[at + r] = index[first + r]
        if table[order, SHUFFLED] == 1:
            key = _epoch_key(table[order, SEED], table[order, EPOCH] + epoch)
            for r in range(n - 1, 0, -1):
                draw = mix64(key + np.uint64(r) * GOLDEN) >> U32
                other = at + np.int64((draw * np.uint64(r + 1)) >> U32)
                row = out[at + r]
                out[at + r] = out[other]
                out[other] = row
