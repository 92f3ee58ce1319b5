"""Plans of networks: ops, buffers, and how parameters lie in one flat vector.

A network is a short list of ops over numbered activation buffers. Buffer 0 holds the inputs, and each dense
layer writes its own; elementwise and row ops work in place, unless the derivative needs the input; a group op
reduces k neighbours to one value, in its own buffer. The backward pass runs the list in reverse.

Parameters live in one flat vector, block after block. The block of a dense layer is a row-major matrix with a
row for each input, the bias last (one more input that is always 1), and a column for each output.

A parametric op has a block of one row: the first parameter of each feature, then the second. It is like the
bias row of a dense layer without inputs: multiplied by a column of ones, and not penalised.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property

import numpy as np

from fastbp.functions.parametric import PARAMETRICS


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
    offset, rows, cols : int
        The block of parameters: element (i, j) lies at ``offset + i · cols + j``.
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
    training: int = 1
    prediction: int = 1
    sync: int = 0
    other: int = 0
    constants: int = 0
    learned: int = 1

    def matrix(self, vector: np.ndarray) -> np.ndarray:
        """The parameter block in a flat vector: a view of shape (rows, cols)."""
        return vector[self.offset : self.offset + self.rows * self.cols].reshape(self.rows, self.cols)


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
        Length of the flat parameter vector.
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

    @cached_property
    def shape(self) -> tuple:
        """All but the constants: networks of one shape differ in numbers only, not in what is computed."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return tuple((values | {"constants": len(self.constants)}).values())

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
            entry = PARAMETRICS.at(op.code)
            rows.append(np.repeat(np.array(entry.start, self.dtype)[:, None], op.n_out, axis=1))
        return rows

    def pack(
        self,
        coefs: Sequence[np.ndarray],
        intercepts: Sequence[np.ndarray],
        rows: Sequence[np.ndarray] | None = None,
    ) -> np.ndarray:
        """Return the flat parameter vector of given weights: a new array of `dtype`.

        `rows` are the parameters of parametric ops, (n_parameters, n_features) each; None: the initial ones.
        """
        vector = np.empty(self.n_parameters, self.dtype)
        for op, coef, intercept in zip(self.dense, coefs, intercepts, strict=True):
            matrix = op.matrix(vector)
            matrix[: op.n_in] = coef
            if op.bias:
                matrix[op.n_in] = intercept
        for op, row in zip(self.parametric, self.start if rows is None else rows, strict=True):
            op.matrix(vector)[0] = np.ravel(row)
        return vector

    def unpack(self, vector: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights (n_in, n_out) and biases (n_out,) of a flat vector, as new C-contiguous arrays."""
        coefs, intercepts = [], []
        for op in self.dense:
            matrix = op.matrix(vector)
            coefs.append(matrix[: op.n_in].copy())
            intercepts.append(matrix[op.n_in].copy() if op.bias else np.zeros(op.n_out, vector.dtype))
        return coefs, intercepts

    def rows(self, vector: np.ndarray) -> list[np.ndarray]:
        """The parameters of parametric ops in a flat vector, (n_parameters, n_features) each: views."""
        return [op.matrix(vector).reshape(-1, op.n_out) for op in self.parametric]

    def mask(self, weights: bool = True, biases: bool = True) -> np.ndarray:
        """Boolean mask of the weights or biases that training changes in the flat vector.

        The parameters of parametric ops count as biases; training does not change all of them.
        """
        mask = np.zeros(self.n_parameters, bool)
        for op in self.dense:
            matrix = op.matrix(mask)
            matrix[: op.n_in], matrix[op.n_in :] = weights, biases
        for op in self.parametric:
            op.matrix(mask)[:] = biases and op.learned
        return mask


def padded(n: int, lanes: int) -> int:
    """`n` rounded up to a multiple of `lanes`."""
    return -(-n // lanes) * lanes
