"""The CPU engine: owns the memory of a fit and calls the kernels."""

import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import numpy as np

from fastbp.engines.cpu import lowering
from fastbp.engines.cpu import step as kernel
from fastbp.engines.cpu.arena import RULE_SIZE, SYNCED, lanes_of, pass_rows, plan_arena, prediction_rows
from fastbp.engines.cpu.batch_norm import synced_address
from fastbp.engines.cpu.pace import recall, remember
from fastbp.engines.cpu.predict import predict
from fastbp.engines.cpu.threads import Kernel, Threads, useful_threads
from fastbp.engines.flat_data import MOST_ROWS, ROW_NUMBER, Inputs, as_inputs, as_weights, flat_view
from fastbp.engines.shuffle import shuffle_order
from fastbp.functions.schedules import check_convergence
from fastbp.functions.step import StepOptions
from fastbp.plan.network import Kind, NetworkPlan, aligned_zeros, padded
from fastbp.plan.training import SolverState, TrainingPlan

DEVICE = "cpu"
STATUS_NAMES = {
    kernel.RUNNING: "running",
    kernel.CONVERGED: "converged",
    kernel.MAX_EPOCHS: "max_epochs",
    kernel.NON_FINITE: "non_finite",
}
CURVE_CAPACITY = 1 << 16  # epochs that one call of the kernel may finish
LOSS_BYTES = 4 << 20  # of the activations of a pass where only the loss is wanted
PREDICTION_FLOPS = 5e9  # until Python looks around again: a fraction of a second


class _Batches:
    """What training and full-batch gradients share: data, arena, team."""

    def __init__(
        self, network: NetworkPlan, inputs: Inputs, targets, sample_weight, pass_rows: int, n_jobs
    ) -> None:
        if len(targets) > MOST_ROWS:
            raise ValueError(f"X has {len(targets)} rows, more than the {MOST_ROWS} that can be trained on.")
        self.network = network
        self.inputs = inputs
        self.targets = flat_view(targets, network.dtype)
        self.weights = as_weights(sample_weight, network)
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
        self._step_seconds = np.inf  # of the latest slice
        self._allocate()

    def _allocate(self) -> None:
        self.arena = plan_arena(self.network, self.pass_rows, self.team.n_threads, training=True)
        if any(op.sync for op in self.network.ops):
            self.arena.offsets[SYNCED] = synced_address(self.network.dtype)
        self.workspace = self.arena.allocate(self.network)
        index = self.inputs.index
        self.order = index.copy() if index.size else np.arange(self.n_rows, dtype=ROW_NUMBER)
        self.starts = np.zeros(padded(self.pass_rows, 2 * lanes_of(self.network.dtype)), np.int64)
        self.sums = np.zeros(len(self.starts))

    def _next_slice(self) -> float:
        """How many steps to make before the number of threads is chosen again."""
        if self._pace is None:
            return np.inf
        self._wanted, seconds = self._pace.choose()
        return max(1, int(seconds / self._step_seconds))

    def _at_pace(self, run: Kernel, name: Hashable, steps_of: Callable[[Any], int]) -> Any:
        """Let the team run a kernel for one slice; `steps_of` its result is the number of steps made."""
        started = time.perf_counter()
        result = self.team.run(run, name, self._wanted)
        steps = steps_of(result)
        if self._pace is not None and steps > 0:
            seconds = time.perf_counter() - started
            if self._step_seconds < np.inf:  # the first also fills caches, and may load the kernel
                self._pace.note(self.team.n_used, steps, seconds)
                remember(self._work, self.team.n_threads, self._pace)
            self._step_seconds = seconds / steps
        return result

    @property
    def layout(self) -> tuple[np.ndarray, ...]:
        arena = self.arena
        return lowering.link(self.network), arena.buffers, arena.transposed, arena.tiles, arena.offsets

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        """Other engines give memory of their device back here."""


