"""Plans: the one place where names become codes and sizes become offsets.

A network is a short list of ops over numbered activation buffers. Buffer 0 holds the inputs, buffer l the
outputs of the l-th dense layer; elementwise and row ops work in place. The backward pass is the same list
from its end.

Parameters live in one flat vector. The block of a dense layer is a matrix, "in-major" (a row for each input,
the bias last: one more input that is always 1) or "out-major" (a row for each output), whichever wastes fewer
vector lanes: kernels run along the columns. It is stored as column panels, one behind the other, each a
contiguous (rows, ld) array with ld·itemsize 64 or 128 bytes: a tile of weights, whichever way a product walks
through it, lies in few neighbouring cache lines. Whatever lies beyond the columns is zero and stays zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property

import numpy as np

from fastbp.functions.activations import ACTIVATIONS, ROW_ACTIVATIONS
from fastbp.functions.losses import LOSSES, loss_names
from fastbp.functions.schedules import SCHEDULES

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register
PANEL_BYTES = 2 * ALIGNMENT  # a row of a column panel of parameters


class Kind(IntEnum):
    """What an op does, and so which kernel runs it."""

    DENSE = 0
    ELEMENTWISE = 1
    ROW = 2
    LOSS = 3


class Layout(IntEnum):
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
        1 where a dense layer has a bias.
    offset, rows, cols, ld, layout : int
        The parameter block of a dense layer: element (i, j) lies at
        ``offset + (j // ld) · rows · ld + i · ld + j % ld``.
    training, prediction : int
        1 where the op runs then: an activation that is merged with the loss runs in prediction only.
    sync : int
        1 where the op needs the whole batch before it can go on.
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

    def matrix(self, vector: np.ndarray) -> np.ndarray:
        """The parameter block in a row-major vector: a view of shape (n_in + bias, n_out)."""
        return vector[self.offset : self.offset + self.rows * self.ld].reshape(self.rows, self.ld)


FIELD = {f.name: i for i, f in enumerate(fields(Op))}


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """A network of fixed shape: its ops, buffers and parameters. Equal is only what is identical.

    Attributes
    ----------
    ops : tuple of Op
        In forward order; the last is the loss.
    n_inputs, n_outputs, n_targets : int
        `n_targets` columns of targets a row: 1 for class indices, else `n_outputs`.
    class_targets : bool
    dtype : numpy.dtype
        float32 or float64, of everything computed.
    n_parameters : int
        Length of the flat parameter vector, padding included.
    """

    ops: tuple[Op, ...]
    n_inputs: int
    n_outputs: int
    n_targets: int
    class_targets: bool
    dtype: np.dtype
    n_parameters: int

    @cached_property
    def dense(self) -> tuple[Op, ...]:
        """The dense layers."""
        return tuple(op for op in self.ops if op.kind == Kind.DENSE)

    @property
    def layer_shapes(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each dense layer."""
        return [(op.n_in, op.n_out) for op in self.dense]

    @cached_property
    def table(self) -> np.ndarray:
        """The ops as an int64 array of shape (n_ops, n_fields), columns as in `FIELD`."""
        rows = [[getattr(op, f.name) for f in fields(Op)] for op in self.ops]
        return np.array(rows, dtype=np.int64)

    @cached_property
    def row_major(self) -> "NetworkPlan":
        """The same network over another vector: each block the plain matrix (inputs + bias, outputs).

        Slower for many rows, but the matrices can be the user's own arrays. Results have the same bits.
        """
        offset, ops = 0, []
        for op in self.ops:
            if op.kind == Kind.DENSE:
                shape = dict(rows=op.n_in + op.bias, cols=op.n_out, ld=op.n_out, layout=Layout.IN_MAJOR)
                op = replace(op, offset=offset, **shape)
                offset += op.rows * op.ld
            ops.append(op)
        return replace(self, ops=tuple(ops), n_parameters=offset)

    @cached_property
    def flops_per_row(self) -> int:
        """Floating-point operations of one row's forward and backward pass."""
        return 6 * sum(p * q for p, q in self.layer_shapes) - 2 * int(np.prod(self.layer_shapes[0]))

    def pack(self, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray]) -> np.ndarray:
        """The flat parameter vector of given weights: a fresh array of `dtype`, padding zero."""
        flat = aligned_zeros(self.n_parameters, self.dtype)
        for op, coef, intercept in zip(self.dense, coefs, intercepts, strict=True):
            block = coef if op.layout == Layout.IN_MAJOR else np.asarray(coef).T
            n_rows, n_columns = block.shape
            for panel, columns in _panels(flat, op):
                panel[:n_rows, : n_columns - columns.start] = block[:, columns]
                if op.bias and op.layout == Layout.IN_MAJOR:
                    panel[n_rows] = intercept[columns]
            if op.bias and op.layout == Layout.OUT_MAJOR:
                panel[:, -1] = intercept  # the last column of the last panel
        return flat

    def to_row_major(self, flat: np.ndarray) -> np.ndarray:
        """The same parameters as a vector of the plan `row_major`."""
        vector = np.empty(self.row_major.n_parameters, flat.dtype)
        for op, plain in zip(self.dense, self.row_major.dense, strict=True):
            whole = plain.matrix(vector)
            block = whole if op.layout == Layout.IN_MAJOR else whole.T
            for panel, columns in _panels(flat, op):
                block[:, columns] = panel
        return vector

    def from_row_major(self, vector: np.ndarray) -> np.ndarray:
        """The inverse of `to_row_major`: a fresh flat vector of this plan, padding zero."""
        flat = aligned_zeros(self.n_parameters, vector.dtype)
        for op, plain in zip(self.dense, self.row_major.dense, strict=True):
            whole = plain.matrix(vector)
            block = whole if op.layout == Layout.IN_MAJOR else whole.T
            for panel, columns in _panels(flat, op):
                panel[...] = block[:, columns]
        return flat

    def unpack(self, flat: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights (n_in, n_out) and biases (n_out,) of a flat vector, as fresh C-contiguous arrays."""
        vector = self.to_row_major(flat)
        coefs, intercepts = [], []
        for op in self.row_major.dense:
            whole = op.matrix(vector)
            coefs.append(whole[: op.n_in].copy())
            intercepts.append(whole[op.n_in].copy() if op.bias else np.zeros(op.n_out, flat.dtype))
        return coefs, intercepts

    def mask(self, weights: bool = True, biases: bool = True) -> np.ndarray:
        """Which entries of the flat vector are weights or biases (bool); the others are padding."""
        shapes = self.layer_shapes
        coefs = [np.full(shape, weights) for shape in shapes]
        return self.pack(coefs, [np.full(shape[1], biases) for shape in shapes]).astype(bool)


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained: solver, schedule, batches, stopping rule.

    Attributes
    ----------
    solver : str
        A name of `SOLVERS`.
    h0, h1, h2 : float
        Its hyper-parameters: momentum; or β₁, β₂, ε.
    schedule : int
        A code of `SCHEDULES`.
    monitor_loss : bool
        Whether the stopping rule watches the training loss; else a value that is reported from outside.
    patience : float
        Stale epochs until convergence; may be infinite.
    """

    solver: str
    h0: float
    h1: float
    h2: float
    schedule: int
    rate_init: float
    power_t: float
    alpha: float
    l2: float
    batch_size: int
    shuffle: bool
    seed: int
    tol: float
    patience: float
    max_epochs: int
    monitor_loss: bool


@dataclass
class SolverState:
    """What a solver remembers between calls of `partial_fit` and warm starts.

    Attributes
    ----------
    solver : str
        The rule that the moments belong to.
    moments : ndarray of shape (n_states, n_parameters)
    n_steps, n_samples_seen, n_epochs : int
        Counted over the life of the state.
    learning_rate : float
        Of the next step, before any bias correction.
    """

    solver: str
    moments: np.ndarray
    n_steps: int
    n_samples_seen: int
    learning_rate: float
    n_epochs: int


def aligned_zeros(n: int, dtype: np.dtype) -> np.ndarray:
    """A vector of zeros that starts at a cache line."""
    dtype = np.dtype(dtype)
    raw = np.zeros(n * dtype.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + n * dtype.itemsize].view(dtype)


def padded(n: int, lanes: int) -> int:
    """`n` rounded up to a multiple of `lanes`."""
    return -(-n // lanes) * lanes


def _panels(flat: np.ndarray, op: Op) -> Iterable[tuple[np.ndarray, slice]]:
    """The column panels of a parameter block as views without their padding, and the columns they hold."""
    for first in range(0, op.cols, op.ld):
        width = min(op.ld, op.cols - first)
        start = op.offset + first * op.rows
        view = flat[start : start + op.rows * op.ld].reshape(op.rows, op.ld)
        yield view[:, :width], slice(first, first + width)


def _dense(offset: int, layer: int, n_in: int, n_out: int, bias: bool, itemsize: int) -> Op:
    lanes = ALIGNMENT // itemsize
    n_rows = n_in + bias
    out_major = n_out * padded(n_rows, lanes) < n_rows * padded(n_out, lanes)
    rows, cols = (n_out, n_rows) if out_major else (n_rows, n_out)
    return Op(
        kind=Kind.DENSE,
        code=0,
        source=layer,
        target=layer + 1,
        n_in=n_in,
        n_out=n_out,
        bias=int(bias),
        offset=offset,
        rows=rows,
        cols=cols,
        ld=lanes if cols <= lanes else PANEL_BYTES // itemsize,
        layout=Layout.OUT_MAJOR if out_major else Layout.IN_MAJOR,
    )


def _resolve_loss(loss: str, out_activation: str) -> str:
    """The loss's name in the registry, or ValueError that says what to change."""
    if loss in LOSSES:
        return loss
    merged = f"{loss}+{out_activation}"
    if merged in LOSSES:
        return merged
    partners = [entry.merged_with for entry in LOSSES if entry.name.startswith(f"{loss}+")]
    if not partners:
        raise ValueError(f"loss={loss!r} is unknown; choose one of {loss_names()}.")
    raise ValueError(
        f"loss={loss!r} needs out_activation in {partners}, got out_activation={out_activation!r}. "
        'Leave out_activation at "auto" or choose loss="squared_error", which takes any.'
    )


def network_plan(
    *,
    n_inputs: int,
    hidden_layer_sizes: Sequence[int],
    n_outputs: int,
    activation: str,
    out_activation: str,
    loss: str,
    fit_intercept: bool,
    dtype: np.dtype,
) -> NetworkPlan:
    """Plan a network.

    Parameters
    ----------
    n_inputs, n_outputs : int
    hidden_layer_sizes : sequence of int
        May be empty: then the network is a linear model with an output activation.
    activation, out_activation : str
        Names; `out_activation` is resolved ("auto" is the estimators' word).
    loss : str
        The user's name.
    fit_intercept : bool
    dtype : float32 or float64

    Raises
    ------
    ValueError
        For an unknown name or a combination that cannot be trained; it names the parameter.
    """
    dtype = np.dtype(dtype)
    hidden = [entry.name for entry in ACTIVATIONS if entry.hidden]
    if activation not in hidden:
        raise ValueError(f"activation={activation!r} is unknown for hidden layers; choose one of {hidden}.")
    if out_activation not in ACTIVATIONS and out_activation not in ROW_ACTIVATIONS:
        known = ["auto", *ACTIVATIONS.names(), *ROW_ACTIVATIONS.names()]
        raise ValueError(f"out_activation={out_activation!r} is unknown; choose one of {known}.")
    entry = LOSSES[_resolve_loss(loss, out_activation)]

    ops: list[Op] = []
    offset = 0
    widths = [n_inputs, *hidden_layer_sizes, n_outputs]
    for layer, (n_in, n_out) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
        dense = _dense(offset, layer, n_in, n_out, fit_intercept, dtype.itemsize)
        offset += dense.rows * padded(dense.cols, dense.ld)
        last = layer == len(widths) - 2
        ops += [dense, *_activation(out_activation if last else activation, layer + 1, n_out, entry, last)]
    ops.append(Op(Kind.LOSS, LOSSES.code(entry.name), len(widths) - 1, len(widths) - 1, n_outputs, n_outputs))
    n_targets = 1 if entry.class_targets else n_outputs
    return NetworkPlan(tuple(ops), n_inputs, n_outputs, n_targets, entry.class_targets, dtype, offset)


def _activation(name: str, buffer: int, width: int, loss, last: bool) -> list[Op]:
    """The op of an activation, if it needs one."""
    if name == "identity":
        return []
    row = name in ROW_ACTIVATIONS
    kind, code = (Kind.ROW, ROW_ACTIVATIONS.code(name)) if row else (Kind.ELEMENTWISE, ACTIVATIONS.code(name))
    merged = last and loss.merged_with == name
    return [Op(kind, code, buffer, buffer, width, width, training=int(not merged))]


def training_plan(
    *,
    solver: str,
    learning_rate: str,
    learning_rate_init: float,
    power_t: float,
    momentum: float,
    nesterovs_momentum: bool,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    alpha: float,
    l2: float,
    batch_size: int,
    shuffle: bool,
    seed: int,
    tol: float,
    n_iter_no_change: float,
    max_epochs: int,
    monitor: str,
) -> TrainingPlan:
    """Plan the training of a network: parameters as in the estimators.

    Raises
    ------
    ValueError
        For a solver that does not work on mini-batches.
    """
    hyper: tuple[float, float, float]
    if solver == "sgd":
        rule = "sgd" if momentum == 0 else "nesterov" if nesterovs_momentum else "momentum"
        hyper = (momentum, 0.0, 0.0)
    elif solver == "adam":
        rule, hyper = "adam", (beta_1, beta_2, epsilon)
        learning_rate = "constant"  # the three schedules are SGD's, as in scikit-learn
    else:
        raise ValueError(f"solver={solver!r} does not work on mini-batches; choose 'sgd' or 'adam'.")
    return TrainingPlan(
        solver=rule,
        h0=float(hyper[0]),
        h1=float(hyper[1]),
        h2=float(hyper[2]),
        schedule=SCHEDULES[learning_rate],
        rate_init=float(learning_rate_init),
        power_t=float(power_t),
        alpha=float(alpha),
        l2=float(l2),
        batch_size=int(batch_size),
        shuffle=bool(shuffle),
        seed=int(seed),
        tol=float(tol),
        patience=float(n_iter_no_change),
        max_epochs=int(max_epochs),
        monitor_loss=monitor == "loss",
    )
