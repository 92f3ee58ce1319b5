"""The CPU engine: owns the memory of a fit and calls the kernels."""

import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import numpy as np

from fastbp.engines.control import batches, new_control, rules
from fastbp.engines.cpu import lowering
from fastbp.engines.cpu import step as kernel
from fastbp.engines.cpu.arena import RULE_SIZE, SYNCED, lanes_of, pass_rows, plan_arena, prediction_rows
from fastbp.engines.cpu.execution import new_execution
from fastbp.engines.cpu.layout import aligned_zeros, panel_layout, row_major_layout
from fastbp.engines.cpu.op_table import link
from fastbp.engines.cpu.pace import recall, remember
from fastbp.engines.cpu.predict import predict
from fastbp.engines.cpu.synced import synced_address
from fastbp.engines.cpu.threads import Kernel, Threads, available_threads, useful_threads
from fastbp.engines.dataset import Dataset
from fastbp.engines.fit_state import FitState
from fastbp.engines.flat_data import MOST_ROWS, ROW_NUMBER, Inputs, as_inputs, as_weights, flat_view
from fastbp.engines.objective import FullBatch, LossValue
from fastbp.engines.shuffle import shuffle_order
from fastbp.plan.network import NetworkPlan, padded
from fastbp.plan.training import SolverState, TrainingPlan

__all__ = [
    "Loss",
    "Objective",
    "Trainer",
    "available_threads",
    "forward",
    "hold",
    "loss_and_gradient",
    "run_on_threads",
]

DEVICE = "cpu"
CURVE_CAPACITY = 1 << 16  # epochs that one call of the kernel may finish
LOSS_BYTES = 4 << 20  # of the activations of a pass where only the loss is wanted
NO_ROWS, NO_LOSSES = np.empty(0, ROW_NUMBER), np.empty(0)  # of a prediction, and its targets and weights:
NO_VALUES = {np.dtype(kind): flat_view([], kind) for kind in (np.float32, np.float64)}
FEW_ROWS = 1024  # predicted with the vector itself: column panels are no faster, and take a conversion
PREDICTION_FLOPS = 5e9  # until Python looks around again: a fraction of a second