class Trainer(_Batches):
    """Trains one network on one set of rows.

    Parameters
    ----------
    network : NetworkPlan
    training : TrainingPlan
    X : C-contiguous array of shape (n, n_inputs) or CSR matrix, of the network's dtype
    targets : array of shape (n, n_targets)
    sample_weight : array of shape (n,) or None
    parameters : flat vector, copied
    state : SolverState or None
        To go on from; None begins afresh.
    n_jobs : int or None
    index : array of int or None
        Numbers of the rows to train on; None: all.

    Attributes
    ----------
    parameters : flat vector, live
    loss_curve : list of float
        One value for each epoch that this trainer finished.
    failure : (epoch, step) or None
        1-based, where the first non-finite value was met.
    """

    def __init__(
        self,
        network: NetworkPlan,
        training: TrainingPlan,
        X,
        targets,
        sample_weight,
        parameters: np.ndarray,
        state: SolverState | None = None,
        n_jobs: int | None = None,
        index: np.ndarray | None = None,
    ) -> None:
        self.training = training
        self.loss_curve: list[float] = []
        self.failure: tuple[int, int] | None = None
        inputs = as_inputs(X, network, index)
        rows = training.batch_size  # all of a batch where an op needs the whole
        if not any(op.sync for op in network.ops):
            rows = pass_rows(network, rows)
        super().__init__(network, inputs, targets, sample_weight, rows, n_jobs)
        self.parameters[:] = parameters
        if state is not None and state.solver == training.solver:
            self._resume(state)
        if training.shuffle and training.batch_size < self.n_rows:
            shuffle_order(self.order, inputs.index, training.seed, self._ints[kernel.EPOCHS])

    def _allocate(self) -> None:
        super()._allocate()
        network, training = self.network, self.training
        self.parameters = aligned_zeros(network.n_parameters, network.dtype)
        self._moments = aligned_zeros(training.n_moments * network.n_parameters, network.dtype)
        stored = training.batch_size > self.pass_rows or np.isfinite(training.clip_norm)
        self._gradient = aligned_zeros(network.n_parameters if stored else 0, network.dtype)
        self._coefficients = np.zeros(self.team.n_threads * RULE_SIZE)
        self._penalties = np.zeros(2 * len(self.arena.tiles))
        self._curve = np.zeros(CURVE_CAPACITY)
        self._ints, self._floats = self._control()

    def _control(self) -> tuple[np.ndarray, np.ndarray]:
        plan = self.training
        ints, floats = np.zeros(kernel.N_INTS, np.int64), np.zeros(kernel.N_FLOATS)
        ints[kernel.N_DATA] = self.n_rows
        ints[kernel.N_INPUTS] = self.network.n_inputs
        ints[kernel.N_TARGETS] = self.network.n_targets
        ints[kernel.BATCH] = plan.batch_size
        ints[kernel.PASS] = self.pass_rows
        ints[kernel.SHUFFLE] = plan.shuffle
        ints[kernel.NOISY] = any(op.kind == Kind.NOISE for op in self.network.ops)
        ints[kernel.SEED] = plan.seed
        options = StepOptions(
            l1=plan.l1 > 0,
            decay=plan.weight_decay > 0,
            clip=bool(np.isfinite(plan.clip_value)),
            rescale=bool(np.isfinite(plan.clip_norm)),
            factors=self.network.has_rate_factors,
        )
        ints[kernel.UPDATE] = lowering.update(plan.solver, options, self.network.dtype)
        ints[kernel.COEFFICIENTS] = lowering.coefficients(plan.solver, self.network.dtype)
        if plan.batch_size > self.pass_rows:
            ints[kernel.ACCUMULATE] = lowering.accumulate(self.network.dtype)
        if options.rescale:
            ints[kernel.SQUARES_OF] = lowering.squares(options.l1, self.network.dtype)
        if plan.has_rate_schedule:
            ints[kernel.RATE_SCHEDULE] = lowering.schedule(plan.rate_schedule)
        ints[kernel.TOTAL_STEPS] = plan.planned_steps(self.n_steps_per_epoch)
        ints[kernel.AVERAGE] = plan.averages
        ints[kernel.AVERAGE_AFTER] = round(plan.average_after * ints[kernel.TOTAL_STEPS])
        ints[kernel.SCHEDULE] = plan.schedule
        ints[kernel.MONITOR_LOSS] = plan.monitor_loss
        ints[kernel.EPOCH_LIMIT] = plan.max_epochs
        floats[kernel.RATE] = floats[kernel.RATE_INIT] = plan.rate_init
        floats[kernel.POWER_T] = plan.power_t
        floats[kernel.H0 : kernel.H0 + len(plan.hyper)] = plan.hyper
        floats[kernel.L1], floats[kernel.DECAY] = plan.l1, plan.weight_decay
        floats[kernel.CLIP], floats[kernel.CLIP_NORM] = plan.clip_value, plan.clip_norm
        floats[kernel.MAX_NORM], floats[kernel.AVERAGE_RATE] = plan.max_norm, plan.average_rate
        floats[kernel.S0 : kernel.S0 + len(plan.rate_constants)] = plan.rate_constants
        floats[kernel.ALPHA], floats[kernel.L2] = plan.alpha, plan.l2
        floats[kernel.TOL], floats[kernel.PATIENCE] = plan.tol, plan.patience
        floats[kernel.MEAN_WEIGHT] = self.total_weight / self.n_rows
        floats[kernel.BEST] = np.inf
        return ints, floats

    def _resume(self, state: SolverState) -> None:
        self._moments[:] = state.moments.ravel()
        self._ints[kernel.STEPS] = state.n_steps
        self._ints[kernel.SAMPLES] = state.n_samples_seen
        self._ints[kernel.EPOCHS] = state.n_epochs
        self._floats[kernel.RATE] = state.learning_rate

    def state(self) -> SolverState:
        """What the solver remembers; its moments are those of this trainer, not a copy."""
        n = self.network.n_parameters
        return SolverState(
            solver=self.training.solver,
            moments=self._moments.reshape(-1, n),
            n_steps=int(self._ints[kernel.STEPS]),
            n_samples_seen=self.n_samples_seen,
            learning_rate=self.learning_rate,
            n_epochs=int(self._ints[kernel.EPOCHS]),
        )

    @property
    def result(self) -> np.ndarray:
        """The parameters that training is for: their running mean where one is kept."""
        n = self.network.n_parameters
        return self._moments[-n:] if self.training.averages and self._ints[kernel.STEPS] else self.parameters

    @property
    def status(self) -> str:
        """ "running", "converged", "max_epochs" or "non_finite"."""
        return STATUS_NAMES[int(self._ints[kernel.STATUS])]

    @property
    def learning_rate(self) -> float:
        """Of the next step, before any bias correction."""
        return float(self._floats[kernel.RATE])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._floats[kernel.RATE] = rate

    @property
    def epoch_loss(self) -> float:
        """Sum over the rows of the epoch under way of their losses, each with its batch's penalty."""
        return float(self._floats[kernel.EPOCH_LOSS])

    @property
    def n_epochs(self) -> int:
        """Epochs that this trainer finished."""
        return int(self._ints[kernel.EPOCHS_HERE])

    @property
    def n_samples_seen(self) -> int:
        """Rows trained on, over the life of the solver's state."""
        return int(self._ints[kernel.SAMPLES])

    @property
    def n_steps_per_epoch(self) -> int:
        return -(-self.n_rows // self.training.batch_size)

    @property
    def best_monitored(self) -> float:
        """The lowest value of what the stopping rule watches."""
        return float(self._floats[kernel.BEST])

    @property
    def n_stale(self) -> int:
        """Epochs since it last improved by `tol`."""
        return int(self._ints[kernel.STALE])

    def train(self, max_steps: int, stop_at_epoch_end: bool = False) -> int:
        """Make up to `max_steps` steps; fewer when training ends or, if asked, when an epoch ends."""
        self._ints[kernel.CURVE_USED] = 0
        done = self._steps_at_pace(max_steps, stop_at_epoch_end)
        used = int(self._ints[kernel.CURVE_USED])
        self.loss_curve.extend(self._curve[:used].tolist())
        if self.status != "non_finite" and not _all_finite(self.parameters):
            self._ints[kernel.STATUS] = kernel.NON_FINITE
        if self.status == "non_finite" and self.failure is None:
            in_epoch = int(self._ints[kernel.STEP_OF_EPOCH])
            self.failure = (
                (self.n_epochs + 1, in_epoch) if in_epoch else (self.n_epochs, self.n_steps_per_epoch)
            )
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
        return kernel.train(
            thread,
            n_threads,
            max_steps,
            stop_at_epoch_end,
            *self.layout,
            self._ints,
            self._floats,
            self.parameters,
            self._moments,
            self.workspace,
            self._gradient,
            self.inputs.values,
            self.inputs.indices,
            self.inputs.indptr,
            self.targets,
            self.weights,
            self.order,
            self.inputs.index,
            self.starts,
            self._coefficients,
            self.sums,
            self._penalties,
            self._curve,
            self.team.sync,
        )

    def resume(self, loss_curve: list[float], best: float, n_stale: int, converged: bool) -> None:
        """Stand behind the epochs that a fit has made before: `state` does not tell what the stopping rule
        knew.
        """
        self.loss_curve = loss_curve
        self._ints[kernel.EPOCHS_HERE] = len(loss_curve)
        self._floats[kernel.BEST], self._ints[kernel.STALE] = best, n_stale
        if converged:
            self._ints[kernel.STATUS] = kernel.CONVERGED
        elif self.n_epochs >= self.training.max_epochs:
            self._ints[kernel.STATUS] = kernel.MAX_EPOCHS

    def report(self, monitored: float) -> None:
        """Tell the value that the stopping rule watches, after an epoch; lower is better."""
        plan, ints, floats = self.training, self._ints, self._floats
        rate, best, stale, converged = check_convergence(
            plan.schedule,
            self.learning_rate,
            monitored,
            self.best_monitored,
            self.n_stale,
            plan.tol,
            plan.patience,
        )
        floats[kernel.RATE], floats[kernel.BEST], ints[kernel.STALE] = rate, best, stale
        if converged:
            ints[kernel.STATUS] = kernel.CONVERGED


class Objective(_Batches):
    """The objective on all rows and its gradient, for repeated calls.

    Parameters as in `Trainer`; `alpha`, `l2` are the penalties' strengths.
    """

    most_bytes: int | None = None  # of the activations of a pass

    def __init__(
        self, network: NetworkPlan, X, targets, sample_weight, alpha, l2, n_jobs=None, index=None
    ) -> None:
        inputs = as_inputs(X, network, index)
        rows = pass_rows(network, inputs.n_rows, self.most_bytes)
        super().__init__(network, inputs, targets, sample_weight, rows, n_jobs)
        self._loaded = False
        self._penalty = alpha / self.total_weight + l2
        self._penalised = network.mask(biases=False)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and flat gradient (a fresh array, padding zero) at a flat parameter vector."""
        flat = aligned_zeros(self.network.n_parameters, self.network.dtype)
        flat[:] = parameters
        gradient = aligned_zeros(self.network.n_parameters, self.network.dtype)

        def run(thread: int, n_threads: int) -> float:
            return self._run(thread, n_threads, flat, gradient)

        self._next_slice()
        loss = self._at_pace(run, ("loss and gradient", self.network.dtype), lambda loss: 1)
        self._loaded = self.pass_rows == self.n_rows
        weights = np.where(self._penalised, flat, 0)
        gradient += flat.dtype.type(self._penalty) * weights
        return loss + 0.5 * self._penalty * float(weights @ weights), gradient

    def _run(self, thread: int, n_threads: int, flat: np.ndarray, gradient: np.ndarray) -> float:
        return kernel.loss_and_gradient(
            thread,
            n_threads,
            self.pass_rows,
            *self.layout,
            flat,
            self.workspace,
            gradient,
            self.inputs.values,
            self.inputs.indices,
            self.inputs.indptr,
            self.network.n_inputs,
            self.targets,
            self.network.n_targets,
            self.weights,
            self.order,
            self.starts,
            self.sums,
            self.total_weight,
            self._loaded,
            lowering.accumulate(self.network.dtype) if self.pass_rows < self.n_rows else 0,
            self.team.sync,
        )


class Loss(Objective):
    """The objective without penalties, for repeated calls, in small passes: they do not change its bits."""

    most_bytes = LOSS_BYTES

    def __init__(self, network: NetworkPlan, X, targets, sample_weight, n_jobs=None, index=None) -> None:
        super().__init__(network, X, targets, sample_weight, 0.0, 0.0, n_jobs, index)

    def value(self, parameters: np.ndarray) -> float:
        """At a flat parameter vector."""
        return float(self(parameters)[0])


def loss_and_gradient(
    network: NetworkPlan, parameters, X, targets, sample_weight, alpha, l2, n_jobs=None
) -> tuple[float, np.ndarray]:
    """The objective on all rows and its gradient, once."""
    with Objective(network, X, targets, sample_weight, alpha, l2, n_jobs) as objective:
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
    X : as of `Trainer`, or what `hold` made of it
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
    panel = 2 * lanes_of(network.dtype)
    flops_per_row = network.flops_per_row / 3
    table = lowering.link(network)
    flat = out.reshape(-1)
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
        predict(
            table,
            arena.buffers,
            arena.offsets,
            parameters,
            arena.allocate(network),
            inputs.values,
            inputs.indices,
            inputs.indptr,
            network.n_inputs,
            inputs.index,
            np.empty(block, np.int64),
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
    """What `forward` takes in place of X where the same rows are asked for again and again.

    `index` holds their numbers, None for all.
    """
    return as_inputs(X, network, index)
