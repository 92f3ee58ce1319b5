"""The CUDA engine: owns the memory of a fit on the GPU and launches the kernel.

The same names as ``fastbp.engines.cpu.engine``. Parameters lie on the device as in the plan.
"""

from typing import Any

import numpy as np

from fastbp.engines.control import RUNNING, new_control, new_records
from fastbp.engines.cuda import device_memory
from fastbp.engines.cuda.arrays import rows_of, to_host
from fastbp.engines.cuda.control import LAUNCH
from fastbp.engines.cuda.device_data import Cursor, DeviceData, Loader, Orders, make_loader
from fastbp.engines.cuda.device_memory import dense_rows
from fastbp.engines.cuda.fleet import FleetTrainer
from fastbp.engines.cuda.launch import LaunchConfig, choose_team, within_device
from fastbp.engines.cuda.lowering import Selection, select_gradients, select_training
from fastbp.engines.cuda.network_fit import NetworkFit, control_values, total_weight, usable_state
from fastbp.engines.cuda.predict import Forward, forward, hold
from fastbp.engines.cuda.shape import fleet_shape, make_shape
from fastbp.engines.cuda.step import units_of_step
from fastbp.engines.cuda.target import cuda
from fastbp.engines.dataset import Dataset
from fastbp.engines.objective import FullBatch, LossValue
from fastbp.plan.network import NetworkPlan
from fastbp.plan.training import SolverState, TrainingPlan

__all__ = [
    "FleetTrainer",
    "Forward",
    "Loss",
    "Objective",
    "Trainer",
    "fleet_shape",
    "forward",
    "hold",
    "loss_and_gradient",
    "rows_of",
    "to_host",
]

DEVICE = "cuda"
CURVE_CAPACITY = 1 << 16  # epochs that one launch may finish


