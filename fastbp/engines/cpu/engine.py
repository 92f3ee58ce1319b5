"""The CPU engine: owns the memory of a fit and calls the kernels."""

from functools import partial
from typing import Any

import numpy as np

from fastbp.engines.cpu import lowering
from fastbp.engines.cpu import step as kernel
from fastbp.engines.cpu.arena import lanes_of, pass_rows, plan_arena, prediction_rows
from fastbp.engines.cpu.batches import Batches, TrainingBatches, all_finite
from fastbp.engines.cpu.block import Block
from fastbp.engines.cpu.layout import aligned_zeros, panel_layout, row_major_layout
from fastbp.engines.cpu.op_table import link
from fastbp.engines.cpu.predict import predict
from fastbp.engines.cpu.threads import Kernel, Threads, available_threads, useful_threads
from fastbp.engines.dataset import Dataset
from fastbp.engines.fit_state import FitState
from fastbp.engines.flat_data import ROW_NUMBER, Inputs, as_inputs, flat_view
from fastbp.engines.objective import FullBatch, LossValue
from fastbp.plan.network import NetworkPlan, padded
from fastbp.plan.training import SolverState, TrainingPlan

__all__ = [
    "Block",
    "Forward",
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
LOSS_BYTES = 4 << 20  # of the activations of a pass where only the loss is wanted
NO_ROWS, NO_LOSSES = np.empty(0, ROW_NUMBER), np.empty(0)  # of a prediction, and its targets and weights:
NO_VALUES = {np.dtype(kind): flat_view([], kind) for kind in (np.float32, np.float64)}
FEW_ROWS = 1024  # predicted with the vector itself: column panels are no faster, and take a conversion
PREDICTION_FLOPS = 5e9  # until Python looks around again: a fraction of a second


class Trainer(TrainingBatches, FitState):
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
        TrainingBatches.__init__(self, network, [training], [rows], n_jobs)
        self.layout.pack_into(self._parameters, parameters)
        if state is not None and state.solver == training.solver:
            self._set_state(state)
        self._shuffle()

    def _allocate(self) -> None:
        super()._allocate()
        self._fit = self._control[0]

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
        self._note_run(self._curve[: self._fit["curve_used"]], all_finite(self._parameters))
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
            # An epoch may end with the last step of a slice.
            if made < steps or (stop_at_epoch_end and self._fit["curve_used"]):
                break
        return done

    def _run(self, thread: int, n_threads: int, max_steps: int, stop_at_epoch_end: bool) -> int:
        return kernel.train(thread, n_threads, max_steps, stop_at_epoch_end, *self._arguments)


class Objective(Batches, FullBatch):
    """The objective on all rows and its gradient, for repeated calls.

    Parameters as in `Trainer`; `alpha`, `l2` are the penalties' strengths.
    """

    most_bytes: int | None = None  # of the activations of a pass

    def __init__(
        self, network: NetworkPlan, rows: Dataset, alpha: float, l2: float, n_jobs: int | None = None
    ) -> None:
        super().__init__(network, [rows], pass_rows(network, len(rows), self.most_bytes), n_jobs)
        self._loaded = False
        (self.total_weight,) = self.total_weights
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


class Forward:
    """Outputs of a layer for all rows of X, for parameters that change from call to call.

    Parameters
    ----------
    network : NetworkPlan
    X : as of `Trainer`, or the result of `hold`
    layer : int, "logits" or None
        1 … n_layers: that dense layer after its activation; "logits": the last one before it; None: the last.
    n_jobs : int or None
    largest : bool
        Whether only the column of each row's largest output is wanted, the first of equals.
    """

    def __init__(
        self,
        network: NetworkPlan,
        X: Any,
        layer: int | str | None = None,
        n_jobs: int | None = None,
        largest: bool = False,
    ) -> None:
        self.network, self.inputs, self.largest = network, as_inputs(X, network), largest
        n_rows = self.inputs.n_rows
        self._stop = network.n_ops_until(layer)
        width = 1 if largest else network.ops[self._stop - 1].n_out
        self._out = np.empty((n_rows, width), network.dtype)
        self._layout = panel_layout(network) if n_rows > FEW_ROWS else row_major_layout(network)
        self._panel = 2 * lanes_of(network.dtype)
        flops_per_row = network.flops_per_row / 3
        panels = padded(n_rows, self._panel) // self._panel
        self._team = Threads(n_jobs, useful_threads(flops_per_row * n_rows, panels))
        self._block = prediction_rows(network, max(n_rows, 1), self._team.n_threads)
        self._arena = plan_arena(network, self._block, 1, training=False, n_small=n_rows <= self._panel)
        self._stretch = padded(max(1, int(PREDICTION_FLOPS / flops_per_row)), self._panel)
        self._memory: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # of each thread

    def __call__(self, parameters: np.ndarray) -> np.ndarray:
        """Return the outputs for the parameters of a flat vector.

        Returns
        -------
        ndarray of shape (n, width); of integers, of shape (n,), for `largest`
            The next call may use it again.
        """
        n_rows = self.inputs.n_rows
        if n_rows > FEW_ROWS:
            parameters = self._layout.pack(parameters)
        for start in range(0, n_rows, self._stretch):
            end = min(start + self._stretch, n_rows)
            self._team.run(partial(self._run, parameters, start, end), ("predict", self.network.dtype))
        return self._out.reshape(-1).astype(np.intp) if self.largest else self._out

    def _run(self, parameters: np.ndarray, start: int, end: int, thread: int, n_threads: int) -> None:
        network, inputs, arena, panel = self.network, self.inputs, self._arena, self._panel
        panels = padded(end - start, panel) // panel
        parts = max(n_threads, 1)
        first = start + panels * thread // parts * panel
        last = min(start + panels * (thread + 1) // parts * panel, end)
        if thread not in self._memory:
            self._memory[thread] = arena.allocate(), np.empty(self._block, np.int64)
        workspace, starts = self._memory[thread]
        tables = link(self._layout), arena.buffers, arena.transposed, arena.tiles, arena.offsets
        no_values = NO_VALUES[network.dtype]
        data = (
            *(inputs.values, inputs.indices, inputs.indptr, network.n_inputs, inputs.index),
            *(no_values, network.n_targets, no_values, NO_ROWS, starts),
        )
        predict(
            (*tables, parameters, workspace, NO_LOSSES),
            data,
            self._block,
            first,
            last if n_threads else first,
            self._stop,
            self.largest,
            self._out.reshape(-1),
        )


def forward(
    network: NetworkPlan,
    parameters: np.ndarray,
    X: Any,
    layer: int | str | None = None,
    n_jobs: int | None = None,
    largest: bool = False,
) -> np.ndarray:
    """Outputs of a layer for all rows of X, once; parameters and result as of `Forward`."""
    return Forward(network, X, layer, n_jobs, largest)(parameters)


def hold(network: NetworkPlan, X, index: np.ndarray | None = None) -> Inputs:
    """Prepare rows that are used repeatedly: `Forward` takes the result in place of X.

    `index` holds their numbers, None for all.
    """
    return as_inputs(X, network, index)
