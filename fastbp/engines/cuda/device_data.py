"""The data of a fit on the GPU: all of it where it fits, else the rows of the coming steps.

Both loaders have the same interface: `prepare` sees to it that the rows of the next steps lie on the device
and says where in the order they begin, `ahead` uses the time in which a launch computes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp.engines.cuda.target import cuda
from fastbp.engines.flat_data import ROW_NUMBER, flat_view
from fastbp.engines.shuffle import shuffle_order

ORDER_ELEMENTS = 1 << 22  # of a loader's orders, unless one epoch is longer
MOST_EPOCHS = 4096
STREAM_BYTES = 256 << 20  # of a buffer of rows, unless one batch is larger


@dataclass(frozen=True)
class DeviceData:
    """The rows of a data set, flat; X may lie on the device, and `weights` is None for none.

    A fit takes `n` of the `n_all` rows.
    """

    X: Any
    targets: np.ndarray
    weights: np.ndarray | None
    n: int
    n_all: int

    @property
    def on_host(self) -> bool:
        return isinstance(self.X, np.ndarray)

    @property
    def nbytes(self) -> int:
        """The rows to be sent."""
        return (
            self.X.nbytes * self.on_host
            + self.targets.nbytes
            + (0 if self.weights is None else self.weights.nbytes)
        )


@dataclass(frozen=True)
class Cursor:
    """Where training stands: the epoch over the life of the solver's state, rows and steps within it."""

    epoch: int
    position: int
    step: int


class Orders:
    """The orders of epochs, each drawn once, on the CPU: so both engines train on the same batches.

    Epoch `end` and later ones are never made. `index` holds the numbers of a fit's rows, None for all.
    """

    def __init__(
        self, n_rows: int, seed: int, shuffle: bool, end: int, index: np.ndarray | None = None
    ) -> None:
        index = np.arange(n_rows) if index is None else index
        self.n_rows, self.seed, self.shuffle, self.end = len(index), seed, shuffle, end
        self._drawn: dict[int, np.ndarray] = {}
        self._plain = index.astype(np.int32)
        self._index = flat_view(index, ROW_NUMBER)

    def of(self, epoch: int) -> np.ndarray:
        """The rows of an epoch in the order of their use."""
        if not self.shuffle:
            return self._plain
        if epoch not in self._drawn:
            order = np.empty(self.n_rows, ROW_NUMBER)
            shuffle_order(order, self._index, self.seed, epoch)
            self._drawn[epoch] = order.astype(np.int32)
        return self._drawn[epoch]

    def forget_before(self, epoch: int) -> None:
        """Epochs that are over need no order."""
        self._drawn = {e: order for e, order in self._drawn.items() if e >= epoch}


