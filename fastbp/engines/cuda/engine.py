"""The CUDA engine: owns the memory of a fit on the GPU and launches the kernel.

The same names as ``fastbp.engines.cpu.engine``. Parameters come and go as the flat vector of the given
plan; on the device they are row-major matrices.
"""

from typing import Any

import numpy as np

from fastbp.engines.cuda import control, device_memory
from fastbp.engines.cuda.arrays import rows_of, to_host
from fastbp.engines.cuda.device_data import Cursor, DeviceData, Loader, Orders, make_loader
from fastbp.engines.cuda.device_memory import dense_rows, elements_per_row
from fastbp.engines.cuda.jobs import Program
from fastbp.engines.cuda.launch import LaunchConfig, choose_team, is_resident, within_device
from fastbp.engines.cuda.lowering import Selection, select_gradients, select_training
from fastbp.engines.cuda.predict import forward, hold
from fastbp.engines.cuda.program import training_program
from fastbp.engines.cuda.step import TILING, units_of_step
from fastbp.engines.cuda.target import cuda
from fastbp.functions.schedules import check_convergence
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan

__all__ = ["Loss", "Objective", "Trainer", "forward", "hold", "loss_and_gradient", "rows_of", "to_host"]

DEVICE = "cuda"
STATUS_NAMES = {
    control.RUNNING: "running",
    control.CONVERGED: "converged",
    control.MAX_EPOCHS: "max_epochs",
    control.NON_FINITE: "non_finite",
}
CURVE_CAPACITY = 1 << 16  # epochs that one launch may finish
PASS_BYTES = 1 << 30  # of the activations of a pass; larger batches take several


