"""Plans of networks: ops, buffers, and how parameters lie in one flat vector.

A network is a short list of ops over numbered activation buffers. Buffer 0 holds the inputs, and each dense
layer writes its own; elementwise and row ops work in place, unless the derivative needs the input; a group op
reduces k neighbours to one value, in its own buffer. The backward pass runs the list in reverse.

Parameters live in one flat vector. The block of a dense layer is a matrix, "in-major" (a row for each input,
the bias last: one more input that is always 1) or "out-major" (a row for each output), whichever wastes fewer
vector lanes: kernels run along the columns. It is stored as column panels, one after the other, each a
contiguous (rows, ld) array with ld·itemsize 64 or 128 bytes: a tile of weights, traversed in either
direction, lies in few neighbouring cache lines. Padding beyond the columns is zero and stays zero.

A parametric op has a block of one row: the first parameter of each feature, then the second. It is like the
bias row of a dense layer without inputs: multiplied by a column of ones, and not penalised.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property

import numpy as np

from fastbp.functions.parametric import PARAMETRICS

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
PANEL_BYTES = 2 * ALIGNMENT  # a row of a column panel of parameters


class Kind(IntEnum):
    """Kind of an op, which selects its kernel."""

    DENSE = 0
    ELEMENTWISE = 1
    ROW = 2
    LOSS = 3
    NOISE = 4
    ADD = 5
    PARAMETRIC = 6
    GROUP = 7


class MatrixOrder(IntEnum):
    """Which index of a weight matrix runs along the rows of its parameter block."""

    IN_MAJOR = 0
    OUT_MAJOR = 1


@dataclass(frozen=True)
class Op:
    """One operation; as integers, one row of the table that kernels read.

    Attributes
    ----------
    kind : Kind
    code : int
        The function's code in its registry; 0 for dense layers.
    source, target : int
        Buffers read and written.
    n_in, n_out : int
        Widths of these buffers.
    bias : int
        1 if a dense layer has a bias.
    offset, rows, cols, ld, layout : int
        The block of parameters: element (i, j) lies at
        ``offset + (j // ld) · rows · ld + i · ld + j % ld``.
    training, prediction : int
        1 if the op runs in this mode: an activation that is merged with the loss runs in prediction only.
    sync : int
        1 if the op needs the whole batch before it can continue: its parameters are batch statistics in
        training, and running means in prediction.
    other : int
        Second buffer that a sum reads; for a parametric op, the buffer with the deltas of its parameters, row
        by row.
    constants : int
        Index of the op's first value in the network's constants: parameters of noise, or factors of the
        learning rate of weights and of biases.
    learned : int
        1 if training changes the parameters.
    """

    kind: int
    code: int
    source: int
    target: int
    n_in: int
    n_out: int
    bias: int = 0
    offset: int = 0
    rows: int = 0
    cols: int = 0
    ld: int = 0
    layout: int = 0
    training: int = 1
    prediction: int = 1
    sync: int = 0
    other: int = 0
    constants: int = 0
    learned: int = 1

    def matrix(self, vector: np.ndarray) -> np.ndarray:
        """The parameter block in a row-major vector: a view of shape (n_in + bias, n_out)."""
        return vector[self.offset : self.offset + self.rows * self.ld].reshape(self.rows, self.ld)


FIELD = {f.name: i for i, f in enumerate(fields(Op))}


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """A network of fixed shape: its ops, buffers and parameters. Compared by identity.

    Attributes
    ----------
    ops : tuple of Op
        In forward order; the last is the loss.
    n_inputs, n_outputs, n_targets : int
        `n_targets` is the number of target columns: 1 for class indices and for several quantiles of one
        target; for a loss with two outputs a target half of `n_outputs`, else `n_outputs`.
    class_targets : bool
    dtype : numpy.dtype
        float32 or float64, for all computations.
    n_parameters : int
        Length of the flat parameter vector, padding included.
    widths : tuple of int
        Widths of the buffers.
    constants : tuple of float
        The parameters of the loss, then those of other ops.
    has_rate_factors : bool
        Whether layers have their own learning rates.
    """

    ops: tuple[Op, ...]
    n_inputs: int
    n_outputs: int
    n_targets: int
    class_targets: bool
    dtype: np.dtype
    n_parameters: int
    widths: tuple[int, ...]
    constants: tuple[float, ...]
    has_rate_factors: bool = False

    @cached_property
    def dense(self) -> tuple[Op, ...]:
        """The dense layers."""
        return tuple(op for op in self.ops if op.kind == Kind.DENSE)

    @cached_property
    def parametric(self) -> tuple[Op, ...]:
        """The ops that have a row of parameters."""
        return tuple(op for op in self.ops if op.kind == Kind.PARAMETRIC)

    @property
    def layer_shapes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each dense layer."""
        return [(op.n_in, op.n_out) for op in self.dense]

    @property
    def pieces(self) -> list[int]:
        """Number of linear outputs per unit of each dense layer: 1, or k for maxout."""
        pieces: list[int] = []
        for op in self.ops:
            if op.kind == Kind.DENSE:
                pieces.append(1)
            elif op.kind == Kind.GROUP:
                pieces[-1] = op.n_in // op.n_out
        return pieces

    @cached_property
    def table(self) -> np.ndarray:
        """The ops as an int64 array of shape (n_ops, n_fields), columns as in `FIELD`."""
        rows = [[getattr(op, f.name) for f in fields(Op)] for op in self.ops]
        return np.array(rows, dtype=np.int64)

    @cached_property
    def row_major(self) -> "NetworkPlan":
        """The same network over another vector: each block is a plain matrix (inputs + bias, outputs).

        Slower for many rows, but the matrices can be the user's own arrays. Results are bitwise identical.
        """
        offset, ops = 0, []
        for op in self.ops:
            if op.kind == Kind.DENSE:
                shape = dict(rows=op.n_in + op.bias, cols=op.n_out, ld=op.n_out, layout=MatrixOrder.IN_MAJOR)
                op = replace(op, offset=offset, **shape)
            elif op.kind == Kind.PARAMETRIC:
                op = replace(op, offset=offset, ld=op.cols)
            offset += op.rows * op.ld
            ops.append(op)
        return replace(self, ops=tuple(ops), n_parameters=offset)

    @cached_property
    def flops_per_row(self) -> int:
        """Floating-point operations of one row's forward and backward pass."""
        return 6 * sum(p * q for p, q in self.layer_shapes) - 2 * int(np.prod(self.layer_shapes[0]))

    def n_ops_until(self, layer: int | str | None) -> int:
        """Number of ops up to the outputs of a dense layer.

        Parameters
        ----------
        layer : int, "logits" or None
            1 … n_layers: that layer after its activation; "logits": the last layer before its activation;
            None: the last layer.
        """
        starts = [i for i, op in enumerate(self.ops) if op.kind == Kind.DENSE]
        if layer == "logits":
            return starts[-1] + 1
        ends = [*starts[1:], len(self.ops) - 1]  # the last op is the loss
        return ends[-1 if layer is None else int(layer) - 1]

    @property
    def start(self) -> list[np.ndarray]:
        """Initial parameters of parametric ops: (n_parameters, n_features) each."""
        rows = []
        for op in self.parametric:
            entry = PARAMETRICS[PARAMETRICS.names()[op.code]]
            rows.append(np.repeat(np.array(entry.start, self.dtype)[:, None], op.n_out, axis=1))
        return rows

    def pack(
        self,
        coefs: Sequence[np.ndarray],
        intercepts: Sequence[np.ndarray],
        rows: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return the flat parameter vector of given weights: a new array of `dtype` with zero padding.

        `rows` are the parameters of parametric ops, (n_parameters, n_features) each; None: the initial ones.
        """
        flat = aligned_zeros(self.n_parameters, self.dtype)
        for op, coef, intercept in zip(self.dense, coefs, intercepts, strict=True):
            block = coef if op.layout == MatrixOrder.IN_MAJOR else np.asarray(coef).T
            n_rows, n_columns = block.shape
            for panel, columns in _panels(flat, op):
                panel[:n_rows, : n_columns - columns.start] = block[:, columns]
                if op.bias and op.layout == MatrixOrder.IN_MAJOR:
                    panel[n_rows] = intercept[columns]
            if op.bias and op.layout == MatrixOrder.OUT_MAJOR:
                panel[:, -1] = intercept  # the last column of the last panel
        for op, row in zip(self.parametric, self.start if rows is None else rows, strict=True):
            flat[op.offset : op.offset + op.cols] = np.ravel(row)
        return flat

    def to_row_major(self, flat: np.ndarray) -> np.ndarray:
        """Convert a flat vector to the layout of the plan `row_major`."""
        vector = np.empty(self.row_major.n_parameters, flat.dtype)
        for op, plain in zip(self.dense, self.row_major.dense, strict=True):
            whole = plain.matrix(vector)
            block = whole if op.layout == MatrixOrder.IN_MAJOR else whole.T
            for panel, columns in _panels(flat, op):
                block[:, columns] = panel
        for op, plain in zip(self.parametric, self.row_major.parametric, strict=True):
            vector[plain.offset : plain.offset + op.cols] = flat[op.offset : op.offset + op.cols]
        return vector

    def from_row_major(self, vector: np.ndarray) -> np.ndarray:
        """Inverse of `to_row_major`: a new flat vector of this plan with zero padding."""
        flat = aligned_zeros(self.n_parameters, vector.dtype)
        for op, plain in zip(self.dense, self.row_major.dense, strict=True):
            whole = plain.matrix(vector)
            block = whole if op.layout == MatrixOrder.IN_MAJOR else whole.T
            for panel, columns in _panels(flat, op):
                panel[...] = block[:, columns]
        for op, plain in zip(self.parametric, self.row_major.parametric, strict=True):
            flat[op.offset : op.offset + op.cols] = vector[plain.offset : plain.offset + op.cols]
        return flat

    def rows(self, flat: np.ndarray) -> list[np.ndarray]:
        """The parameters of parametric ops in a flat vector, (n_parameters, n_features) each: views."""
        return [flat[op.offset : op.offset + op.cols].reshape(-1, op.n_out) for op in self.parametric]

    def unpack(self, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights (n_in, n_out) and biases (n_out,) of a flat vector, as new C-contiguous arrays."""
        vector = self.to_row_major(flat)
        coefs, intercepts = [], []
        for op in self.row_major.dense:
            whole = op.matrix(vector)
            coefs.append(whole[: op.n_in].copy())
            intercepts.append(whole[op.n_in].copy() if op.bias else np.zeros(op.n_out, flat.dtype))
        return coefs, intercepts

    def mask(self, weights: bool = True, biases: bool = True) -> np.ndarray:
        """Boolean mask of weights or biases in the flat vector; the others are padding.

        The parameters of parametric ops count as biases if training changes them, else as padding.
        """
        shapes = self.layer_shapes
        coefs = [np.full(shape, weights) for shape in shapes]
        rows = [np.full(op.cols, biases and op.learned) for op in self.parametric]
        return self.pack(coefs, [np.full(shape[1], biases) for shape in shapes], rows).astype(bool)


def aligned_zeros(n: int, dtype: np.dtype) -> np.ndarray:
    """Vector of zeros, aligned to a cache line."""
    dtype = np.dtype(dtype)
    raw = np.zeros(n * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n * dtype.itemsize].view(dtype)


def padded(n: int, lanes: int) -> int:
    """`n` rounded up to a multiple of `lanes`."""
    return -(-n // lanes) * lanes


def _panels(flat: np.ndarray, op: Op) -> Iterable[tuple[np.ndarray, slice]]:
    """Yield the column panels of a parameter block as views without padding, and the columns they hold."""
    for first in range(0, op.cols, op.ld):
        width = min(op.ld, op.cols - first)
        start = op.offset + first * op.rows
        view = flat[start : start + op.rows * op.ld].reshape(op.rows, op.ld)
        yield view[:, :width], slice(first, first + width)
