"""How parameters lie in the memory of this engine.

Elsewhere the parameters of a network are one row-major vector (``fastbp.plan.network``). Kernels run along
the columns of a block, so here the block of a dense layer is "in-major" (a row for each input, as in the
plan) or "out-major" (a row for each output), whichever wastes fewer vector lanes. It is stored as column
panels, one after the other, each a contiguous (rows, ld) array with ld·itemsize 64 or 128 bytes: a tile of
weights, traversed in either direction, lies in few neighbouring cache lines. Padding beyond the columns is
zero and stays zero.

Predictions of few rows read the row-major vector, which may be the user's own arrays, as one panel for each
block: the same kernels, the same bits, and nothing to convert.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache

import numpy as np

from fastbp.plan.network import Kind, NetworkPlan, Op, padded

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
MOST_PLACES = 1 << 14  # parameters of networks that one call of NumPy converts; larger ones go by blocks


class MatrixOrder(IntEnum):
    """Which index of a weight matrix runs along the rows of its parameter block."""

    IN_MAJOR = 0
    OUT_MAJOR = 1


@dataclass(frozen=True)
class Block:
    """The parameters of an op: element (i, j) lies at ``offset + (j // ld) · rows · ld + i · ld + j % ld``.

    Ops without parameters have one without rows and columns.
    """

    offset: int
    rows: int = 0
    cols: int = 0
    ld: int = 0
    order: MatrixOrder = MatrixOrder.IN_MAJOR

    @property
    def size(self) -> int:
        """Number of values, padding included."""
        return self.rows * padded(self.cols, self.ld) if self.cols else 0


@dataclass(frozen=True, eq=False)
class ParameterLayout:
    """Where the parameters of a network lie. Compared by identity.

    Attributes
    ----------
    network : NetworkPlan
    blocks : tuple of Block
        One for each op.
    size : int
        Length of a flat vector, padding included.
    """

    network: NetworkPlan
    blocks: tuple[Block, ...]
    size: int

    @cached_property
    def columns(self) -> np.ndarray:
        """The blocks as columns of the table of ops: offset, rows, cols, ld and order."""
        rows = [(block.offset, block.rows, block.cols, block.ld, block.order) for block in self.blocks]
        return np.array(rows, np.int64)

    def pack(self, vectors: np.ndarray) -> np.ndarray:
        """Convert row-major vectors (..., n_parameters) to this layout.

        Returns
        -------
        ndarray of shape (..., size)
            A new array of the same dtype; padding is zero.
        """
        shape = (*vectors.shape[:-1], self.size)
        flat = aligned_zeros(math.prod(shape), vectors.dtype).reshape(shape)
        self.pack_into(flat, vectors)
        return flat

    def pack_into(self, flat: np.ndarray, vectors: np.ndarray) -> None:
        """The same into an array whose padding is zero."""
        if self.size <= MOST_PLACES:
            flat.T[self._places] = vectors.T
            return
        for own, plain in self._parts(flat, vectors):
            own[...] = plain

    def unpack(self, flat: np.ndarray) -> np.ndarray:
        """Inverse of `pack`: a new array of row-major vectors."""
        if self.size <= MOST_PLACES:
            return flat.take(self._places, axis=-1)
        vectors = np.empty((*flat.shape[:-1], self.network.n_parameters), flat.dtype)
        for own, plain in self._parts(flat, vectors):
            plain[...] = own
        return vectors

    @cached_property
    def _places(self) -> np.ndarray:
        """Where each parameter of a row-major vector lies in this layout."""
        places, here = np.empty(self.network.n_parameters, np.intp), np.arange(self.size)
        for own, plain in self._parts(here, places):
            plain[...] = own
        return places

    def _parts(self, flat: np.ndarray, vectors: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield views of the same parameters in this layout and in the row-major one, of equal shapes."""
        lead = flat.shape[:-1]
        for op, block in zip(self.network.ops, self.blocks, strict=True):
            if not op.cols:
                continue
            rows, ld = block.rows, block.ld
            own = flat[..., block.offset : block.offset + block.size]
            plain = vectors[..., op.offset : op.offset + op.rows * op.cols].reshape(*lead, op.rows, op.cols)
            if block.order == MatrixOrder.OUT_MAJOR:
                plain = plain.swapaxes(-1, -2)
            panels, rest = divmod(block.cols, ld)
            if panels:
                whole = plain[..., : panels * ld].reshape(*lead, rows, panels, ld)
                yield own[..., : panels * rows * ld].reshape(*lead, panels, rows, ld), whole.swapaxes(-2, -3)
            if rest:
                last = own[..., panels * rows * ld :].reshape(*lead, rows, ld)
                yield last[..., :rest], plain[..., panels * ld :]


@lru_cache(maxsize=64)
def panel_layout(network: NetworkPlan) -> ParameterLayout:
    """The column panels of a network."""
    offset, blocks = 0, []
    for op in network.ops:
        blocks.append(_panels(op, offset, ALIGNMENT // network.dtype.itemsize))
        offset += blocks[-1].size
    return ParameterLayout(network, tuple(blocks), offset)


def _panels(op: Op, offset: int, lanes: int) -> Block:
    if op.kind == Kind.PARAMETRIC:
        return Block(offset, op.rows, op.cols, padded(op.cols, 2 * lanes))
    if not op.cols:
        return Block(offset)
    out_major = op.cols * padded(op.rows, lanes) < op.rows * padded(op.cols, lanes)
    rows, cols = (op.cols, op.rows) if out_major else (op.rows, op.cols)
    order = MatrixOrder.OUT_MAJOR if out_major else MatrixOrder.IN_MAJOR
    return Block(offset, rows, cols, lanes if cols <= lanes else 2 * lanes, order)


@lru_cache(maxsize=64)
def row_major_layout(network: NetworkPlan) -> ParameterLayout:
    """The layout of the plan itself, as one panel for each block."""
    blocks = tuple(Block(op.offset, op.rows, op.cols, op.cols) for op in network.ops)
    return ParameterLayout(network, blocks, network.n_parameters)


def aligned_zeros(n: int, dtype: np.dtype) -> np.ndarray:
    """Vector of zeros, aligned to a cache line."""
    dtype = np.dtype(dtype)
    raw = np.zeros(n * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start : start + n * dtype.itemsize].view(dtype)
