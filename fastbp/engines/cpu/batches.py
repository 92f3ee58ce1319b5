"""Rows in batches and the memory to compute on them: common parts of training and full-batch gradients."""

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from fastbp.engines.control import batches, new_control, rules
from fastbp.engines.cpu.arena import RULE_SIZE, SYNCED, lanes_of, pass_rows, plan_arena
from fastbp.engines.cpu.execution import new_execution
from fastbp.engines.cpu.layout import aligned_zeros, panel_layout
from fastbp.engines.cpu.op_table import link
from fastbp.engines.cpu.pace import recall, remember
from fastbp.engines.cpu.synced import synced_address
from fastbp.engines.cpu.threads import Kernel, Threads, useful_threads
from fastbp.engines.dataset import Dataset
from fastbp.engines.flat_data import MOST_ROWS, ROW_NUMBER, as_inputs, as_weights, flat_view
from fastbp.engines.shuffle import shuffle_order
from fastbp.plan.network import NetworkPlan, padded
from fastbp.plan.training import TrainingPlan

CURVE_CAPACITY = 1 << 16  # epochs of a network that one call of the kernel may finish


class Batches:
    """Rows, arena and team of threads.

    Parameters
    ----------
    network : NetworkPlan
    rows : sequence of Dataset
        Of each network that is trained; they differ in their weights at most.
    pass_rows : int
        Rows that are computed at a time.
    n_jobs : int or None
    """

    def __init__(
        self, network: NetworkPlan, rows: Sequence[Dataset], pass_rows: int, n_jobs: int | None
    ) -> None:
        first = rows[0]
        n_all = len(first.targets)
        if n_all > MOST_ROWS:
            raise ValueError(f"X has {n_all} rows, more than the {MOST_ROWS} that can be trained on.")
        self.network, self.layout = network, panel_layout(network)
        self.inputs = as_inputs(first.X, network, first.index)
        self.targets = flat_view(first.targets, network.dtype)
        self.n_rows, self.n_networks = self.inputs.n_rows, len(rows)
        weights = [as_weights(one.sample_weight, network) for one in rows]
        self.weights = weights[0] if len(rows) == 1 else flat_view(np.concatenate(weights), network.dtype)
        self.total_weights = [self._total(one) for one in weights]
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

    def _total(self, weights: np.ndarray) -> float:
        """Sum of the weights of the rows; their number where there are none."""
        if weights.size == 0:
            return float(self.n_rows)
        index = self.inputs.index
        own = weights[index] if index.size else weights
        return float(own.sum(dtype=np.float64))

    def _allocate(self) -> None:
        self.arena = plan_arena(self.network, self.pass_rows, self.team.n_threads, training=True)
        if any(op.sync for op in self.network.ops):
            self.arena.offsets[SYNCED] = synced_address(self.network.dtype)
        self.workspace = self.arena.allocate()
        index = self.inputs.index
        self.order = index.copy() if index.size else np.arange(self.n_rows, dtype=ROW_NUMBER)
        if self.n_networks > 1:
            self.order = np.tile(self.order, self.n_networks)
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


class TrainingBatches(Batches):
    """The memory to train networks of one shape on the same rows, a part of each vector for each network.

    Parameters
    ----------
    trainings : sequence of TrainingPlan
        Of each network, with equal `structure`.
    """

    def __init__(
        self,
        network: NetworkPlan,
        trainings: Sequence[TrainingPlan],
        rows: Sequence[Dataset],
        n_jobs: int | None,
    ) -> None:
        self.trainings = trainings
        n_pass = trainings[0].batch_size  # all of a batch where an op needs the whole
        if not any(op.sync for op in network.ops):
            n_pass = pass_rows(network, n_pass)
        super().__init__(network, rows, n_pass, n_jobs)

    def _allocate(self) -> None:
        super()._allocate()
        network, trainings, n_networks = self.network, self.trainings, self.n_networks
        first, n = trainings[0], self.layout.size
        self._parameters = aligned_zeros(n_networks * n, network.dtype)
        self._moments = aligned_zeros(n_networks * first.n_moments * n, network.dtype)
        stored = first.batch_size > self.pass_rows or np.isfinite(first.clip_norm)
        gradient = aligned_zeros(n if stored else 0, network.dtype)
        penalties, factors = np.zeros(2 * len(self.arena.tiles)), np.zeros(self.team.n_threads * RULE_SIZE)
        n_epochs = max(training.max_epochs for training in trainings)
        self._curve = np.zeros(n_networks * min(CURVE_CAPACITY, n_epochs))
        self._control = new_control(*map(self._record, trainings, self.total_weights))
        self._execution = new_execution(network, first, self.n_rows, self.pass_rows, n_networks)
        self._arguments = (
            self._network_with(self._parameters),
            self._data,
            (self._moments, gradient, penalties, factors),
            self._control,
            self._execution,
            self._curve,
            self.team.sync,
        )

    def _record(self, training: TrainingPlan, total_weight: float) -> dict[str, Any]:
        fields = batches(self.n_rows, training.batch_size, self.pass_rows, total_weight)
        return fields | rules(training, fields["epoch_steps"])

    def _shuffle(self, network: int = 0) -> None:
        """Put the rows of a network into the order of its epoch."""
        if self._execution["shuffles"][network]:
            order = self.order.reshape(self.n_networks, -1)[network]
            epoch = int(self._control["epochs"][network])
            shuffle_order(order, self.inputs.index, self.trainings[network].seed, epoch)


def all_finite(vector: np.ndarray) -> bool:
    """Return whether all numbers are finite."""
    # A sum is not finite if an element is not; it may also overflow, so that a second look is needed.
    return bool(np.isfinite(vector.sum())) or bool(np.isfinite(vector).all())