class _Batches:
    """Common parts of training and full-batch gradients: data, arena, team."""

    def __init__(self, network: NetworkPlan, rows: Dataset, pass_rows: int, n_jobs: int | None) -> None:
        n_all = len(rows.targets)
        if n_all > MOST_ROWS:
            raise ValueError(f"X has {n_all} rows, more than the {MOST_ROWS} that can be trained on.")
        self.network, self.layout = network, panel_layout(network)
        self.inputs = inputs = as_inputs(rows.X, network, rows.index)
        self.targets = flat_view(rows.targets, network.dtype)
        self.weights = as_weights(rows.sample_weight, network)
        self.n_rows = self.inputs.n_rows
        self.total_weight = float(self.n_rows)
        if self.weights.size > 0:
            own = self.weights[inputs.index] if inputs.index.size else self.weights
            self.total_weight = float(own.sum(dtype=np.float64))
        lanes = lanes_of(network.dtype)
        self.pass_rows = pass_rows
        registers = padded(self.pass_rows, lanes) // lanes
        flops = network.flops_per_row * self.pass_rows
        self.team = Threads(n_jobs, useful_threads(flops, registers, network.n_parameters))
        self._work = (type(self), network.dtype, network.flops_per_row, network.n_parameters, pass_rows)
        self._pace = recall(self._work, self.team.n_threads) if self.team.adapts else None
        self._wanted: int | None = None  # threads of the next slice; None: all
        self._limit: int | None = None
        self._step_seconds = np.inf  # of the latest slice
        self._allocate()

    def _allocate(self) -> None:
        self.arena = plan_arena(self.network, self.pass_rows, self.team.n_threads, training=True)
        if any(op.sync for op in self.network.ops):
            self.arena.offsets[SYNCED] = synced_address(self.network.dtype)
        self.workspace = self.arena.allocate(self.network)
        index = self.inputs.index
        self.order = index.copy() if index.size else np.arange(self.n_rows, dtype=ROW_NUMBER)
        starts = np.zeros(padded(self.pass_rows, 2 * lanes_of(self.network.dtype)), np.int64)
        self._losses = np.zeros(len(starts))
        self._data = (
            *(self.inputs.values, self.inputs.indices, self.inputs.indptr, self.network.n_inputs, index),
            *(self.targets, self.network.n_targets, self.weights, self.order, starts),
        )

    def _next_slice(self) -> float:
        """How many steps to make before the number of threads is chosen again."""
        if self._limit is not None:
            self._wanted = self._limit
        if self._pace is None or self._limit is not None:
            return np.inf
        self._wanted, seconds = self._pace.choose()
        return max(1, int(seconds / self._step_seconds))

    def _at_pace(self, run: Kernel, name: Hashable, steps_of: Callable[[Any], int]) -> Any:
        """Let the team run a kernel for one slice; `steps_of` its result is the number of steps made."""
        started = time.perf_counter()
        result = self.team.run(run, name, self._wanted)
        steps = steps_of(result)
        if self._pace is not None and self._limit is None and steps > 0:
            seconds = time.perf_counter() - started
            if self._step_seconds < np.inf:  # the first also fills caches, and may load the kernel
                self._pace.note(self.team.n_used, steps, seconds)
                remember(self._work, self.team.n_threads, self._pace)
            self._step_seconds = seconds / steps
        return result

    def _network_with(self, parameters: np.ndarray) -> tuple[np.ndarray, ...]:
        """The members of ``arguments.Network``, with parameters in this engine's layout."""
        arena = self.arena
        tables = link(self.layout), arena.buffers, arena.transposed, arena.tiles, arena.offsets
        return (*tables, parameters, self.workspace, self._losses)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        """Other engines give memory of their device back here."""