class Resident:
    """All rows lie on the device; only the orders of epochs are sent, several at a time.

    Attributes
    ----------
    tables : tuple of device arrays
        X, targets, weights, order, as the kernel takes them.
    """

    def __init__(self, rows: DeviceData, batch: int, orders: Orders) -> None:
        self._orders, self._n = orders, rows.n
        self._steps_per_epoch = -(-rows.n // batch)
        self._capacity = min(max(ORDER_ELEMENTS // rows.n, 2), MOST_EPOCHS)
        self._first = self._held = 0  # epochs whose orders lie on the device: first, and how many
        self._wanted = 1
        self._order = cuda.device_array(self._capacity * rows.n, np.int32)
        weights = np.ones(1, rows.X.dtype) if rows.weights is None else rows.weights
        X = cuda.to_device(rows.X) if rows.on_host else rows.X
        self._data = (X, cuda.to_device(rows.targets), cuda.to_device(weights))

    @staticmethod
    def nbytes(rows: DeviceData) -> int:
        """Device memory that it takes."""
        return rows.nbytes + 4 * min(max(ORDER_ELEMENTS // rows.n, 2), MOST_EPOCHS) * rows.n

    @property
    def tables(self) -> tuple[Any, ...]:
        return (*self._data, self._order)

    def prepare(self, cursor: Cursor, n_steps: int) -> tuple[int, int]:
        """Where in the order the next step begins, and how many steps may be made from there."""
        self._wanted = min(-(-(cursor.step + n_steps) // self._steps_per_epoch), self._capacity)
        if not self._orders.shuffle:
            self._first = cursor.epoch  # one is like another
        if not self._first <= cursor.epoch <= cursor.epoch + self._wanted <= self._first + self._held:
            self._orders.forget_before(cursor.epoch)
            orders = [self._orders.of(cursor.epoch + i) for i in range(self._wanted)]
            self._order[: self._wanted * self._n].copy_to_device(np.concatenate(orders))
            self._first, self._held = cursor.epoch, self._wanted
        passed = cursor.epoch - self._first
        steps = (self._held - passed) * self._steps_per_epoch - cursor.step
        return passed * self._n + cursor.position, min(n_steps, steps)

    def ahead(self, cursor: Cursor) -> None:
        """Draw the orders of the epochs after those on the device."""
        first = self._first + self._held
        for epoch in range(first, min(first + self._wanted, self._orders.end)):
            self._orders.of(epoch)


class Streamed:
    """The rows of the coming steps, in the order of their use, in one of two buffers on the device.

    While a launch reads one, the host gathers the rows after these and sends them to the other.
    """

    def __init__(self, rows: DeviceData, batch: int, orders: Orders) -> None:
        self._rows, self._batch, self._orders = rows, batch, orders
        self._steps_per_epoch = -(-rows.n // batch)
        self._n_inputs, self._n_targets = rows.X.size // rows.n_all, rows.targets.size // rows.n_all
        self._capacity = self.capacity(rows, batch)
        self._order = cuda.to_device(np.arange(self._capacity, dtype=np.int32))
        self._stream = cuda.stream()
        self._buffers = [self._allocate() for _ in range(2)]
        self._slot = 0
        self._loaded: list[tuple[Cursor, int] | None] = [None, None]
        self._n_steps = 1

    @staticmethod
    def capacity(rows: DeviceData, batch: int) -> int:
        """Rows of a buffer: whole batches."""
        n_batches = max(int(STREAM_BYTES // max(rows.nbytes / rows.n_all, 1)) // batch, 1)
        return n_batches * batch

    @classmethod
    def nbytes(cls, rows: DeviceData, batch: int) -> int:
        """Device memory that it takes."""
        capacity = cls.capacity(rows, batch)
        return int(2 * capacity * rows.nbytes / rows.n_all) + 4 * capacity

    def _allocate(self) -> tuple[tuple[np.ndarray, ...], tuple[Any, ...]]:
        """Buffers for X, targets and weights, on the host and on the device."""
        dtype = self._rows.X.dtype
        sizes = [
            self._capacity * self._n_inputs,
            self._capacity * self._n_targets,
            1 if self._rows.weights is None else self._capacity,
        ]
        pinned = tuple(cuda.pinned_array(size, dtype) for size in sizes)
        return pinned, tuple(cuda.device_array(size, dtype) for size in sizes)

    @property
    def tables(self) -> tuple[Any, ...]:
        return (*self._buffers[self._slot][1], self._order)

    def prepare(self, cursor: Cursor, n_steps: int) -> tuple[int, int]:
        """As of `Resident`; the rows of a buffer begin where the step does."""
        other = 1 - self._slot
        loaded = self._loaded[other]
        if loaded is None or loaded[0] != cursor:
            self._n_steps = n_steps
            self._load(other, cursor)
        self._stream.synchronize()
        self._slot = other
        _, steps = self._loaded[other]  # type: ignore[misc]  # filled by _load
        self._n_steps = n_steps
        return 0, min(n_steps, steps)

    def ahead(self, cursor: Cursor) -> None:
        """Send the rows of the steps from `cursor` on, while the launch before them computes."""
        if cursor.epoch < self._orders.end:
            self._load(1 - self._slot, cursor)

    def _load(self, slot: int, cursor: Cursor) -> None:
        picked, n_rows, n_steps = [], 0, 0
        epoch, position, step = cursor.epoch, cursor.position, cursor.step
        self._orders.forget_before(epoch)
        while n_steps < self._n_steps and n_rows + self._batch <= self._capacity and epoch < self._orders.end:
            batch = self._orders.of(epoch)[position : position + self._batch]
            picked.append(batch)
            n_rows, n_steps = n_rows + len(batch), n_steps + 1
            position, step = position + len(batch), step + 1
            if position == self._rows.n:
                epoch, position, step = epoch + 1, 0, 0
        chosen = np.concatenate(picked)
        pinned, on_device = self._buffers[slot]
        sources = (self._rows.X, self._rows.targets, self._rows.weights)
        for source, width, host, target in zip(
            sources, (self._n_inputs, self._n_targets, 1), pinned, on_device, strict=True
        ):
            if source is not None:
                n = n_rows * width
                picked_rows = host[:n].reshape(n_rows, width)
                # Without a mode, NumPy gathers into a buffer of its own first.
                np.take(source.reshape(-1, width), chosen, axis=0, out=picked_rows, mode="clip")
                target[:n].copy_to_device(host[:n], stream=self._stream)
        self._loaded[slot] = (cursor, n_steps)


Loader = Resident | Streamed


def make_loader(rows: DeviceData, batch: int, orders: Orders, arena_bytes: int, free: float) -> Loader:
    """Where the data fits it stays on the device, else it streams; nothing is allocated before that is clear.

    Raises
    ------
    MemoryError
        Where not even that fits; it names sizes.
    """
    if arena_bytes + Resident.nbytes(rows) <= free:
        return Resident(rows, batch, orders)
    if rows.on_host and arena_bytes + Streamed.nbytes(rows, batch) <= free:
        return Streamed(rows, batch, orders)
    mib = 2**20
    raise MemoryError(
        f"device='cuda': weights, solver state and activations of a batch take {arena_bytes / mib:,.0f} MiB, "
        f"two buffers of rows {Streamed.nbytes(rows, batch) / mib:,.0f} MiB (all rows: "
        f"{rows.nbytes / mib:,.0f} MiB), but the GPU has {free / mib:,.0f} MiB free. Choose a smaller "
        "batch_size or smaller layers, or device='cpu'."
    )