class _Session:
    """What training and full-batch gradients share: program, arena, data, control arrays."""

    def __init__(
        self,
        network: NetworkPlan,
        selection: Selection,
        X,
        targets,
        sample_weight,
        batch: int,
        orders: Orders,
        index: np.ndarray | None = None,
    ) -> None:
        self.network, self.plan, self.selection = network, network.row_major, selection
        updating = selection.solver is not None
        dtype = network.dtype
        weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=dtype)
        flat = np.ascontiguousarray(targets, dtype=dtype).reshape(-1)
        self.rows = DeviceData(X, flat, weights, orders.n_rows, len(targets))
        self.batch = batch
        self.total_weight = float(self.n_rows)
        if weights is not None:
            own = weights if index is None else weights[index]
            self.total_weight = float(own.sum(dtype=np.float64))
        self.pass_rows = max(min(batch, PASS_BYTES // (elements_per_row(network) * dtype.itemsize)), 1)
        if selection.batch_norm:  # which needs all of a batch at once
            self.pass_rows = batch
        self.n_passes = -(-batch // self.pass_rows)
        stored = not updating or self.n_passes > 1 or selection.clip_norm
        self.program = self._program(stored)
        self.team: LaunchConfig = choose_team(self.program, dtype)
        arena_bytes = self.program.layout.size * dtype.itemsize + 8 * CURVE_CAPACITY
        free = device_memory.free_memory()
        self._loader: Loader | None = make_loader(self.rows, batch, orders, arena_bytes, free)
        self._arena = cuda.to_device(np.zeros(self.program.layout.size, dtype))
        self._place(self.program.layout.constants, np.array(network.constants, dtype))
        self._ints, self._floats = self._control(updating)
        self._fixed: tuple[Any, ...] = (
            cuda.to_device(self.program.phases),
            cuda.to_device(self.program.jobs),
            self._arena,
        )
        self._books: tuple[Any, ...] = (
            cuda.to_device(self._ints),
            cuda.to_device(self._floats),
            cuda.to_device(np.zeros(CURVE_CAPACITY)),
        )
        self._stream = cuda.stream()
        self._kernel = self.team.kernel(dtype, selection)
        self.team = within_device(self.team, self._kernel, self._tables)

    def _program(self, stored: bool) -> Program:
        """The program whose arena lies in shared memory, where that has room; the plan alone decides."""
        sizes = (self.plan, self.selection, TILING, self.pass_rows, self.n_passes, stored)
        small = training_program(*sizes, only_small=True)
        return small if is_resident(small, self.network.dtype) else training_program(*sizes)

    @property
    def n_rows(self) -> int:
        return self.rows.n

    @property
    def _tables(self) -> tuple[Any, ...]:
        assert self._loader is not None, "this session has been closed"
        return (*self._fixed, *self._loader.tables, *self._books)

    def _control(self, updating: bool) -> tuple[np.ndarray, np.ndarray]:
        ints, floats = np.zeros(control.N_INTS, np.int64), np.zeros(control.N_FLOATS)
        program, layout = self.program, self.program.layout
        ints[control.N_DATA] = self.n_rows
        ints[control.BATCH] = self.batch
        ints[control.PASS] = self.pass_rows
        ints[control.LOSS_TILES] = program.loss_tiles
        ints[control.PENALTY_TILES] = program.penalty_tiles
        ints[control.ROWS_OF_TILE] = TILING.rows_of_tile
        ints[control.N_PARAMETERS] = self.plan.n_parameters
        ints[control.MOMENTS] = layout.moments
        ints[control.GRADIENT_AT] = layout.gradient
        ints[control.COEFFICIENTS] = layout.coefficients
        ints[control.PARTIALS] = layout.partials
        ints[control.PENALTIES], ints[control.SQUARES] = layout.penalties, layout.squares
        ints[control.ARENA_SIZE] = layout.size
        ints[control.UPDATING] = updating
        ints[control.WEIGHTED] = self.rows.weights is not None
        floats[control.MEAN_WEIGHT] = self.total_weight / self.n_rows
        floats[control.BEST] = np.inf
        return ints, floats

    def _place(self, offset: int, values: np.ndarray) -> None:
        """Numbers into the arena."""
        if values.size:
            self._arena[offset : offset + values.size].copy_to_device(values)

    def _send(self, offset: int, vector: np.ndarray) -> None:
        """A vector of the given plan into the arena."""
        plain = np.ascontiguousarray(self.network.to_row_major(vector), dtype=self.network.dtype)
        self._place(offset, plain)

    def _fetch(self, offset: int) -> np.ndarray:
        """A vector of the given plan from the arena."""
        plain = self._arena[offset : offset + self.plan.n_parameters].copy_to_host()
        return self.network.from_row_major(plain)

    def _launch(self, cursor: Cursor, n_steps: int) -> None:
        """Up to `n_steps` steps from `cursor` on; the books are then on the host."""
        assert self._loader is not None, "this session has been closed"
        ints, floats, _ = self._books
        # One phase at a time: how many there are depends on the rows of the step.
        at, n_steps = self._loader.prepare(cursor, 1 if self.team.kind == "phases" else n_steps)
        self._ints[control.AT], self._ints[control.POSITION] = at, cursor.position
        self._ints[control.STEPS_BEFORE] = self._ints[control.STEPS]
        ints.copy_to_device(self._ints)
        floats.copy_to_device(self._floats)
        rows = min(self.batch, self.n_rows - cursor.position)
        passes = -(-rows // self.pass_rows)
        units = units_of_step(self.selection, len(self.program.phases), passes)
        self.team.run(self._kernel, self._tables, self._stream, n_steps, units)
        steps_per_epoch = -(-self.n_rows // self.batch)
        epochs, step = divmod(cursor.step + n_steps, steps_per_epoch)
        self._loader.ahead(Cursor(cursor.epoch + epochs, step * self.batch, step))
        ints.copy_to_host(self._ints)
        floats.copy_to_host(self._floats)

    def close(self) -> None:
        """Give the memory of the GPU back."""
        self._loader = None
        self._fixed = self._books = ()
        self._arena = None

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.close()


class Trainer(_Session):
    """Trains one network on one set of rows; parameters and attributes of the CPU engine's ``Trainer``.

    X must be dense, and `n_jobs` means nothing here.
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
        n = len(targets) if index is None else len(index)
        if state is not None and state.solver != training.solver:
            state = None
        end = training.max_epochs + (0 if state is None else state.n_epochs)
        orders = Orders(n, training.seed, training.shuffle and training.batch_size < n, end, index)
        selection = select_training(network, training)
        rows = dense_rows(X, network)
        super().__init__(network, selection, rows, targets, sample_weight, training.batch_size, orders, index)
        self._set_rules()
        self._latest: np.ndarray | None = np.array(parameters, network.dtype)
        self._send(0, self._latest)
        self._place_constant_means(self._latest)
        if state is not None:
            self._resume(state)

    def _place_constant_means(self, parameters: np.ndarray) -> None:
        """Parameters that no step moves are their own mean."""
        if self.selection.averages:
            for op, row in zip(self.plan.parametric, self.network.rows(parameters), strict=True):
                if not op.learned:
                    self._place(self._moment(self.selection.n_states) + op.offset, row.ravel())

    def _set_rules(self) -> None:
        plan, ints, floats = self.training, self._ints, self._floats
        ints[control.SEED], ints[control.SCHEDULE] = plan.seed, plan.schedule
        ints[control.MONITOR_LOSS] = plan.monitor_loss
        ints[control.EPOCH_LIMIT] = plan.max_epochs
        ints[control.EPOCH_STEPS] = self.n_steps_per_epoch
        ints[control.TOTAL_STEPS] = plan.planned_steps(self.n_steps_per_epoch)
        ints[control.AVERAGE_AFTER] = round(plan.average_after * ints[control.TOTAL_STEPS])
        floats[control.S0 : control.S0 + len(plan.rate_constants)] = plan.rate_constants
        floats[control.RATE] = floats[control.RATE_INIT] = plan.rate_init
        floats[control.POWER_T] = plan.power_t
        floats[control.H0 : control.H0 + len(plan.hyper)] = plan.hyper
        floats[control.ALPHA], floats[control.L2], floats[control.L1] = plan.alpha, plan.l2, plan.l1
        floats[control.DECAY], floats[control.CLIP] = plan.weight_decay, plan.clip_value
        floats[control.CLIP_NORM], floats[control.MAX_NORM] = plan.clip_norm, plan.max_norm
        floats[control.AVERAGE_RATE] = plan.average_rate
        floats[control.TOL], floats[control.PATIENCE] = plan.tol, plan.patience

    def _resume(self, state: SolverState) -> None:
        for i, moment in enumerate(state.moments):
            self._send(self._moment(i), moment)
        self._ints[control.STEPS] = state.n_steps
        self._ints[control.SAMPLES] = state.n_samples_seen
        self._ints[control.EPOCHS] = state.n_epochs
        self._floats[control.RATE] = state.learning_rate

    def _moment(self, number: int) -> int:
        """Where in the arena one of them begins."""
        return self.program.layout.moments + number * self.plan.n_parameters

    @property
    def parameters(self) -> np.ndarray:
        """Flat vector; fetched from the GPU after training, at the first look."""
        if self._latest is None:
            self._latest = self._fetch(0)
        return self._latest

    def state(self) -> SolverState:
        """What the solver remembers."""
        moments = [self._fetch(self._moment(i)) for i in range(self.selection.n_moments)]
        return SolverState(
            solver=self.training.solver,
            moments=np.array(moments, self.network.dtype).reshape(-1, self.network.n_parameters),
            n_steps=int(self._ints[control.STEPS]),
            n_samples_seen=self.n_samples_seen,
            learning_rate=self.learning_rate,
            n_epochs=int(self._ints[control.EPOCHS]),
        )

    @property
    def result(self) -> np.ndarray:
        """The parameters that training is for: their running mean where one is kept."""
        averaged = self.training.averages and self._ints[control.STEPS]
        return self._fetch(self._moment(self.selection.n_states)) if averaged else self.parameters

    @property
    def status(self) -> str:
        """ "running", "converged", "max_epochs" or "non_finite"."""
        return STATUS_NAMES[int(self._ints[control.STATUS])]

    @property
    def learning_rate(self) -> float:
        """Of the next step, before any bias correction."""
        return float(self._floats[control.RATE])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._floats[control.RATE] = rate

    @property
    def epoch_loss(self) -> float:
        """Sum over the rows of the epoch under way of their losses, each with its batch's penalty."""
        return float(self._floats[control.EPOCH_LOSS])

    @property
    def n_epochs(self) -> int:
        """Epochs that this trainer finished."""
        return int(self._ints[control.EPOCHS_HERE])

    @property
    def n_samples_seen(self) -> int:
        """Rows trained on, over the life of the solver's state."""
        return int(self._ints[control.SAMPLES])

    @property
    def n_steps_per_epoch(self) -> int:
        return -(-self.n_rows // self.batch)

    @property
    def best_monitored(self) -> float:
        """The lowest value of what the stopping rule watches."""
        return float(self._floats[control.BEST])

    @property
    def n_stale(self) -> int:
        """Epochs since it last improved by `tol`."""
        return int(self._ints[control.STALE])

    def train(self, max_steps: int, stop_at_epoch_end: bool = False) -> int:
        """Make up to `max_steps` steps; fewer when training ends or, if asked, when an epoch ends."""
        done = 0
        while done < max_steps and self.status == "running":
            step = int(self._ints[control.STEP_OF_EPOCH])
            if stop_at_epoch_end:
                most = self.n_steps_per_epoch - step
            else:
                most = (CURVE_CAPACITY - 1) * self.n_steps_per_epoch
            cursor = Cursor(int(self._ints[control.EPOCHS]), step * self.batch, step)
            before = int(self._ints[control.STEPS_HERE])
            self._ints[control.CURVE_USED] = 0
            self._launch(cursor, min(max_steps - done, most))
            done += int(self._ints[control.STEPS_HERE]) - before
            self._look(int(self._ints[control.CURVE_USED]))
            if stop_at_epoch_end and self._ints[control.STEP_OF_EPOCH] == 0:
                break
        return done

    def _look(self, used: int) -> None:
        """After a launch: the losses of its epochs, and whether all numbers are finite."""
        self._latest = None
        if used:
            self.loss_curve.extend(self._books[2][:used].copy_to_host().tolist())
        if self._ints[control.BAD_PARAMETERS]:
            self._ints[control.STATUS] = control.NON_FINITE
        if self.status == "non_finite" and self.failure is None:
            in_epoch = int(self._ints[control.STEP_OF_EPOCH])
            self.failure = (
                (self.n_epochs + 1, in_epoch) if in_epoch else (self.n_epochs, self.n_steps_per_epoch)
            )

    def resume(self, loss_curve: list[float], best: float, n_stale: int, converged: bool) -> None:
        """Stand behind the epochs that a fit has made before: `state` does not tell what the stopping rule
        knew.
        """
        self.loss_curve = loss_curve
        self._ints[control.EPOCHS_HERE] = len(loss_curve)
        self._floats[control.BEST], self._ints[control.STALE] = best, n_stale
        if converged:
            self._ints[control.STATUS] = control.CONVERGED
        elif self.n_epochs >= self.training.max_epochs:
            self._ints[control.STATUS] = control.MAX_EPOCHS

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
        floats[control.RATE], floats[control.BEST], ints[control.STALE] = rate, best, stale
        if converged:
            ints[control.STATUS] = control.CONVERGED


class Objective(_Session):
    """The objective on all rows and its gradient, for repeated calls; see the CPU engine's ``Objective``."""

    def __init__(
        self, network: NetworkPlan, X, targets, sample_weight, alpha, l2, n_jobs=None, index=None
    ) -> None:
        if index is not None:  # few of the rows: only they are sent
            X, targets = X[index], targets[index]
            sample_weight = None if sample_weight is None else sample_weight[index]
        n = len(targets)
        orders = Orders(n, 0, shuffle=False, end=1)
        rows = dense_rows(X, network)
        super().__init__(network, select_gradients(network), rows, targets, sample_weight, n, orders)
        self._penalty = alpha / self.total_weight + l2
        self._penalised = network.mask(biases=False)

    def __call__(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and flat gradient (a fresh array, padding zero) at a flat parameter vector."""
        flat = np.asarray(parameters, dtype=self.network.dtype)
        self._send(0, flat)
        self._ints[[control.STATUS, control.STEP_OF_EPOCH, control.CURVE_USED]] = control.RUNNING, 0, 0
        self._launch(Cursor(0, 0, 0), 1)
        loss = float(self._floats[control.STEP_LOSS])
        gradient = self._fetch(self.program.layout.gradient)
        weights = np.where(self._penalised, flat, 0)
        gradient += flat.dtype.type(self._penalty) * weights
        return loss + 0.5 * self._penalty * float(weights @ weights), gradient


class Loss(Objective):
    """The objective without penalties, for repeated calls."""

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