class Trainer(_Batches, FitState):
    """Trains one network on one set of rows.

    Parameters
    ----------
    network : NetworkPlan
    training : TrainingPlan
    rows : Dataset
        X is a C-contiguous array of shape (n, n_inputs) or a CSR matrix, of the network's dtype; targets have
        the shape (n, n_targets).
    parameters : flat vector, copied
    state : SolverState or None
        To resume from; None starts afresh.
    n_jobs : int or None

    Attributes
    ----------
    parameters : flat vector, a new array
    loss_curve, failure
        See `FitState`.
    """

    def __init__(
        self,
        network: NetworkPlan,
        training: TrainingPlan,
        rows: Dataset,
        parameters: np.ndarray,
        state: SolverState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        FitState.__init__(self, training)
        n_pass = training.batch_size  # all of a batch where an op needs the whole
        if not any(op.sync for op in network.ops):
            n_pass = pass_rows(network, n_pass)
        _Batches.__init__(self, network, rows, n_pass, n_jobs)
        self.layout.pack_into(self._parameters, parameters)
        if state is not None and state.solver == training.solver:
            self._set_state(state)
        if self._execution["shuffles"][0]:
            shuffle_order(self.order, self.inputs.index, training.seed, int(self._fit["epochs"]))

    def _allocate(self) -> None:
        super()._allocate()
        network, training = self.network, self.training
        n = self.layout.size
        self._parameters = aligned_zeros(n, network.dtype)
        self._moments = aligned_zeros(training.n_moments * n, network.dtype)
        stored = training.batch_size > self.pass_rows or np.isfinite(training.clip_norm)
        gradient = aligned_zeros(n if stored else 0, network.dtype)
        penalties, factors = np.zeros(2 * len(self.arena.tiles)), np.zeros(self.team.n_threads * RULE_SIZE)
        self._curve = np.zeros(min(CURVE_CAPACITY, training.max_epochs))
        fields = batches(self.n_rows, training.batch_size, self.pass_rows, self.total_weight)
        self._control = new_control(fields | rules(training, fields["epoch_steps"]))
        self._fit = self._control[0]
        self._execution = new_execution(network, training, self.n_rows, self.pass_rows)
        self._arguments = (
            self._network_with(self._parameters),
            self._data,
            (self._moments, gradient, penalties, factors),
            self._control,
            self._execution,
            self._curve,
            self.team.sync,
        )

    @property
    def parameters(self) -> np.ndarray:
        """Flat vector, a new array."""
        return self.layout.unpack(self._parameters)

    def _get_moments(self) -> np.ndarray:
        return self.layout.unpack(self._moments.reshape(-1, self.layout.size))

    def _set_moments(self, moments: np.ndarray) -> None:
        self.layout.pack_into(self._moments.reshape(-1, self.layout.size), moments)

    def _get_average(self) -> np.ndarray:
        return self.layout.unpack(self._moments[-self.layout.size :])

    def limit_threads(self, n_threads: int) -> None:
        """Use at most `n_threads` threads from now on, rather than the fastest number."""
        self._limit = n_threads

    def train(self, max_steps: int, stop_at_epoch_end: bool = False) -> int:
        """Make up to `max_steps` steps; fewer when training ends or, if asked, when an epoch ends."""
        self._fit["curve_used"] = 0
        done = self._steps_at_pace(max_steps, stop_at_epoch_end)
        self._note_run(self._curve[: self._fit["curve_used"]], _all_finite(self._parameters))
        return done

    def _steps_at_pace(self, max_steps: int, stop_at_epoch_end: bool) -> int:
        """Make the steps of `train`, in slices that may differ in their numbers of threads."""
        done = 0
        while done < max_steps:
            steps = int(min(self._next_slice(), max_steps - done))

            def run(thread: int, n_threads: int, steps: int = steps) -> int:
                return self._run(thread, n_threads, steps, stop_at_epoch_end)

            made = int(self._at_pace(run, ("train", self.network.dtype), int))
            done += made
            if made < steps:
                break
        return done

    def _run(self, thread: int, n_threads: int, max_steps: int, stop_at_epoch_end: bool) -> int:
        return kernel.train(thread, n_threads, max_steps, stop_at_epoch_end, *self._arguments)


class Objective(_Batches, FullBatch):
    """The objective on all rows and its gradient, for repeated calls.

    Parameters as in `Trainer`; `alpha`, `l2` are the penalties' strengths.
    """

    most_bytes: int | None = None  # of the activations of a pass

    def __init__(
        self, network: NetworkPlan, rows: Dataset, alpha: float, l2: float, n_jobs: int | None = None
    ) -> None:
        super().__init__(network, rows, pass_rows(network, len(rows), self.most_bytes), n_jobs)
        self._loaded = False
        self._set_penalty(alpha, l2)

    def _pack(self, vector: np.ndarray) -> np.ndarray:
        return self.layout.pack(vector)

    def _unpack(self, flat: np.ndarray) -> np.ndarray:
        return self.layout.unpack(flat)

    def _mean_loss(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        gradient = aligned_zeros(self.layout.size, self.network.dtype)

        def run(thread: int, n_threads: int) -> float:
            return self._run(thread, n_threads, flat, gradient)

        self._next_slice()
        loss = self._at_pace(run, ("loss and gradient", self.network.dtype), lambda loss: 1)
        self._loaded = self.pass_rows == self.n_rows
        return loss, gradient

    def _run(self, thread: int, n_threads: int, flat: np.ndarray, gradient: np.ndarray) -> float:
        return kernel.loss_and_gradient(
            thread,
            n_threads,
            self._network_with(flat),
            self._data,
            gradient,
            self.pass_rows,
            self.total_weight,
            self._loaded,
            lowering.accumulate(self.network.dtype) if self.pass_rows < self.n_rows else 0,
            self.team.sync,
        )


class Loss(LossValue, Objective):
    """The objective without penalties, for repeated calls, in small passes: they do not change its bits."""

    most_bytes = LOSS_BYTES


def run_on_threads(work: Kernel, n_threads: int, n_jobs: int | None) -> None:
    """Call ``work(thread, n_threads)`` on several threads, or on fewer where not all of them come.

    With ``n_threads=0`` it has nothing to do; see `Threads.run`.
    """
    Threads(n_jobs, n_threads).run(work, run_on_threads)


def loss_and_gradient(
    network: NetworkPlan, parameters: np.ndarray, rows: Dataset, alpha: float, l2: float, n_jobs=None
) -> tuple[float, np.ndarray]:
    """The objective on all rows and its gradient, once."""
    with Objective(network, rows, alpha, l2, n_jobs) as objective:
        return objective(parameters)


def forward(
    network: NetworkPlan,
    parameters: np.ndarray,
    X,
    layer: int | str | None = None,
    n_jobs: int | None = None,
    largest: bool = False,
) -> np.ndarray:
    """Outputs of a layer for all rows of X.

    Parameters
    ----------
    parameters : flat vector
    X : as of `Trainer`, or the result of `hold`
    layer : int, "logits" or None
        1 … n_layers: that dense layer after its activation; "logits": the last one before it; None: the last.

    largest : bool
        Whether only the column of each row's largest output is wanted, the first of equals.

    Returns
    -------
    ndarray of shape (n, width); of integers, of shape (n,), for `largest`
    """
    inputs = as_inputs(X, network)
    stop = network.n_ops_until(layer)
    width = 1 if largest else network.ops[stop - 1].n_out
    out = np.empty((inputs.n_rows, width), network.dtype)
    if not inputs.n_rows:
        return np.empty(0, np.intp) if largest else out
    layout = row_major_layout(network)
    if inputs.n_rows > FEW_ROWS:
        layout = panel_layout(network)
        parameters = layout.pack(parameters)
    panel = 2 * lanes_of(network.dtype)
    flops_per_row = network.flops_per_row / 3
    table = link(layout)
    flat, no_values = out.reshape(-1), NO_VALUES[network.dtype]
    team = Threads(
        n_jobs, useful_threads(flops_per_row * inputs.n_rows, padded(inputs.n_rows, panel) // panel)
    )
    block = prediction_rows(network, inputs.n_rows, team.n_threads)
    arena = plan_arena(network, block, 1, training=False, n_small=inputs.n_rows <= panel)
    stretch = padded(max(1, int(PREDICTION_FLOPS / flops_per_row)), panel)

    def run(start: int, end: int, thread: int, n_threads: int) -> None:
        panels = padded(end - start, panel) // panel
        parts = max(n_threads, 1)
        first = start + panels * thread // parts * panel
        last = min(start + panels * (thread + 1) // parts * panel, end)
        tables = table, arena.buffers, arena.transposed, arena.tiles, arena.offsets
        data = (
            *(inputs.values, inputs.indices, inputs.indptr, network.n_inputs, inputs.index),
            *(no_values, network.n_targets, no_values, NO_ROWS, np.empty(block, np.int64)),
        )
        predict(
            (*tables, parameters, arena.allocate(network), NO_LOSSES),
            data,
            block,
            first,
            last if n_threads else first,
            stop,
            largest,
            flat,
        )

    for start in range(0, inputs.n_rows, stretch):
        end = min(start + stretch, inputs.n_rows)
        team.run(partial(run, start, end), ("predict", network.dtype))
    return flat.astype(np.intp) if largest else out


def _all_finite(vector: np.ndarray) -> bool:
    # A sum is not finite if an element is not; it may also overflow, so that a second look is needed.
    return bool(np.isfinite(vector.sum())) or bool(np.isfinite(vector).all())


def hold(network: NetworkPlan, X, index: np.ndarray | None = None) -> Inputs:
    """Prepare rows that are used repeatedly: `forward` takes the result in place of X.

    `index` holds their numbers, None for all.
    """
    return as_inputs(X, network, index)