class _Session:
    """Common parts of training and full-batch gradients: program, arena, data, records."""

    def __init__(
        self,
        network: NetworkPlan,
        selection: Selection,
        rows: Dataset,
        batch: int,
        orders: Orders,
        training: TrainingPlan | None = None,
    ) -> None:
        self.network = network
        dtype, given = network.dtype, rows.sample_weight
        weights = None if given is None else np.ascontiguousarray(given, dtype=dtype)
        targets = np.ascontiguousarray(rows.targets, dtype=dtype)
        X = dense_rows(rows.X, network)
        self.data = DeviceData(X, targets.reshape(-1), weights, len(rows), len(targets))
        self.batch = batch
        self.total_weight = total_weight(rows, weights)
        self.shape = make_shape(network, selection, batch)
        self.program = self.shape.program
        self.team: LaunchConfig = choose_team(self.program, dtype)
        arena_bytes = self.shape.arena_bytes + 8 * CURVE_CAPACITY
        free = device_memory.free_memory()
        self._loader: Loader | None = make_loader(self.data, batch, orders, arena_bytes, free)
        self._arena = cuda.to_device(np.zeros(self.program.layout.size, dtype))
        self._control = new_control(control_values(self.shape, rows, self.total_weight, training))
        launch = self.shape.launch_values() | {"has_weights": weights is not None}
        self._launches = new_records(LAUNCH, launch)
        self._fit, self._launch = self._control[0], self._launches[0]
        self._fixed: tuple[Any, ...] = (
            cuda.to_device(self.program.phases),
            cuda.to_device(self.program.jobs),
            self._arena,
        )
        self._records: tuple[Any, ...] = (
            cuda.to_device(self._control),
            cuda.to_device(self._launches),
            cuda.to_device(np.zeros(CURVE_CAPACITY)),
        )
        self._stream = cuda.stream()
        self._kernel = self.team.kernel(dtype, selection)
        self.team = within_device(self.team, self._kernel, self._tables)

    @property
    def n_rows(self) -> int:
        return self.data.n

    @property
    def _tables(self) -> tuple[Any, ...]:
        assert self._loader is not None, "this session has been closed"
        return (*self._fixed, *self._loader.tables, *self._records)

    def _place(self, offset: int, values: np.ndarray) -> None:
        """Numbers into the arena."""
        if values.size:
            self._arena[offset : offset + values.size].copy_to_device(values)

    def _fetch(self, offset: int) -> np.ndarray:
        """A new vector, as long as the parameters, from the arena."""
        vector: np.ndarray = self._arena[offset : offset + self.network.n_parameters].copy_to_host()
        return vector

    def _run(self, cursor: Cursor, n_steps: int) -> None:
        """Up to `n_steps` steps from `cursor` on; the records are then on the host."""
        assert self._loader is not None, "this session has been closed"
        control, launches, _ = self._records
        # One phase at a time: how many there are depends on the rows of the step.
        at, n_steps = self._loader.prepare(cursor, 1 if self.team.kind == "phases" else n_steps)
        self._launch["order_position"], self._fit["position"] = at, cursor.position
        self._launch["steps_before"] = self._fit["steps"]
        control.copy_to_device(self._control)
        launches.copy_to_device(self._launches)
        rows = min(self.batch, self.n_rows - cursor.position)
        passes = -(-rows // self.shape.pass_rows)
        units = units_of_step(self.shape.selection, len(self.program.phases), passes)
        self.team.run(self._kernel, self._tables, self._stream, n_steps, units)
        steps_per_epoch = -(-self.n_rows // self.batch)
        epochs, step = divmod(cursor.step + n_steps, steps_per_epoch)
        self._loader.ahead(Cursor(cursor.epoch + epochs, step * self.batch, step))
        control.copy_to_host(self._control)
        launches.copy_to_host(self._launches)

    def close(self) -> None:
        """Give the memory of the GPU back."""
        self._loader = None
        self._fixed = self._records = ()
        self._arena = None

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.close()


class Trainer(_Session, NetworkFit):
    """Trains one network on one set of rows; parameters and attributes of the CPU engine's ``Trainer``.

    X must be dense, and `n_jobs` means nothing here.
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
        NetworkFit.__init__(self, training)
        n, state = len(rows), usable_state(state, training)
        end = training.max_epochs + (0 if state is None else state.n_epochs)
        orders = Orders(n, training.seed, training.shuffle and training.batch_size < n, end, rows.index)
        selection = select_training(network, training)
        _Session.__init__(self, network, selection, rows, training.batch_size, orders, training)
        self._latest: np.ndarray | None = np.array(parameters, network.dtype)
        self._begin(self._latest, state)

    @property
    def parameters(self) -> np.ndarray:
        """Flat vector, a new array; fetched from the GPU after training, at the first look."""
        if self._latest is None:
            self._latest = self._fetch(0)
        return self._latest.copy()

    def train(self, max_steps: int, stop_at_epoch_end: bool = False) -> int:
        """Make up to `max_steps` steps; fewer when training ends or, if asked, when an epoch ends."""
        done, fit = 0, self._fit
        while done < max_steps and self.status == "running":
            step = int(fit["step_of_epoch"])
            if stop_at_epoch_end:
                most = self.n_steps_per_epoch - step
            else:
                most = (CURVE_CAPACITY - 1) * self.n_steps_per_epoch
            cursor = Cursor(int(fit["epochs"]), step * self.batch, step)
            before = int(self._launch["steps_here"])
            fit["curve_used"] = 0
            self._run(cursor, min(max_steps - done, most))
            done += int(self._launch["steps_here"]) - before
            self._latest = None
            used = int(fit["curve_used"])
            losses = self._records[2][:used].copy_to_host() if used else np.empty(0)
            self._note_run(losses, not self._launch["has_bad_parameters"])
            if stop_at_epoch_end and fit["step_of_epoch"] == 0:
                break
        return done


class Objective(_Session, FullBatch):
    """The objective on all rows and its gradient, for repeated calls; see the CPU engine's ``Objective``."""

    def __init__(
        self, network: NetworkPlan, rows: Dataset, alpha: float, l2: float, n_jobs: int | None = None
    ) -> None:
        n = len(rows)
        orders = Orders(n, 0, shuffle=False, end=1)
        # With an index, these are few of the rows: only they are sent.
        super().__init__(network, select_gradients(network), rows.taken(), n, orders)
        self._place(self.program.layout.constants, np.array(network.constants, network.dtype))
        self._set_penalty(alpha, l2)

    def _mean_loss(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        self._place(0, np.ascontiguousarray(flat, dtype=self.network.dtype))
        self._fit["status"], self._fit["step_of_epoch"], self._fit["curve_used"] = RUNNING, 0, 0
        self._run(Cursor(0, 0, 0), 1)
        return float(self._launch["step_loss"]), self._fetch(self.program.layout.gradient)


class Loss(LossValue, Objective):
    """The objective without penalties, for repeated calls."""


def loss_and_gradient(
    network: NetworkPlan, parameters: np.ndarray, rows: Dataset, alpha: float, l2: float, n_jobs=None
) -> tuple[float, np.ndarray]:
    """The objective on all rows and its gradient, once."""
    with Objective(network, rows, alpha, l2, n_jobs) as objective:
        return objective(parameters)
